//! Writing packets, appended to a datagram.

use super::{FIXED, KEY_PHASE, LONG, LONG_PACKET_BYTES_MAX, NUMBER_BYTES_MAX, TOKEN_BYTES, VERSION, kind};
use crate::datagram::connection_id::ConnectionId;
use crate::datagram::crypto::{HeaderKey, InitialCrypto, PacketKey};
use crate::wire::cursor::{put_prefixed, varint_len};

/// A length field always has two bytes, so that it can be filled in when the content is there.
const LENGTH_BYTES: usize = 2;

/// What the header of a sealed packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header<'a> {
    /// Of [`Level::Initial`](crate::datagram::crypto::Level::Initial).
    Initial {
        /// Whom it is for.
        destination: ConnectionId,
        /// How the sender wants to be called.
        source: ConnectionId,
        /// What a server gave with a retry; empty for none, and from a server.
        token: &'a [u8],
    },
    /// Of [`Level::Handshake`](crate::datagram::crypto::Level::Handshake).
    Handshake {
        /// Whom it is for.
        destination: ConnectionId,
        /// How the sender wants to be called.
        source: ConnectionId,
    },
    /// Of [`Level::Session`](crate::datagram::crypto::Level::Session).
    Session {
        /// Whom it is for: an id that the peer chose, and whose length it knows.
        destination: ConnectionId,
        /// Which of two keys seals it.
        key_phase: bool,
    },
}

impl Header<'_> {
    /// How many bytes it takes, with a number of `number_len`.
    pub fn bytes(&self, number_len: usize) -> usize {
        let ids = |destination: &ConnectionId, source: &ConnectionId| 2 + destination.len() + source.len();
        let before_number = match self {
            Header::Initial { destination, source, token } => {
                5 + ids(destination, source) + varint_len(token.len() as u64) + token.len() + LENGTH_BYTES
            }
            Header::Handshake { destination, source } => 5 + ids(destination, source) + LENGTH_BYTES,
            Header::Session { destination, .. } => 1 + destination.len(),
        };
        before_number + number_len
    }
}

/// A packet being written: between [`Draft::begin`] and [`Draft::seal`] its content is appended to the same buffer.
#[derive(Debug)]
#[must_use = "the bytes already in the buffer are no packet until it is sealed"]
pub struct Draft {
    at: usize,
    is_long: bool,
    number_len: usize,
    content_at: usize,
}

impl Draft {
    /// Appends a header whose number will have `number_len` bytes
    /// ([`truncated_len`](crate::datagram::number::truncated_len)).
    pub fn begin(header: &Header<'_>, number_len: usize, out: &mut Vec<u8>) -> Self {
        let at = out.len();
        let low = (number_len - 1) as u8;
        match header {
            Header::Initial { destination, source, token } => {
                put_long(LONG | FIXED | kind::INITIAL | low, VERSION, destination, source, out);
                put_prefixed(out, token);
                out.extend_from_slice(&[0; LENGTH_BYTES]);
            }
            Header::Handshake { destination, source } => {
                put_long(LONG | FIXED | kind::HANDSHAKE | low, VERSION, destination, source, out);
                out.extend_from_slice(&[0; LENGTH_BYTES]);
            }
            Header::Session { destination, key_phase } => {
                out.push(FIXED | low | if *key_phase { KEY_PHASE } else { 0 });
                out.extend_from_slice(destination);
            }
        }
        out.resize(out.len() + number_len, 0);
        Self { at, is_long: !matches!(header, Header::Session { .. }), number_len, content_at: out.len() }
    }

    /// Takes everything away that was appended since the beginning: there was nothing to say.
    pub fn drop_from(self, out: &mut Vec<u8>) {
        out.truncate(self.at);
    }

    /// Fills the packet up with padding to `bytes` in all (0: only as much as a sample needs), seals it under its number
    /// and hides the header.
    ///
    /// # Panics
    /// If a packet with a long header has more than [`LONG_PACKET_BYTES_MAX`] bytes behind it: those of a handshake fit
    /// a datagram that every path passes.
    pub fn seal(self, number: u64, bytes: usize, header: &dyn HeaderKey, packet: &dyn PacketKey, out: &mut Vec<u8>) {
        let tag = packet.tag_bytes();
        // The sample begins four bytes behind the number's beginning, and tags are as long as samples, or longer.
        let sampled = self.content_at - self.number_len + NUMBER_BYTES_MAX + header.sample_bytes();
        out.resize((out.len() + tag).max(self.at + bytes).max(sampled), 0);
        let (head, content) = out[self.at..].split_at_mut(self.content_at - self.at);
        let number_at = head.len() - self.number_len;
        if self.is_long {
            let length = self.number_len + content.len();
            assert!(length < LONG_PACKET_BYTES_MAX, "a packet of the handshake has {length} bytes");
            let field = length as u16 | 0x4000;
            head[number_at - LENGTH_BYTES..number_at].copy_from_slice(&field.to_be_bytes());
        }
        head[number_at..].copy_from_slice(&number.to_be_bytes()[size_of::<u64>() - self.number_len..]);
        packet.seal(number, head, content);
        let sample = &content[NUMBER_BYTES_MAX - self.number_len..][..header.sample_bytes()];
        let (before, number) = head.split_at_mut(number_at);
        header.hide(sample, &mut before[0], number);
    }
}

fn put_long(first: u8, version: u32, destination: &[u8], source: &[u8], out: &mut Vec<u8>) {
    out.push(first);
    out.extend_from_slice(&version.to_be_bytes());
    for id in [destination, source] {
        out.push(id.len() as u8);
        out.extend_from_slice(id);
    }
}

/// Appends a retry to a client that calls itself `destination` and chose `client_chosen` for its server, which now wants
/// to be called `source` and to see `token`.
pub fn put_retry(
    destination: &ConnectionId,
    source: &ConnectionId,
    token: &[u8],
    client_chosen: &ConnectionId,
    crypto: &dyn InitialCrypto,
    out: &mut Vec<u8>,
) {
    let at = out.len();
    put_long(LONG | FIXED | kind::RETRY, VERSION, destination, source, out);
    out.extend_from_slice(token);
    let tag = crypto.retry_tag(client_chosen, &out[at..]);
    out.extend_from_slice(&tag);
}

/// Appends a version negotiation: an answer to a packet whose ids are given here the other way round. `random` goes where
/// nothing may be relied on, and into a version that does not exist, so that clients get used to unknown ones.
pub fn put_versions(destination: &[u8], source: &[u8], random: [u8; 4], out: &mut Vec<u8>) {
    put_long(LONG | FIXED | random[0], 0, destination, source, out);
    let reserved = random.map(|byte| byte & 0xf0 | 0x0a);
    out.extend_from_slice(&reserved);
    out.extend_from_slice(&VERSION.to_be_bytes());
}

/// Appends a reset: random bytes that look like a packet of a session, then the token.
pub fn put_reset(random: &[u8], token: [u8; TOKEN_BYTES], out: &mut Vec<u8>) {
    let at = out.len();
    out.extend_from_slice(random);
    out[at] = out[at] & !(LONG | FIXED) | FIXED;
    out.extend_from_slice(&token);
}
