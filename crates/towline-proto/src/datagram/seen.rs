//! Which of the peer's packets came: what is said in acknowledgements, and that no packet counts twice.

use core::ops::RangeInclusive;

use crate::bits::Bits;

/// How far below the largest number a packet may come and still be taken: more than any path holds (a quarter of a
/// million packets are 3 s at 1 Gbit/s). The bits of all of them take 32 KiB, whatever the network loses.
const WINDOW: u64 = 1 << 18;

/// The numbers that came. No number of gaps is too many: a gap costs neither memory nor a search.
#[derive(Debug, Default)]
pub struct Seen {
    came: Bits,
    /// Numbers below need not be said: the peer knows of them.
    told: u64,
    largest: Option<u64>,
}

impl Seen {
    /// The largest number that came.
    pub const fn largest(&self) -> Option<u64> {
        self.largest
    }

    /// Notes a number; false if it came before, or so late that nobody knows.
    pub fn insert(&mut self, number: u64) -> bool {
        self.came.forget_below(number.saturating_sub(WINDOW));
        let is_new = self.came.insert(number);
        if is_new {
            self.largest = self.largest.max(Some(number));
            // The peer gave it up for lost; that it came tells the peer more about the network.
            self.told = self.told.min(number);
        }
        is_new
    }

    /// The peer needs to hear no more of numbers below `number`.
    pub fn told_below(&mut self, number: u64) {
        self.told = self.told.max(number);
    }

    /// The runs of numbers that came and that the peer may not know of, from the largest down.
    pub fn runs(&self) -> impl Iterator<Item = RangeInclusive<u64>> + '_ {
        let floor = self.told.max(self.came.base());
        let mut next = self.largest;
        core::iter::from_fn(move || {
            let last = self.came.last(next?, floor, true)?;
            let missing = self.came.last(last, floor, false);
            next = missing.and_then(|missing| missing.checked_sub(1));
            Some(missing.map_or(floor, |missing| missing + 1)..=last)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn seen(numbers: &[u64]) -> Seen {
        let mut seen = Seen::default();
        numbers.iter().for_each(|&number| assert!(seen.insert(number)));
        seen
    }

    fn runs(seen: &Seen) -> Vec<(u64, u64)> {
        seen.runs().map(|run| run.into_inner()).collect()
    }

    #[test]
    fn runs_are_told_from_the_largest_down() {
        assert_eq!(runs(&Seen::default()), []);
        assert_eq!(runs(&seen(&[0])), [(0, 0)]);
        assert_eq!(runs(&seen(&[5, 3, 4, 9, 200, 64, 63, 0])), [(200, 200), (63, 64), (9, 9), (3, 5), (0, 0)]);
    }

    #[test]
    fn a_number_counts_once() {
        let mut seen = seen(&[1, 130]);
        assert!(!seen.insert(130) && !seen.insert(1) && seen.insert(129));
    }

    #[test]
    fn what_the_peer_knows_is_not_told_again_but_what_comes_late_is() {
        let mut seen = seen(&[0, 1, 2, 5, 6]);
        seen.told_below(6);
        assert_eq!(runs(&seen), [(6, 6)]);
        assert!(seen.insert(4));
        assert_eq!(runs(&seen), [(4, 6)]);
        assert!(!seen.insert(2), "known, though not told any more");
    }

    #[test]
    fn the_window_is_as_wide_as_said_and_no_wider() {
        let far = 10 * WINDOW;
        let mut seen = seen(&[far]);
        assert!(seen.insert(far - WINDOW), "at the limit");
        assert!(!seen.insert(far - WINDOW - 1), "past it");
        assert!(seen.insert(u64::MAX / 4), "a leap costs no memory");
        assert!(seen.came.capacity() as u64 <= 2 * (WINDOW / 8 + 8));
    }

    proptest! {
        #[test]
        fn it_is_a_set(steps in prop::collection::vec((0u64..700, any::<bool>()), 1..400)) {
            let (mut seen, mut model, mut told) = (Seen::default(), BTreeSet::new(), 0);
            for (number, tell) in steps {
                if tell {
                    seen.told_below(number);
                    told = told.max(number);
                    continue;
                }
                let is_new = model.insert(number);
                prop_assert_eq!(seen.insert(number), is_new);
                if is_new {
                    told = told.min(number);
                }
                let listed: Vec<u64> = seen.runs().flat_map(|run| run.rev()).collect();
                let expected: Vec<u64> = model.iter().rev().copied().filter(|&number| number >= told).collect();
                prop_assert_eq!(listed, expected);
            }
        }
    }
}
