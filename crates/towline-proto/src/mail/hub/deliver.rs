//! From `Accepted` to `Delivered`: in order, within a window, again on every new session.

use super::HubCore;
use super::io::{Output, SessionKey, Write};
use super::record::Phase;
use super::turn::Turn;
use crate::ids::{Lane, MessageId};
use crate::mail::keys::PublicKey;
use crate::mail::message::ToDevice;
use crate::mail::outcome::State;

impl HubCore {
    /// Says to the recipient's agent what its windows have room for.
    pub(super) fn pump(&mut self, turn: &mut Turn<'_>, recipient: &PublicKey) {
        let Some(session) = self.devices.active(recipient).and_then(|device| device.agent) else { return };
        let Some(queue) = self.queues.get_mut(recipient) else { return };
        while let Some((lane, id)) = queue.next_to_deliver() {
            turn.later(Output::Deliver { session, lane, id });
        }
    }

    pub(super) fn delivered(&mut self, turn: &mut Turn<'_>, session: SessionKey, id: MessageId) {
        let Some(key) = self.agent_key(session) else { return };
        if !self.is_undecided_for(&key, id) {
            // What is still arriving cannot have been delivered; everything else is over.
            if !self.uploads.contains_key(&id) {
                self.recall(turn, session, id);
            }
            return;
        }
        self.mark_delivered(turn, id);
        self.pump(turn, &key);
    }

    /// Notes that an accepted message is in the recipient's store; what went further stays where it is.
    pub(super) fn mark_delivered(&mut self, turn: &mut Turn<'_>, id: MessageId) {
        let Some(kept) = self.kept.get_mut(&id) else { return };
        if !matches!(kept.phase, Phase::Accepted) {
            return;
        }
        kept.phase = Phase::Delivered;
        turn.write(Write::Phase { id, phase: Phase::Delivered });
        if let Some(queue) = self.queues.get_mut(&kept.recipient) {
            queue.delivered(kept);
        }
        self.tell_state(turn, id, State::Delivered);
    }

    /// The recipient asks for a body, whole or the rest of it.
    pub(super) fn body_wanted(&mut self, turn: &mut Turn<'_>, session: SessionKey, id: MessageId, offset: u64) {
        let Some(key) = self.agent_key(session) else { return };
        let arriving = self.uploads.get(&id).filter(|upload| upload.recipient == key);
        if let Some(upload) = arriving {
            if offset <= upload.envelope.size {
                turn.now(Output::GiveBody { session, id, offset });
            }
        } else if self.is_undecided_for(&key, id) {
            if self.kept.get(&id).is_some_and(|kept| offset <= kept.size) {
                turn.later(Output::GiveBody { session, id, offset });
            }
        } else {
            self.recall(turn, session, id);
        }
    }

    /// The recipient's progress, for the sender's bar.
    pub(super) fn written(&self, turn: &mut Turn<'_>, key: &PublicKey, id: MessageId, written: u64) {
        let message = ToDevice::Progress { id, written };
        if let Some(upload) = self.uploads.get(&id) {
            if let Some(session) = upload.session.filter(|_| upload.recipient == *key) {
                turn.say_now(session, upload.envelope.lane, message);
            }
        } else if let Some(kept) = self.kept.get(&id).filter(|kept| kept.recipient == *key) {
            for &session in &kept.watchers {
                turn.say_now(session, kept.lane, message.clone());
            }
        }
    }

    /// Tells an agent to forget a message.
    pub(super) fn recall(&self, turn: &mut Turn<'_>, session: SessionKey, id: MessageId) {
        let lane = self.settling.get(&id).map_or(Lane::NORMAL, |(_, kept)| kept.lane);
        turn.say_later(session, lane, ToDevice::Recall { id });
    }

    /// The device whose present agent this session is.
    pub(super) fn agent_key(&self, session: SessionKey) -> Option<PublicKey> {
        let key = self.sessions.get(session)?.key;
        let device = self.devices.active(&key)?;
        (device.agent == Some(session)).then_some(key)
    }

    pub(super) fn is_undecided_for(&self, recipient: &PublicKey, id: MessageId) -> bool {
        self.kept.get(&id).is_some_and(|kept| kept.recipient == *recipient)
    }

    /// Tells everyone concerned on the sender's side that a message moved on.
    pub(super) fn tell_state(&self, turn: &mut Turn<'_>, id: MessageId, state: State) {
        self.tell_sender(turn, id, &ToDevice::Update { id, state });
    }

    pub(super) fn tell_sender(&self, turn: &mut Turn<'_>, id: MessageId, message: &ToDevice) {
        let Some(kept) = self.kept.get(&id) else { return };
        let agent = self.devices.active(&kept.sender).and_then(|device| device.agent);
        let besides = agent.filter(|agent| !kept.watchers.contains(agent));
        for session in kept.watchers.iter().copied().chain(besides) {
            turn.say_later(session, kept.lane, message.clone());
        }
    }
}
