//! One direction of a packet link as a pure machine: packets and times in, the same packets at later times out.

#[cfg(test)]
mod tests;

use crate::{Conditions, Nanos, Rng, SECONDS, UNLIMITED};
use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

/// What a line carries.
pub trait Packet: Clone {
    /// Its bytes, headers counted: what rate, queue and largest packet count.
    fn size(&self) -> usize;
    /// Marks congestion, if the packet allows that; whether it does.
    fn mark(&mut self) -> bool;
    /// Flips one bit.
    fn corrupt(&mut self, rng: &mut Rng);
}

/// What became of a line's packets since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Given to the line.
    pub offered: u64,
    /// Bytes given to the line.
    pub offered_bytes: u64,
    /// Handed out at the other end, second copies counted.
    pub delivered: u64,
    /// Bytes handed out at the other end, second copies counted.
    pub delivered_bytes: u64,
    /// Lost by chance on the way.
    pub lost: u64,
    /// Dropped because the queue was full.
    pub overflowed: u64,
    /// Vanished because they were larger than what passes.
    pub too_large: u64,
    /// Lost because the line was down.
    pub while_down: u64,
    /// Delayed so that later ones overtake them.
    pub reordered: u64,
    /// Sent on twice.
    pub duplicated: u64,
    /// Sent on with a flipped bit.
    pub corrupted: u64,
    /// Marked for congestion.
    pub marked: u64,
}

impl Counts {
    /// What was offered and will never arrive.
    pub const fn missing(&self) -> u64 {
        self.lost + self.overflowed + self.too_large + self.while_down
    }

    /// What waits, is being sent or is on its way.
    pub const fn in_flight(&self) -> u64 {
        self.offered + self.duplicated - self.missing() - self.delivered
    }
}

/// One direction of a link: a queue, a sender of a certain rate, and the way behind it.
///
/// Its law: [`Line::offer`] packets, then ask [`Line::next_at`], and at that time (or later) take what has arrived with
/// [`Line::poll`]. Times never go back. What becomes of a packet depends on seed, conditions and times of the offers alone, not
/// on when the line is asked.
#[derive(Debug)]
pub struct Line<P> {
    conditions: Conditions,
    rng: Rng,
    /// The loss is in its bad state.
    bad: bool,
    /// The front is being sent, the others wait.
    queue: VecDeque<P>,
    queued_bytes: u64,
    /// When the front is through.
    sent_at: Nanos,
    /// What rounding to whole nanoseconds has left over, so that it does not add up.
    left_over: u64,
    flights: BinaryHeap<Flight<P>>,
    /// The latest arrival, for a jitter that keeps the order.
    last_arrival: Nanos,
    next_number: u64,
    counts: Counts,
}

impl<P: Packet> Line<P> {
    /// An empty line.
    pub fn new(conditions: Conditions, rng: Rng) -> Self {
        Self {
            conditions,
            rng,
            bad: false,
            queue: VecDeque::new(),
            queued_bytes: 0,
            sent_at: 0,
            left_over: 0,
            flights: BinaryHeap::new(),
            last_arrival: 0,
            next_number: 0,
            counts: Counts::default(),
        }
    }

    /// What the line does to its packets now.
    pub const fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    /// Changes what it does, from now on: the packet being sent goes on at the new rate, what waits stays, however much.
    pub fn set_conditions(&mut self, now: Nanos, conditions: Conditions) {
        assert!(conditions.rate_bits_per_second > 0, "a line that carries nothing is down");
        self.advance(now);
        if !self.queue.is_empty() {
            let left = u128::from(self.sent_at - now) * u128::from(self.conditions.rate_bits_per_second);
            self.sent_at = now + (left / u128::from(conditions.rate_bits_per_second)) as Nanos;
        }
        self.conditions = conditions;
    }

    /// What became of the packets.
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// How many packets wait or are being sent.
    pub fn queued_packets(&mut self, now: Nanos) -> usize {
        self.advance(now);
        self.queue.len()
    }

    /// How many bytes wait or are being sent.
    pub fn queued_bytes(&mut self, now: Nanos) -> u64 {
        self.advance(now);
        self.queued_bytes
    }

    /// A packet comes to the line's near end.
    pub fn offer(&mut self, now: Nanos, mut packet: P) {
        self.advance(now);
        let size = packet.size();
        self.counts.offered += 1;
        self.counts.offered_bytes += size as u64;
        if !self.conditions.up {
            self.counts.while_down += 1;
        } else if size > self.conditions.largest_packet {
            self.counts.too_large += 1;
        } else if let Some(front) = self.queue.front() {
            let waiting = (self.queue.len() - 1, self.queued_bytes - front.size() as u64);
            if self.conditions.queue.overflows(waiting.0, waiting.1, size) {
                self.counts.overflowed += 1;
                return;
            }
            let long = self.conditions.mark_from.is_some_and(|from| from.overflows(waiting.0, waiting.1, size));
            if long && packet.mark() {
                self.counts.marked += 1;
            }
            self.enqueue(packet, size);
        } else {
            self.left_over = 0;
            self.sent_at = now + self.sending_time(size);
            self.enqueue(packet, size);
        }
    }

    /// When to ask next; `None` while the line is empty. What arrives then may be nothing yet.
    pub fn next_at(&self) -> Option<Nanos> {
        let flying = self.flights.peek().map(|flight| flight.arrival);
        let sending = (!self.queue.is_empty()).then(|| self.sent_at + self.conditions.least_delay());
        flying.into_iter().chain(sending).min()
    }

    /// A packet that has arrived at the far end, and when it did.
    pub fn poll(&mut self, now: Nanos) -> Option<(Nanos, P)> {
        self.advance(now);
        if self.flights.peek()?.arrival > now {
            return None;
        }
        let flight = self.flights.pop()?;
        self.counts.delivered += 1;
        self.counts.delivered_bytes += flight.packet.size() as u64;
        Some((flight.arrival, flight.packet))
    }

    fn enqueue(&mut self, packet: P, size: usize) {
        self.queued_bytes += size as u64;
        self.queue.push_back(packet);
    }

    /// Sends on what is through by now.
    fn advance(&mut self, now: Nanos) {
        while self.sent_at <= now {
            let Some(packet) = self.queue.pop_front() else { return };
            self.queued_bytes -= packet.size() as u64;
            let sent_at = self.sent_at;
            if let Some(size) = self.queue.front().map(P::size) {
                self.sent_at += self.sending_time(size);
            }
            self.send_on(sent_at, packet);
        }
    }

    /// How long this many bytes take, in whole nanoseconds; the rest is kept for the next.
    fn sending_time(&mut self, size: usize) -> Nanos {
        if self.conditions.rate_bits_per_second == UNLIMITED {
            return 0;
        }
        let rate = u128::from(self.conditions.rate_bits_per_second);
        let work = size as u128 * 8 * u128::from(SECONDS) + u128::from(self.left_over);
        self.left_over = (work % rate) as u64;
        (work / rate) as Nanos
    }

    /// What the way does to a packet that was sent at a time.
    fn send_on(&mut self, at: Nanos, mut packet: P) {
        if !self.conditions.up {
            self.counts.while_down += 1;
            return;
        }
        if self.conditions.loss.strikes(&mut self.bad, &mut self.rng) {
            self.counts.lost += 1;
            return;
        }
        if self.rng.hits(self.conditions.duplicate) {
            self.counts.duplicated += 1;
            self.fly(at, packet.clone());
        }
        if self.rng.hits(self.conditions.corrupt) {
            self.counts.corrupted += 1;
            packet.corrupt(&mut self.rng);
        }
        self.fly(at, packet);
    }

    fn fly(&mut self, at: Nanos, packet: P) {
        let Conditions { delay, jitter, reorder, .. } = self.conditions;
        let mut arrival = at + delay;
        if jitter.most > 0 {
            let earliest = at + self.conditions.least_delay();
            arrival = self.rng.between(earliest, at + delay + jitter.most);
        }
        if jitter.in_order {
            arrival = arrival.max(self.last_arrival);
            self.last_arrival = arrival;
        }
        if self.rng.hits(reorder.share) {
            self.counts.reordered += 1;
            arrival += reorder.by;
        }
        let number = self.next_number;
        self.next_number += 1;
        self.flights.push(Flight { arrival, number, packet });
    }
}

/// A packet on its way.
#[derive(Debug)]
struct Flight<P> {
    arrival: Nanos,
    number: u64,
    packet: P,
}

/// The earliest arrival is the greatest, as the heap wants it; of two at the same time the one that was sent first.
impl<P> Ord for Flight<P> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.arrival, other.number).cmp(&(self.arrival, self.number))
    }
}

impl<P> PartialOrd for Flight<P> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<P> PartialEq for Flight<P> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<P> Eq for Flight<P> {}
