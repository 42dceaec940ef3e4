//! The device's clocks, as the core wants them.

use rustix::time::{ClockId, clock_gettime};
use std::time::{SystemTime, UNIX_EPOCH};
use towline_proto::mail::agent::io::AgentTime;

/// `CLOCK_BOOTTIME` in milliseconds: it counts while the machine sleeps and never jumps.
pub(crate) fn boot_ms() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec.cast_unsigned() * 1_000 + now.tv_nsec.cast_unsigned() / 1_000_000
}

/// Both clocks.
pub(crate) fn now() -> AgentTime {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    AgentTime { boot_ms: boot_ms(), wall_ms: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX) }
}
