//! A translator of addresses ahead of a node.

use crate::{Address, Nanos};

/// The first port that a translator gives out.
const FIRST_PORT: u16 = 20_000;

/// Hides a node behind an address of its own. Each pair of inner port and remote address gets an outer port; only that remote
/// address comes back in through it. A mapping on which nothing went *out* for the idle time is gone: what comes in does not
/// keep it, as with the strictest of these devices.
#[derive(Debug)]
pub(crate) struct Nat {
    /// The host that the world sees.
    pub(crate) host: u32,
    idle: Nanos,
    next_port: u16,
    mappings: Vec<Mapping>,
}

#[derive(Clone, Copy, Debug)]
struct Mapping {
    inner: u16,
    outer: u16,
    remote: Address,
    used: Nanos,
}

impl Nat {
    pub(crate) const fn new(host: u32, idle: Nanos) -> Self {
        Self { host, idle, next_port: FIRST_PORT, mappings: Vec::new() }
    }

    /// Appears under another host from now on, and knows nothing of what was open.
    pub(crate) fn rebind(&mut self, host: u32) {
        self.host = host;
        self.mappings.clear();
    }

    /// The source under which a datagram from `inner` to `remote` leaves.
    pub(crate) fn outgoing(&mut self, now: Nanos, inner: u16, remote: Address) -> Address {
        self.forget(now);
        let known = self.mappings.iter_mut().find(|mapping| mapping.inner == inner && mapping.remote == remote);
        let outer = if let Some(mapping) = known {
            mapping.used = now;
            mapping.outer
        } else {
            let outer = self.next_port;
            self.next_port = self.next_port.checked_add(1).unwrap_or(FIRST_PORT);
            self.mappings.push(Mapping { inner, outer, remote, used: now });
            outer
        };
        Address { host: self.host, port: outer }
    }

    /// The inner port for what comes from `remote` to `destination`, if that is open.
    pub(crate) fn incoming(&mut self, now: Nanos, remote: Address, destination: Address) -> Option<u16> {
        self.forget(now);
        let open = |mapping: &&Mapping| {
            destination == Address { host: self.host, port: mapping.outer } && mapping.remote == remote
        };
        self.mappings.iter().find(open).map(|mapping| mapping.inner)
    }

    fn forget(&mut self, now: Nanos) {
        self.mappings.retain(|mapping| now - mapping.used < self.idle);
    }
}
