//! How long to wait before the next try.

use std::time::Duration;

/// The first wait: a link that was cut by accident is back before anybody notices.
const FIRST: Duration = Duration::from_millis(100);

/// The longest wait: a hub that is back is found within half a minute.
const LONGEST: Duration = Duration::from_secs(30);

/// Doubling waits, each drawn from its upper half, so that a thousand devices do not come back at the same moment.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self { next: FIRST }
    }

    /// The next wait; `random` is uniform over all its values.
    pub(crate) fn wait(&mut self, random: u32) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(LONGEST);
        whole / 2 + whole.mul_f64(f64::from(random) / f64::from(u32::MAX) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_their_bound_and_stay_in_their_upper_half() {
        let (mut low, mut high) = (Backoff::new(), Backoff::new());
        let mut whole = FIRST;
        for _ in 0..20 {
            assert_eq!(low.wait(0), whole / 2);
            assert_eq!(high.wait(u32::MAX), whole);
            whole = (whole * 2).min(LONGEST);
        }
        assert_eq!(whole, LONGEST);
    }
}
