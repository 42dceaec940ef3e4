//! What a session tells the application, and the words of its commands.

use crate::ids::Lane;
use crate::link::{StreamRef, Violation};
use crate::wire::close::Close;

/// Which end of the session this is; it decides the numbers of the streams it opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The one that connected.
    Client,
    /// The one that was connected to, and named the session.
    Server,
}

/// A stream, as this end's application names it. A closed stream's key stays invalid for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamKey(pub(super) StreamRef);

/// In what order a stream's messages are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// As they were sent.
    Sequence,
    /// As they become complete.
    AsComplete,
}

/// A place in what was sent on a stream: the offset after a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mark(pub u64);

/// Something happened; see the commands for what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The peer opened a stream.
    Opened(StreamKey, Lane),
    /// There is something to receive: call `recv` or `read` until it has nothing.
    Readable(StreamKey),
    /// What was refused for want of credit fits now.
    Writable(StreamKey),
    /// A watched place was reached: everything up to it is in the peer's memory.
    Confirmed(StreamKey, Mark),
    /// Our end of the stream is in the peer's memory, and so everything before it.
    Finished(StreamKey),
    /// The peer wants no more of this stream; our direction was reset with its code.
    Stopped(StreamKey, u32),
    /// More streams may be opened.
    Openable,
    /// The session is over.
    Ended(EndReason),
}

/// Why a session is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// This side closed it.
    Closed(Close),
    /// The peer closed it.
    ClosedByPeer(Close),
    /// The peer lost its state.
    Gone,
    /// It had no link for longer than it is kept.
    ResumeTimeOver,
    /// The peer broke a rule.
    Violated(Violation),
}

/// Why no stream was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// As many are open as the peer allows; [`Event::Openable`] tells when that changes.
    #[error("as many streams are open as the peer allows")]
    TooMany,
    /// The memory that all sessions share is nearly used up: no new streams for now.
    #[error("no memory for new streams now")]
    Memory,
    /// The session is over.
    #[error("the session is over")]
    Closed,
}

/// Why something was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// No credit for all of it now; [`Event::Writable`] tells when to try again.
    #[error("no credit for it now")]
    Full,
    /// Larger than the peer takes whole: send it as a body.
    #[error("larger than the {max} bytes that the peer takes whole")]
    TooLarge {
        /// The peer's limit, in bytes.
        max: u64,
    },
    /// This direction was finished.
    #[error("the stream was finished")]
    Finished,
    /// This direction was reset, by us or at the peer's wish.
    #[error("the stream was reset")]
    Reset,
    /// Stream or session are closed.
    #[error("the stream or its session is closed")]
    Closed,
}

/// Why nothing more will be received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecvError {
    /// The stream ended, and all of it was read.
    #[error("the stream ended")]
    Ended,
    /// The peer gave the stream up.
    #[error("the stream was reset with code {0}")]
    Reset(u32),
    /// Stream or session are closed.
    #[error("the stream or its session is closed")]
    Closed,
    /// What stands here is no message; was it written as raw bytes?
    #[error("what stands here is no message")]
    NotAMessage,
}

/// Figures of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes of memory held: rings of both directions and the streams' records.
    pub held_bytes: usize,
    /// Of these, received and not yet read.
    pub unread_bytes: u64,
    /// Sent and not yet confirmed.
    pub unconfirmed_bytes: u64,
    /// Bytes given to links, resends included.
    pub sent_bytes: u64,
    /// Of these, sent again.
    pub resent_bytes: u64,
    /// Streams open.
    pub streams: usize,
    /// Links now.
    pub links: usize,
}
