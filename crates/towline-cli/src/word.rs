//! A message's state and receipt in words, and whose word it is.

use crate::exit::Exit;
use crate::output::visible;
use serde_json::{Value, json};
use towline_proto::ids::KeyHash;
use towline_proto::mail::envelope::SignedEnvelope;
use towline_proto::mail::keys::Crypto;
use towline_proto::mail::outcome::State;
use towline_proto::mail::receipt::{Receipt, SignedReceipt, Signer};

/// The outcome with its reason, or with who did it: `failed: handler exit 3`, `handled by rule print`.
pub(crate) fn summary(receipt: &Receipt) -> String {
    match (receipt.reason.is_empty(), receipt.by.is_empty()) {
        (false, _) => format!("{}: {}", receipt.outcome, visible(&receipt.reason)),
        (true, false) => format!("{} by {}", receipt.outcome, visible(&receipt.by)),
        (true, true) => receipt.outcome.to_string(),
    }
}

/// How the program ends for a message that stands so.
pub(crate) fn exit(state: State) -> Exit {
    match state {
        State::Decided(outcome) => outcome.into(),
        State::Accepted | State::Delivered | State::Started => Exit::Offline,
    }
}

/// A receipt for programs.
pub(crate) fn json(receipt: &Receipt) -> Value {
    json!({
        "outcome": receipt.outcome.as_str(), "by": receipt.by, "code": receipt.code.as_str(), "reason": receipt.reason,
        "exit_code": receipt.exit_code, "output": receipt.output.to_string(), "time_ms": receipt.time_ms,
        "late": receipt.late, "signer": signer_word(receipt.signer),
    })
}

/// Whose word it is.
pub(crate) const fn signer_word(signer: Signer) -> &'static str {
    match signer {
        Signer::Recipient => "recipient",
        Signer::Hub => "hub",
    }
}

/// Whether receipt, output and envelope belong together and are signed by the key that may say this: the recipient's
/// or the hub's. Nothing but public keys is needed. The error says what does not fit.
pub(crate) fn verify(
    crypto: &impl Crypto,
    (envelope, receipt, output): (&SignedEnvelope, &SignedReceipt, &[u8]),
    (recipient, hub): (KeyHash, KeyHash),
) -> Result<Receipt, String> {
    let opened = envelope.open(crypto).map_err(|error| error.to_string())?;
    let word = receipt.open(crypto).map_err(|_| "the receipt's signature is not its key's".to_owned())?;
    let key = crypto.key_hash(&word.key);
    let due = match word.signer {
        Signer::Recipient => recipient,
        Signer::Hub => hub,
    };
    if key != due {
        return Err(format!("the receipt is signed by {key}, not by the {}'s key {due}", signer_word(word.signer)));
    }
    if word.id != opened.id || word.envelope != envelope.digest(crypto) {
        return Err("the receipt is about another envelope".into());
    }
    if word.output != crypto.digest(output) {
        return Err("the output is not the one that the receipt names".into());
    }
    Ok(word)
}

#[cfg(test)]
mod tests;
