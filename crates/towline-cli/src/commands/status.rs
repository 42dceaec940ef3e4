//! `towline status`: where a message stands, and whose word its receipt is.

use super::Context;
use crate::attached;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::hub_link::HubLink;
use crate::output::{bytes, visible, when};
use crate::word;
use clap::Args;
use serde_json::{Value, json};
use std::time::Duration;
use towline::mail::{Device, Event, Events};
use towline_hub::config::units::Span;
use towline_proto::ids::MessageId;
use towline_proto::mail::message::{MessageStatus, ToDevice};
use towline_proto::mail::outcome::State;
use towline_proto::mail::receipt::SignedReceipt;

/// Say where a message stands; the exit code is its outcome's, 6 if there is none yet
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// The id that `send` printed
    id: MessageId,
    /// Wait for the outcome, at most so long
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true)]
    wait: Option<Option<Span>>,
    /// Check signatures and digests of envelope, receipt and output, and say whose word it is; exit 8 if one does not fit
    #[arg(long)]
    verify: bool,
}

impl Status {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let link = HubLink::new(&context.home)?;
        let device = attached::attach(&link).await?;
        let mut events = device.events();
        let status = self.ask(&device, events.as_mut()).await?;
        device.session().close(towline::Close::new(towline::CloseCode::Done));
        let verdict = if self.verify { Some(verified(&link, &status)) } else { None };
        context.out.result(human(&status, verdict.as_ref()), &object(&status, verdict.as_ref()));
        match verdict {
            Some(Err(problem)) => Err(Failure { code: Some("integrity"), ..Failure::new(Exit::Integrity, problem) }),
            _ => Ok(word::exit(status.state)),
        }
    }

    async fn ask(&self, device: &Device, events: Option<&mut Events>) -> Result<MessageStatus, Failure> {
        let status = device.status(self.id, self.wait.is_some()).await.map_err(attached::unanswered)?;
        let (Some(wait), Some(events), false) = (self.wait, events, matches!(status.state, State::Decided(_))) else {
            return Ok(status);
        };
        let patience = wait.map_or(Duration::MAX, |span| span.0);
        // Whether the outcome came or the time ran out: the hub's present word is what is shown.
        let _ = tokio::time::timeout(patience, outcome_of(self.id, events)).await;
        device.status(self.id, false).await.map_err(attached::unanswered)
    }
}

/// Returns when the message's outcome is told, or the session is over.
async fn outcome_of(id: MessageId, events: &mut Events) {
    while let Ok(event) = events.next().await {
        if let Event::Said(said) = event
            && let ToDevice::Outcome { receipt, .. } = *said
            && receipt.decode().is_ok_and(|receipt| receipt.id == id)
        {
            return;
        }
    }
}

/// Checks every receipt there is. The text says whose word it is.
fn verified(link: &HubLink, status: &MessageStatus) -> Result<String, String> {
    let hub = link.device.hub_key().map_err(|failure| failure.what)?;
    let keys = (status.recipient.key, hub);
    status.envelope.open(&*link.identity).map_err(|error| error.to_string())?;
    let check = |receipt: &SignedReceipt, output: &[u8]| {
        let word = word::verify(&*link.identity, (&status.envelope, receipt, output), keys)?;
        let who = word::signer_word(word.signer);
        let key = if who == "hub" { hub } else { status.recipient.key };
        Ok::<String, String>(format!(
            "{}'s word, signed by key {key}",
            if who == "hub" { "the hub" } else { "the recipient" }
        ))
    };
    match &status.receipt {
        None => Ok("the envelope is genuine; there is no receipt yet".into()),
        Some(receipt) => check(receipt, &status.output),
    }
}

fn human(status: &MessageStatus, verdict: Option<&Result<String, String>>) -> String {
    let Ok(envelope) = status.envelope.decode() else { return "the hub sent an envelope that cannot be read".into() };
    let receipt = status.receipt.as_ref().and_then(|receipt| receipt.decode().ok());
    let mut lines = vec![format!(
        "{}  {} ({}) from {} to {}",
        envelope.id,
        visible(&envelope.name),
        bytes(envelope.size),
        envelope.from,
        envelope.to
    )];
    match &receipt {
        Some(receipt) => {
            lines.push(format!("  {} [{}] at {}", word::summary(receipt), receipt.code, when::utc(receipt.time_ms)))
        }
        None => {
            let there = if status.recipient.online { "online" } else { "offline" };
            let (since, left) = (when::utc(status.recipient.since_ms), when::about(status.deadline_left_ms));
            lines.push(format!(
                "  {}; must start within {left}; {} is {there} since {since}",
                status.state, envelope.to
            ));
        }
    }
    if let Some(late) = status.late.as_ref().and_then(|late| late.decode().ok()) {
        lines.push(format!("  a late word, which changes nothing: {}", word::summary(&late)));
    }
    if !status.output.is_empty() {
        let output = String::from_utf8_lossy(&status.output);
        lines.extend(output.lines().map(|line| format!("  | {}", visible(line))));
    }
    if let Some(Ok(whose)) = verdict {
        lines.push(format!("  verified: {whose}"));
    }
    lines.join("\n")
}

fn object(status: &MessageStatus, verdict: Option<&Result<String, String>>) -> Value {
    let receipt = status.receipt.as_ref().and_then(|receipt| receipt.decode().ok());
    let late = status.late.as_ref().and_then(|late| late.decode().ok());
    let envelope = status.envelope.decode().ok();
    json!({
        "id": envelope.as_ref().map(|envelope| envelope.id.to_string()),
        "from": envelope.as_ref().map(|envelope| envelope.from.to_string()),
        "to": envelope.as_ref().map(|envelope| envelope.to.to_string()),
        "name": envelope.as_ref().map(|envelope| envelope.name.clone()),
        "size": envelope.as_ref().map(|envelope| envelope.size),
        "root": envelope.as_ref().map(|envelope| envelope.root.to_string()),
        "state": status.state.as_str(),
        "summary": receipt.as_ref().map_or_else(|| status.state.to_string(), word::summary),
        "deadline_left_ms": status.deadline_left_ms,
        "accepted_ms": status.accepted_ms,
        "receipt": receipt.as_ref().map(word::json),
        "late": late.as_ref().map(word::json),
        "output": String::from_utf8_lossy(&status.output),
        "recipient": super::who::object(&status.recipient),
        "verified": verdict.map(Result::is_ok),
        "whose_word": verdict.and_then(|verdict| verdict.as_ref().ok()),
    })
}
