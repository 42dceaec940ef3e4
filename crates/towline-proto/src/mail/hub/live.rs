//! Live messages: to a device that is online, or to nobody; no store, no outcome.
//!
//! What was given to a recipient is known for a while longer, so that a sender that says the same again (its session
//! was lost with the answer) hears the same result and nothing is handed over twice. What was given to nobody is
//! forgotten at once: saying it again is a new try. Neither outlives the hub.

use super::HubCore;
use super::accept::{Refusal, refuse};
use super::io::{Output, SessionKey};
use super::timers::Timer;
use super::turn::Turn;
use crate::ids::{Digest, Lane, MessageId};
use crate::mail::code::Code;
use crate::mail::envelope::{Envelope, SignedEnvelope};
use crate::mail::keys::PublicKey;
use crate::mail::limits::{
    LIVE_CONFIRM_MS, LIVE_REMEMBER_MS, MAX_LIVE_PER_DEVICE, MAX_LIVE_REMEMBERED_PER_DEVICE, QUOTA_RETRY_MS,
};
use crate::mail::message::ToDevice;
use std::collections::{BTreeMap, VecDeque};

/// A live message that the recipient's session has not confirmed.
#[derive(Debug)]
struct Live {
    sender: PublicKey,
    envelope: Digest,
    /// The session that is told the result.
    from: SessionKey,
    to: SessionKey,
    lane: Lane,
    /// The stream was reset: the shell's word for it is on its way.
    reset: bool,
}

/// A live message that was given to its recipient's session.
#[derive(Debug)]
struct Given {
    sender: PublicKey,
    envelope: Digest,
    code: Code,
}

/// What the bounds of one sending device are counted by.
#[derive(Debug, Default)]
struct OfSender {
    on_the_way: usize,
    /// Oldest first.
    given: VecDeque<MessageId>,
}

/// The live messages on their way, and those that were given lately.
#[derive(Debug, Default)]
pub(super) struct Lives {
    on_the_way: BTreeMap<MessageId, Live>,
    given: BTreeMap<MessageId, Given>,
    senders: BTreeMap<PublicKey, OfSender>,
}

/// How a live message ended.
pub(super) enum End {
    /// The recipient's session has it.
    Confirmed,
    /// It does not, or nobody knows.
    Lost {
        /// Whether any of it was given to a link.
        given: bool,
    },
}

impl Lives {
    /// The digest of the envelope that this id belongs to.
    pub(super) fn envelope_of(&self, id: MessageId) -> Option<Digest> {
        let on_the_way = self.on_the_way.get(&id).map(|live| live.envelope);
        on_the_way.or_else(|| self.given.get(&id).map(|given| given.envelope))
    }

    /// What is on its way to this session.
    pub(super) fn to(&self, session: SessionKey) -> Vec<MessageId> {
        self.on_the_way.iter().filter(|(_, live)| live.to == session).map(|(&id, _)| id).collect()
    }

    pub(super) fn any_to(&self, session: SessionKey) -> bool {
        self.on_the_way.values().any(|live| live.to == session)
    }

    fn has_room(&self, sender: &PublicKey) -> bool {
        self.senders.get(sender).is_none_or(|of| of.on_the_way < MAX_LIVE_PER_DEVICE)
    }

    fn begin(&mut self, id: MessageId, live: Live) {
        self.senders.entry(live.sender).or_default().on_the_way += 1;
        self.on_the_way.insert(id, live);
    }

    fn end(&mut self, id: MessageId) -> Option<Live> {
        let live = self.on_the_way.remove(&id)?;
        if let Some(of) = self.senders.get_mut(&live.sender) {
            of.on_the_way -= 1;
        }
        self.leave(&live.sender);
        Some(live)
    }

    /// Remembers what was given; returns the one that is forgotten for it, if there are too many.
    fn remember(&mut self, id: MessageId, given: Given) -> Option<MessageId> {
        let of = self.senders.entry(given.sender).or_default();
        of.given.push_back(id);
        let oldest = if of.given.len() > MAX_LIVE_REMEMBERED_PER_DEVICE { of.given.pop_front() } else { None };
        self.given.insert(id, given);
        if let Some(oldest) = oldest {
            self.given.remove(&oldest);
        }
        oldest
    }

    fn forget(&mut self, id: MessageId) {
        let Some(given) = self.given.remove(&id) else { return };
        if let Some(of) = self.senders.get_mut(&given.sender) {
            of.given.retain(|known| *known != id);
        }
        self.leave(&given.sender);
    }

    /// The most that one sender has on the way, and the most that is remembered of one.
    #[cfg(test)]
    pub(super) fn most_of_one_sender(&self) -> (usize, usize) {
        let most = |count: fn(&OfSender) -> usize| self.senders.values().map(count).max().unwrap_or_default();
        (most(|of| of.on_the_way), most(|of| of.given.len()))
    }

    fn leave(&mut self, sender: &PublicKey) {
        if self.senders.get(sender).is_some_and(|of| of.on_the_way == 0 && of.given.is_empty()) {
            self.senders.remove(sender);
        }
    }
}

impl HubCore {
    pub(super) fn send_live(
        &mut self,
        turn: &mut Turn<'_>,
        session: SessionKey,
        recipient: PublicKey,
        signed: SignedEnvelope,
        envelope: &Envelope,
        body: Vec<u8>,
    ) {
        let (id, lane, sender) = (envelope.id, envelope.lane, envelope.sender);
        let Some(device) = self.devices.active(&recipient).filter(|device| self.is_online(device)) else {
            return turn.say_now(session, lane, ToDevice::LiveResult { id, code: Code::NotHere });
        };
        let Some(agent) = device.agent else { return };
        if !self.live.has_room(&sender) {
            let text = format!("{MAX_LIVE_PER_DEVICE} live messages of this device are unconfirmed");
            return refuse(turn, session, envelope, Refusal::for_now(Code::Quota, text, QUOTA_RETRY_MS));
        }
        let digest = signed.digest(&turn.crypto);
        self.live.begin(id, Live { sender, envelope: digest, from: session, to: agent, lane, reset: false });
        self.timers.set(Timer::Live(id), turn.now.boot_ms() + LIVE_CONFIRM_MS);
        let message = ToDevice::Deliver { envelope: signed, body: Some(body) };
        turn.now(Output::SayLive { session: agent, id, message });
    }

    /// The very same one again: its result is said again, or follows to whoever asked last.
    pub(super) fn answer_live_again(&mut self, turn: &mut Turn<'_>, session: SessionKey, envelope: &Envelope) {
        let id = envelope.id;
        if let Some(live) = self.live.on_the_way.get_mut(&id) {
            live.from = session;
        } else if let Some(given) = self.live.given.get(&id) {
            turn.say_now(session, envelope.lane, ToDevice::LiveResult { id, code: given.code });
        }
    }

    pub(super) fn live_over(&mut self, turn: &mut Turn<'_>, id: MessageId, end: End) {
        let Some(live) = self.live.end(id) else { return };
        self.timers.stop(Timer::Live(id));
        let code = match end {
            End::Confirmed => Code::Ok,
            End::Lost { given: true } => Code::LiveUnclear,
            End::Lost { given: false } => Code::NotHere,
        };
        if code != Code::NotHere {
            self.timers.set(Timer::Live(id), turn.now.boot_ms() + LIVE_REMEMBER_MS);
            let given = Given { sender: live.sender, envelope: live.envelope, code };
            if let Some(oldest) = self.live.remember(id, given) {
                self.timers.stop(Timer::Live(oldest));
            }
        }
        if self.sessions.get(live.from).is_some() {
            turn.say_now(live.from, live.lane, ToDevice::LiveResult { id, code });
        }
    }

    /// No confirmation in time: the stream is reset, so that nothing of it arrives later; the shell then says of each
    /// message on it whether it was given. For one that is over, it was remembered long enough.
    pub(super) fn live_due(&mut self, turn: &mut Turn<'_>, id: MessageId) {
        let Some(to) = self.live.on_the_way.get(&id).map(|live| live.to) else { return self.live.forget(id) };
        let mut any = false;
        for live in self.live.on_the_way.values_mut().filter(|live| live.to == to) {
            any |= !live.reset;
            live.reset = true;
        }
        if any {
            turn.now(Output::ResetLive { session: to });
        }
    }
}
