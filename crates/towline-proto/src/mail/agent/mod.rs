//! The agent's core: what a device does with the messages that come to it.
//!
//! One change, then perform the whole [`io::Step`], then the next change. What may run is journalled before it runs;
//! what was journalled as running and is not known to have ended is never run again, unless its rule says `repeat`.

mod act;
mod ask;
mod forget;
mod held;
mod hold;
pub mod io;
pub mod names;
pub mod record;
pub mod rules;
pub mod template;
mod word;

use crate::ids::{Lane, MessageId};
use crate::mail::keys::Crypto;
use crate::mail::message::{ToDevice, ToHub};
use held::{At, Flow, Held, Line};
use hold::Offer;
use io::{AgentTime, Input, JournalWrite, Output, Step};
use record::{RememberedRecord, Snapshot};
use rules::Rules;
use std::collections::BTreeMap;

/// Requests of one incarnation are numbered from here on: a number is never used twice for a message, although only
/// the incarnation's number is synced. (2^53 is the largest whole number that every language can hold.)
const REQUEST_BITS: u32 = 32;

/// The agent's core (see the module's page).
#[derive(Debug)]
pub struct AgentCore {
    rules: Rules,
    incarnation: u64,
    /// The hub's bound on timeouts, in milliseconds, while a session is attached.
    attached: Option<u64>,
    held: BTreeMap<MessageId, Held>,
    lines: BTreeMap<Flow, Line>,
    /// How many messages ask or run for each rule, and for placing.
    busy: BTreeMap<String, usize>,
    offers: BTreeMap<MessageId, Offer>,
    remembered: BTreeMap<MessageId, RememberedRecord>,
    remembered_order: BTreeMap<u64, MessageId>,
    next_order: u64,
    unreadable: Vec<MessageId>,
}

/// What every part is handed while one input is worked on.
struct Turn<'a> {
    now: AgentTime,
    crypto: &'a dyn Crypto,
    step: Step,
}

impl Turn<'_> {
    fn journal(&mut self, write: JournalWrite) {
        self.step.journal.push(write);
    }

    fn now(&mut self, output: Output) {
        self.step.now.push(output);
    }

    fn later(&mut self, output: Output) {
        self.step.after_sync.push(output);
    }
}

impl AgentCore {
    /// Builds the core from what the journal holds. No session is attached.
    pub fn load(rules: Rules, snapshot: Snapshot) -> (Self, Step) {
        let mut core = Self {
            rules,
            incarnation: snapshot.incarnation + 1,
            attached: None,
            held: BTreeMap::new(),
            lines: BTreeMap::new(),
            busy: BTreeMap::new(),
            offers: BTreeMap::new(),
            remembered: BTreeMap::new(),
            remembered_order: BTreeMap::new(),
            next_order: 0,
            unreadable: Vec::new(),
        };
        let mut step = Step { journal: vec![JournalWrite::Incarnation(core.incarnation)], ..Step::default() };
        for record in snapshot.held {
            let id = record.id;
            core.next_order = core.next_order.max(record.order + 1);
            match Held::restore(record) {
                Ok(held) => core.restore(id, held, &mut step),
                Err(_) => core.unreadable.push(id),
            }
        }
        for record in snapshot.remembered {
            core.next_order = core.next_order.max(record.order + 1);
            core.remembered_order.insert(record.order, record.id);
            core.remembered.insert(record.id, record);
        }
        (core, step)
    }

    fn restore(&mut self, id: MessageId, mut held: Held, step: &mut Step) {
        let line = self.lines.entry(held.flow()).or_default();
        match &held.at {
            At::Incoming | At::Stored { .. } => {
                line.untold.insert(held.order, id);
                line.unasked.insert(held.order, id);
            }
            At::Acting { start, .. } => {
                if let record::Act::Place { target, name } = start.act.clone() {
                    step.after_sync.push(Output::CheckPlaced { id, request: start.request, target, name });
                }
                *self.busy.entry(ask::slot(&start.act)).or_default() += 1;
            }
            At::Asking(_) | At::Interrupted { .. } | At::Done(_) => {}
        }
        // An earlier incarnation may have asked without the journal knowing; its numbers are all below this one.
        held.request = held.request.max(self.incarnation << REQUEST_BITS);
        self.held.insert(id, held);
    }

    /// Works on one input and says what to do about it.
    pub fn handle(&mut self, now: AgentTime, input: Input, crypto: &dyn Crypto) -> Step {
        let mut turn = Turn { now, crypto, step: Step::default() };
        self.drop_stale_offers(&mut turn);
        match input {
            Input::Attached { max_timeout_ms } => self.attach(&mut turn, max_timeout_ms),
            Input::Detached => self.detach(&turn),
            Input::Said(word) => self.said(&mut turn, word),
            Input::BodyReady { id } => self.body_ready(&mut turn, id),
            Input::BodyFailed { id, code } => self.body_failed(&mut turn, id, code),
            Input::Placed { id, request, name } => self.placed(&mut turn, id, request, &name),
            Input::NotPlaced { id, request, failure } => self.not_placed(&mut turn, id, request, failure),
            Input::TooLate { id, request } => self.too_late(&mut turn, id, request),
            Input::Exited { id, request, end, output } => self.exited(&mut turn, id, request, &end, output),
            Input::Rules(rules) => {
                self.rules = *rules;
                self.advance_all(&mut turn);
            }
            Input::Tick => {}
        }
        turn.step
    }

    /// When to hand in the next `Tick`, by the boot-time clock in milliseconds.
    pub fn poll_timeout(&self) -> Option<u64> {
        self.offers.values().filter_map(|offer| offer.stale_ms).min()
    }

    /// Records in the journal whose envelope could not be read: they were left where they are.
    pub fn unreadable(&self) -> &[MessageId] {
        &self.unreadable
    }

    /// How many messages are held.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    fn said(&mut self, turn: &mut Turn<'_>, word: ToDevice) {
        match word {
            ToDevice::Offer { envelope } => self.offered(turn, envelope),
            ToDevice::Deliver { envelope, body } => self.delivered(turn, envelope, body),
            ToDevice::Go { id, request, left_ms } => self.go(turn, id, request, left_ms),
            ToDevice::Recall { id } => self.recalled(turn, id),
            ToDevice::Reported { id } => self.reported(turn, id),
            ToDevice::Late { id } => self.late(turn, id),
            ToDevice::Ping { ping } => turn.now(Output::Say { lane: Lane::URGENT, message: ToHub::Pong { ping } }),
            // Words for the device's senders, and for the shell.
            _ => {}
        }
    }

    /// Says it once all that was journalled before is synced.
    fn say(&self, turn: &mut Turn<'_>, lane: Lane, message: ToHub) {
        if self.attached.is_some() {
            turn.later(Output::Say { lane, message });
        }
    }

    /// Says anew everything that an earlier session may have lost.
    fn attach(&mut self, turn: &mut Turn<'_>, max_timeout_ms: u64) {
        self.attached = Some(max_timeout_ms);
        let mut in_order: Vec<(u64, MessageId)> = self.held.iter().map(|(&id, held)| (held.order, id)).collect();
        in_order.sort_unstable();
        for (_, id) in in_order {
            self.say_again(turn, id);
        }
        self.advance_all(turn);
    }

    fn say_again(&self, turn: &mut Turn<'_>, id: MessageId) {
        let Some(held) = self.held.get(&id) else { return };
        let lane = held.envelope.lane;
        match &held.at {
            At::Incoming => turn.later(hold::fetch(&held.envelope)),
            At::Stored { ran } => self.say_void(turn, held, *ran, held.request),
            At::Asking(asking) => {
                self.say_void(turn, held, asking.ran, held.request - 1);
                self.say(turn, lane, ask::request(id, held.request, asking));
            }
            At::Acting { .. } => {}
            At::Interrupted { request } => self.say(turn, lane, ToHub::Interrupted { id, request: *request }),
            At::Done(word) => self.say(turn, lane, word::report(word)),
        }
    }

    /// Takes back whatever the hub may believe to have started, and says that the message is here (in its turn).
    fn say_void(&self, turn: &mut Turn<'_>, held: &Held, ran: bool, request: u64) {
        let (id, lane) = (held.envelope.id, held.envelope.lane);
        if !ran {
            self.say(turn, lane, ToHub::NotStarted { id, request });
        }
        if held.told {
            self.say(turn, lane, ToHub::Delivered { id });
        }
    }

    fn detach(&mut self, turn: &Turn<'_>) {
        self.attached = None;
        for offer in self.offers.values_mut() {
            offer.stale_ms.get_or_insert(turn.now.boot_ms + crate::mail::limits::OFFER_KEEP_MS);
        }
    }
}
