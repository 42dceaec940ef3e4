//! Two namespaces and the link between them.

use crate::forwarder::{Forwarder, Lateness, Snapshot};
use crate::namespace::{Namespace, ip, remove_stale};
use std::net::Ipv4Addr;
use towline_sim::{Conditions, ETHERNET};
use tun_rs::{DeviceBuilder, SyncDevice};

/// The near side's address.
pub const NEAR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// The far side's address.
pub const FAR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

/// The device's name in each namespace.
const DEVICE: &str = "link0";

/// How many packets may wait between a kernel and the forwarder: what a burst at 1 Gbit/s brings in 100 ms. The link's own queue
/// is the forwarder's; this one must never be full.
const DEVICE_QUEUE: u32 = 8_192;

/// Why there can be no lab here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unable {
    /// Namespaces and devices are root's.
    #[error("namespaces and TUN devices can only be made by root")]
    NotRoot,
    /// There is no iproute2.
    #[error("the program `ip` is not there: install iproute2")]
    NoIproute,
    /// There are no TUN devices.
    #[error("/dev/net/tun cannot be used here: {0}")]
    NoTun(String),
    /// A step failed; what the system said.
    #[error("{0} failed here: {1}")]
    Step(String, String),
}

/// Two network namespaces joined by an emulated link; all of it is gone when dropped.
pub struct Lab {
    // The devices go before the namespaces that they stand in.
    forwarder: Forwarder,
    near: Namespace,
    far: Namespace,
}

impl Lab {
    /// Builds one. The first conditions are those of the way from near to far; a seed makes the same losses fall on the same
    /// packets, counted from the first.
    ///
    /// # Errors
    /// What this machine lacks.
    pub fn build(conditions: [Conditions; 2], seed: u64) -> Result<Self, Unable> {
        remove_stale();
        let (near, far) = (Namespace::new("near")?, Namespace::new("far")?);
        let devices = [device(&near, NEAR)?, device(&far, FAR)?];
        let forwarder = Forwarder::start(devices, conditions, seed)
            .map_err(|why| Unable::Step("starting the forwarder".into(), why.to_string()))?;
        Ok(Self { forwarder, near, far })
    }

    /// The near side, at [`NEAR`].
    pub const fn near(&self) -> &Namespace {
        &self.near
    }

    /// The far side, at [`FAR`].
    pub const fn far(&self) -> &Namespace {
        &self.far
    }

    /// Changes what the link does from now on, from near to far and back.
    pub fn set_conditions(&self, conditions: [Conditions; 2]) {
        self.forwarder.set_conditions(conditions);
    }

    /// What the link has done so far, from near to far and back.
    pub fn snapshots(&self) -> [Snapshot; 2] {
        self.forwarder.snapshots()
    }

    /// How late packets were handed over since this was last asked.
    pub fn take_lateness(&self) -> Lateness {
        self.forwarder.take_lateness()
    }

    /// Packets that never reached the link, because the forwarder came too late to read them: near, far.
    pub fn overrun(&self) -> [u64; 2] {
        [&self.near, &self.far].map(|side| {
            // By the thread, since the process stands in another namespace.
            let text = side.enter(|| std::fs::read_to_string("/proc/thread-self/net/dev")).unwrap_or_default();
            dropped_on_sending(&text, DEVICE)
        })
    }
}

/// The device's count of packets dropped on their way out, in what the kernel prints for all devices.
fn dropped_on_sending(table: &str, device: &str) -> u64 {
    let row = table.lines().find_map(|line| line.trim_start().strip_prefix(device)?.strip_prefix(':'));
    // Eight columns of what came in, then bytes, packets, errors and drops of what went out.
    row.and_then(|row| row.split_whitespace().nth(11)?.parse().ok()).unwrap_or(0)
}

fn device(namespace: &Namespace, address: Ipv4Addr) -> Result<SyncDevice, Unable> {
    let builder = DeviceBuilder::new().name(DEVICE).tx_queue_len(DEVICE_QUEUE).mtu(ETHERNET as u16);
    let device = namespace.enter(|| {
        // Without this the kernel would speak on the link by itself (router solicitations).
        _ = std::fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
        let device = builder.build_sync()?;
        device.set_nonblocking(true)?;
        Ok(device)
    });
    let device = device.map_err(|why| Unable::NoTun(why.to_string()))?;
    ip(&["-n", namespace.name(), "addr", "add", &format!("{address}/24"), "dev", DEVICE])?;
    ip(&["-n", namespace.name(), "link", "set", DEVICE, "up"])?;
    Ok(device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_found_in_the_kernels_table() {
        let table = "Inter-|   Receive  |  Transmit\n face |bytes packets\n    lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n  link0: 0 0 0 0 0 0 0 0 900 10 0 42 0 0 0 0\n";
        assert_eq!((dropped_on_sending(table, DEVICE), dropped_on_sending(table, "other")), (42, 0));
    }
}
