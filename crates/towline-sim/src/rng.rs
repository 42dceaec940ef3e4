//! Chance that can be repeated.

use crate::Share;

/// A small generator (SplitMix64): not for secrets, the same on every machine and in every version of this crate.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The generator of a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator of its own, so that what one part draws does not shift what another gets.
    pub const fn fork(&mut self) -> Self {
        Self(self.next())
    }

    /// The next 64 bits.
    #[allow(clippy::should_implement_trait)] // It never ends, and an iterator's adaptors would hide the order of draws.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below `bound`, which must not be 0. (It favours small numbers by less than `bound` in 2^64.)
    pub const fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// A number from `low` to `high`, both included.
    pub const fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True `permille` times in a thousand.
    pub const fn chance(&mut self, permille: u64) -> bool {
        self.below(1_000) < permille
    }

    /// True for this share of all draws. Nothing is drawn for none.
    pub const fn hits(&mut self, share: Share) -> bool {
        let parts = share.per_thousand_million();
        parts > 0 && self.below(1_000_000_000) < parts
    }

    /// One of `choices`, which must not be empty.
    pub const fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len() as u64) as usize]
    }

    /// This many bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_for_ever() {
        let mut rng = Rng::new(1_234_567);
        let drawn: Vec<_> = (0..3).map(|_| rng.next()).collect();
        assert_eq!(drawn, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn draws_stay_within_their_bounds() {
        let mut rng = Rng::new(5);
        for _ in 0..1_000 {
            assert!(rng.below(3) < 3);
            assert!((7..=9).contains(&rng.between(7, 9)));
            assert!(!rng.chance(0) && rng.chance(1_000));
            assert!(!rng.hits(Share::NONE) && rng.hits(Share::ALL));
            assert!([1, 2, 3].contains(rng.pick(&[1, 2, 3])));
        }
        assert_eq!(rng.bytes(9).len(), 9);
    }

    #[test]
    fn a_fork_goes_its_own_way() {
        let mut one = Rng::new(5);
        let mut fork = one.fork();
        let mut again = Rng::new(5);
        again.next();
        assert_eq!(one.next(), again.next());
        assert_ne!(fork.next(), Rng::new(5).next());
    }
}
