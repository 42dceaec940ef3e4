//! A set of numbers that grow: one bit each, in a circular buffer of words, so that nothing is searched and no gap costs.

use std::collections::VecDeque;

/// Numbers in one word.
const WORD: u64 = u64::BITS as u64;

/// Numbers from a base on, each in or out. Numbers below the base are neither.
#[derive(Clone, Debug, Default)]
pub struct Bits {
    /// The lowest number stands in the lowest bit.
    words: VecDeque<u64>,
    /// The number of the first bit; a multiple of [`WORD`].
    base: u64,
}

impl Bits {
    /// The least number that is kept.
    pub const fn base(&self) -> u64 {
        self.base
    }

    /// How many bytes of memory it has allocated.
    pub fn capacity(&self) -> usize {
        self.words.capacity() * size_of::<u64>()
    }

    /// Whether a number is in.
    pub fn contains(&self, number: u64) -> bool {
        let Some((index, bit)) = self.place(number) else { return false };
        self.words.get(index).is_some_and(|word| word & bit != 0)
    }

    /// Puts a number in; false if it was in, or lies below the base.
    pub fn insert(&mut self, number: u64) -> bool {
        let Some((index, bit)) = self.place(number) else { return false };
        if index >= self.words.len() {
            self.words.resize(index + 1, 0);
        }
        let is_new = self.words[index] & bit == 0;
        self.words[index] |= bit;
        is_new
    }

    /// Takes a number out; whether it was in.
    pub fn remove(&mut self, number: u64) -> bool {
        let Some((index, bit)) = self.place(number) else { return false };
        let Some(word) = self.words.get_mut(index) else { return false };
        let was_in = *word & bit != 0;
        *word &= !bit;
        was_in
    }

    /// The least number in the set that is at least `from`.
    pub fn next(&self, from: u64) -> Option<u64> {
        let from = from.max(self.base);
        let (mut index, _) = self.place(from)?;
        let mut word = self.words.get(index)? >> (from % WORD) << (from % WORD);
        while word == 0 {
            index += 1;
            word = *self.words.get(index)?;
        }
        Some(self.base + index as u64 * WORD + u64::from(word.trailing_zeros()))
    }

    /// The largest number at most `from` and at least `floor` that is in the set, or that is not, as `is_in` says.
    pub fn last(&self, from: u64, floor: u64, is_in: bool) -> Option<u64> {
        let floor = floor.max(self.base);
        let mut at = from;
        while at >= floor {
            let (index, _) = self.place(at)?;
            let word = self.words.get(index).copied().unwrap_or_default();
            let word = if is_in { word } else { !word };
            let above = WORD - 1 - at % WORD;
            let below = word << above;
            if below != 0 {
                let found = at - u64::from(below.leading_zeros());
                return (found >= floor).then_some(found);
            }
            at = at.checked_sub(WORD - above)?;
        }
        None
    }

    /// Forgets numbers below `floor`, as far as whole words go.
    pub fn forget_below(&mut self, floor: u64) {
        let base = (floor / WORD * WORD).max(self.base);
        let gone = usize::try_from((base - self.base) / WORD).unwrap_or(usize::MAX);
        self.words.drain(..gone.min(self.words.len()));
        self.base = base;
    }

    fn place(&self, number: u64) -> Option<(usize, u64)> {
        let above = number.checked_sub(self.base)?;
        Some(((above / WORD) as usize, 1 << (above % WORD)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn an_empty_set_has_nothing_and_lacks_everything() {
        let bits = Bits::default();
        assert!(!bits.contains(0) && bits.next(0).is_none() && bits.last(500, 0, true).is_none());
        assert_eq!(bits.last(500, 0, false), Some(500));
    }

    #[test]
    fn whole_words_are_forgotten() {
        let mut bits = Bits::default();
        assert!(bits.insert(63) && bits.insert(64) && bits.insert(200));
        bits.forget_below(63);
        assert!(bits.base() == 0 && bits.contains(63));
        bits.forget_below(65);
        assert!(bits.base() == 64 && !bits.contains(63) && bits.contains(64) && !bits.insert(63));
        bits.forget_below(1 << 40);
        assert!(bits.next(0).is_none() && bits.insert(1 << 40));
    }

    proptest! {
        #[test]
        fn it_is_a_set(steps in prop::collection::vec((0u64..300, 0u8..8), 1..300), from in 0u64..320, floor in 0u64..320) {
            let (mut bits, mut model) = (Bits::default(), BTreeSet::new());
            for (number, what) in steps {
                match what {
                    0 => {
                        bits.forget_below(number);
                        model.retain(|&kept| kept >= bits.base());
                    }
                    1 | 2 => prop_assert_eq!(bits.remove(number), model.remove(&number)),
                    _ if number >= bits.base() => prop_assert_eq!(bits.insert(number), model.insert(number)),
                    _ => prop_assert!(!bits.insert(number)),
                }
                prop_assert_eq!(bits.contains(number), model.contains(&number));
            }
            prop_assert_eq!(bits.next(from), model.range(from..).next().copied());
            let floor = floor.max(bits.base());
            let is_in = (floor..=from).rev().find(|number| model.contains(number));
            let is_out = (floor..=from).rev().find(|number| !model.contains(number));
            prop_assert_eq!((bits.last(from, floor, true), bits.last(from, floor, false)), (is_in, is_out));
        }
    }
}
