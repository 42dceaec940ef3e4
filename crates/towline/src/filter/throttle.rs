//! No more than so many bytes a second.

use tokio::time::{Duration, Instant};

use super::{Allowance, Direction, Filter, FilterError, More};

/// The least that passes at once, in bytes: a rate is kept by pauses, not by writing single bytes.
const STEP_BYTES: u64 = 1_024;

/// Lets at most so many bytes a second pass in each direction, after a first burst.
#[derive(Debug)]
pub struct Throttle {
    inbound: Bucket,
    outbound: Bucket,
}

/// Tokens, one for a byte, that fill up at a rate.
#[derive(Debug)]
struct Bucket {
    bytes_per_second: u64,
    burst_bytes: u64,
    tokens: u64,
    /// Up to when tokens were given; the fraction of a token that is owed lies between it and now.
    filled: Option<Instant>,
}

impl Bucket {
    fn new(bytes_per_second: u64, burst_bytes: u64) -> Self {
        let burst_bytes = burst_bytes.max(STEP_BYTES);
        Self { bytes_per_second: bytes_per_second.max(1), burst_bytes, tokens: burst_bytes, filled: None }
    }

    fn fill(&mut self, now: Instant) {
        let since = *self.filled.get_or_insert(now);
        let owed = (now - since).as_nanos() * u128::from(self.bytes_per_second) / 1_000_000_000;
        let owed = u64::try_from(owed).unwrap_or(u64::MAX);
        self.tokens = self.tokens.saturating_add(owed).min(self.burst_bytes);
        self.filled = Some(if self.tokens == self.burst_bytes { now } else { since + self.time_for(owed) });
    }

    fn time_for(&self, bytes: u64) -> Duration {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn allowance(&mut self, now: Instant) -> Allowance {
        self.fill(now);
        let step = STEP_BYTES.min(self.burst_bytes);
        if self.tokens >= step {
            return Allowance::Bytes(usize::try_from(self.tokens).unwrap_or(usize::MAX));
        }
        // A nanosecond more than the exact time, which was rounded down.
        let wait = self.time_for(step - self.tokens) + Duration::from_nanos(1);
        Allowance::NotBefore(self.filled.unwrap_or(now) + wait)
    }

    fn pass(&mut self, bytes: usize) {
        self.tokens = self.tokens.saturating_sub(bytes as u64);
    }
}

impl Throttle {
    /// At most `bytes_per_second` in each direction, and `burst_bytes` at once after a rest (at least 1 KiB).
    pub fn new(bytes_per_second: u64, burst_bytes: u64) -> Self {
        let bucket = || Bucket::new(bytes_per_second, burst_bytes);
        Self { inbound: bucket(), outbound: bucket() }
    }
}

impl Filter for Throttle {
    fn inbound(&mut self, _now: Instant, bytes: &[u8], out: &mut Vec<u8>) -> Result<More, FilterError> {
        self.inbound.pass(bytes.len());
        out.extend_from_slice(bytes);
        Ok(More::No)
    }

    fn outbound(&mut self, _now: Instant, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), FilterError> {
        self.outbound.pass(bytes.len());
        out.extend_from_slice(bytes);
        Ok(())
    }

    fn allowance(&mut self, now: Instant, direction: Direction) -> Allowance {
        match direction {
            Direction::Inbound => self.inbound.allowance(now),
            Direction::Outbound => self.outbound.allowance(now),
        }
    }
}
