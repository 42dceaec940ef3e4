//! The way between: sessions whose two ends learn of their end at different times, links that come and go, lanes that
//! keep their order, and live messages on a stream of their own.

use super::plan::{FAULTS_END_MS, Plant};
use super::{Happening, World};
use std::collections::BTreeMap;
use towline_proto::ids::{Lane, MessageId};
use towline_proto::mail::agent::io::Input as AgentIn;
use towline_proto::mail::hub::io::{Input, SessionKey};
use towline_proto::mail::message::{Role, ToDevice, ToHub};

/// One session, as the network sees it.
struct Session {
    program: usize,
    /// Whether the hub holds it.
    at_hub: bool,
    /// Whether the program holds it.
    at_device: bool,
    /// Of a session that the program has lost: what arrives at the hub later than this was lost with it.
    lost_after_ms: u64,
    /// Nothing arrives before this.
    down_until_ms: u64,
    /// The last arrival on each lane, down or up.
    arrivals: BTreeMap<(Lane, bool), u64>,
    /// Live messages that are not confirmed, and whether each has arrived.
    live: BTreeMap<MessageId, bool>,
}

#[derive(Default)]
pub(super) struct Wire {
    sessions: BTreeMap<SessionKey, Session>,
    next: u64,
}

impl Wire {
    /// Whether both ends hold the session.
    pub(super) fn is_whole(&self, session: SessionKey) -> bool {
        self.sessions.get(&session).is_some_and(|session| session.at_hub && session.at_device)
    }
}

impl World {
    pub(super) fn connect(&mut self, program: usize) {
        let Some(device) = self.programs[program].may_connect() else { return };
        let runs = self.programs[program].role == Role::Client || self.devices[device].is_up();
        if !self.hub.is_up() || !runs {
            return self.after(500, Happening::Connect(program));
        }
        let session = SessionKey(self.wire.next);
        self.wire.next += 1;
        let fresh = Session {
            program,
            at_hub: true,
            at_device: true,
            lost_after_ms: u64::MAX,
            down_until_ms: 0,
            arrivals: BTreeMap::new(),
            live: BTreeMap::new(),
        };
        self.wire.sessions.insert(session, fresh);
        self.programs[program].session = Some(session);
        self.hub(Input::Opened { session, key: super::device_side::key(device), link: "tcp".into() });
        let role = self.programs[program].role;
        self.send_up(session, Lane::NORMAL, ToHub::Attach { role, software: "test".into() });
    }

    pub(super) fn send_down(&mut self, session: SessionKey, lane: Lane, message: ToDevice) {
        let message = ToDevice::from_bytes(&message.to_bytes()).unwrap();
        let message = if self.plant == Plant::ReceiptsChanged { self.changed(message) } else { message };
        if let Some(ms) = self.arrival(session, lane, true) {
            self.at(ms, Happening::ToDevice(session, Box::new(message)));
        }
    }

    pub(super) fn send_up(&mut self, session: SessionKey, lane: Lane, message: ToHub) {
        let message = ToHub::from_bytes(&message.to_bytes()).unwrap();
        if let Some(ms) = self.arrival(session, lane, false) {
            self.at(ms, Happening::ToHub(session, Box::new(message)));
        }
    }

    fn changed(&mut self, message: ToDevice) -> ToDevice {
        match message {
            ToDevice::Outcome { mut receipt, output } if self.pick(10) == 0 => {
                receipt.signature.0[5] ^= 4;
                ToDevice::Outcome { receipt, output }
            }
            message => message,
        }
    }

    /// When something said now arrives; nothing if the session is not held where it is said.
    fn arrival(&mut self, session: SessionKey, lane: Lane, down: bool) -> Option<u64> {
        let ms = self.now_ms + 1 + if self.pick(20) == 0 { self.pick(1_500) } else { self.pick(60) };
        let reorders = self.plant == Plant::LanesReordered;
        let held = self.wire.sessions.get_mut(&session)?;
        if !(if down { held.at_hub } else { held.at_device }) {
            return None;
        }
        let last = held.arrivals.entry((lane, down)).or_default();
        *last = if reorders { ms } else { ms.max(*last).max(held.down_until_ms) };
        Some(*last)
    }

    pub(super) fn hub_hears(&mut self, session: SessionKey, message: ToHub) {
        let now_ms = self.now_ms;
        if self.wire.sessions.get(&session).is_some_and(|held| held.at_hub && now_ms <= held.lost_after_ms) {
            self.hub(Input::Said { session, message });
        }
    }

    pub(super) fn device_hears(&mut self, session: SessionKey, message: ToDevice) {
        let held = self.wire.sessions.get(&session).filter(|held| held.at_device);
        if let Some(program) = held.map(|held| held.program) {
            self.heard(program, session, message);
        }
    }

    /// The program loses its session; the hub learns of it some time later, or when a newer one takes its place.
    pub(super) fn lose(&mut self, program: usize) {
        let Some(session) = self.programs[program].session else { return };
        let (lost_after_ms, silence_ms) = (self.now_ms + self.pick(200), self.pick(15_000));
        if let Some(held) = self.wire.sessions.get_mut(&session) {
            held.lost_after_ms = lost_after_ms;
        }
        self.after(silence_ms, Happening::HubHearsEnd(session));
        self.device_hears_end(session);
    }

    pub(super) fn device_hears_end(&mut self, session: SessionKey) {
        let Some(held) = self.wire.sessions.get_mut(&session).filter(|held| held.at_device) else { return };
        held.at_device = false;
        let program = held.program;
        self.programs[program].lost_session();
        if self.programs[program].role == Role::Agent {
            self.agent(self.programs[program].device, AgentIn::Detached);
        }
        let away_ms = if self.now_ms < FAULTS_END_MS && self.pick(2) == 0 { 15_000 } else { 500 };
        self.after(away_ms, Happening::Connect(program));
    }

    pub(super) fn hub_hears_end(&mut self, session: SessionKey) {
        let Some(held) = self.wire.sessions.get_mut(&session).filter(|held| held.at_hub) else { return };
        held.at_hub = false;
        self.hub(Input::Closed { session });
    }

    /// The hub closes a session.
    pub(super) fn cut(&mut self, session: SessionKey) {
        self.at(self.now_ms, Happening::HubHearsEnd(session));
        self.at(self.now_ms + 1_600, Happening::DeviceHearsEnd(session));
    }

    /// The hub's end of every session is gone.
    pub(super) fn cut_all(&mut self) {
        let held: Vec<SessionKey> =
            self.wire.sessions.iter().filter(|(_, held)| held.at_hub).map(|(&session, _)| session).collect();
        for session in held {
            if let Some(held) = self.wire.sessions.get_mut(&session) {
                held.at_hub = false;
            }
            self.after(2_000, Happening::DeviceHearsEnd(session));
        }
    }

    /// The session is without a link for a while, or only for a moment.
    pub(super) fn link_down(&mut self, program: usize) {
        let Some(session) = self.programs[program].session.filter(|session| self.wire.is_whole(*session)) else {
            return;
        };
        let for_ms = if self.pick(3) == 0 { 1 } else { self.pick(20_000) };
        let until_ms = self.now_ms + for_ms;
        if let Some(held) = self.wire.sessions.get_mut(&session) {
            held.down_until_ms = until_ms;
        }
        self.hub(Input::LinkChanged { session, links: Vec::new(), rtt_us: 0 });
        self.at(until_ms, Happening::LinkUp(session));
    }

    pub(super) fn link_up(&mut self, session: SessionKey) {
        if self.wire.is_whole(session) {
            self.hub(Input::LinkChanged { session, links: vec!["tcp".into()], rtt_us: 900 });
        }
    }

    /// A body on its way to an agent: it arrives once the hub has it whole, unless its stream dies and is asked for anew.
    pub(super) fn body_given(&mut self, session: SessionKey, id: MessageId) {
        let Some(held) = self.wire.sessions.get(&session).filter(|held| held.at_device) else { return };
        let device = self.programs[held.program].device;
        if self.has_body(id) && self.pick(10) != 0 {
            self.agent(device, AgentIn::BodyReady { id });
        } else {
            self.after(2_000, Happening::BodyGiven { session, id });
        }
    }

    /// A live message stalls, arrives, or arrives and is confirmed.
    pub(super) fn say_live(&mut self, session: SessionKey, id: MessageId, message: ToDevice) {
        let whole = self.wire.is_whole(session);
        let Some(held) = self.wire.sessions.get_mut(&session) else { return };
        held.live.insert(id, false);
        let (stalls, unconfirmed) = (!whole || self.pick(6) == 0, self.pick(6) == 0);
        let arrives_ms = self.now_ms + 1 + self.pick(60);
        if !stalls {
            let message = Box::new(message);
            if self.plant == Plant::LiveTwice {
                self.at(arrives_ms + 90, Happening::LiveArrives { session, id, message: message.clone() });
            }
            self.at(arrives_ms, Happening::LiveArrives { session, id, message });
        }
        if !unconfirmed {
            let confirmed_ms = arrives_ms + 1 + self.pick(60);
            self.at(confirmed_ms, Happening::LiveConfirmed { session, id });
        }
    }

    pub(super) fn live_arrives(&mut self, session: SessionKey, id: MessageId, message: ToDevice) {
        let (now_ms, twice) = (self.now_ms, self.plant == Plant::LiveTwice);
        let Some(held) = self.wire.sessions.get_mut(&session).filter(|held| held.at_device) else { return };
        let program = held.program;
        let awaited = held.live.get_mut(&id).filter(|_| now_ms >= held.down_until_ms);
        if let Some(arrived) = awaited {
            *arrived = true;
        } else if !twice {
            return;
        }
        self.heard(program, session, message);
    }

    pub(super) fn live_confirmed(&mut self, session: SessionKey, id: MessageId) {
        let unseen = self.plant == Plant::LiveConfirmedUnseen;
        let Some(held) = self.wire.sessions.get_mut(&session).filter(|held| held.at_hub) else { return };
        if held.live.get(&id).is_some_and(|arrived| *arrived || unseen) {
            held.live.remove(&id);
            self.hub(Input::LiveConfirmed { id });
        }
    }

    /// What has not arrived will not any more.
    pub(super) fn reset_live(&mut self, session: SessionKey) {
        let Some(held) = self.wire.sessions.get_mut(&session) else { return };
        for (id, arrived) in std::mem::take(&mut held.live) {
            let given = arrived || self.pick(2) == 0;
            self.at(self.now_ms, Happening::LiveLost { id, given });
        }
    }
}
