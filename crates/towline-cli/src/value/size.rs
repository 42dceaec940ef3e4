//! Sizes with their unit: `64k`, `256MB`, `2GiB`.

use std::fmt;
use std::str::FromStr;

/// A number of bytes as typed on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Size(pub(crate) u64);

/// Text that is no size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a size; write a number of bytes, or one with a unit, as in 64k, 256MB or 2GiB")]
pub(crate) struct NotASize(String);

/// Units by their lower-case names; `k`, `M`, `G`, `T` alone are decimal, as disks and networks count.
const UNITS: [(&str, u64); 14] = [
    ("", 1),
    ("b", 1),
    ("k", 1_000),
    ("kb", 1_000),
    ("kib", 1 << 10),
    ("m", 1_000_000),
    ("mb", 1_000_000),
    ("mib", 1 << 20),
    ("g", 1_000_000_000),
    ("gb", 1_000_000_000),
    ("gib", 1 << 30),
    ("t", 1_000_000_000_000),
    ("tb", 1_000_000_000_000),
    ("tib", 1 << 40),
];

impl FromStr for Size {
    type Err = NotASize;
    fn from_str(text: &str) -> Result<Self, NotASize> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let unit = text[digits..].trim_start().to_ascii_lowercase();
        let number: Option<u64> = text[..digits].parse().ok();
        let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|&(_, factor)| factor);
        number
            .zip(factor)
            .and_then(|(number, factor)| number.checked_mul(factor))
            .map(Self)
            .ok_or_else(|| NotASize(text.into()))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
        match steps.into_iter().find(|&(unit, _)| self.0 >= unit) {
            Some((unit, name)) if self.0.is_multiple_of(unit) => f.pad(&format!("{} {name}", self.0 / unit)),
            Some((unit, name)) => f.pad(&format!("{:.1} {name}", self.0 as f64 / unit as f64)),
            None => f.pad(&format!("{} B", self.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_decimal_unless_they_say_otherwise() {
        for (text, bytes) in
            [("0", 0), ("17", 17), ("64k", 64_000), ("256MB", 256_000_000), ("2GiB", 2 << 30), ("1 kib", 1024)]
        {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for bad in ["", "k", "-1", "1.5k", "1 q", "99999999999T"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_are_shown_short() {
        assert_eq!(Size(256_000_000).to_string(), "256 MB");
        assert_eq!(Size(2_408_297).to_string(), "2.4 MB");
        assert_eq!(Size(999).to_string(), "999 B");
    }
}
