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
    /// What each lane (second index) is owed by each one above it (first index). A lane that was silent owes nothing, so
    /// an urgent message never waits for what two lower ones have to settle between them.
    owed: [[u32; Lane::COUNT]; Lane::COUNT],
}

impl Schedule {
    pub(super) fn push(&mut self, lane: Lane, stream: StreamRef) {
        self.waiting[usize::from(lane.0)].push_back(stream);
    }

    /// Gives memory back that nothing needs now.
    pub(super) fn fit(&mut self) {
        self.waiting.iter_mut().for_each(VecDeque::shrink_to_fit);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.iter().all(VecDeque::is_empty)
    }

    /// Takes the next stream; push it again if it has more.
    pub(super) fn pop(&mut self) -> Option<(Lane, StreamRef)> {
        let waits = |lane: &usize| !self.waiting[*lane].is_empty();
        let first = (0..Lane::COUNT).find(waits)?;
        let owed = |lane: usize| self.owed[..=first].iter().map(|by| u64::from(by[lane])).sum::<u64>();
        let due = (first + 1..Lane::COUNT).filter(waits).find(|&lane| owed(lane) >= DUE_BYTES);
        let lane = due.unwrap_or(first);
        self.waiting[lane].pop_front().map(|stream| (Lane(lane as u8), stream))
    }

    /// So much was served of a lane.
    pub(super) fn served(&mut self, lane: Lane, bytes: u64) {
        let lane = usize::from(lane.0);
        for by in &mut self.owed {
            by[lane] = u64::from(by[lane]).saturating_sub(bytes) as u32;
        }
        for (lower, waiting) in self.waiting.iter().enumerate().skip(lane + 1) {
            let owed = &mut self.owed[lane][lower];
            let more = (u64::from(*owed) + bytes.div_ceil(SHARE)).min(2 * DUE_BYTES) as u32;
            *owed = if waiting.is_empty() { 0 } else { more };
        }
    }
}
