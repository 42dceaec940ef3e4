//! Who waits for a place, in order.

use std::collections::VecDeque;
use std::task::Waker;

/// A line of senders. A place in it is a ticket; tickets only grow, so the line is sorted by them.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    next_ticket: u64,
    line: VecDeque<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    /// What the message waiting for a place weighs.
    bytes: usize,
    waker: Waker,
}

impl Waiters {
    pub(crate) fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    /// What the first in line needs.
    pub(crate) fn first_bytes(&self) -> Option<usize> {
        self.line.front().map(|waiter| waiter.bytes)
    }

    /// Stands at the end of the line.
    pub(crate) fn join(&mut self, bytes: usize, waker: Waker) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.line.push_back(Waiter { ticket, bytes, waker });
        ticket
    }

    /// The first in line has its place.
    pub(crate) fn take_first(&mut self) -> Option<Waker> {
        self.line.pop_front().map(|waiter| waiter.waker)
    }

    /// Whether that ticket is still in line; then it is woken by `waker`.
    pub(crate) fn is_waiting(&mut self, ticket: u64, waker: &Waker) -> bool {
        let Ok(at) = self.line.binary_search_by_key(&ticket, |waiter| waiter.ticket) else { return false };
        self.line[at].waker.clone_from(waker);
        true
    }

    /// Leaves the line; whether it was still in it.
    pub(crate) fn leave(&mut self, ticket: u64) -> bool {
        let found = self.line.binary_search_by_key(&ticket, |waiter| waiter.ticket);
        found.is_ok_and(|at| self.line.remove(at).is_some())
    }

    /// Sends everybody away; returns whom to wake.
    pub(crate) fn dismiss(&mut self) -> Vec<Waker> {
        self.line.drain(..).map(|waiter| waiter.waker).collect()
    }

    /// Gives memory back that the line does not need.
    pub(crate) fn give_back(&mut self) {
        self.line.shrink_to_fit();
    }
}
