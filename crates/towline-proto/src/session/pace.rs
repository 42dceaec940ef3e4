//! How fast a stream is read, and how long its credit takes to come back as bytes: how large its window should be.

use crate::time::{Duration, Instant};

/// What was measured of one incoming direction.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace {
    /// The limit that the peer was last told.
    told: u64,
    /// A higher limit was told then; bytes above this one answer it.
    answer: Option<(u64, Instant)>,
    /// From telling credit to the first byte that uses it: the round trip as the sender's window sees it, with all that
    /// waits on the way. (A sender that was not waiting makes it longer, but never longer than its window lasts.)
    round_trip: Option<Duration>,
    /// How far was read when the rate was last looked at, and when that was.
    looked: Option<(u64, Instant)>,
}

impl Pace {
    /// Before any word but the first grant.
    pub(super) fn new(limit: u64) -> Self {
        Self { told: limit, ..Self::default() }
    }

    /// A limit leaves for the peer.
    pub(super) fn told(&mut self, now: Instant, limit: u64) {
        if limit > self.told {
            self.answer.get_or_insert((self.told, now));
            self.told = limit;
        }
    }

    /// Bytes arrived up to `highest`.
    pub(super) fn arrived(&mut self, now: Instant, highest: u64) {
        self.looked.get_or_insert((0, now));
        if let Some((_, since)) = self.answer.take_if(|(below, _)| highest > *below) {
            self.round_trip = Some(now.since(since));
        }
    }

    /// Twice what is read in a round trip: a window that never runs dry while half of it is on its way back as credit.
    /// `None` before it can be known; it is looked at anew when `enough` more bytes were read.
    pub(super) fn window(&mut self, now: Instant, read: u64, enough: u64) -> Option<u64> {
        let (round_trip, (from, since)) = (self.round_trip?, self.looked?);
        let bytes = read.saturating_sub(from);
        if bytes < enough {
            return None;
        }
        self.looked = Some((read, now));
        let elapsed = now.since(since).as_nanos().max(1);
        u64::try_from((2 * u128::from(bytes)).saturating_mul(round_trip.as_nanos()) / elapsed).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn a_window_is_twice_the_measured_rate_times_the_measured_round_trip() {
        let mut pace = Pace::new(1_000);
        pace.arrived(at(0), 500);
        assert_eq!(pace.window(at(1), 500, 100), None, "no round trip yet");
        pace.told(at(1), 2_000);
        pace.arrived(at(10), 1_000);
        assert_eq!(pace.window(at(10), 1_000, 100), None, "that was promised before");
        pace.arrived(at(21), 1_001);
        // 1,000 bytes in 40 ms, a round trip of 20 ms.
        assert_eq!(pace.window(at(40), 999, 1_000), None, "too few to tell");
        assert_eq!(pace.window(at(40), 1_000, 1_000), Some(1_000));
        // From there on 3,000 bytes in 10 ms.
        assert_eq!(pace.window(at(50), 4_000, 1_000), Some(12_000));
    }

    #[test]
    fn a_limit_told_again_is_no_new_one_and_the_first_of_several_is_what_is_timed() {
        let mut pace = Pace::new(100);
        pace.arrived(at(0), 1);
        pace.told(at(10), 200);
        pace.told(at(30), 200);
        pace.told(at(30), 300);
        pace.arrived(at(35), 150);
        assert_eq!(pace.round_trip, Some(Duration::from_millis(25)));
        pace.told(at(40), 300);
        pace.arrived(at(90), 301);
        assert_eq!(pace.round_trip, Some(Duration::from_millis(25)));
    }

    #[test]
    fn what_happens_all_at_once_overflows_nothing() {
        let mut pace = Pace::new(0);
        pace.arrived(at(0), 0);
        pace.told(at(0), u64::MAX);
        pace.arrived(Instant::from_nanos(u64::MAX), u64::MAX);
        assert_eq!(pace.window(at(0), u64::MAX, 1), None);
        assert_eq!(pace.window(at(0), u64::MAX, 0), Some(0));
    }
}
