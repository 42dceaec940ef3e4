//! When an acknowledgement is owed.
//!
//! Acknowledgements are thinned: a sender that measures by the receiver's clock and finds losses by time needs a few in
//! a round trip, not one for every second packet.

use crate::time::{Duration, Instant};
use crate::wire::ack::EcnCounts;

/// An acknowledgement is held back for this part of a round trip, so that a sender hears of a quarter of its window at
/// a time.
const HELD_PARTS: u32 = 4;

/// An acknowledgement is held back for at least so long: a handful of packets at 10 Mbit/s.
const HELD_MIN: Duration = Duration::from_millis(1);

/// An acknowledgement is held back for at most so long; what the sender's timers allow for.
pub const HELD_MAX: Duration = Duration::from_millis(10);

/// So many packets are acknowledged at once at the latest: what a fast path brings in one call to the system.
const PACKETS_MAX: u32 = 64;

/// What came and was not acknowledged yet.
#[derive(Debug, Default)]
pub struct Duty {
    packets: u32,
    due_at: Option<Instant>,
    /// When the packet with the largest number came.
    largest_at: Instant,
    marks: Option<EcnCounts>,
}

impl Duty {
    /// A packet came that asks for an acknowledgement, over a path of that round trip.
    pub fn owe(&mut self, now: Instant, round_trip: Duration) {
        self.packets += 1;
        let held = (round_trip / HELD_PARTS).clamp(HELD_MIN, HELD_MAX);
        let due_at = if self.packets >= PACKETS_MAX { now } else { now + held };
        self.due_at = Some(self.due_at.map_or(due_at, |at| at.min(due_at)));
    }

    /// The acknowledgement is wanted at once.
    pub fn hurry(&mut self, now: Instant) {
        self.due_at = Some(now);
    }

    /// The packet with the largest number so far came.
    pub const fn largest_came(&mut self, now: Instant) {
        self.largest_at = now;
    }

    /// When that was.
    pub const fn largest_at(&self) -> Instant {
        self.largest_at
    }

    /// When an acknowledgement is due by itself.
    pub const fn due_at(&self) -> Option<Instant> {
        self.due_at
    }

    /// Whether there is anything to acknowledge with what goes anyway.
    pub const fn is_owed(&self) -> bool {
        self.due_at.is_some()
    }

    /// It was written.
    pub const fn done(&mut self) {
        self.packets = 0;
        self.due_at = None;
    }

    /// Counts a mark of congestion notification, once the system shows any.
    pub fn count_mark(&mut self, mark: Mark) {
        let counts = self.marks.get_or_insert_default();
        match mark {
            Mark::Ect0 => counts.ect0 += 1,
            Mark::Ect1 => counts.ect1 += 1,
            Mark::Ce => counts.ce += 1,
        }
    }

    /// The marks counted so far.
    pub const fn marks(&self) -> Option<EcnCounts> {
        self.marks
    }
}

/// A mark of explicit congestion notification on a packet that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It can be marked, and was not.
    Ect0,
    /// The other code for the same.
    Ect1,
    /// It met congestion.
    Ce,
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn at(micros: u64) -> Instant {
        Instant::ZERO + Duration::from_micros(micros)
    }

    #[test]
    fn it_is_held_for_a_quarter_of_a_round_trip_within_bounds() {
        for (round_trip, held) in [(1, 1_000), (12, 3_000), (40, 10_000), (600, 10_000)] {
            let mut duty = Duty::default();
            duty.owe(at(0), round_trip * MS);
            duty.owe(at(500), round_trip * MS);
            assert_eq!(duty.due_at(), Some(at(held)), "{round_trip} ms");
        }
    }

    #[test]
    fn sixty_four_packets_are_acknowledged_at_once() {
        let mut duty = Duty::default();
        (0..63).for_each(|packet| duty.owe(at(packet), 100 * MS));
        assert_eq!(duty.due_at(), Some(at(10_000)));
        duty.owe(at(70), 100 * MS);
        assert_eq!(duty.due_at(), Some(at(70)));
        duty.done();
        assert!(!duty.is_owed());
    }

    #[test]
    fn marks_are_counted_once_there_are_any() {
        let mut duty = Duty::default();
        assert_eq!(duty.marks(), None);
        [Mark::Ect0, Mark::Ce, Mark::Ect0, Mark::Ect1].into_iter().for_each(|mark| duty.count_mark(mark));
        assert_eq!(duty.marks(), Some(EcnCounts { ect0: 2, ect1: 1, ce: 1 }));
    }
}
