//! The memory that a session keeps while it works, and gives back at rest.
//!
//! A ring that gave everything back whenever it runs empty would grow anew for every burst: on a fast link that costs as
//! much as sealing what it carries. So rings keep what they have while bytes move and the pool is more than half free;
//! it counts as held.

use super::Session;
use super::pool::Level;
use crate::time::{Duration, Instant};

/// After this time without a byte in either direction a session is at rest: many round trips of any path on which
/// keeping memory saves anything.
const REST_AFTER: Duration = Duration::from_millis(250);

/// A ring keeps up to this while the session works, in bytes: the window of a fast path in one machine room.
const KEPT_AT_WORK_BYTES: usize = 2 * 1024 * 1024;

/// A session that holds more, in bytes, keeps nothing it does not need: many streams do not add up.
const HELD_AT_WORK_BYTES: u64 = 4 * 1024 * 1024;

/// A ring keeps up to this when the session is at rest but its streams are still read, or when the pool is used, in bytes.
const KEPT_BYTES: usize = 4 * 1024;

/// A session at work.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    /// When to look whether it came to rest.
    pub(super) look_at: Instant,
    /// How much had moved when that was set.
    moved: u64,
}

impl Session {
    /// Bytes move.
    pub(super) fn works(&mut self, now: Instant) {
        if self.work.is_none() && !self.is_ended() {
            self.work = Some(Work { look_at: now + REST_AFTER, moved: self.moved() });
        }
    }

    /// How much a stream's ring keeps, in bytes, when it needs less.
    pub(super) fn kept(&self) -> usize {
        let is_free = self.share.view.level == Level::Free && self.streams.last_usage().held <= HELD_AT_WORK_BYTES;
        if self.work.is_some() && is_free { KEPT_AT_WORK_BYTES } else { KEPT_BYTES }
    }

    /// Gives memory back if nothing moved since the last look.
    pub(super) fn look_for_rest(&mut self, now: Instant) {
        let Some(work) = self.work.take_if(|work| work.look_at <= now) else { return };
        if self.moved() != work.moved {
            return self.works(now);
        }
        self.rest();
    }

    /// Gives back all memory that nothing needs now.
    pub(super) fn rest(&mut self) {
        self.work = None;
        self.scratch = Vec::new();
        self.events.shrink_to_fit();
        self.control.shrink_to_fit();
        self.schedule.fit();
        self.streams.for_each(|stream| {
            stream.send.fit(0);
            stream.recv.fit(0);
        });
        self.streams.fit();
    }

    fn moved(&self) -> u64 {
        self.sent_bytes + self.recv_credit.used() + self.send_credit.confirmed()
    }
}
