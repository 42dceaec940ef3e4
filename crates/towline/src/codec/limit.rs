//! The longest message, and what becomes of longer ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Verdict;

/// Why bytes are no message, or a message has no form on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The message is longer than its codec takes.
    #[error("a message of {bytes} bytes or more is longer than the limit of {max_bytes}")]
    TooLong {
        /// Its length, as far as it is known.
        bytes: u64,
        /// The limit.
        max_bytes: usize,
    },
    /// Where a length must stand, the peer sent something else.
    #[error("these bytes are no length")]
    NotALength,
    /// The message to be sent holds its delimiter where it must not, or lacks it where it must stand.
    #[error("the message must hold its delimiter exactly where it ends")]
    Delimiter,
}

/// Counts the messages that were skipped because they were too long. Clones count together, so that a reactor can look at
/// what its connection's codec skipped.
#[derive(Clone, Debug, Default)]
pub struct Skipped(Arc<AtomicU64>);

impl Skipped {
    /// How many there were.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The longest message. A longer one is an error, or is skipped and counted.
#[derive(Clone, Debug)]
pub(super) struct Limit {
    pub(super) max_bytes: usize,
    pub(super) skipped: Option<Skipped>,
}

impl Limit {
    pub(super) const fn new(max_bytes: usize) -> Self {
        Self { max_bytes, skipped: None }
    }

    /// Holds a length against the limit.
    #[inline]
    pub(super) fn check(&self, bytes: u64) -> Result<(), FrameError> {
        let max_bytes = self.max_bytes;
        if bytes <= max_bytes as u64 { Ok(()) } else { Err(FrameError::TooLong { bytes, max_bytes }) }
    }

    /// What a decoder says of a message that is too long, when `skip` bytes at hand and to come are all of it that is known.
    pub(super) fn exceeded<M>(&self, bytes: u64, skip: u64) -> Result<Verdict<M>, FrameError> {
        let Some(skipped) = &self.skipped else {
            return Err(FrameError::TooLong { bytes, max_bytes: self.max_bytes });
        };
        skipped.0.fetch_add(1, Ordering::Relaxed);
        Ok(Verdict::Skip(skip))
    }
}
