//! The round-trip time of a path (RFC 9002 §5), and its floor over the last while.

use crate::time::{Duration, Instant};

/// What a path is taken for before anything is known of it (RFC 9002 §6.2.2).
pub const INITIAL_RTT: Duration = Duration::from_millis(333);

/// Timers finer than that fire for nothing (RFC 9002 §6.1.2).
pub const GRANULARITY: Duration = Duration::from_millis(1);

/// The floor is the least of so long: a changed route shows after it, a queue of our own making does not last it.
const FLOOR_TIME: Duration = Duration::from_secs(10);

/// Estimates of one path.
#[derive(Clone, Debug)]
pub struct Rtt {
    latest: Duration,
    smoothed: Option<Duration>,
    variation: Duration,
    floor: Floor,
}

/// The least of the last [`FLOOR_TIME`], in two halves: what came before both is forgotten.
#[derive(Clone, Debug)]
struct Floor {
    now: Duration,
    before: Duration,
    turned_at: Instant,
}

impl Rtt {
    /// Of a path that nothing is known of.
    pub fn new(now: Instant) -> Self {
        let floor = Floor { now: Duration::MAX, before: Duration::MAX, turned_at: now };
        Self { latest: INITIAL_RTT, smoothed: None, variation: INITIAL_RTT / 2, floor }
    }

    /// Takes a sample: the time from sending a packet to its acknowledgement, which the peer says to have held back for
    /// `delay` (never more than it promised).
    pub fn sample(&mut self, now: Instant, sample: Duration, delay: Duration) {
        self.floor.sample(now, sample);
        // A delay that would put the peer nearer than it ever was is not believed.
        let adjusted = if sample >= self.floor() + delay { sample - delay } else { sample };
        self.latest = sample;
        let Some(smoothed) = self.smoothed else {
            self.smoothed = Some(sample);
            self.variation = sample / 2;
            return;
        };
        self.variation = (3 * self.variation + smoothed.abs_diff(adjusted)) / 4;
        self.smoothed = Some((7 * smoothed + adjusted) / 8);
    }

    /// The last sample.
    pub const fn latest(&self) -> Duration {
        self.latest
    }

    /// The mean that follows the samples; [`INITIAL_RTT`] before the first.
    pub fn smoothed(&self) -> Duration {
        self.smoothed.unwrap_or(INITIAL_RTT)
    }

    /// How far samples lie from the mean.
    pub const fn variation(&self) -> Duration {
        self.variation
    }

    /// The least sample of the last 5 to 10 s: the way without a queue. [`INITIAL_RTT`] before the first.
    pub fn floor(&self) -> Duration {
        let least = self.floor.now.min(self.floor.before);
        if least == Duration::MAX { INITIAL_RTT } else { least }
    }

    /// Whether there was a sample.
    pub const fn is_known(&self) -> bool {
        self.smoothed.is_some()
    }

    /// How long to wait for an acknowledgement before asking for one (RFC 9002 §6.2.1), of a peer that may hold it back
    /// for `delay`.
    pub fn probe_timeout(&self, delay: Duration) -> Duration {
        self.smoothed() + (4 * self.variation).max(GRANULARITY) + delay
    }
}

impl Floor {
    fn sample(&mut self, now: Instant, sample: Duration) {
        if now.since(self.turned_at) >= FLOOR_TIME / 2 {
            self.before = self.now;
            self.now = Duration::MAX;
            self.turned_at = now;
        }
        self.now = self.now.min(sample);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn after(samples: &[(u64, u32, u32)]) -> Rtt {
        let mut rtt = Rtt::new(Instant::ZERO);
        for &(second, sample, delay) in samples {
            rtt.sample(Instant::ZERO + Duration::from_secs(second), sample * MS, delay * MS);
        }
        rtt
    }

    #[test]
    fn the_estimates_of_rfc_9002() {
        let rtt = after(&[]);
        assert_eq!((rtt.smoothed(), rtt.floor(), rtt.is_known()), (INITIAL_RTT, INITIAL_RTT, false));
        assert_eq!(rtt.probe_timeout(25 * MS), 1_024 * MS);
        let rtt = after(&[(0, 100, 0)]);
        assert_eq!((rtt.smoothed(), rtt.variation(), rtt.probe_timeout(25 * MS)), (100 * MS, 50 * MS, 325 * MS));
        let rtt = after(&[(0, 100, 0), (0, 180, 0)]);
        assert_eq!((rtt.smoothed(), rtt.variation(), rtt.latest()), (110 * MS, 57_500 * MS / 1_000, 180 * MS));
    }

    #[test]
    fn a_delay_is_taken_off_unless_it_cannot_be_true() {
        assert_eq!(after(&[(0, 100, 0), (0, 180, 40)]).smoothed(), 105 * MS);
        assert_eq!(after(&[(0, 100, 0), (0, 108, 40)]).smoothed(), 101 * MS, "40 ms would make it 68");
    }

    #[test]
    fn the_floor_follows_a_longer_way_after_ten_seconds_and_a_shorter_one_at_once() {
        assert_eq!(after(&[(0, 100, 0), (4, 150, 0)]).floor(), 100 * MS);
        assert_eq!(after(&[(0, 100, 0), (4, 150, 0), (6, 150, 0)]).floor(), 100 * MS);
        assert_eq!(after(&[(0, 100, 0), (4, 150, 0), (6, 150, 0), (12, 150, 0)]).floor(), 150 * MS);
        assert_eq!(after(&[(0, 100, 0), (4, 80, 0)]).floor(), 80 * MS);
    }
}
