//! The hub's clocks, read in one place.

use rustix::time::{ClockId, clock_gettime};
use std::time::{SystemTime, UNIX_EPOCH};
use towline_proto::mail::hub::io::{BootId, HubTime};

/// Where Linux tells which run of the machine this is.
const BOOT_ID_FILE: &str = "/proc/sys/kernel/random/boot_id";

/// What the clocks show now.
pub(crate) fn now() -> HubTime {
    let boot = clock_gettime(ClockId::Boottime);
    let boot_us =
        u64::try_from(boot.tv_sec).unwrap_or(0) * 1_000_000 + u64::try_from(boot.tv_nsec).unwrap_or(0) / 1_000;
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    HubTime { boot_us, wall_ms: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX) }
}

/// Which run of the machine this is. If the system does not tell, each start counts as a boot of its own: then the
/// wall clock guards the deadlines.
pub(crate) fn boot_id() -> BootId {
    let text = std::fs::read_to_string(BOOT_ID_FILE).unwrap_or_default();
    let known = uuid::Uuid::parse_str(text.trim());
    BootId(known.map_or_else(|_| *uuid::Uuid::now_v7().as_bytes(), |id| *id.as_bytes()))
}
