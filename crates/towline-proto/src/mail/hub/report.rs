//! The recipient's word: an outcome if it is the first, else kept beside the outcome as late.

use super::HubCore;
use super::io::{Cut, SessionKey, Write};
use super::kept::Kept;
use super::record::{Decision, Phase, Word};
use super::turn::Turn;
use crate::ids::{Lane, MessageId};
use crate::mail::keys::PublicKey;
use crate::mail::message::ToDevice;
use crate::mail::outcome::Outcome;
use crate::mail::receipt::{Receipt, Signer};

impl HubCore {
    pub(super) fn report(&mut self, turn: &mut Turn<'_>, session: SessionKey, word: Word) {
        let Some(key) = self.agent_key(session) else { return };
        let Some(receipt) = genuine(turn, &key, &word) else {
            return self.drop_session(turn, session, Cut::Protocol);
        };
        let id = receipt.id;
        match self.find(turn, id) {
            Some(known) if known.recipient != key => {}
            Some(known) if known.envelope.digest(&turn.crypto) != receipt.envelope => {
                self.drop_session(turn, session, Cut::Protocol);
            }
            Some(known) => match &known.phase {
                Phase::Decided(decision) => {
                    let decision = (**decision).clone();
                    self.word_after_outcome(turn, session, *known, &decision, &receipt, word);
                }
                // Marked late before any outcome: the hub asked for that only after recording one. Not believed.
                _ if receipt.late => {}
                _ => {
                    self.settle(turn, id, receipt.outcome, word);
                    self.say_reported(turn, session, id);
                }
            },
            // The hub has forgotten it, and so may the agent.
            None => self.say_reported(turn, session, id),
        }
    }

    fn word_after_outcome(
        &mut self,
        turn: &mut Turn<'_>,
        session: SessionKey,
        mut known: Kept,
        decision: &Decision,
        receipt: &Receipt,
        word: Word,
    ) {
        let id = receipt.id;
        let by_hub = decision.word.receipt.decode().is_ok_and(|told| told.signer == Signer::Hub);
        if !by_hub || known.late.is_some() {
            return self.say_reported(turn, session, id);
        }
        if !receipt.late {
            return turn.say_later(session, known.lane, ToDevice::Late { id });
        }
        turn.write(Write::Late { id, word: word.clone() });
        let told = ToDevice::Outcome { receipt: word.receipt.clone(), output: word.output.clone() };
        let agent = self.devices.active(&known.sender).and_then(|device| device.agent);
        for listener in self.sessions.of_key(&known.sender).collect::<Vec<_>>() {
            let watches = self.sessions.get_mut(listener).is_some_and(|known| known.watched.remove(&id));
            if watches || agent == Some(listener) {
                turn.say_later(listener, known.lane, told.clone());
            }
        }
        known.late = Some(word);
        self.settling.insert(id, (self.step, known));
        self.say_reported(turn, session, id);
    }

    /// The agent may forget the message, once what it said is synced.
    pub(super) fn say_reported(&self, turn: &mut Turn<'_>, session: SessionKey, id: MessageId) {
        let lane = self.settling.get(&id).map_or(Lane::NORMAL, |(_, kept)| kept.lane);
        turn.say_later(session, lane, ToDevice::Reported { id });
    }
}

/// The receipt, if it is one that this device may give.
fn genuine(turn: &Turn<'_>, key: &PublicKey, word: &Word) -> Option<Receipt> {
    let receipt = word.receipt.open(&turn.crypto).ok()?;
    let may_say = matches!(receipt.outcome, Outcome::Handled | Outcome::Failed | Outcome::Refused);
    let output = word.output.len() <= Receipt::MAX_OUTPUT_LEN && turn.crypto.digest(&word.output) == receipt.output;
    (may_say && output && receipt.signer == Signer::Recipient && receipt.key == *key).then_some(receipt)
}
