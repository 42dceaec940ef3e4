//! How many may come in: in all, from one address, and at once in a handshake.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex};

/// How many may be inside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GateLimits {
    pub(crate) connections: usize,
    pub(crate) connections_per_address: usize,
    pub(crate) handshakes: usize,
}

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Refusal {
    /// There are as many connections as there may be.
    TooManyConnections,
    /// There are as many connections from its address (of its /64 in IPv6) as there may be.
    TooManyOfAddress,
    /// There are as many handshakes at once as there may be.
    TooManyHandshakes,
    /// Its handshake took too long.
    HandshakeTimeout,
    /// Its handshake failed.
    HandshakeFailed,
}

/// Counts connections against the limits.
#[derive(Debug)]
pub(crate) struct Gate {
    limits: GateLimits,
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    connections: usize,
    handshakes: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// How a connection may go on.
#[derive(Debug)]
pub(crate) enum Entry {
    /// In full.
    Welcome(Pass),
    /// Over a limit, but there is room for a handshake in which to say so.
    ToBeRefused(Pass, Refusal),
    /// Not even that.
    Dropped(Refusal),
}

/// A connection's place; it is given back when dropped.
#[derive(Debug)]
pub(crate) struct Pass {
    gate: Arc<Gate>,
    address: Option<IpAddr>,
    in_handshake: bool,
}

impl Gate {
    pub(crate) fn new(limits: GateLimits) -> Arc<Self> {
        Arc::new(Self { limits, inside: Mutex::default() })
    }

    pub(crate) fn enter(self: &Arc<Self>, address: Option<IpAddr>) -> Entry {
        let address = address.map(neighbourhood);
        let mut inside = self.inside.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if inside.handshakes >= self.limits.handshakes {
            return Entry::Dropped(Refusal::TooManyHandshakes);
        }
        let here = address.map_or(0, |address| inside.by_address.get(&address).copied().unwrap_or(0));
        let refusal = if here >= self.limits.connections_per_address {
            Some(Refusal::TooManyOfAddress)
        } else {
            (inside.connections >= self.limits.connections).then_some(Refusal::TooManyConnections)
        };
        // A flood from one address gets as many goodbyes as it may have connections, then silence.
        if let Some(refusal) = refusal
            && here >= 2 * self.limits.connections_per_address
        {
            return Entry::Dropped(refusal);
        }
        inside.connections += 1;
        inside.handshakes += 1;
        if let Some(address) = address {
            *inside.by_address.entry(address).or_default() += 1;
        }
        drop(inside);
        let pass = Pass { gate: self.clone(), address, in_handshake: true };
        match refusal {
            None => Entry::Welcome(pass),
            Some(refusal) => Entry::ToBeRefused(pass, refusal),
        }
    }

    /// Connections and handshakes now.
    pub(crate) fn inside(&self) -> (usize, usize) {
        let inside = self.inside.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        (inside.connections, inside.handshakes)
    }
}

impl Pass {
    /// The handshake is through.
    pub(crate) fn handshake_done(&mut self) {
        if std::mem::take(&mut self.in_handshake) {
            self.gate.inside.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).handshakes -= 1;
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.handshake_done();
        let mut inside = self.gate.inside.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        inside.connections -= 1;
        let Some(address) = self.address else { return };
        if let Some(count) = inside.by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                inside.by_address.remove(&address);
            }
        }
    }
}

/// What counts as one address: an IPv4 address, or the /64 that one IPv6 customer has at least.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(connections: usize, connections_per_address: usize, handshakes: usize) -> Arc<Gate> {
        Gate::new(GateLimits { connections, connections_per_address, handshakes })
    }

    #[test]
    fn each_limit_holds_at_its_number_and_frees_with_the_pass() {
        let gate = gate(3, 2, 10);
        let (one, two) = ("192.0.2.1".parse().ok(), "192.0.2.2".parse().ok());
        let first = gate.enter(one);
        let second = gate.enter(one);
        assert!(matches!((&first, &second), (Entry::Welcome(_), Entry::Welcome(_))));
        assert!(matches!(gate.enter(one), Entry::ToBeRefused(_, Refusal::TooManyOfAddress)), "one address");
        let third = gate.enter(two);
        assert!(matches!(third, Entry::Welcome(_)));
        assert!(matches!(gate.enter(two), Entry::ToBeRefused(_, Refusal::TooManyConnections)), "in all");
        drop(first);
        assert!(matches!(gate.enter(two), Entry::Welcome(_)));
        drop((second, third));
        assert_eq!(gate.inside(), (0, 0));
    }

    #[test]
    fn too_many_handshakes_are_dropped_until_one_is_through() {
        let gate = gate(10, 10, 1);
        let Entry::Welcome(mut pass) = gate.enter(None) else { panic!() };
        assert!(matches!(gate.enter(None), Entry::Dropped(Refusal::TooManyHandshakes)));
        pass.handshake_done();
        assert!(matches!(gate.enter(None), Entry::Welcome(_)));
    }

    #[test]
    fn one_ipv6_customer_is_one_address() {
        let (one, same): (IpAddr, IpAddr) = ("2001:db8::1".parse().unwrap(), "2001:db8::ffff:1".parse().unwrap());
        assert_eq!(neighbourhood(one), neighbourhood(same));
        assert_eq!(neighbourhood("::ffff:192.0.2.1".parse().unwrap()), "192.0.2.1".parse::<IpAddr>().unwrap());
    }
}
