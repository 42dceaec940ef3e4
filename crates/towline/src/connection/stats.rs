//! What a connection has done so far.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of one connection since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Messages taken from senders, the urgent ones included.
    pub accepted: u64,
    /// Of these, urgent ones.
    pub urgent: u64,
    /// Messages given back because there was no room.
    pub refused: u64,
    /// Messages that had waited longest and were dropped for newer ones.
    pub dropped_oldest: u64,
    /// New messages that were dropped because there was no room.
    pub dropped_newest: u64,
    /// Messages that still waited, not encoded, when the connection ended.
    pub unsent: u64,
    /// Messages that wait now.
    pub waiting: usize,
    /// What these weigh in bytes, the urgent ones not counted.
    pub waiting_bytes: usize,
    /// Messages handed to the reactor.
    pub received: u64,
    /// Messages encoded: from senders, replies and the reactor's own.
    pub encoded: u64,
    /// Bytes read from the stream.
    pub read_bytes: u64,
    /// Bytes written to the stream.
    pub written_bytes: u64,
}

/// The counts that the connection's task alone moves; anybody may read them.
#[derive(Debug, Default)]
pub(super) struct Moving {
    received: AtomicU64,
    encoded: AtomicU64,
    read_bytes: AtomicU64,
    written_bytes: AtomicU64,
}

impl Moving {
    /// Shows how far the connection is.
    pub(super) fn show(&self, received: u64, encoded: u64, read_bytes: u64, written_bytes: u64) {
        self.received.store(received, Ordering::Relaxed);
        self.encoded.store(encoded, Ordering::Relaxed);
        self.read_bytes.store(read_bytes, Ordering::Relaxed);
        self.written_bytes.store(written_bytes, Ordering::Relaxed);
    }

    /// `others` with these counts.
    pub(super) fn read(&self, others: Stats) -> Stats {
        Stats {
            received: self.received.load(Ordering::Relaxed),
            encoded: self.encoded.load(Ordering::Relaxed),
            read_bytes: self.read_bytes.load(Ordering::Relaxed),
            written_bytes: self.written_bytes.load(Ordering::Relaxed),
            ..others
        }
    }
}
