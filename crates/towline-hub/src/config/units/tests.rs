use super::*;
use proptest::prelude::*;

#[test]
fn durations_are_read_as_written() {
    for (text, millis) in [("30s", 30_000), ("500ms", 500), ("1h30m", 5_400_000), ("7d", 604_800_000), ("0s", 0)] {
        assert_eq!(text.parse::<Span>().map(Span::as_millis), Ok(millis), "{text}");
    }
    for bad in ["", "30", "s", "3x", "30s1h", "1h1h", "-3s", "1.5h", "99999999999999999999s", "9999999999999999w"] {
        assert!(bad.parse::<Span>().is_err(), "{bad}");
    }
}

#[test]
fn sizes_are_read_as_written() {
    for (text, bytes) in [("4096", 4096), ("64KiB", 65_536), ("2 GB", 2_000_000_000), ("1TiB", 1 << 40), ("7B", 7)] {
        assert_eq!(text.parse::<Size>(), Ok(Size(bytes)), "{text}");
    }
    for bad in ["", "MiB", "1.5GB", "12Q", "-1", "1GB2", "99999999999TiB"] {
        assert!(bad.parse::<Size>().is_err(), "{bad}");
    }
}

#[test]
fn a_month_is_shown_in_days() {
    assert_eq!("4w2d".parse::<Span>().map(|span| span.to_string()), Ok("30d".into()));
}

proptest! {
    #[test]
    fn what_is_shown_is_read_back(millis in 0u64..u64::MAX / 2, bytes: u64) {
        let span = Span(Duration::from_millis(millis));
        prop_assert_eq!(span.to_string().parse(), Ok(span));
        prop_assert_eq!(Size(bytes).to_string().parse(), Ok(Size(bytes)));
    }
}
