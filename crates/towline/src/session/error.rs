//! How a session, a send or a receive ends: one small error for each operation.

use std::fmt;

use bytes::Bytes;
use towline_proto::wire::close::{Close, CloseCode};

/// Who said the last word of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndedBy {
    /// This side: the application closed, or a bound of ours was reached.
    Us,
    /// The peer said it.
    Peer,
}

/// Why a session is over. It is the same for everybody who asks, and never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Who said it.
    pub by: EndedBy,
    /// What was said: code, blame (seen from the one who said it), whether trying again may help, a text for people.
    pub close: Close,
}

impl Ended {
    /// The reason's code, as in `docs/wire.md`.
    pub fn code(&self) -> CloseCode {
        self.close.code
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = match self.by {
            EndedBy::Us => "by this side",
            EndedBy::Peer => "by the peer",
        };
        write!(f, "session ended {who}: {}", self.close)
    }
}

impl std::error::Error for Ended {}

/// Why a message or bytes were not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Only of `try_send`: no credit for it now.
    #[error("no credit for this message now")]
    Full,
    /// The message can never go: it is larger than the peer takes. Send it as a body.
    #[error("message is larger than the peer takes ({max_bytes} bytes)")]
    TooLarge {
        /// The largest message that the peer takes.
        max_bytes: usize,
    },
    /// This side finished the stream before.
    #[error("this stream's sending side was finished")]
    Finished,
    /// The peer wants no more of this stream.
    #[error("the peer stopped this stream with code {0}")]
    Stopped(u32),
    /// The session is over.
    #[error(transparent)]
    Ended(#[from] Ended),
}

/// Why nothing more comes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecvError {
    /// The peer gave the stream up.
    #[error("the peer reset this stream with code {0}")]
    Reset(u32),
    /// What stands here is no message: the peer wrote raw bytes.
    #[error("what stands here is no message; read it as raw bytes")]
    NotAMessage,
    /// The session is over.
    #[error(transparent)]
    Ended(#[from] Ended),
}

/// Why no stream was opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The memory that sessions share is nearly used up: try again when others have been read.
    #[error("no new streams now: the memory of all sessions is near its bound")]
    Memory,
    /// The session is over.
    #[error(transparent)]
    Ended(#[from] Ended),
}

/// A message that was taken, but of which nobody knows whether the peer got it, because the session ended first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecided {
    /// The lane it was sent on.
    pub lane: towline_proto::ids::Lane,
    /// The message itself.
    pub message: Bytes,
}
