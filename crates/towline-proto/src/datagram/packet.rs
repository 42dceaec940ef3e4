//! Packets in datagrams: RFC 9000 §17's forms under a version of our own.
//!
//! ```text
//! datagram  := packet ‖ … ‖ packet                                              all to one destination, a short one last
//! initial   := 1100rrnn ‖ version [4] ‖ ids ‖ length varint ‖ token ‖ length varint ‖ number [1..4] ‖ sealed content
//! handshake := 1110rrnn ‖ version [4] ‖ ids ‖ length varint ‖ number [1..4] ‖ sealed content
//! session   := 01srrknn ‖ destination id [8] ‖ number [1..4] ‖ sealed content                            to the end
//! retry     := 1111xxxx ‖ version [4] ‖ ids ‖ token ‖ tag [16]                                           to the end
//! versions  := 1xxxxxxx ‖ 0 [4] ‖ ids ‖ version [4] ‖ … ‖ version [4]                                    to the end
//! reset     := 01xxxxxx ‖ random bytes ‖ reset token [16]                                     looks like a session's
//! ids       := length byte ‖ destination id ‖ length byte ‖ source id
//! ```
//! `nn` is the number's length less one, `rr` is zero, `k` the key phase, `s` the spin bit (zero, and not looked at), `x` means
//! nothing. The low bits of a sealed packet's first byte and its number are hidden until
//! [`Sealed::show`]; they are believed after [`Shown::open`].
//!
//! Whatever cannot be read is dropped with the rest of its datagram: anybody can send anything.

mod read;
#[cfg(test)]
mod tests;
mod write;

pub use read::{Datagram, Fault, Packet, Retry, Sealed, Shown, Versions};
pub use write::{Draft, Header, put_reset, put_retry, put_versions};

use super::connection_id::{ConnectionId, LOCAL_ID_BYTES};
use crate::wire::cursor::Reader;

/// Our version number: "TOW", then 1.
pub const VERSION: u32 = 0x544f_5701;

/// The least datagram with an Initial packet in it, either way, in bytes (RFC 9000 §14.1): a path that does not pass it does
/// not come up at all, and a server's answer to a forged source stays small beside what it cost.
pub const INITIAL_DATAGRAM_BYTES: usize = 1_200;

/// The largest packet with a long header, in bytes: what its length field of two bytes can say.
pub const LONG_PACKET_BYTES_MAX: usize = 1 << 14;

/// A token that ends a link (RFC 9000 §10.3), and the tag of a retry.
const TOKEN_BYTES: usize = 16;

/// The least datagram that can be a reset, in bytes: the smallest session packet with an id, a number and a tag.
pub const RESET_BYTES_MIN: usize = 1 + 4 + TOKEN_BYTES;

/// The sample begins where a number of four bytes would end.
const NUMBER_BYTES_MAX: usize = 4;

const LONG: u8 = 0x80;
const FIXED: u8 = 0x40;
const KEY_PHASE: u8 = 0x04;
const RESERVED_LONG: u8 = 0x0c;
const RESERVED_SHORT: u8 = 0x18;

/// The types of long headers, in place.
mod kind {
    pub(super) const MASK: u8 = 0x30;
    pub(super) const INITIAL: u8 = 0x00;
    pub(super) const HANDSHAKE: u8 = 0x20;
    pub(super) const RETRY: u8 = 0x30;
}

/// What every version's long header begins with (RFC 8999 §5.1). Ids of other versions may have up to 255 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongHead<'a> {
    /// The first byte.
    pub first: u8,
    /// Zero in a version negotiation.
    pub version: u32,
    /// Whom it is for.
    pub destination: &'a [u8],
    /// How to answer.
    pub source: &'a [u8],
}

impl<'a> LongHead<'a> {
    /// Reads it off the front; `None` if it is a short header, or none.
    pub fn read(reader: &mut Reader<'a>) -> Option<Self> {
        const WHAT: &str = "long header";
        let first = reader.byte(WHAT).ok().filter(|first| first & LONG != 0)?;
        let version = u32::from_be_bytes(reader.array(WHAT).ok()?);
        let length = reader.byte(WHAT).ok()?;
        let destination = reader.take(usize::from(length), WHAT).ok()?;
        let length = reader.byte(WHAT).ok()?;
        let source = reader.take(usize::from(length), WHAT).ok()?;
        Some(Self { first, version, destination, source })
    }
}

/// Whom a datagram is for, by the first packet's destination id; `None` if that cannot be read. For who sorts: the packets
/// behind may still be malformed.
pub fn destination_id(datagram: &[u8]) -> Option<ConnectionId> {
    let first = *datagram.first()?;
    if first & LONG != 0 {
        return ConnectionId::new(LongHead::read(&mut Reader::new(datagram))?.destination);
    }
    let id = datagram.get(1..=LOCAL_ID_BYTES).filter(|_| first & FIXED != 0)?;
    ConnectionId::new(id)
}

/// What would be the token if this datagram were a reset; to be looked at before anything is opened in place, and compared
/// with the tokens of the peer's ids when nothing could be. `None` if it can be none.
pub fn reset_token(datagram: &[u8]) -> Option<[u8; TOKEN_BYTES]> {
    let looks_so = datagram.len() >= RESET_BYTES_MIN && datagram[0] & (LONG | FIXED) == FIXED;
    datagram.last_chunk().copied().filter(|_| looks_so)
}
