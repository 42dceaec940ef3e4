//! Filters: what stands between a byte stream and a codec, or between a codec and a reactor.
//!
//! A **byte filter** is a plain value, [`Filter`]: bytes in, bytes out, time as an argument, no stream. [`Filtered`] puts
//! one over any byte stream and is one itself, so filters are stacked by putting one over another; a connection without
//! them has no trace of them:
//!
//! ```text
//!   Connection ─ codec ─ Filtered<Trace> ─ Filtered<Compress> ─ TlsStream ─ TcpStream
//!                        (sees plain bytes)  (sees them packed)
//! ```
//! A **message filter** is a [`Reactor`](crate::connection::Reactor) around a reactor: [`Heartbeat`] is one. What needs to
//! know where messages begin and end in time (a deadline for a whole message, silence, a peer that takes nothing) is
//! watched by the connection itself and chosen in its
//! [`ConnectionConfig`](crate::connection::ConnectionConfig). Above all of them,
//! [`maintain`](crate::connection::maintain) makes a new connection when one is lost.

#[cfg(feature = "zstd")]
mod compress;
mod heartbeat;
mod stream;
#[cfg(test)]
mod tests;
mod throttle;
mod trace;

use std::io;

use tokio::time::Instant;

#[cfg(feature = "zstd")]
pub use compress::{BLOCK_MAX_BYTES, Compress, RATIO_MAX};
pub use heartbeat::Heartbeat;
pub use stream::Filtered;
pub use throttle::Throttle;
pub use trace::Trace;

/// Bytes changed on their way, in both directions. One value serves one stream.
pub trait Filter {
    /// Takes bytes that came (or none) and appends what they become, at most about [`PASS_MAX_BYTES`]; says whether there
    /// is more to come out of what was taken, which is then asked for with no bytes.
    ///
    /// # Errors
    /// The peer's bytes are not what its filter can have made.
    fn inbound(&mut self, now: Instant, bytes: &[u8], out: &mut Vec<u8>) -> Result<More, FilterError>;

    /// Takes bytes to be sent, at most [`PASS_MAX_BYTES`], and appends what they become.
    ///
    /// # Errors
    /// They cannot be sent.
    fn outbound(&mut self, now: Instant, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), FilterError>;

    /// Whether the stream may end here: not in the middle of something.
    fn may_end(&self) -> bool {
        true
    }

    /// How many bytes may pass now.
    fn allowance(&mut self, _now: Instant, _direction: Direction) -> Allowance {
        Allowance::Bytes(usize::MAX)
    }
}

/// The most bytes that a filter is given at once, and about the most that it gives at once.
pub const PASS_MAX_BYTES: usize = 64 * 1024;

/// Whether a filter holds more than it gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum More {
    /// It waits for bytes.
    No,
    /// There is more already.
    Yes,
}

/// A direction of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the peer.
    Inbound,
    /// To the peer.
    Outbound,
}

/// How much may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// That many bytes, at least one.
    Bytes(usize),
    /// Nothing before then.
    NotBefore(Instant),
}

/// A filter refused bytes. A connection ends with it as [`Filter`](crate::connection::ConnectionEnd::Filter).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// The peer packed more into a block than is allowed.
    #[error("{filter}: a block of {bytes} bytes is over the limit of {limit_bytes}")]
    TooLarge {
        /// The filter's name.
        filter: &'static str,
        /// What it announced.
        bytes: usize,
        /// The named limit.
        limit_bytes: usize,
    },
    /// The peer packed more tightly than honest data is packed.
    #[error("{filter}: {packed_bytes} bytes would become {bytes}, more than {limit} times as many")]
    Ratio {
        /// The filter's name.
        filter: &'static str,
        /// Bytes on the wire.
        packed_bytes: usize,
        /// What they would become.
        bytes: usize,
        /// The named limit.
        limit: usize,
    },
    /// The peer's bytes are not what this filter makes.
    #[error("{filter}: {what}")]
    Malformed {
        /// The filter's name.
        filter: &'static str,
        /// What is wrong.
        what: &'static str,
    },
}

impl From<FilterError> for io::Error {
    fn from(error: FilterError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}
