//! What can be proved about a message with public keys alone, and what is only the hub's word.

use crate::word::signer_word;
use towline_proto::ids::{KeyHash, MessageId};
use towline_proto::mail::envelope::SignedEnvelope;
use towline_proto::mail::keys::Crypto;
use towline_proto::mail::message::MessageStatus;
use towline_proto::mail::outcome::State;
use towline_proto::mail::receipt::{Receipt, SignedReceipt, Signer};

/// Whom this device trusts to say what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keys {
    /// The hub's, from the ticket.
    pub(crate) hub: KeyHash,
    /// The recipient's, if the user brought it.
    pub(crate) recipient: Option<KeyHash>,
}

/// Everything that the signatures prove, and what they do not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    /// Whose word the receipt is, and the key that signed it; `None` while there is no receipt.
    pub(crate) signed: Option<(Signer, KeyHash)>,
    /// What is the hub's word alone.
    pub(crate) not_proved: Vec<String>,
}

impl Proof {
    /// What is proved.
    pub(crate) fn words(&self) -> String {
        match self.signed {
            None => "the envelope is genuine; there is no receipt yet".into(),
            Some((signer, key)) => format!("the {}'s word, signed by key {key}", signer_word(signer)),
        }
    }
}

/// Checks the answer to a question about `id`. The error says which part does not fit.
pub(crate) fn check(crypto: &impl Crypto, id: MessageId, status: &MessageStatus, keys: &Keys) -> Result<Proof, String> {
    let envelope = status.envelope.open(crypto).map_err(|error| format!("envelope: {error}"))?;
    if envelope.id != id {
        return Err(format!("envelope: it is message {}, not {id}", envelope.id));
    }
    let mut not_proved = Vec::new();
    let sender = crypto.key_hash(&envelope.sender);
    if envelope.sender != crypto.public_key() {
        not_proved
            .push(format!("that the key {sender}, which signed the envelope, is {}'s: the hub says so", envelope.from));
    }
    if status.receipt.is_none() && matches!(status.state, State::Decided(_)) {
        return Err(format!("receipt: there is none, and the hub says {}", status.state));
    }
    let recipient = keys.recipient.unwrap_or(status.recipient.key);
    let receipts = [("receipt", &status.receipt, Some(&status.output[..])), ("late word", &status.late, None)];
    let mut signed = None;
    for (part, receipt, output) in receipts {
        let Some(receipt) = receipt else { continue };
        let word = genuine(crypto, (&status.envelope, receipt, output), (recipient, keys.hub))
            .map_err(|error| format!("{part}: {error}"))?;
        let key = crypto.key_hash(&word.key);
        if part == "receipt" && status.state != State::Decided(word.outcome) {
            return Err(format!("{part}: it says {}, and the hub says {}", word.outcome, status.state));
        }
        signed.get_or_insert((word.signer, key));
        if word.signer == Signer::Recipient && keys.recipient.is_none() {
            not_proved.push(format!(
                "that this key is {to}'s: the hub says so; `towline config show` on {to} prints its key, give it with `--key`",
                to = envelope.to
            ));
        }
    }
    Ok(Proof { signed, not_proved })
}

/// Whether receipt, output and envelope belong together and are signed by the key that may say this: the recipient's
/// or the hub's.
fn genuine(
    crypto: &impl Crypto,
    (envelope, receipt, output): (&SignedEnvelope, &SignedReceipt, Option<&[u8]>),
    (recipient, hub): (KeyHash, KeyHash),
) -> Result<Receipt, String> {
    let word = receipt.open(crypto).map_err(|_| "its signature is not its key's")?;
    let key = crypto.key_hash(&word.key);
    let due = match word.signer {
        Signer::Recipient => recipient,
        Signer::Hub => hub,
    };
    if key != due {
        return Err(format!("it is signed by {key}, not by the {}'s key {due}", signer_word(word.signer)));
    }
    if word.envelope != envelope.digest(crypto) {
        return Err("it is about another envelope".into());
    }
    if output.is_some_and(|output| word.output != crypto.digest(output)) {
        return Err("the command's output is not the one that it names".into());
    }
    Ok(word)
}

#[cfg(test)]
mod tests;
