//! Who is served next: urgent first, nobody starved.

use crate::ids::Lane;
use crate::link::StreamRef;
use std::collections::VecDeque;

/// For each this many bytes served before it, a waiting lower lane is owed one.
const SHARE: u64 = 8;

/// A lane that is owed this much, in bytes, is served before its turn: one chunk.
const DUE_BYTES: u64 = 16 * 1024;

/// The streams that have something to send, by lane, each in its turn.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    waiting: [VecDeque<StreamRef>; Lane::COUNT],
    owed: [u64; Lane::COUNT],
}

impl Schedule {
    pub(super) fn push(&mut self, lane: Lane, stream: StreamRef) {
        self.waiting[usize::from(lane.0)].push_back(stream);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.iter().all(VecDeque::is_empty)
    }

    /// Takes the next stream; push it again if it has more.
    pub(super) fn pop(&mut self) -> Option<(Lane, StreamRef)> {
        let waits = |lane: &usize| !self.waiting[*lane].is_empty();
        let owed = (0..Lane::COUNT).filter(waits).find(|&lane| self.owed[lane] >= DUE_BYTES);
        let lane = owed.or_else(|| (0..Lane::COUNT).find(waits))?;
        self.waiting[lane].pop_front().map(|stream| (Lane(lane as u8), stream))
    }

    /// So much was served of a lane.
    pub(super) fn served(&mut self, lane: Lane, bytes: u64) {
        let lane = usize::from(lane.0);
        self.owed[lane] = self.owed[lane].saturating_sub(bytes.max(DUE_BYTES));
        for lower in lane + 1..Lane::COUNT {
            if self.waiting[lower].is_empty() {
                self.owed[lower] = 0;
            } else {
                self.owed[lower] = (self.owed[lower] + bytes.div_ceil(SHARE)).min(2 * DUE_BYTES);
            }
        }
    }
}
