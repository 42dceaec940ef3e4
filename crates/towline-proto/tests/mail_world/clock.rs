//! The clocks of one machine: a boot-time clock that begins anew with every boot, and a wall clock that may jump.

use towline_proto::mail::clock::{BootId, HubTime};

/// The wall clocks' time at the world's beginning, in milliseconds since 1970.
const WALL_MS: i64 = 1_793_613_600_000;

#[derive(Clone, Debug)]
pub(crate) struct Clock {
    boot: u8,
    /// When this boot began, by the world's time.
    booted_ms: u64,
    /// What the boot-time clock showed then.
    shown_ms: u64,
    jumped_ms: i64,
}

impl Clock {
    /// A machine that has run for a while when the world begins.
    pub(crate) fn running_for(shown_ms: u64) -> Self {
        Self { boot: 1, booted_ms: 0, shown_ms, jumped_ms: 0 }
    }

    /// Another boot id, and a boot-time clock that begins near nothing.
    pub(crate) fn reboot(&mut self, now_ms: u64) {
        (self.boot, self.booted_ms, self.shown_ms) = (self.boot + 1, now_ms, 300);
    }

    pub(crate) fn jump(&mut self, by_ms: i64) {
        self.jumped_ms += by_ms;
    }

    pub(crate) fn boot(&self) -> BootId {
        BootId([self.boot; 16])
    }

    pub(crate) fn boot_ms(&self, now_ms: u64) -> u64 {
        self.shown_ms + now_ms - self.booted_ms
    }

    pub(crate) fn wall_ms(&self, now_ms: u64) -> u64 {
        (WALL_MS + now_ms as i64 + self.jumped_ms) as u64
    }

    pub(crate) fn time(&self, now_ms: u64) -> HubTime {
        HubTime { boot_us: self.boot_ms(now_ms) * 1_000, wall_ms: self.wall_ms(now_ms) }
    }

    /// The world's time at which the boot-time clock shows `boot_ms`.
    pub(crate) fn world_ms(&self, boot_ms: u64) -> u64 {
        (boot_ms + self.booted_ms).saturating_sub(self.shown_ms)
    }
}
