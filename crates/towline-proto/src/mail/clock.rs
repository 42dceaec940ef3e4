//! The hub's time: a deadline is a length of time that three clocks guard.

use minicbor::{Decode, Encode};

/// What the hub's clocks show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HubTime {
    /// `CLOCK_BOOTTIME`, in microseconds: it never jumps, and counts while the machine sleeps.
    pub boot_us: u64,
    /// The wall clock, in milliseconds since 1970: it may jump.
    pub wall_ms: u64,
}

impl HubTime {
    /// The boot-time clock in milliseconds.
    pub const fn boot_ms(self) -> u64 {
        self.boot_us / 1_000
    }
}

/// Which run of the machine a boot-time clock belongs to (`/proc/sys/kernel/random/boot_id`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct BootId(#[cbor(with = "minicbor::bytes")] pub [u8; 16]);

/// A length of time that began at a known point: in the same boot the boot-time clock says what is left of it, after a
/// reboot the wall clock, clamped so that a jump neither lengthens it nor makes less than nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Deadline {
    /// The boot in which it began.
    #[n(0)]
    pub boot: BootId,
    /// The boot-time clock when it began, in milliseconds.
    #[n(1)]
    pub boot_ms: u64,
    /// The wall clock when it began, in milliseconds since 1970.
    #[n(2)]
    pub wall_ms: u64,
    /// Its length, in milliseconds.
    #[n(3)]
    pub length_ms: u64,
}

impl Deadline {
    /// A deadline that begins now.
    pub const fn begin(now: HubTime, boot: BootId, length_ms: u64) -> Self {
        Self { boot, boot_ms: now.boot_ms(), wall_ms: now.wall_ms, length_ms }
    }

    /// What is left of it, in milliseconds; 0 once it is past.
    pub fn left_ms(&self, now: HubTime, boot: BootId) -> u64 {
        let gone = if boot == self.boot {
            now.boot_ms().saturating_sub(self.boot_ms)
        } else {
            now.wall_ms.saturating_sub(self.wall_ms)
        };
        self.length_ms.saturating_sub(gone)
    }

    /// What is left of it as a deadline of this boot: the wall clock is asked once, at a restart after a reboot, and
    /// its later jumps change nothing.
    pub fn in_boot(&self, now: HubTime, boot: BootId) -> Self {
        if boot == self.boot { *self } else { Self::begin(now, boot, self.left_ms(now, boot)) }
    }
}

/// A wall-clock time as RFC 3339 text in UTC, to the second: `2026-11-02T10:00:00Z`.
pub fn utc_text(wall_ms: u64) -> String {
    let seconds = wall_ms / 1_000;
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Days since 1970-01-01 as year, month, day of the Gregorian calendar. Years begin in March here, so that the leap
/// day is a year's last; an era is 400 years, after which the calendar repeats.
fn civil(days: u64) -> (u64, u64, u64) {
    const DAYS_TO_1970: u64 = 719_468;
    const DAYS_PER_ERA: u64 = 146_097;
    let day = days + DAYS_TO_1970;
    let (era, of_era) = (day / DAYS_PER_ERA, day % DAYS_PER_ERA);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day_of_month = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day_of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: BootId = BootId([1; 16]);
    const TWO: BootId = BootId([2; 16]);

    fn at(boot_ms: u64, wall_ms: u64) -> HubTime {
        HubTime { boot_us: boot_ms * 1_000, wall_ms }
    }

    #[test]
    fn p16_in_one_boot_only_the_boot_clock_counts() {
        let deadline = Deadline::begin(at(100, 1_000_000), ONE, 500);
        assert_eq!(deadline.left_ms(at(300, 0), ONE), 300);
        assert_eq!(deadline.left_ms(at(300, u64::MAX), ONE), 300);
        assert_eq!(deadline.left_ms(at(600, 1_000_000), ONE), 0);
        println!("p16: reached no change of a deadline by any jump of the wall clock within a boot");
    }

    #[test]
    fn p16_after_a_reboot_the_wall_clock_counts_clamped() {
        let deadline = Deadline::begin(at(100, 1_000_000), ONE, 500);
        assert_eq!(deadline.left_ms(at(0, 1_000_200), TWO), 300);
        assert_eq!(deadline.left_ms(at(0, 10), TWO), 500, "a clock set back lengthens nothing");
        assert_eq!(deadline.left_ms(at(0, u64::MAX), TWO), 0);
        println!("p16: reached the clamp to the original length after a reboot");
    }

    #[test]
    fn times_are_written_in_utc() {
        assert_eq!(utc_text(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc_text(951_782_400_000), "2000-02-29T00:00:00Z");
        assert_eq!(utc_text(1_793_613_600_999), "2026-11-02T10:00:00Z");
        assert_eq!(utc_text(4_107_542_399_000), "2100-02-28T23:59:59Z");
        assert_eq!(utc_text(4_107_542_400_000), "2100-03-01T00:00:00Z");
    }
}
