//! Amounts as people write them: `100Mbit`, `1.5ms`, `0.1%`. Read exactly or refused, never rounded.

use crate::Nanos;

/// Reads a decimal number in units of one part in `scale`, a power of ten; `None` if it is none, or finer than that.
pub(crate) fn read_decimal(text: &str, scale: u64) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || (text.contains('.') && !digits(part)) {
        return None;
    }
    let part = part.trim_end_matches('0');
    let finest = scale.ilog10() as usize;
    if part.len() > finest {
        return None;
    }
    let padded = format!("{part:0<finest$}");
    let part: u64 = if padded.is_empty() { 0 } else { padded.parse().ok()? };
    whole.parse::<u64>().ok()?.checked_mul(scale)?.checked_add(part)
}

/// Prints what [`read_decimal`] reads, without zeros that say nothing.
pub(crate) fn print_decimal(value: u64, scale: u64) -> String {
    let finest = scale.ilog10() as usize;
    let text = format!("{}.{:0finest$}", value / scale, value % scale);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A unit's names, the printed one first, and how many of the smallest unit it is.
type Unit = (&'static [&'static str], u64);

const RATES: &[Unit] =
    &[(&["Gbit", "G"], 1_000_000_000), (&["Mbit", "M"], 1_000_000), (&["kbit", "k"], 1_000), (&["bit"], 1)];
const TIMES: &[Unit] = &[(&["s"], 1_000_000_000), (&["ms"], 1_000_000), (&["us"], 1_000), (&["ns"], 1)];
const SIZES: &[Unit] = &[(&["MB"], 1_000_000), (&["kB"], 1_000), (&["B"], 1)];

/// Bits in a second: `100Mbit`, `1.5G`, `64k`.
pub(crate) fn read_rate(text: &str) -> Option<u64> {
    read(text, RATES)
}

/// Prints what [`read_rate`] reads.
pub(crate) fn print_rate(bits_per_second: u64) -> String {
    print(bits_per_second, RATES)
}

/// A span of time: `100ms`, `1.5s`, `20us`.
pub(crate) fn read_time(text: &str) -> Option<Nanos> {
    read(text, TIMES)
}

/// Prints what [`read_time`] reads.
pub(crate) fn print_time(span: Nanos) -> String {
    print(span, TIMES)
}

/// Bytes: `1500B`, `250kB`, `1.25MB`.
pub(crate) fn read_size(text: &str) -> Option<u64> {
    read(text, SIZES)
}

/// Prints what [`read_size`] reads.
pub(crate) fn print_size(bytes: u64) -> String {
    print(bytes, SIZES)
}

fn read(text: &str, units: &[Unit]) -> Option<u64> {
    let letters = text.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(letters);
    let (_, scale) = units.iter().find(|(names, _)| names.contains(&unit))?;
    read_decimal(number, *scale)
}

/// In the largest unit of which there is at least one.
fn print(value: u64, units: &[Unit]) -> String {
    let smallest = units.last().expect("every table has units");
    let (names, scale) = units.iter().find(|(_, scale)| value >= *scale).unwrap_or(smallest);
    print_decimal(value, *scale) + names[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rng;

    #[test]
    fn amounts_are_read_exactly_or_refused() {
        assert_eq!(read_rate("100Mbit"), Some(100_000_000));
        assert_eq!(read_rate("1.5G"), Some(1_500_000_000));
        assert_eq!(read_time("0.25ms"), Some(250_000));
        assert_eq!(read_size("62.5kB"), Some(62_500));
        for text in ["", "100", "Mbit", "1.Mbit", ".5Mbit", "-1Mbit", "1e3bit", "1 Mbit", "0.1bit", "99999999999Gbit"] {
            assert_eq!(read_rate(text), None, "{text}");
        }
        assert_eq!(read_time("1.0000000001s"), None, "finer than a nanosecond");
    }

    #[test]
    fn what_is_printed_is_read_back_the_same() {
        let mut rng = Rng::new(1);
        for _ in 0..1_000 {
            let digits = rng.below(62);
            let value = rng.below(1 << digits);
            assert_eq!(read_rate(&print_rate(value)), Some(value));
            assert_eq!(read_time(&print_time(value)), Some(value));
            assert_eq!(read_size(&print_size(value)), Some(value));
        }
        assert_eq!([print_rate(1_500_000), print_time(0), print_size(312_500)], ["1.5Mbit", "0ns", "312.5kB"]);
    }
}
