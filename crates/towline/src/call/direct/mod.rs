//! Calls over a bare [`Connection`](crate::connection::Connection), with an engineer's own messages.
//!
//! Where a session is more than is wanted, [`exchange`] makes a reactor that carries calls over one connection: of every
//! shape, both ways at once, replies as they are ready. A message is a [`Packet`] around an item; [`PacketCodec`] puts any
//! [`Content`](crate::codec::Content) into any framing, and an own wire format is an own codec of packets.
//!
//! ```
//! # #[cfg(feature = "messagepack")] mod example {
//! use towline::call::direct::{NoAnswer, PacketCodec, each, exchange};
//! use towline::codec::{LengthPrefixed, MessagePack};
//! use towline::connection::Connection;
//!
//! type Codec = PacketCodec<LengthPrefixed, MessagePack<String>>;
//! fn codec() -> Codec {
//!     Codec::new(LengthPrefixed::u32(65_536))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] pub async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (near, far) = tokio::io::duplex(4096);
//! // The side that answers lasts as long as its peer.
//! let (_, calls) = exchange(false, Default::default(), each(async |name: String| Ok(format!("hello {name}"))));
//! tokio::spawn(Connection::answering(far, codec(), calls, Default::default()));
//!
//! // The side that calls lasts as long as its caller: the connection's own sender is dropped.
//! let (caller, calls) = exchange(true, Default::default(), NoAnswer);
//! let (_, connection) = Connection::new(near, codec(), calls, Default::default());
//! tokio::spawn(connection);
//! assert_eq!(caller.call("kitchen".to_owned()).await?, "hello kitchen");
//! # Ok(()) }
//! # }
//! # #[cfg(feature = "messagepack")] example::main().unwrap();
//! ```
//!
//! **What is bounded.** Calls open at once and bytes of items that wait on each are agreed on ([`DirectConfig`]); what
//! waits to be sent by [`QUEUED_BYTES`]. Handlers run inside the connection, and only when there is room to send: a peer
//! that stops reading stops the work it asked for. What such a peer makes this side hold is twice [`QUEUED_BYTES`], 64 KiB
//! encoded, and 5 KiB for each of its calls with a small handler.
//!
//! **What ends a call.** Its last word; dropping it, which tells the other side to let its work go; its time, by both
//! sides' clocks; the connection's end, `unavailable` to all. A peer that breaks the rules of `docs/calls.md` ends the
//! connection, and its fault is the text of that status.

mod answer;
mod caller;
mod codec;
mod halves;
mod reactor;
mod shared;

use towline_proto::call::exchange::{DEFAULT_CALL_WINDOW_BYTES, DEFAULT_MAX_CALLS, ITEM_OVERHEAD_BYTES};

pub use answer::{Answer, Asked, Each, NoAnswer, each};
pub use caller::{DirectCall, DirectCaller};
pub use codec::{PacketCodec, PacketError, Packets};
pub use halves::{DirectItems, DirectSink};
pub use reactor::CallReactor;
pub use shared::QUEUED_BYTES;
pub use towline_proto::call::exchange::{CallId, Fault};
pub use towline_proto::call::{Packet, Part};

/// What both sides of a connection agree on.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct DirectConfig {
    /// How many calls each side may have open; at least one. A caller waits in line for a place.
    pub max_calls: usize,
    /// How many bytes of items wait for their reader on one call before its writer waits; at least one.
    pub window_bytes: u64,
}

impl Default for DirectConfig {
    fn default() -> Self {
        Self { max_calls: DEFAULT_MAX_CALLS, window_bytes: DEFAULT_CALL_WINDOW_BYTES }
    }
}

/// An item of a call, as it counts against credit.
pub trait CallItem: Send + 'static {
    /// About how many bytes it holds; cheap, and always the same for the same item. Both sides must come to the same
    /// number, or one takes the other for a peer that sends without credit: an item that owns memory says how long that
    /// is (best, its length on the wire), and sides built for different machines do not leave it to the default.
    fn weight_bytes(&self) -> usize {
        size_of_val(self)
    }
}

impl CallItem for bytes::Bytes {
    fn weight_bytes(&self) -> usize {
        self.len()
    }
}

impl CallItem for Vec<u8> {
    fn weight_bytes(&self) -> usize {
        self.len()
    }
}

impl CallItem for String {
    fn weight_bytes(&self) -> usize {
        self.len()
    }
}

fn weigh<M: CallItem>(item: &M) -> u64 {
    ITEM_OVERHEAD_BYTES + item.weight_bytes() as u64
}

/// Calls over one connection, for the side that `connected` or the other: who calls, and the reactor for the connection.
/// What the peer asks is for `answer`; each side has its own, so calls may go both ways.
///
/// `In` are the items that come, `Out` those that go. The connection's [`Sender`](crate::connection::Sender) is of no use
/// here: drop it (then the connection ends with the last [`DirectCaller`] and call), or take
/// [`Connection::answering`](crate::connection::Connection::answering) and last as long as the peer.
pub fn exchange<In: CallItem, Out: CallItem, A: Answer<In, Out>>(
    connected: bool,
    config: DirectConfig,
    answer: A,
) -> (DirectCaller<Out, In>, CallReactor<In, Out, A>) {
    let shared = shared::Shared::new(connected, config);
    (DirectCaller::first(shared.clone()), CallReactor::new(shared, answer))
}
