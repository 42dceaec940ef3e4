//! The device's word for a message: signed, journalled, and said until the hub has it.

use super::held::At;
use super::io::JournalWrite;
use super::record::Stage;
use super::{AgentCore, Turn};
use crate::ids::MessageId;
use crate::mail::code::Code;
use crate::mail::envelope::SignedEnvelope;
use crate::mail::hub::record::Word;
use crate::mail::message::ToHub;
use crate::mail::outcome::Outcome;
use crate::mail::receipt::{Receipt, Signer};

/// What is to be said of a message.
pub(super) struct Said {
    by: String,
    outcome: Outcome,
    code: Code,
    reason: String,
    pub(super) exit_code: Option<i32>,
    pub(super) output: Vec<u8>,
}

impl Said {
    pub(super) fn new(by: &str, outcome: Outcome, code: Code, reason: &str) -> Self {
        Self { by: clip(by), outcome, code, reason: clip(reason), exit_code: None, output: Vec::new() }
    }

    fn seal(self, turn: &Turn<'_>, id: MessageId, envelope: &SignedEnvelope) -> Word {
        let output = tail(self.output);
        let receipt = Receipt {
            envelope: envelope.digest(&turn.crypto),
            id,
            outcome: self.outcome,
            by: self.by,
            code: self.code,
            reason: self.reason,
            exit_code: self.exit_code,
            output: turn.crypto.digest(&output),
            time_ms: turn.now.wall_ms,
            late: false,
            signer: Signer::Recipient,
            key: turn.crypto.public_key(),
        };
        Word { receipt: receipt.seal(&turn.crypto), output }
    }
}

pub(super) fn report(word: &Word) -> ToHub {
    ToHub::Report { receipt: word.receipt.clone(), output: word.output.clone() }
}

/// Cuts a text to what a receipt holds, at a character's border.
fn clip(text: &str) -> String {
    text[..text.floor_char_boundary(Receipt::MAX_TEXT_LEN)].to_owned()
}

/// The last bytes of an output: where a command says what went wrong.
fn tail(mut output: Vec<u8>) -> Vec<u8> {
    let surplus = output.len().saturating_sub(Receipt::MAX_OUTPUT_LEN);
    output.drain(..surplus);
    output
}

impl AgentCore {
    /// The message is done here; the hub must hear of it.
    pub(super) fn done(&mut self, turn: &mut Turn<'_>, id: MessageId, said: Said) {
        let Some(held) = self.held.get_mut(&id) else { return };
        let word = said.seal(turn, id, &held.signed);
        turn.journal(JournalWrite::Stage { id, stage: Stage::Done(word.clone()) });
        let message = report(&word);
        let before = core::mem::replace(&mut held.at, At::Done(word));
        let (lane, flow, order) = (held.envelope.lane, held.flow(), held.order);
        self.leave_line(flow, order);
        self.free_slot_of(&before);
        self.say(turn, lane, message);
        // A stored one is refused while its flow is being walked, and that walk goes on by itself: a long row of refused
        // messages must not become a deep recursion.
        if !matches!(before, At::Stored { .. }) {
            self.go_on_after(turn, &before, flow);
        }
    }

    /// The hub had told an outcome before this word came: it is signed anew, marked late.
    pub(super) fn late(&mut self, turn: &mut Turn<'_>, id: MessageId) {
        let Some(held) = self.held.get_mut(&id) else { return };
        let At::Done(word) = &mut held.at else { return };
        let Ok(receipt) = word.receipt.decode() else { return };
        let receipt = Receipt { late: true, ..receipt };
        word.receipt = receipt.seal(&turn.crypto);
        let word = word.clone();
        let lane = held.envelope.lane;
        let message = report(&word);
        turn.journal(JournalWrite::Stage { id, stage: Stage::Done(word) });
        self.say(turn, lane, message);
    }
}
