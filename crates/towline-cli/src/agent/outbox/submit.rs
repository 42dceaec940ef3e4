//! One submission of one claimed file, and the questions about those whose outcome nobody heard.

use super::claim::{Claim, Claims, Place};
use std::sync::Arc;
use std::time::Duration;
use towline::Identity;
use towline::mail::{AskError, Body, Device, Draft, SubmitError, Submitted, hash_file};
use towline_proto::ids::MessageId;
use towline_proto::mail::code::Code;
use towline_proto::mail::envelope::SignedEnvelope;
use towline_proto::mail::outcome::State;
use towline_proto::mail::receipt::SignedReceipt;

/// The pause after a refusal that says no time itself, and the longest one before a file is tried again.
const RETRY: Duration = Duration::from_secs(5);
const LONGEST_RETRY: Duration = Duration::from_secs(10);

/// The pause after the session was lost: the next one makes itself known.
const LOST: Duration = Duration::from_millis(200);

/// How a submission ended.
#[derive(Debug)]
pub(super) enum Submission {
    /// The hub has it, and the file stands in `.sent`.
    Accepted,
    /// Not now.
    Later(Duration),
    /// Never.
    Final(String),
}

/// What submissions need.
#[derive(Clone)]
pub(super) struct Submitter {
    pub(super) claims: Arc<Claims>,
    pub(super) deadline_ms: u64,
    pub(super) identity: Arc<Identity>,
}

impl Submitter {
    /// Submits a file until the hub has answered or the session is over.
    pub(super) async fn submit(&self, device: &Device, claim: &Claim) -> Submission {
        let sealed = match self.claims.envelope(claim) {
            Some(envelope) => Ok(envelope),
            None => self.seal(device, claim).await,
        };
        let envelope = match sealed {
            Ok(envelope) => envelope,
            Err(ended) => return ended,
        };
        let body = Body::File(self.claims.file(claim, Place::Sending));
        match device.submit(&envelope, &body).await {
            Ok(Submitted::Accepted(_) | Submitted::Live(_)) => self.accepted(claim),
            Err(SubmitError::NotAccepted { retry_after_ms: pause @ 1.., .. }) => {
                Submission::Later(Duration::from_millis(pause).min(LONGEST_RETRY))
            }
            Err(error @ (SubmitError::NotAccepted { .. } | SubmitError::Body(_))) => {
                Submission::Final(error.to_string())
            }
            Err(SubmitError::Lost(_)) => Submission::Later(LOST),
        }
    }

    fn accepted(&self, claim: &Claim) -> Submission {
        match self.claims.move_to(claim, Place::Sending, Place::Sent) {
            Ok(()) => Submission::Accepted,
            Err(error) => {
                // The hub knows the envelope, and answers as it did.
                tracing::warn!(id = %claim.id, %error, "cannot be moved to .sent; it is submitted again, once");
                Submission::Later(RETRY)
            }
        }
    }

    /// Writes the envelope beside the file before anybody else sees it.
    async fn seal(&self, device: &Device, claim: &Claim) -> Result<SignedEnvelope, Submission> {
        let unreadable = |error: std::io::Error| Submission::Final(format!("the file cannot be read: {error}"));
        let measured = hash_file(self.claims.file(claim, Place::Sending)).await.map_err(unreadable)?;
        let mut draft = Draft::new(claim.device.clone());
        draft.name.clone_from(&claim.name);
        draft.deadline_ms = self.deadline_ms;
        let envelope = draft.seal(claim.id, device.name().clone(), measured, &*self.identity);
        self.claims.keep_envelope(claim, &envelope).map_err(|_| Submission::Later(RETRY))?;
        Ok(envelope)
    }
}

/// What the hub says of a message whose outcome is awaited.
#[derive(Debug)]
pub(super) enum Word {
    /// The outcome.
    Receipt(Box<SignedReceipt>),
    /// It knows no such message (any more).
    Unknown(String),
}

/// Asks for the outcomes that may have been told while nobody listened; has the hub tell the others when they come.
pub(super) async fn ask(device: &Device, awaited: Vec<MessageId>) -> Vec<(MessageId, Word)> {
    let mut words = Vec::new();
    for id in awaited {
        match device.status(id, true).await {
            Ok(status) => {
                if let (State::Decided(_), Some(receipt)) = (status.state, status.receipt) {
                    words.push((id, Word::Receipt(Box::new(receipt))));
                }
            }
            Err(AskError::No { code: Code::NoSuchMessage, text }) => words.push((id, Word::Unknown(text))),
            Err(AskError::No { code, text }) => tracing::warn!(%id, %code, text, "no word of a file that was sent"),
            // The next session asks again.
            Err(_) => return words,
        }
    }
    words
}
