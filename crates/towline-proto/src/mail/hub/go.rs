//! The permit to start: recorded before it is said, numbered, in order, and taken back only by the recipient's word.

use super::HubCore;
use super::decide::Reason;
use super::io::{SessionKey, Write};
use super::kept::{Asked, Flow};
use super::record::{Phase, Start};
use super::timers::Timer;
use super::turn::{Turn, clip};
use crate::ids::MessageId;
use crate::mail::clock::Deadline;
use crate::mail::code::Code;
use crate::mail::keys::PublicKey;
use crate::mail::limits::UNCLEAR_GRACE_MS;
use crate::mail::message::ToDevice;
use crate::mail::outcome::{Outcome, State};
use crate::mail::receipt::Receipt;

impl HubCore {
    pub(super) fn go_requested(&mut self, turn: &mut Turn<'_>, session: SessionKey, id: MessageId, asked: Asked) {
        let Some(key) = self.agent_key(session) else { return };
        if !self.is_undecided_for(&key, id) {
            return self.recall(turn, session, id);
        }
        self.mark_delivered(turn, id);
        let Some(kept) = self.kept.get_mut(&id) else { return };
        match &kept.phase {
            Phase::Started(start) if start.request == asked.request => {
                let go = ToDevice::Go { id, request: start.request, left_ms: start.left_ms };
                turn.say_later(session, kept.lane, go);
            }
            // An older request: the agent has gone on to the one that was granted.
            Phase::Started(start) if start.request > asked.request => {}
            // A `repeat` rule's next run: the one before began and was cut short.
            Phase::Started(_) if kept.deadline.left_ms(turn.now, self.boot) == 0 => {
                let reason = Reason::new(Code::Interrupted, "the run was cut short, and the deadline has passed");
                self.decide(turn, id, Outcome::Unclear, reason);
                self.recall(turn, session, id);
            }
            Phase::Started(_) => self.give_go(turn, id, asked),
            _ => {
                kept.asked = Some(asked);
                let flow = kept.flow();
                self.release(turn, &key, flow);
            }
        }
        self.pump(turn, &key);
    }

    /// Gives `go` to the first messages of a flow, as far as they have asked.
    pub(super) fn release(&mut self, turn: &mut Turn<'_>, recipient: &PublicKey, flow: Flow) {
        loop {
            let first = self.queues.get(recipient).and_then(|queue| queue.first_unstarted(flow));
            let Some(id) = first else { return };
            let Some(asked) = self.kept.get_mut(&id).and_then(|kept| kept.asked.take()) else { return };
            self.give_go(turn, id, asked);
        }
    }

    fn give_go(&mut self, turn: &mut Turn<'_>, id: MessageId, asked: Asked) {
        let Some(kept) = self.kept.get_mut(&id) else { return };
        let timeout_ms = asked.timeout_ms.min(self.config.max_timeout_ms).saturating_add(UNCLEAR_GRACE_MS);
        let start = Start {
            request: asked.request,
            by: clip(asked.by, Receipt::MAX_TEXT_LEN),
            left_ms: kept.deadline.left_ms(turn.now, self.boot),
            timeout: Deadline::begin(turn.now, self.boot, timeout_ms),
        };
        let go = ToDevice::Go { id, request: start.request, left_ms: start.left_ms };
        kept.phase = Phase::Started(start);
        turn.write(Write::Phase { id, phase: kept.phase.clone() });
        self.timers.set(Timer::Message(id), turn.now.boot_ms() + timeout_ms);
        let (recipient, lane) = (kept.recipient, kept.lane);
        if let Some(queue) = self.queues.get_mut(&recipient) {
            queue.started(kept);
        }
        if let Some(agent) = self.devices.active(&recipient).and_then(|device| device.agent) {
            turn.say_later(agent, lane, go);
        }
        self.tell_state(turn, id, State::Started);
    }

    /// The agent proves by its journal that nothing ran: the start is taken back.
    pub(super) fn not_started(&mut self, turn: &mut Turn<'_>, session: SessionKey, id: MessageId, request: u64) {
        let Some(key) = self.agent_key(session) else { return };
        if !self.is_undecided_for(&key, id) {
            return self.recall(turn, session, id);
        }
        let Some(kept) = self.kept.get_mut(&id) else { return };
        kept.asked = kept.asked.take().filter(|asked| asked.request > request);
        let taken_back = matches!(&kept.phase, Phase::Started(start) if start.request <= request);
        if !taken_back {
            return;
        }
        kept.phase = Phase::Delivered;
        turn.write(Write::Phase { id, phase: Phase::Delivered });
        let left_ms = kept.deadline.left_ms(turn.now, self.boot);
        self.queues.entry(key).or_default().add_unstarted(kept);
        if left_ms == 0 {
            self.expire(turn, id);
        } else {
            self.timers.set(Timer::Message(id), turn.now.boot_ms() + left_ms);
            self.tell_state(turn, id, State::Delivered);
        }
    }

    /// The agent ended during the run: nobody knows how the run ended.
    pub(super) fn interrupted(&mut self, turn: &mut Turn<'_>, session: SessionKey, id: MessageId, _request: u64) {
        let Some(key) = self.agent_key(session) else { return };
        if self.is_undecided_for(&key, id) {
            let reason = Reason::new(Code::Interrupted, "the agent ended during the run");
            self.decide(turn, id, Outcome::Unclear, reason);
        }
        self.say_reported(turn, session, id);
    }
}
