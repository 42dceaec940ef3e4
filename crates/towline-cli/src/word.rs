//! A message's state and receipt in words.

use crate::exit::Exit;
use crate::output::{visible, when};
use serde_json::{Value, json};
use towline_proto::mail::message::Presence;
use towline_proto::mail::outcome::State;
use towline_proto::mail::receipt::{Receipt, Signer};

/// The outcome with its reason, or with who did it: `failed: handler exit 3`, `handled by rule print`.
pub(crate) fn summary(receipt: &Receipt) -> String {
    match (receipt.reason.is_empty(), receipt.by.is_empty()) {
        (false, _) => format!("{}: {}", receipt.outcome, visible(&receipt.reason)),
        (true, false) => format!("{} by {}", receipt.outcome, visible(&receipt.by)),
        (true, true) => receipt.outcome.to_string(),
    }
}

/// Where a message without an outcome stands, and whom it waits for.
pub(crate) fn undecided(state: State, left_ms: u64, recipient: &Presence) -> String {
    let there = match (recipient.online, recipient.since_ms) {
        (true, since) => format!("is online since {}", when::utc(since)),
        (false, 0) => "has never been online".into(),
        (false, since) => format!("is offline since {}", when::utc(since)),
    };
    format!("{state}; must start within {}; {} {there}", when::about(left_ms), recipient.device)
}

/// What a message is called where people read it.
pub(crate) fn name(name: &str) -> String {
    if name.is_empty() { "text".into() } else { visible(name) }
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

#[cfg(test)]
mod tests;
