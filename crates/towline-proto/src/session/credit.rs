//! Credit over all streams of a session: an absolute limit on the sum of their offsets, in each direction.
//!
//! The receiver keeps its limit above the sum of what its streams were granted, so that this sum never makes one stream
//! wait for another's reader; it only bounds what can arrive on streams not yet seen.

use crate::limits::LANE_CREDIT_BYTES;
use crate::link::Violation;
use crate::wire::close::CloseCode;

/// The most a session keeps unsent or unconfirmed, in bytes, however much credit the peer gives.
const SEND_HELD_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// What we may send.
#[derive(Debug)]
pub(super) struct SendCredit {
    pub(super) limit: u64,
    /// All streams' written offsets together.
    pub(super) used: u64,
    /// Of these, what is unsent or unconfirmed, and so held here.
    held: u64,
    /// Somebody was refused because so much is held.
    full: bool,
}

impl SendCredit {
    pub(super) const fn new(limit: u64) -> Self {
        Self { limit, used: 0, held: 0, full: false }
    }

    /// What a stream may still take, with what the other lanes keep of their own left untouched.
    pub(super) fn available(&self, lanes_keep: u64) -> u64 {
        let granted = self.limit.saturating_sub(self.used).saturating_sub(lanes_keep);
        granted.min(SEND_HELD_MAX_BYTES.saturating_sub(self.held))
    }

    pub(super) const fn held(&self) -> u64 {
        self.held
    }

    pub(super) const fn took(&mut self, size: u64) {
        self.used += size;
        self.held += size;
    }

    pub(super) const fn refused(&mut self, size: u64) {
        self.full |= SEND_HELD_MAX_BYTES.saturating_sub(self.held) < size;
    }

    /// So much is held no more. Says whether those that were refused for it should try again: not at every byte, and
    /// with room for the largest message.
    pub(super) const fn let_go(&mut self, size: u64) -> bool {
        self.held -= size;
        self.full && self.held <= SEND_HELD_MAX_BYTES / 2 && core::mem::replace(&mut self.full, false)
    }
}

/// What a lane's permanent stream keeps of its own.
pub(super) fn lane_keeps(limit: u64, end: u64) -> u64 {
    limit.saturating_sub(end).min(LANE_CREDIT_BYTES)
}

/// What the peer may send.
#[derive(Debug)]
pub(super) struct RecvCredit {
    limit: u64,
    /// All streams' highest offsets together.
    used: u64,
    /// What all streams seen so far were granted; a closed one counts with its final offset.
    granted: u64,
    /// Room kept above the grants for streams to come.
    headroom: u64,
    pub(super) due: bool,
}

impl RecvCredit {
    pub(super) const fn new(limit: u64) -> Self {
        Self { limit, used: 0, granted: 0, headroom: limit, due: false }
    }

    pub(super) const fn limit(&self) -> u64 {
        self.limit
    }

    /// # Errors
    /// The sum went past its limit.
    pub(super) fn take(&mut self, grown: u64) -> Result<(), Violation> {
        self.used += grown;
        if self.used > self.limit {
            return Err(Violation::new(CloseCode::FlowControl, "the session's streams together went past its credit"));
        }
        Ok(())
    }

    pub(super) fn grant(&mut self, more: u64) {
        self.granted += more;
        self.renew();
    }

    /// A stream's final offset is known: what it was granted beyond is free again.
    pub(super) fn settle(&mut self, unused: u64) {
        self.granted = self.granted.saturating_sub(unused);
        self.renew();
    }

    fn renew(&mut self) {
        if self.limit < self.granted + self.headroom / 2 {
            self.limit = self.granted + self.headroom;
            self.due = true;
        }
    }
}
