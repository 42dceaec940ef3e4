//! `towline status`: where a message stands, and whose word its receipt is.

use super::Context;
use crate::attached::{self, Attached};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::hub_link::HubLink;
use crate::output::{bytes, visible, when};
use crate::proof::{self, Keys, Proof};
use crate::value::key::Key;
use crate::word;
use clap::Args;
use serde_json::{Value, json};
use std::time::Duration;
use towline::mail::{Event, Events};
use towline_hub::config::units::Span;
use towline_proto::ids::MessageId;
use towline_proto::mail::envelope::Envelope;
use towline_proto::mail::message::{MessageStatus, ToDevice};
use towline_proto::mail::outcome::State;
use towline_proto::mail::receipt::Receipt;

/// Say where a message stands; the exit code is its outcome's, 6 if there is none yet
#[derive(Debug, Args)]
#[command(
    override_usage = "towline status [OPTIONS] [--wait[=DURATION]] [--verify [--key KEY|FILE]] ID",
    after_help = "Examples:\n  towline status m_06gzrzn9gxs0sb87k66667t5s8 --wait=30s\n  \
                  towline status m_06gzrzn9gxs0sb87k66667t5s8 --verify --key kitchen.key"
)]
pub(crate) struct Status {
    /// The id that `send` printed
    id: MessageId,
    /// Wait for the outcome, at most so long (`--wait=30s`, `--wait=5m`); without a time until it is there
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true)]
    wait: Option<Option<Span>>,
    /// Check the signatures and digests of envelope, receipt and output, and say what they prove; exit 8 if one does not fit
    #[arg(long)]
    verify: bool,
    /// The recipient's key, or a file that holds it: then its word is proved without believing the hub about whose key that is
    #[arg(long, value_name = "KEY|FILE", requires = "verify")]
    key: Option<Key>,
}

/// What `--verify` found, if that was asked.
type Verdict = Option<Result<Proof, String>>;

impl Status {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let link = HubLink::new(&context.home)?;
        let status = attached::ask(&link, async |hub| self.look(hub).await).await?;
        let verdict = if self.verify { Some(self.prove(&link, &status)?) } else { None };
        let problem = verdict.as_ref().and_then(|verdict| verdict.as_ref().err());
        let failure = problem.map(|problem| Failure {
            code: Some("integrity"),
            ..Failure::new(Exit::Integrity, format!("{} does not verify: {problem}", self.id))
        });
        let mut told = object(&status, &verdict);
        told["error"] = failure.as_ref().map_or(Value::Null, Failure::error);
        context.out.result(human(&status, &verdict), &told);
        match failure {
            Some(failure) => {
                context.out.failure_beside(&failure);
                Ok(failure.exit)
            }
            None => Ok(word::exit(status.state)),
        }
    }

    async fn look(&self, hub: &mut Attached<'_>) -> Result<MessageStatus, Failure> {
        let status = hub.device.status(self.id, self.wait.is_some()).await.map_err(attached::unanswered)?;
        let (Some(wait), false) = (self.wait, matches!(status.state, State::Decided(_))) else { return Ok(status) };
        let patience = wait.map_or(Duration::MAX, |span| span.0);
        // Whether the outcome came or the time ran out: the hub's present word is what is shown.
        let _ = tokio::time::timeout(patience, outcome_of(self.id, &mut hub.events)).await;
        hub.device.status(self.id, false).await.map_err(attached::unanswered)
    }

    fn prove(&self, link: &HubLink, status: &MessageStatus) -> Result<Result<Proof, String>, Failure> {
        let keys = Keys { hub: link.device.hub_key()?, recipient: self.key.map(|key| key.0) };
        Ok(proof::check(&*link.identity, self.id, status, &keys))
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

fn human(status: &MessageStatus, verdict: &Verdict) -> String {
    let Ok(envelope) = status.envelope.decode() else { return "the hub sent an envelope that cannot be read".into() };
    let Envelope { id, name, size, from, to, .. } = &envelope;
    let mut lines = vec![format!("{id}  {} ({}) from {from} to {to}", word::name(name), bytes(*size))];
    lines.push(match status.receipt.as_ref().and_then(|receipt| receipt.decode().ok()) {
        Some(receipt) => format!("  {}", decided(&receipt)),
        None => format!("  {}", word::undecided(status.state, status.deadline_left_ms, &status.recipient)),
    });
    if let Some(late) = status.late.as_ref().and_then(|late| late.decode().ok()) {
        lines.push(format!("  a late word, which changes nothing: {}", decided(&late)));
    }
    if !status.output.is_empty() {
        let output = String::from_utf8_lossy(&status.output);
        lines.extend(output.lines().map(|line| format!("  | {}", visible(line))));
    }
    if let Some(Ok(proof)) = verdict {
        lines.push(format!("  verified: {}", proof.words()));
        lines.extend(proof.not_proved.iter().map(|what| format!("  not proved: {what}")));
    }
    lines.join("\n")
}

fn decided(receipt: &Receipt) -> String {
    format!("{} [{}] at {}", word::summary(receipt), receipt.code, when::utc(receipt.time_ms))
}

fn object(status: &MessageStatus, verdict: &Verdict) -> Value {
    let receipt = status.receipt.as_ref().and_then(|receipt| receipt.decode().ok());
    let late = status.late.as_ref().and_then(|late| late.decode().ok());
    let envelope = status.envelope.decode().ok();
    let proof = verdict.as_ref().and_then(|verdict| verdict.as_ref().ok());
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
        "verified": verdict.as_ref().map(Result::is_ok),
        "whose_word": proof.map(Proof::words),
        "signer_key": proof.and_then(|proof| Some(proof.signed?.1.to_string())),
        "not_proved": proof.map(|proof| &proof.not_proved),
    })
}
