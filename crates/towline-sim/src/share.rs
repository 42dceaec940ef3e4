//! A part of a whole.

use crate::units::{print_decimal, read_decimal};
use std::fmt;
use std::str::FromStr;

const WHOLE: u32 = 1_000_000_000;

/// A part of all packets, exact to one in a thousand million; written as `0.1%`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share(u32);

impl Share {
    /// None at all.
    pub const NONE: Self = Self(0);
    /// Every one.
    pub const ALL: Self = Self(WHOLE);

    /// So many of a hundred, 100 at most.
    pub const fn percent(percent: u32) -> Self {
        Self::per_million(percent * 10_000)
    }

    /// So many of a million, all of them at most.
    pub const fn per_million(parts: u32) -> Self {
        assert!(parts <= 1_000_000, "more than all");
        Self(parts * 1_000)
    }

    /// So much of one, which must lie between 0 and 1.
    pub fn of_one(part: f64) -> Self {
        assert!((0.0..=1.0).contains(&part), "{part} is no part of one");
        Self((part * f64::from(WHOLE)).round() as u32)
    }

    /// As a number between 0 and 1.
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / f64::from(WHOLE)
    }

    /// In parts of [`Share::ALL`]: what a number drawn below a thousand million is held against.
    pub(crate) const fn per_thousand_million(self) -> u64 {
        self.0 as u64
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", print_decimal(self.0.into(), u64::from(WHOLE / 100)))
    }
}

/// The text was no share: one is written as `0.1%`, between `0%` and `100%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoShare;

impl FromStr for Share {
    type Err = NoShare;

    fn from_str(text: &str) -> Result<Self, NoShare> {
        let number = text.strip_suffix('%').ok_or(NoShare)?;
        let parts = read_decimal(number, u64::from(WHOLE / 100)).filter(|parts| *parts <= WHOLE.into());
        parts.map(|parts| Self(parts as u32)).ok_or(NoShare)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_read_and_printed_as_percent() {
        for (text, share) in
            [("0%", Share::NONE), ("0.1%", Share::per_million(1_000)), ("1%", Share::percent(1)), ("100%", Share::ALL)]
        {
            assert_eq!(text.parse(), Ok(share));
            assert_eq!(share.to_string(), text);
        }
        for text in ["", "1", "%", "100.0000001%", "101%", "-1%", "0.00000001%"] {
            assert_eq!(text.parse::<Share>(), Err(NoShare), "{text}");
        }
        assert_eq!(Share::of_one(0.03), Share::percent(3));
    }
}
