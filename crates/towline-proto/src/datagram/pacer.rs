//! When the next packet may leave: a bucket that fills at the paced rate and holds one quantum.

use crate::time::{Duration, Instant};

/// A quantum is what leaves in this time: the coarsest that timers of general systems wake reliably.
const QUANTUM_TIME: Duration = Duration::from_millis(1);

/// The least quantum, in packets: what one call can hand to the system at slow rates without a burst that a short queue
/// would not hold.
const QUANTUM_MIN_PACKETS: u64 = 2;

/// The largest quantum, in packets: what one call can hand to the system (UDP segmentation offload).
const QUANTUM_MAX_PACKETS: u64 = 64;

/// See the module's page.
#[derive(Clone, Debug)]
pub struct Pacer {
    /// Bytes that may leave now; below zero by what left ahead of its time.
    credit: i64,
    filled_at: Instant,
    /// What filled it so far and was less than a byte, in billionths of a byte.
    left_over: u64,
}

impl Pacer {
    /// A full bucket would be a burst: it begins with the least quantum, of packets of `packet` bytes.
    pub const fn new(now: Instant, packet: u64) -> Self {
        Self { credit: (QUANTUM_MIN_PACKETS * packet) as i64, filled_at: now, left_over: 0 }
    }

    /// How many bytes leave together at `rate` bytes a second, in packets of `packet` bytes.
    pub fn quantum(rate: u64, packet: u64) -> u64 {
        let in_time = (u128::from(rate) * QUANTUM_TIME.as_nanos() / 1_000_000_000) as u64;
        in_time.clamp(QUANTUM_MIN_PACKETS * packet, QUANTUM_MAX_PACKETS * packet)
    }

    /// When a packet may leave; `None` for now.
    pub fn poll(&mut self, now: Instant, rate: u64, packet: u64) -> Option<Instant> {
        self.fill(now, rate, packet);
        if self.credit > 0 {
            return None;
        }
        // Slept until a whole quantum is there, so that one wake-up serves all of it.
        let missing = (Self::quantum(rate, packet) as i64 - self.credit) as u128;
        let nanos = (missing * 1_000_000_000).div_ceil(u128::from(rate.max(1)));
        Some(now + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    /// A packet of so many bytes leaves.
    pub const fn sent(&mut self, bytes: u64) {
        self.credit -= bytes as i64;
    }

    fn fill(&mut self, now: Instant, rate: u64, packet: u64) {
        let nanos = u128::from(now.since(self.filled_at).as_nanos() as u64);
        self.filled_at = self.filled_at.max(now);
        let work = nanos * u128::from(rate) + u128::from(self.left_over);
        self.left_over = (work % 1_000_000_000) as u64;
        let quantum = Self::quantum(rate, packet) as i64;
        let gained = i64::try_from(work / 1_000_000_000).unwrap_or(i64::MAX);
        self.credit = self.credit.saturating_add(gained).min(quantum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: u64 = 1_000;

    /// Lets `rate` flow for a second from a bucket that begins now; bytes sent and the largest burst.
    fn run(rate: u64) -> (u64, u64) {
        let mut pacer = Pacer::new(Instant::ZERO, PACKET);
        let (mut now, mut sent, mut largest) = (Instant::ZERO, 0, 0);
        while now < Instant::ZERO + Duration::from_secs(1) {
            let mut burst = 0;
            now = loop {
                match pacer.poll(now, rate, PACKET) {
                    Some(later) => break later,
                    None => pacer.sent(PACKET),
                }
                burst += PACKET;
            };
            sent += burst;
            largest = largest.max(burst);
        }
        (sent, largest)
    }

    #[test]
    fn it_keeps_its_rate_in_bursts_of_a_quantum() {
        for rate in [10_000, 125_000, 1_250_000, 12_500_000, 125_000_000] {
            let (sent, largest) = run(rate);
            let quantum = Pacer::quantum(rate, PACKET);
            assert!(sent.abs_diff(rate) <= 2 * quantum, "{sent} of {rate}");
            assert!(largest <= quantum + PACKET, "{largest} at {rate}");
        }
    }

    #[test]
    fn a_quantum_is_a_millisecond_within_its_bounds() {
        assert_eq!(Pacer::quantum(1_000, PACKET), 2 * PACKET);
        assert_eq!(Pacer::quantum(12_500_000, PACKET), 12_500);
        assert_eq!(Pacer::quantum(u64::MAX, PACKET), 64 * PACKET);
    }

    #[test]
    fn a_pause_earns_one_quantum_and_no_more() {
        let mut pacer = Pacer::new(Instant::ZERO, PACKET);
        let later = Instant::ZERO + Duration::from_secs(3_600);
        let mut burst = 0;
        while pacer.poll(later, 1_250_000, PACKET).is_none() {
            pacer.sent(PACKET);
            burst += PACKET;
        }
        assert_eq!(burst, 2 * PACKET);
    }

    #[test]
    fn a_rate_of_nothing_never_comes_round_and_breaks_nothing() {
        let mut pacer = Pacer::new(Instant::ZERO, PACKET);
        pacer.sent(5 * PACKET);
        assert!(pacer.poll(Instant::ZERO, 0, PACKET).is_some_and(|at| at > Instant::ZERO + Duration::from_secs(1_000)));
    }
}
