//! The outcome: exactly one, recorded before it is told, never changed.

use super::HubCore;
use super::io::{Output, Write};
use super::record::{Decision, Phase, Word};
use super::timers::Timer;
use super::turn::Turn;
use crate::ids::MessageId;
use crate::mail::clock::utc_text;
use crate::mail::code::Code;
use crate::mail::keys::PublicKey;
use crate::mail::limits::MAX_WATCHED_MESSAGES_PER_SESSION;
use crate::mail::message::ToDevice;
use crate::mail::outcome::Outcome;
use crate::mail::receipt::{Receipt, Signer};

/// Why the hub decides.
pub(super) struct Reason {
    code: Code,
    text: String,
}

impl Reason {
    pub(super) fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

impl HubCore {
    /// A message's time is up: its deadline if it has not started, else the time for its word.
    pub(super) fn message_due(&mut self, turn: &mut Turn<'_>, id: MessageId) {
        match self.kept.get(&id).map(|kept| &kept.phase) {
            Some(Phase::Accepted | Phase::Delivered) => self.expire(turn, id),
            Some(Phase::Started(start)) => {
                let text = format!("{} started, and no word came in time", start.by);
                self.decide(turn, id, Outcome::Unclear, Reason::new(Code::NoWord, text));
            }
            _ => {}
        }
    }

    pub(super) fn expire(&mut self, turn: &mut Turn<'_>, id: MessageId) {
        let Some(kept) = self.kept.get(&id) else { return };
        let reason = match self.devices.get(&kept.recipient) {
            Some(device) if self.is_online(device) => {
                Reason::new(Code::NotStartedInTime, "online, but it was not started in time")
            }
            Some(device) if device.record.since_ms > 0 => {
                Reason::new(Code::Offline, format!("offline since {}", utc_text(device.record.since_ms)))
            }
            Some(device) => {
                let joined = utc_text(device.record.joined_ms);
                Reason::new(Code::Offline, format!("offline since {joined}, when it joined"))
            }
            None => Reason::new(Code::Offline, "the hub no longer knows the recipient"),
        };
        self.decide(turn, id, Outcome::Expired, reason);
    }

    /// Decides what only the hub can say, under its own signature. The agent is told to forget what it has not begun.
    pub(super) fn decide(&mut self, turn: &mut Turn<'_>, id: MessageId, outcome: Outcome, reason: Reason) {
        let Some(kept) = self.kept.get(&id) else { return };
        let begun = matches!(kept.phase, Phase::Started(_));
        let (recipient, lane) = (kept.recipient, kept.lane);
        let receipt = Receipt {
            envelope: kept.envelope.digest(&turn.crypto),
            id,
            outcome,
            by: "hub".into(),
            code: reason.code,
            reason: reason.text,
            exit_code: None,
            output: turn.crypto.digest(b""),
            time_ms: turn.now.wall_ms,
            late: false,
            signer: Signer::Hub,
            key: turn.crypto.public_key(),
        };
        let word = Word { receipt: receipt.seal(&turn.crypto), output: Vec::new() };
        self.settle(turn, id, outcome, word);
        if !begun && let Some(agent) = self.devices.active(&recipient).and_then(|device| device.agent) {
            turn.later(Output::StopBody { id });
            turn.say_later(agent, lane, ToDevice::Recall { id });
        }
    }

    /// Records an outcome and tells it.
    pub(super) fn settle(&mut self, turn: &mut Turn<'_>, id: MessageId, outcome: Outcome, word: Word) {
        let told = ToDevice::Outcome { receipt: word.receipt.clone(), output: word.output.clone() };
        self.tell_sender(turn, id, &told);
        let Some(mut kept) = self.kept.remove(&id) else { return };
        self.timers.stop(Timer::Message(id));
        self.usage.give_back(&kept.recipient, kept.size);
        let decision = Decision { outcome, word, at_ms: turn.now.wall_ms };
        kept.phase = Phase::Decided(Box::new(decision));
        turn.write(Write::Phase { id, phase: kept.phase.clone() });
        if outcome == Outcome::Handled {
            turn.write(Write::DropBody { id });
        }
        self.unwatch(id, &kept.watchers, outcome);
        let (recipient, flow) = (kept.recipient, kept.flow());
        if let Some(queue) = self.queues.get_mut(&recipient) {
            queue.delivered(&kept);
            queue.started(&kept);
            if queue.is_empty() {
                self.queues.remove(&recipient);
            }
        }
        self.settling.insert(id, (self.step, kept));
        self.release(turn, &recipient, flow);
        self.pump(turn, &recipient);
    }

    /// A decided message changes no more, but an unclear one may get a late word: that watch goes on, within bounds.
    fn unwatch(
        &mut self,
        id: MessageId,
        watchers: &std::collections::BTreeSet<super::io::SessionKey>,
        outcome: Outcome,
    ) {
        for &session in watchers {
            if let Some(known) = self.sessions.get_mut(session) {
                let room = known.watched.len() <= MAX_WATCHED_MESSAGES_PER_SESSION;
                if outcome != Outcome::Unclear || !room {
                    known.watched.remove(&id);
                }
            }
        }
    }

    /// Takes back what has not started.
    pub(super) fn withdraw(&mut self, turn: &mut Turn<'_>, id: MessageId, who: &str) {
        let unstarted = |phase: &Phase| matches!(phase, Phase::Accepted | Phase::Delivered);
        if self.kept.get(&id).is_some_and(|kept| unstarted(&kept.phase)) {
            let reason = Reason::new(Code::Withdrawn, format!("withdrawn by {who}"));
            self.decide(turn, id, Outcome::Withdrawn, reason);
        }
    }

    /// Undecided messages from or to a device.
    pub(super) fn concerning(&self, key: &PublicKey) -> Vec<MessageId> {
        let concerned = self.kept.values().filter(|kept| kept.sender == *key || kept.recipient == *key);
        concerned.map(|kept| kept.id).collect()
    }
}
