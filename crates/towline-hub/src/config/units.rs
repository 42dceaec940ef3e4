//! Durations such as `30s` or `1h30m`, and sizes such as `64MiB`, as people write them.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use towline_proto::limits::{MAX_PROBE_PERIOD, MIN_PROBE_PERIOD};

/// Text that is no duration or size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {wanted}")]
pub struct BadUnit {
    text: String,
    wanted: &'static str,
}

/// A duration: numbers with `ms`, `s`, `m`, `h`, `d` or `w`, largest first if several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// A size in bytes: a number with nothing, `B`, `kB`, `MB`, `GB`, `TB` (thousands) or `KiB`, `MiB`, `GiB`, `TiB` (1024s).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// The units of a duration in milliseconds, longest first.
const SPAN_UNITS: [(&str, u64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
/// The units of a size in bytes, binary ones first since those are how a size is shown again.
const SIZE_UNITS: [(&str, u64); 10] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("KB", 1_000),
    ("B", 1),
];

impl Span {
    /// Whole milliseconds.
    pub fn as_millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }

    /// A span of so many seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// This span, if it can be a period of probes.
    ///
    /// # Errors
    /// With the bounds, for the one who wrote it.
    pub fn as_probe_period(self) -> Result<Duration, String> {
        let (least, most) = (Self(MIN_PROBE_PERIOD), Self(MAX_PROBE_PERIOD));
        match self {
            span if (least..=most).contains(&span) => Ok(span.0),
            span => Err(format!("`probe_period` is {span}; it must be {least} to {most}")),
        }
    }
}

/// A number and the letters behind it, and what follows both.
fn number_and_unit(text: &str) -> Option<(u64, &str, &str)> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    let letters = rest.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(letters);
    Some((number.parse().ok()?, unit, rest))
}

fn millis(text: &str) -> Option<u64> {
    let (mut rest, mut sum, mut last) = (text, 0u64, u64::MAX);
    while !rest.is_empty() {
        let (number, unit, after) = number_and_unit(rest)?;
        let &(_, factor) = SPAN_UNITS.iter().find(|(name, _)| *name == unit)?;
        if factor >= last {
            return None;
        }
        sum = sum.checked_add(number.checked_mul(factor)?)?;
        (rest, last) = (after, factor);
    }
    (last != u64::MAX).then_some(sum)
}

fn bytes(text: &str) -> Option<u64> {
    let (number, unit, rest) = number_and_unit(&text.replace(' ', ""))
        .map(|(number, unit, rest)| (number, unit.to_owned(), rest.to_owned()))?;
    let factor = match unit.as_str() {
        "" => 1,
        unit => SIZE_UNITS.iter().find(|(name, _)| *name == unit)?.1,
    };
    rest.is_empty().then(|| number.checked_mul(factor)).flatten()
}

impl FromStr for Span {
    type Err = BadUnit;
    fn from_str(text: &str) -> Result<Self, BadUnit> {
        millis(text.trim())
            .map(|millis| Self(Duration::from_millis(millis)))
            .ok_or_else(|| BadUnit { text: text.into(), wanted: "duration (such as 500ms, 30s, 5m, 1h30m, 7d)" })
    }
}

impl FromStr for Size {
    type Err = BadUnit;
    fn from_str(text: &str) -> Result<Self, BadUnit> {
        bytes(text.trim())
            .map(Self)
            .ok_or_else(|| BadUnit { text: text.into(), wanted: "size (such as 4096, 64KiB, 10MiB, 2GB)" })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.as_millis();
        if left == 0 {
            return f.write_str("0s");
        }
        // Weeks are read and never shown: `30d` says more at a glance than `4w2d`.
        for &(unit, factor) in &SPAN_UNITS[1..] {
            if left >= factor {
                write!(f, "{}{unit}", left / factor)?;
                left %= factor;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = SIZE_UNITS[..4].iter().find(|(_, factor)| self.0 != 0 && self.0.is_multiple_of(*factor));
        match whole {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}", self.0),
        }
    }
}

/// Written as text; a bare number is a number of bytes, and no duration.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a number, or text with a unit such as 30s or 64MiB")]
enum Written {
    Text(String),
    Number(u64),
}

impl Written {
    fn parsed<T: FromStr<Err = BadUnit>>(self) -> Result<T, BadUnit> {
        match self {
            Self::Text(text) => text.parse(),
            Self::Number(number) => number.to_string().parse(),
        }
    }
}

macro_rules! as_text {
    ($($name:ty),*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Written::deserialize(deserializer)?.parsed().map_err(serde::de::Error::custom)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )*};
}
as_text!(Span, Size);

#[cfg(test)]
mod tests;
