//! Bytes, addresses and nanoseconds: a network in memory with a clock that the test turns.
//!
//! A [`World`] has byte-stream links between pairs of [`Socket`]s, datagrams between [`Node`]s over [`Line`]s that delay, lose,
//! reorder and damage them, timers, and one clock, which moves only when the test calls [`World::step`] or
//! [`World::advance_to`]. Everything that looks like chance (where a stream of bytes is cut into arrivals, jitter, loss) comes
//! from one seed, so a run is repeated by its seed alone; a test prints the seed it used.
//!
//! ```
//! use towline_sim::{Conditions, Ecn, Happening, MILLIS, World};
//!
//! let mut world = World::new(7);
//! let (one, other) = (world.node(), world.node());
//! world.join(one, other, Conditions { delay: 30 * MILLIS, ..Conditions::default() });
//! world.send(one, world.address(one, 1), world.address(other, 2), Ecn::NotCapable, b"hello");
//! assert_eq!((world.step(), world.now()), (Some(Happening::Datagram(other)), 30 * MILLIS));
//! assert_eq!(world.receive(other).unwrap().bytes, b"hello");
//! ```
//!
//! Byte streams in the same world:
//!
//! ```
//! use towline_sim::{Happening, Read, Shape, World};
//!
//! let mut world = World::new(7);
//! let (client, server) = world.connect(Shape::default());
//! world.write(client, b"hello").unwrap();
//! assert_eq!(world.step(), Some(Happening::Readable(server)));
//! assert_eq!(world.now(), Shape::default().latency);
//! assert!(matches!(world.read(server, 100), Read::Bytes(bytes) if b"hello".starts_with(&bytes)));
//! ```
//!
//! This crate knows nothing of any protocol, and no protocol's types stand in its signatures.

mod agenda;
mod conditions;
mod datagram;
mod line;
mod nat;
mod pipe;
mod profile;
mod rng;
mod share;
mod units;
mod world;

pub use conditions::{Conditions, ETHERNET, Jitter, Loss, Queue, Reorder, UNLIMITED};
pub use datagram::{Address, Datagram, Ecn, HEADERS, flip_a_bit};
pub use line::{Counts, Line, Packet};
pub use pipe::{Read, Shape};
pub use profile::{NoProfile, PROFILES, Packing, Profile, QueueSize, ceiling};
pub use rng::Rng;
pub use share::{NoShare, Share};
pub use world::{Broken, Fault, Happening, LineId, Node, Socket, TimerId, World};

/// A time on the world's clock, or a span of it, in nanoseconds.
pub type Nanos = u64;

/// A millisecond.
pub const MILLIS: Nanos = 1_000_000;

/// A second.
pub const SECONDS: Nanos = 1_000_000_000;
