//! The hub's timers: each has a name, one point in time, and can be moved or stopped.

use crate::ids::{Digest, MessageId};
use std::collections::{BTreeMap, BTreeSet};

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A kept message's deadline, or the end of its run.
    Message(MessageId),
    /// A body that stopped arriving.
    Upload(MessageId),
    /// A live message's confirmation; after it, how long its id is known.
    Live(MessageId),
    /// A relayed ping's answer.
    Ping(u64),
    /// A ticket's life.
    Ticket(Digest),
}

/// All timers, by time and by name.
#[derive(Debug, Default)]
pub(super) struct Timers {
    by_time: BTreeSet<(u64, Timer)>,
    by_name: BTreeMap<Timer, u64>,
}

impl Timers {
    /// Sets or moves a timer to this boot time, in milliseconds.
    pub(super) fn set(&mut self, timer: Timer, due_ms: u64) {
        self.stop(timer);
        self.by_name.insert(timer, due_ms);
        self.by_time.insert((due_ms, timer));
    }

    pub(super) fn stop(&mut self, timer: Timer) {
        if let Some(due_ms) = self.by_name.remove(&timer) {
            self.by_time.remove(&(due_ms, timer));
        }
    }

    /// Takes out the earliest timer that is due.
    pub(super) fn pop_due(&mut self, now_ms: u64) -> Option<Timer> {
        let &(due_ms, timer) = self.by_time.first()?;
        if due_ms > now_ms {
            return None;
        }
        self.stop(timer);
        Some(timer)
    }

    pub(super) fn next_ms(&self) -> Option<u64> {
        self.by_time.first().map(|&(due_ms, _)| due_ms)
    }
}
