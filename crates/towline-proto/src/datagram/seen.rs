//! Which of the peer's packets came: what is said in acknowledgements, and that no packet counts twice.
//!
//! A bit for each number, in a circular buffer of words. Nothing is searched and nothing allocated for a gap, so a peer
//! whose network loses every third packet costs what any other costs, and no number of gaps is too many.

use core::ops::RangeInclusive;
use std::collections::VecDeque;

/// Numbers in one word.
const WORD: u64 = 64;

/// How far below the largest number a packet may come and still be taken: more than any path holds (a quarter of a
/// million packets are 3 s at 1 Gbit/s). The bits of all of them take 32 KiB.
const WINDOW_MAX: u64 = 1 << 18;

/// The numbers that came.
#[derive(Debug, Default)]
pub struct Seen {
    /// Bits of the numbers from `base` on, the lowest bit of a word first.
    words: VecDeque<u64>,
    /// The number of the first bit; a multiple of [`WORD`].
    base: u64,
    /// Numbers below are not said any more: the peer knows of them.
    told: u64,
    largest: Option<u64>,
}

impl Seen {
    /// The largest number that came.
    pub const fn largest(&self) -> Option<u64> {
        self.largest
    }

    /// Notes a number; false if it came before, or so long ago that nobody knows.
    pub fn insert(&mut self, number: u64) -> bool {
        if number < self.base {
            return false;
        }
        self.make_room(number);
        let (index, bit) = self.place(number);
        let is_new = self.words[index] & bit == 0;
        self.words[index] |= bit;
        if is_new {
            self.largest = self.largest.max(Some(number));
            // Who says a number again that was thought settled has not heard that it came.
            self.told = self.told.min(number);
        }
        is_new
    }

    /// The peer has heard of all numbers up to and including `number`, come or not.
    pub fn told_up_to(&mut self, number: u64) {
        self.told = self.told.max(number + 1);
    }

    /// Whether a number came; what lies too far back counts as come.
    pub fn contains(&self, number: u64) -> bool {
        if number < self.base {
            return true;
        }
        let (index, bit) = self.place(number);
        self.words.get(index).is_some_and(|word| word & bit != 0)
    }

    /// The runs of numbers that came and that the peer may not know of, from the largest down.
    pub fn runs(&self) -> Runs<'_> {
        Runs { seen: self, next: self.largest, floor: self.told.max(self.base) }
    }

    fn place(&self, number: u64) -> (usize, u64) {
        let above = number - self.base;
        ((above / WORD) as usize, 1 << (above % WORD))
    }

    fn make_room(&mut self, number: u64) {
        if number - self.base >= WINDOW_MAX + WORD {
            let base = (number - WINDOW_MAX) / WORD * WORD;
            let gone = ((base - self.base) / WORD) as usize;
            self.words.drain(..gone.min(self.words.len()));
            self.base = base;
        }
        self.forget_settled();
        let words = ((number - self.base) / WORD) as usize + 1;
        if words > self.words.len() {
            self.words.resize(words, 0);
        }
    }

    /// Lets go of full words that the peer knows of: numbers below `base` count as come, and all of those did.
    fn forget_settled(&mut self) {
        while self.base + WORD <= self.told && self.words.front() == Some(&u64::MAX) {
            self.words.pop_front();
            self.base += WORD;
        }
    }

    /// The largest number at or below `from` whose being there is `there`, not below `floor`.
    fn last(&self, from: u64, floor: u64, there: bool) -> Option<u64> {
        let mut at = from;
        while at >= floor && at >= self.base {
            let (index, _) = self.place(at);
            let word = if there { self.words[index] } else { !self.words[index] };
            let upto = (at - self.base) % WORD;
            let below = word << (WORD - 1 - upto);
            if below != 0 {
                let found = at - u64::from(below.leading_zeros());
                return (found >= floor).then_some(found);
            }
            at = at.checked_sub(upto + 1)?;
        }
        None
    }
}

/// See [`Seen::runs`].
#[derive(Debug)]
pub struct Runs<'a> {
    seen: &'a Seen,
    next: Option<u64>,
    floor: u64,
}

impl Iterator for Runs<'_> {
    type Item = RangeInclusive<u64>;

    fn next(&mut self) -> Option<Self::Item> {
        let last = self.seen.last(self.next?, self.floor, true)?;
        let missing = self.seen.last(last, self.floor, false);
        self.next = missing.and_then(|missing| missing.checked_sub(1));
        Some(missing.map_or(self.floor, |missing| missing + 1)..=last)
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
        seen.told_up_to(5);
        assert_eq!(runs(&seen), [(6, 6)]);
        assert!(seen.insert(4));
        assert_eq!(runs(&seen), [(4, 6)]);
        assert!(!seen.insert(2), "known, though not told any more");
    }

    #[test]
    fn the_window_is_as_wide_as_said_and_no_wider() {
        let far = WINDOW_MAX + 10 * WORD;
        let mut seen = seen(&[far]);
        assert!(seen.insert(far - WINDOW_MAX), "at the limit");
        assert!(!seen.insert((far - WINDOW_MAX) / WORD * WORD - 1), "past it");
        assert!(seen.insert(u64::MAX / 4), "a leap costs no memory");
        assert!(seen.words.len() as u64 <= WINDOW_MAX / WORD + 2);
    }

    #[test]
    fn a_long_flow_without_loss_holds_a_word_or_two() {
        let mut seen = Seen::default();
        for number in 0..1_000_000 {
            assert!(seen.insert(number));
            if number % 10 == 9 {
                seen.told_up_to(number - 5);
            }
        }
        assert!(seen.words.len() < 4 && seen.words.capacity() < 64);
    }

    proptest! {
        #[test]
        fn it_is_a_set(steps in prop::collection::vec((0u64..700, any::<bool>()), 1..400)) {
            let (mut seen, mut model, mut told) = (Seen::default(), BTreeSet::new(), 0);
            for (number, tell) in steps {
                if tell && seen.largest().is_some_and(|largest| number <= largest) {
                    seen.told_up_to(number);
                    told = told.max(number + 1);
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
