//! What may go wrong, one error for each operation.

use crate::session::{Ended, SendError};
use std::io;
use towline_proto::mail::code::Code;

/// Why a session is not attached, or a ticket was not taken.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The hub will not have it.
    #[error("{text} ({code})")]
    Denied {
        /// Why, as a stable word.
        code: Code,
        /// Why, for people.
        text: String,
    },
    /// The hub said something that is no answer.
    #[error("the hub's answer is not understood")]
    Protocol,
    /// The session ended before the answer.
    #[error(transparent)]
    Send(#[from] SendError),
}

/// Why a message was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The hub said no: nothing was kept, and there is no outcome.
    #[error("{text} ({code})")]
    NotAccepted {
        /// Why, as a stable word.
        code: Code,
        /// Why, for people.
        text: String,
        /// When to try again, in milliseconds from now; 0 if it is no use.
        retry_after_ms: u64,
    },
    /// The body cannot be read.
    #[error("the body cannot be read: {0}")]
    Body(#[source] io::Error),
    /// The session ended before the answer: whether the hub accepted it is not known. Submit the same envelope again
    /// on the next session.
    #[error("the answer is not known: {0}")]
    Lost(#[from] SendError),
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The hub will not or cannot answer.
    #[error("{text} ({code})")]
    No {
        /// Why, as a stable word.
        code: Code,
        /// Why, for people.
        text: String,
    },
    /// The hub answered another question.
    #[error("the hub's answer is not understood")]
    Protocol,
    /// The session ended before the answer.
    #[error(transparent)]
    Send(#[from] SendError),
}

macro_rules! from_ended {
    ($($name:ty),*) => {$(
        impl From<Ended> for $name {
            fn from(ended: Ended) -> Self {
                Self::from(SendError::Ended(ended))
            }
        }
    )*};
}
from_ended!(AttachError, SubmitError, AskError);
