//! Credit over all streams of a session: an absolute limit on the sum of their offsets, in each direction.
//!
//! The receiver keeps its limit above the sum of what its streams were granted, so that this sum never makes one stream
//! wait for another's reader; it only bounds what can arrive on streams not yet seen.

use crate::ids::Lane;
use crate::limits::{BASE_SESSION_CREDIT_BYTES, BASE_WINDOW_BYTES, LANE_CREDIT_BYTES, SEND_HELD_MAX_BYTES};
use crate::link::Violation;
use crate::wire::close::CloseCode;

/// The sum is never told lower than this above what the streams were granted, in bytes: every lane's own, and as much
/// for a stream that is new.
const LEAST_HEADROOM_BYTES: u64 = (Lane::COUNT as u64 + 1) * LANE_CREDIT_BYTES;

/// What we may send.
#[derive(Debug)]
pub(super) struct SendCredit {
    pub(super) limit: u64,
    /// All streams' written offsets together.
    pub(super) used: u64,
    /// Of these, what is unsent or unconfirmed, and so held here.
    held: u64,
    /// Somebody was refused because so much is held, and tries again when it is this little.
    wake_at: Option<u64>,
}

impl SendCredit {
    pub(super) const fn new(limit: u64) -> Self {
        Self { limit, used: 0, held: 0, wake_at: None }
    }

    /// What a stream may still take of the peer's credit, with what the other lanes keep of their own left untouched.
    pub(super) const fn granted(&self, lanes_keep: u64) -> u64 {
        self.limit.saturating_sub(self.used).saturating_sub(lanes_keep)
    }

    /// What may still be taken into memory: the base whatever else happens, else what `pool` has room for.
    pub(super) fn room(&self, pool: u64) -> u64 {
        let base = BASE_WINDOW_BYTES.saturating_sub(self.held);
        base.max(pool.min(SEND_HELD_MAX_BYTES.saturating_sub(self.held)))
    }

    pub(super) const fn held(&self) -> u64 {
        self.held
    }

    /// How much was taken and is held no more.
    pub(super) const fn confirmed(&self) -> u64 {
        self.used.saturating_sub(self.held)
    }

    pub(super) const fn took(&mut self, size: u64) {
        self.used += size;
        self.held += size;
    }

    /// Somebody was refused because so much is held; with `enough` it is worth trying again. Not at every byte that is
    /// let go: only when half of what may be held is free.
    pub(super) fn refused(&mut self, enough: u64) {
        let most = if self.held > BASE_WINDOW_BYTES { SEND_HELD_MAX_BYTES } else { BASE_WINDOW_BYTES };
        let at = (most / 2).min(most.saturating_sub(enough));
        self.wake_at = self.wake_at.max(Some(at));
    }

    /// Whether somebody waits since so much is held.
    pub(super) const fn is_short(&self) -> bool {
        self.wake_at.is_some()
    }

    /// All that were refused look again; those that still wait say so anew.
    pub(super) const fn look_again(&mut self) {
        self.wake_at = None;
    }

    /// So much is held no more. Says whether those that were refused for it should try again.
    pub(super) fn let_go(&mut self, size: u64) -> bool {
        self.held -= size;
        size > 0 && self.wake_at.is_some_and(|at| self.held <= at)
    }
}

/// The most that all lanes' permanent streams keep of their own together, in bytes.
pub(super) const LANES_KEEP_MAX_BYTES: u64 = Lane::COUNT as u64 * LANE_CREDIT_BYTES;

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
    /// Room kept above the grants for streams to come, while the pool gives it.
    wished: u64,
    pub(super) due: bool,
}

impl RecvCredit {
    pub(super) const fn new(limit: u64) -> Self {
        Self { limit, used: 0, granted: 0, wished: limit, due: false }
    }

    pub(super) const fn limit(&self) -> u64 {
        self.limit
    }

    pub(super) const fn used(&self) -> u64 {
        self.used
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

    /// What was told above the streams' grants.
    pub(super) const fn headroom(&self) -> u64 {
        self.limit.saturating_sub(self.granted)
    }

    /// A stream was granted more. `may_grow`: the pool gives more than the base.
    pub(super) fn grant(&mut self, more: u64, may_grow: bool) {
        self.granted += more;
        self.renew(may_grow);
    }

    /// A stream's final offset is known: what it was granted beyond is free again.
    pub(super) fn settle(&mut self, unused: u64, may_grow: bool) {
        self.granted = self.granted.saturating_sub(unused);
        self.renew(may_grow);
    }

    fn renew(&mut self, may_grow: bool) {
        let headroom = if may_grow { self.wished } else { self.wished.min(BASE_SESSION_CREDIT_BYTES) };
        let least = (headroom / 2).max(LEAST_HEADROOM_BYTES.min(headroom));
        if self.limit < self.granted + least {
            self.limit = self.granted + headroom;
            self.due = true;
        }
    }
}
