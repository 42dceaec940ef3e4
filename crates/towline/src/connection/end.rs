//! How a connection ends, and its named limits.

use std::io;
use std::time::Duration;

use crate::filter::FilterError;

/// How a connection ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionEnd<D, E> {
    /// This side had nothing more to say: every sender is dropped, or the reactor ended it. All was written.
    #[error("done")]
    Done,
    /// The peer ended the stream between two messages. What waited was still written, if the peer took it.
    #[error("the peer closed")]
    PeerClosed,
    /// The stream ended inside a message, or without the goodbye that TLS demands.
    #[error("the stream was cut")]
    Cut,
    /// The peer's message is larger than this side takes.
    #[error("a message needs {bytes} bytes, more than the limit of {limit_bytes}")]
    TooLarge {
        /// What it would need.
        bytes: usize,
        /// The named limit.
        limit_bytes: usize,
    },
    /// The peer's bytes are invalid.
    #[error("invalid bytes: {0}")]
    Invalid(D),
    /// A message of this side has no form on the wire.
    #[error("not encodable: {0}")]
    NotEncodable(E),
    /// A sender whose policy is [`Disconnect`](super::WhenFull::Disconnect) found no room.
    #[error("the peer reads more slowly than this side must send")]
    TooSlow,
    /// The peer took longer than the [`ConnectionConfig`] allows.
    #[error("{0}")]
    Timeout(Timeout),
    /// A filter refused the peer's bytes.
    #[error(transparent)]
    Filter(FilterError),
    /// The byte stream failed.
    #[error(transparent)]
    Io(io::Error),
}

impl<D, E> ConnectionEnd<D, E> {
    /// Whether it ended because this side was done.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// Whether both sides can know what the other has: there, what was written leaves in order, with the stream's end.
    pub(super) fn is_orderly(&self) -> bool {
        !matches!(self, Self::Cut | Self::TooSlow | Self::Timeout(_) | Self::Filter(_) | Self::Io(_))
    }
}

/// What took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Timeout {
    /// Nothing came from the peer.
    #[error("nothing came from the peer in the time allowed")]
    Silence,
    /// A message began and was not whole in time.
    #[error("a message was not whole in the time allowed")]
    Message,
    /// The peer took nothing of what waited for it.
    #[error("the peer took nothing of what waited for it in the time allowed")]
    Stall,
}

/// The most bytes kept of a message that is not whole, by default.
const PARTIAL_MESSAGE_BYTES: usize = 4 * 1024 * 1024;

/// Messages that may wait, by default: enough for a sender to go on while the last batch is encoded and written, and few
/// enough to stay near the processor.
const QUEUE_MESSAGES: usize = 1_024;

/// What they may weigh together, by default: four times what is encoded at once.
const QUEUE_BYTES: usize = 256 * 1024;

/// Urgent messages that may wait, by default: more at once are not urgent.
const URGENT_MESSAGES: usize = 16;

/// How long the last words may take, by default: a few round trips of a bad network.
const GOODBYE_TIME: Duration = Duration::from_secs(2);

/// Named limits of a connection. In memory it is bounded by default; whether a peer may be silent or slow is a matter of
/// the protocol, so the timeouts are off until they are chosen.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ConnectionConfig {
    /// The most bytes kept of a message that is not whole.
    pub partial_message_max_bytes: usize,
    /// Messages that may wait for their turn to be encoded.
    pub queue_messages: usize,
    /// What these may weigh together in bytes, as the [`Encoder`](crate::codec::Encoder) weighs them. One message alone
    /// may be larger.
    pub queue_bytes: usize,
    /// Messages that may wait at the urgent side.
    pub urgent_messages: usize,
    /// How long the peer may send nothing at all, while this side reads.
    pub silence_timeout: Option<Duration>,
    /// How long a message may take from its first byte to its last.
    pub message_timeout: Option<Duration>,
    /// How long the peer may take nothing of what waits for it.
    pub stall_timeout: Option<Duration>,
    /// How long, at an orderly end, writing what waits and hearing the peer's own end may take.
    pub goodbye_time: Duration,
}

impl Default for ConnectionConfig {
    fn default() -> Self {
        Self {
            partial_message_max_bytes: PARTIAL_MESSAGE_BYTES,
            queue_messages: QUEUE_MESSAGES,
            queue_bytes: QUEUE_BYTES,
            urgent_messages: URGENT_MESSAGES,
            silence_timeout: None,
            message_timeout: None,
            stall_timeout: None,
            goodbye_time: GOODBYE_TIME,
        }
    }
}
