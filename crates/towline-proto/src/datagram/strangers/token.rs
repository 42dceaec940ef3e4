//! What a retry's token says, sealed under a key that only its server has: who gets it, when, and for which handshake.

use core::net::{IpAddr, SocketAddr};

use crate::datagram::connection_id::{ConnectionId, LOCAL_ID_BYTES, MAX_ID_BYTES};
use crate::datagram::crypto::TokenKey;
use crate::time::{Duration, Instant};
use crate::wire::cursor::{DecodeError, Reader, put_prefixed};

/// The content of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// Only from there it is good.
    pub(super) from: SocketAddr,
    /// Only to that id it is good: the source id of the retry.
    pub(super) retry_source: ConnectionId,
    /// Where the client's first packet went.
    pub(super) original_destination: ConnectionId,
    /// By the clock of the endpoint, which no other process shares: nor does it share the key.
    pub(super) given_at: Instant,
}

impl Token {
    /// Appends it under a nonce that is never given twice.
    pub(super) fn seal(&self, nonce: [u8; 12], key: &dyn TokenKey, out: &mut Vec<u8>) {
        let mut content = Vec::with_capacity(64);
        content.extend_from_slice(&place(self.from));
        content.extend_from_slice(&self.given_at.as_nanos().to_be_bytes());
        content.extend_from_slice(&self.retry_source);
        put_prefixed(&mut content, &self.original_destination);
        key.seal_token(nonce, &content, out);
    }

    /// Opens one; `None` if it is not of this key. `from` is then its own word.
    pub(super) fn open(token: &[u8], key: &dyn TokenKey) -> Option<Self> {
        Self::decode(&key.open_token(token)?).ok()
    }

    fn decode(content: &[u8]) -> Result<Self, DecodeError> {
        const WHAT: &str = "token";
        let mut reader = Reader::new(content);
        let (ip, port) = (reader.array::<16>(WHAT)?, reader.array(WHAT)?);
        let given_at = Instant::from_nanos(u64::from_be_bytes(reader.array(WHAT)?));
        let retry_source = ConnectionId::from(reader.array::<LOCAL_ID_BYTES>(WHAT)?);
        let original = reader.prefixed(MAX_ID_BYTES, WHAT)?;
        reader.finish(WHAT)?;
        let original_destination = ConnectionId::new(original).ok_or(DecodeError::Invalid { what: WHAT })?;
        let from = SocketAddr::new(IpAddr::from(ip), u16::from_be_bytes(port));
        Ok(Self { from, retry_source, original_destination, given_at })
    }

    /// Whether it is good now, for a packet from there to that id.
    pub(super) fn is_good(&self, now: Instant, life: Duration, from: SocketAddr, to: &ConnectionId) -> bool {
        place(self.from) == place(from)
            && self.retry_source == *to
            && self.given_at <= now
            && now.since(self.given_at) <= life
    }
}

/// An address as bytes, the same for an IPv4 address whichever kind of socket it came through.
fn place(address: SocketAddr) -> [u8; 18] {
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let mut place = [0; 18];
    place[..16].copy_from_slice(&ip.octets());
    place[16..].copy_from_slice(&address.port().to_be_bytes());
    place
}
