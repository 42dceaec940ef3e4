//! Bytes, addresses and nanoseconds: a network in memory with a clock that the test turns.
//!
//! A [`World`] has byte-stream links between pairs of [`Socket`]s, timers, and one clock, which moves only when the test
//! calls [`World::step`] or [`World::advance_to`]. Everything that looks like chance (where a stream of bytes is cut into
//! arrivals, jitter) comes from one seed, so a run is repeated by its seed alone; a test prints the seed it used.
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

mod conditions;
mod line;
mod pipe;
mod rng;
mod share;
mod units;
mod world;

pub use conditions::{Conditions, ETHERNET, Jitter, Loss, Queue, Reorder, UNLIMITED};
pub use line::{Counts, Line, Packet};
pub use pipe::{Read, Shape};
pub use rng::Rng;
pub use share::{NoShare, Share};
pub use world::{Broken, Fault, Happening, Socket, TimerId, World};

/// A time on the world's clock, or a span of it, in nanoseconds.
pub type Nanos = u64;

/// A millisecond.
pub const MILLIS: Nanos = 1_000_000;

/// A second.
pub const SECONDS: Nanos = 1_000_000_000;
