//! What the clock will bring, in order.

use crate::Nanos;
use std::cmp::Ordering;
use std::collections::{BTreeSet, BinaryHeap};

/// Things to come, each at a time and with a number: of two at the same time the one entered first comes first.
#[derive(Debug)]
pub(crate) struct Agenda<E> {
    /// The first of them is never one that was cancelled.
    entries: BinaryHeap<Entry<E>>,
    /// Numbers of the entries that can be cancelled and were neither cancelled nor taken.
    cancellable: BTreeSet<u64>,
    next_number: u64,
}

impl<E> Agenda<E> {
    pub(crate) const fn new() -> Self {
        Self { entries: BinaryHeap::new(), cancellable: BTreeSet::new(), next_number: 0 }
    }

    /// When the first entry is due.
    pub(crate) fn first_at(&self) -> Option<Nanos> {
        self.entries.peek().map(|first| first.at)
    }

    pub(crate) fn enter(&mut self, at: Nanos, event: E) {
        self.push(at, event, false);
    }

    /// Enters what may be cancelled by the number that is returned.
    pub(crate) fn enter_cancellable(&mut self, at: Nanos, event: E) -> u64 {
        let number = self.push(at, event, true);
        self.cancellable.insert(number);
        number
    }

    /// Takes an entry off the list; nothing changes if it came already.
    pub(crate) fn cancel(&mut self, number: u64) {
        self.cancellable.remove(&number);
        self.drop_cancelled();
    }

    /// Takes the first entry: its time, its number, and what it is.
    pub(crate) fn take(&mut self) -> Option<(Nanos, u64, E)> {
        let first = self.entries.pop()?;
        if first.cancellable {
            self.cancellable.remove(&first.number);
        }
        self.drop_cancelled();
        Some((first.at, first.number, first.event))
    }

    fn push(&mut self, at: Nanos, event: E, cancellable: bool) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        self.entries.push(Entry { at, number, cancellable, event });
        number
    }

    fn drop_cancelled(&mut self) {
        let cancelled = |first: &Entry<E>| first.cancellable && !self.cancellable.contains(&first.number);
        while self.entries.peek().is_some_and(cancelled) {
            self.entries.pop();
        }
    }
}

#[derive(Debug)]
struct Entry<E> {
    at: Nanos,
    number: u64,
    cancellable: bool,
    event: E,
}

/// The first is the greatest, as the heap wants it.
impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<E> Eq for Entry<E> {}
