//! The hub's core: what becomes of every message.
//!
//! One change, then perform the whole [`io::Step`], then the next change. The core reads no clock, writes no file and
//! opens no socket; everything that must outlive it is in the writes it hands out, and it can be built anew from them
//! at any time. Its memory runs ahead of the disk: what is said after a write waits for that write.
//!
//! It holds the devices, the tickets and the *undecided* messages without their bodies; a decided message is looked
//! up in the store.

mod accept;
mod admin;
mod ask;
mod attach;
mod config;
mod decide;
mod deliver;
mod devices;
mod go;
pub mod io;
mod join;
mod kept;
mod live;
mod ping;
mod presence;
mod queue;
pub mod record;
mod report;
mod revoke;
mod sessions;
mod status;
#[cfg(test)]
mod tests;
mod timers;
mod turn;
mod upload;
mod usage;

pub use config::HubConfig;

use crate::ids::{Digest, MessageId};
use crate::mail::clock::{BootId, HubTime};
use crate::mail::keys::{Crypto, PublicKey};
use crate::mail::limits::RESTART_GRACE_MS;
use crate::mail::message::ToHub;
use io::{Cut, Input, Lookup, SessionKey, Snapshot, Step};
use kept::Kept;
use record::{Phase, TicketRecord};
use std::collections::BTreeMap;
use timers::{Timer, Timers};
use turn::Turn;

/// The hub's core (see the module's page).
#[derive(Debug)]
pub struct HubCore {
    config: HubConfig,
    boot: BootId,
    draining: bool,
    /// No input was worked on yet: the policy may have changed since the core before this one.
    fresh: bool,
    devices: devices::Devices,
    tickets: BTreeMap<Digest, TicketRecord>,
    sessions: sessions::Sessions,
    /// Undecided.
    kept: BTreeMap<MessageId, Kept>,
    /// Decided (or given a late word) in the step of this number, which may not be synced yet.
    settling: BTreeMap<MessageId, (u64, Kept)>,
    queues: BTreeMap<PublicKey, queue::Queue>,
    usage: usage::Usage,
    uploads: BTreeMap<MessageId, upload::Upload>,
    live: live::Lives,
    pings: BTreeMap<u64, ping::Ping>,
    next_ping: u64,
    next_order: u64,
    step: u64,
    timers: Timers,
    unreadable: Vec<MessageId>,
}

/// What the core holds now, for `/metrics`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Devices that are not revoked.
    pub devices: u64,
    /// Devices whose agent is connected.
    pub online: u64,
    /// Undecided messages, and bodies that arrive.
    pub undecided: u64,
    /// Their bodies' bytes.
    pub undecided_bytes: u64,
    /// Bodies that arrive.
    pub uploads: u64,
}

impl HubCore {
    /// Builds the core from what the store holds. Nobody is connected.
    pub fn load(config: HubConfig, snapshot: Snapshot, now: HubTime, boot: BootId) -> Self {
        let mut core = Self {
            config,
            boot,
            draining: false,
            fresh: true,
            devices: devices::Devices::default(),
            tickets: BTreeMap::new(),
            sessions: sessions::Sessions::default(),
            kept: BTreeMap::new(),
            settling: BTreeMap::new(),
            queues: BTreeMap::new(),
            usage: usage::Usage::default(),
            uploads: BTreeMap::new(),
            live: live::Lives::default(),
            pings: BTreeMap::new(),
            next_ping: 0,
            next_order: 0,
            step: 0,
            timers: Timers::default(),
            unreadable: Vec::new(),
        };
        for mut record in snapshot.devices {
            // It was connected when the hub ended. All that the hub can vouch for is that since its start it is not.
            if record.online {
                (record.online, record.since_ms) = (false, now.wall_ms);
            }
            core.devices.put(record);
        }
        for ticket in snapshot.tickets {
            core.timers.set(Timer::Ticket(ticket.token), now.boot_ms() + ticket.life.left_ms(now, boot));
            core.tickets.insert(ticket.token, ticket);
        }
        for record in &snapshot.undecided {
            match Kept::new(record) {
                Ok(kept) => core.restore(kept, now),
                Err(_) => core.unreadable.push(record.id),
            }
        }
        core
    }

    fn restore(&mut self, mut kept: Kept, now: HubTime) {
        kept.deadline = kept.deadline.in_boot(now, self.boot);
        self.next_order = self.next_order.max(kept.order + 1);
        self.usage.take(kept.recipient, kept.size);
        let queue = self.queues.entry(kept.recipient).or_default();
        let left_ms = match &kept.phase {
            Phase::Accepted => {
                queue.add(&kept);
                kept.deadline.left_ms(now, self.boot)
            }
            Phase::Delivered => {
                queue.add_unstarted(&kept);
                kept.deadline.left_ms(now, self.boot)
            }
            Phase::Started(start) => start.timeout.left_ms(now, self.boot).max(RESTART_GRACE_MS),
            Phase::Decided(_) => return,
        };
        self.timers.set(Timer::Message(kept.id), now.boot_ms() + left_ms);
        self.kept.insert(kept.id, kept);
    }

    /// Works on one input and says what to do about it.
    pub fn handle(&mut self, now: HubTime, input: Input, store: &dyn Lookup, crypto: &dyn Crypto) -> Step {
        self.step += 1;
        let mut turn = Turn { now, store, crypto, step: Step { number: self.step, ..Step::default() } };
        if core::mem::take(&mut self.fresh) {
            self.refuse_forbidden(&mut turn);
        }
        // Whatever came now came after what was due before.
        self.run_timers(&mut turn);
        self.dispatch(&mut turn, input);
        turn.step
    }

    /// All steps up to this one are synced.
    pub fn committed(&mut self, step: u64) {
        self.settling.retain(|_, (number, _)| *number > step);
    }

    /// When to hand in the next `Tick`, by the boot-time clock in milliseconds.
    pub fn poll_timeout(&self) -> Option<u64> {
        self.timers.next_ms()
    }

    /// What the core holds now.
    pub fn gauges(&self) -> Gauges {
        let (undecided, undecided_bytes) = self.usage.total();
        Gauges {
            devices: self.devices.iter().count() as u64,
            online: self.devices.iter().filter(|device| self.is_online(device)).count() as u64,
            undecided,
            undecided_bytes,
            uploads: self.uploads.len() as u64,
        }
    }

    /// Undecided records in the snapshot whose envelope could not be read: they were left where they are.
    pub fn unreadable(&self) -> &[MessageId] {
        &self.unreadable
    }

    fn dispatch(&mut self, turn: &mut Turn<'_>, input: Input) {
        match input {
            Input::Opened { session, key, link } => self.opened(session, key, link),
            Input::Said { session, message } => self.said(turn, session, message),
            Input::Closed { session } => self.closed(turn, session),
            Input::LinkChanged { session, links, rtt_us } => self.link_changed(turn, session, links, rtt_us),
            Input::BodyArrived { id } => self.body_arrived(turn, id),
            Input::BodyFailed { id, code } => self.body_failed(turn, id, code),
            Input::LiveConfirmed { id } => self.live_over(turn, id, live::End::Confirmed),
            Input::LiveLost { id, given } => self.live_over(turn, id, live::End::Lost { given }),
            Input::Admin { request, command } => self.admin(turn, request, command),
            Input::Policy(policy) => self.policy_changed(turn, *policy),
            Input::Drain => self.draining = true,
            Input::Tick => {}
        }
    }

    fn said(&mut self, turn: &mut Turn<'_>, session: SessionKey, message: ToHub) {
        // A session that was cut may still have words on their way: they are no longer heard.
        let Some(known) = self.sessions.get(session) else { return };
        let (key, role) = (known.key, known.role);
        match (message, role) {
            (ToHub::Attach { role, software }, None) => self.attach(turn, session, role, software),
            (ToHub::Join { token, software }, None) => self.join(turn, session, token, software),
            (ToHub::Attach { .. } | ToHub::Join { .. }, Some(_)) | (_, None) => {
                self.drop_session(turn, session, Cut::Protocol);
            }
            (ToHub::Submit { envelope, body }, _) => self.submit(turn, session, envelope, body),
            (ToHub::BodyLost { id }, _) => self.body_lost(turn, &key, id),
            (ToHub::Ask { ask, question }, _) => self.ask(turn, session, ask, question),
            (ToHub::Pong { ping }, _) => self.ponged(turn, session, ping),
            (ToHub::Delivered { id }, _) => self.delivered(turn, session, id),
            (ToHub::SendBody { id, offset }, _) => self.body_wanted(turn, session, id, offset),
            (ToHub::Written { id, written }, _) => self.written(turn, &key, id, written),
            (ToHub::GoRequest { id, request, by, timeout_ms }, _) => {
                self.go_requested(turn, session, id, kept::Asked { request, by, timeout_ms });
            }
            (ToHub::NotStarted { id, request }, _) => self.not_started(turn, session, id, request),
            (ToHub::Interrupted { id, request }, _) => self.interrupted(turn, session, id, request),
            (ToHub::Report { receipt, output }, _) => {
                self.report(turn, session, record::Word { receipt, output });
            }
        }
    }

    fn run_timers(&mut self, turn: &mut Turn<'_>) {
        while let Some(timer) = self.timers.pop_due(turn.now.boot_ms()) {
            match timer {
                Timer::Message(id) => self.message_due(turn, id),
                Timer::Upload(id) => self.upload_due(turn, id),
                Timer::Live(id) => self.live_due(turn, id),
                Timer::Ping(ping) => self.ping_due(turn, ping),
                Timer::Ticket(token) => self.ticket_due(turn, token),
            }
        }
    }
}
