//! Points in time as people and programs read them.

use jiff::Timestamp;
use std::time::Duration;
use towline_hub::config::units::Span;

/// RFC 3339 in UTC, to the second; `never` for 0, which stands for "not known" on the wire.
pub(crate) fn utc(unix_ms: u64) -> String {
    let time = i64::try_from(unix_ms).ok().filter(|&ms| ms > 0).and_then(|ms| Timestamp::from_millisecond(ms).ok());
    match time {
        Some(time) => time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        None => "never".into(),
    }
}

/// A time span cut to its two largest units, as a glance needs it: `3m20s`, `2d4h`, `350ms`.
pub(crate) fn about(millis: u64) -> String {
    let unit = match millis {
        0..1_000 => 1,
        1_000..3_600_000 => 1_000,
        3_600_000..86_400_000 => 60_000,
        _ => 3_600_000,
    };
    Span(Duration::from_millis(millis / unit * unit)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_and_spans_are_short() {
        assert_eq!(utc(1_762_077_600_123), "2025-11-02T10:00:00Z");
        assert_eq!(utc(0), "never");
        assert_eq!(about(350), "350ms");
        assert_eq!(about(200_999), "3m20s");
        assert_eq!(about(187_201_000), "2d4h");
    }
}
