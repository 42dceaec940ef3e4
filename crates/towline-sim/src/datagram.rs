//! What nodes send each other.

use crate::line::Packet;
use crate::{Nanos, Rng};

/// The bytes of the headers of IPv4 and UDP, which every datagram has on the way beside its own.
pub const HEADERS: usize = 28;

/// Where datagrams go to and come from: a host (a node, or the outer side of a NAT) and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// The host's number, given by the world.
    pub host: u32,
    /// The port.
    pub port: u16,
}

/// What the two bits of explicit congestion notification say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Ecn {
    /// The sender does not know of it: congestion is told by loss alone.
    #[default]
    NotCapable,
    /// The first code of a capable sender, `ECT(0)`.
    Capable0,
    /// The second code of a capable sender, `ECT(1)`.
    Capable1,
    /// A queue on the way was long.
    Congested,
}

impl Ecn {
    /// Turns a capable code into [`Ecn::Congested`]; whether it says so now.
    pub const fn mark(&mut self) -> bool {
        if matches!(self, Self::NotCapable) {
            return false;
        }
        *self = Self::Congested;
        true
    }
}

/// A datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Who sent it, as far as the network says.
    pub source: Address,
    /// Whom it is for.
    pub destination: Address,
    /// What it says of congestion.
    pub ecn: Ecn,
    /// Its content, without headers.
    pub bytes: Vec<u8>,
}

/// A datagram on its way over a route's lines.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    pub(crate) datagram: Datagram,
    /// The route's number.
    pub(crate) route: u32,
    /// How many of the route's lines are behind it.
    pub(crate) passed: u32,
}

impl Packet for Parcel {
    fn size(&self) -> usize {
        self.datagram.bytes.len() + HEADERS
    }

    fn mark(&mut self) -> bool {
        self.datagram.ecn.mark()
    }

    /// In its content: a flip in a header is a datagram lost.
    fn corrupt(&mut self, rng: &mut Rng) {
        flip_a_bit(&mut self.datagram.bytes, rng);
    }
}

/// Flips one bit, if there is one.
pub fn flip_a_bit(bytes: &mut [u8], rng: &mut Rng) {
    if !bytes.is_empty() {
        let bit = rng.below(bytes.len() as u64 * 8);
        bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
    }
}

/// A clock that goes too fast or too slow by a constant share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drift {
    parts_per_million: i32,
}

impl Drift {
    pub(crate) const fn new(parts_per_million: i32) -> Self {
        assert!(parts_per_million.unsigned_abs() < 1_000_000, "a clock that stands still or runs twice as fast");
        Self { parts_per_million }
    }

    /// What this clock shows at a time of the world.
    pub(crate) const fn shows(self, world: Nanos) -> Nanos {
        (world as i128 + world as i128 * self.parts_per_million as i128 / 1_000_000) as Nanos
    }

    /// The earliest time of the world at which this clock shows at least `own`.
    pub(crate) const fn reaches(self, own: Nanos) -> Nanos {
        let mut world = (own as i128 * 1_000_000 / (1_000_000 + self.parts_per_million as i128)) as Nanos;
        while self.shows(world) < own {
            world += 1;
        }
        world
    }
}
