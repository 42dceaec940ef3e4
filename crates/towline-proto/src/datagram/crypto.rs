//! What the engine asks of cryptography: the TLS 1.3 handshake, and packet protection as in RFC 9001.
//!
//! The engine owns packets, numbers, offsets, retransmission and time; who implements these traits owns keys. Simulations
//! bring a keyed checksum.

#[cfg(any(test, feature = "test-crypto"))]
pub mod checksum;
#[cfg(any(test, feature = "test-crypto"))]
pub mod toy;

use core::fmt;

/// Which side of a link this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It sent the first packet.
    Client,
    /// It answered.
    Server,
}

/// Hides and shows what of a header is protected (RFC 9001 §5.4).
pub trait HeaderKey: Send + Sync {
    /// How many bytes of the sealed content are sampled.
    fn sample_bytes(&self) -> usize;

    /// Masks the first byte and the packet number.
    fn hide(&self, sample: &[u8], first: &mut u8, number: &mut [u8]);

    /// Unmasks the first byte; then, under the length that it names, the number: `number` is the four bytes behind the
    /// header, of which only that many are changed.
    fn show(&self, sample: &[u8], first: &mut u8, number: &mut [u8]);
}

/// Seals and opens the content of packets (RFC 9001 §5.3).
pub trait PacketKey: Send + Sync {
    /// How many bytes a seal adds.
    fn tag_bytes(&self) -> usize;

    /// Seals in place: `content` ends with [`PacketKey::tag_bytes`] bytes of room, which get the tag.
    fn seal(&self, number: u64, header: &[u8], content: &mut [u8]);

    /// Opens in place and gives how many bytes of `content` are the content; `None` if it was not sealed by the peer under
    /// this number and header.
    fn open(&self, number: u64, header: &[u8], content: &mut [u8]) -> Option<usize>;

    /// How many packets may be sealed under this key (RFC 9001 §6.6).
    fn sealed_max(&self) -> u64;

    /// How many packets may fail to open, over all keys of a link, before it must end (RFC 9001 §6.6).
    fn failed_max(&self) -> u64;
}

/// What protects packets one way.
pub struct OneWay {
    /// For headers.
    pub header: Box<dyn HeaderKey>,
    /// For contents.
    pub packet: Box<dyn PacketKey>,
}

/// What protects packets of one [level](Level) both ways.
pub struct Keys {
    /// For what we send.
    pub local: OneWay,
    /// For what comes.
    pub remote: OneWay,
}

/// The packet keys of a key update; headers keep theirs.
pub struct PacketKeys {
    /// For what we send.
    pub local: Box<dyn PacketKey>,
    /// For what comes.
    pub remote: Box<dyn PacketKey>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

impl fmt::Debug for PacketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PacketKeys")
    }
}

/// Which keys protect a packet. Each level has packet numbers of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Keys that everybody on the path can know.
    Initial,
    /// Keys of the handshake.
    Handshake,
    /// The session's.
    Session,
}

/// From now on the handshake's next bytes are of another level.
#[derive(Debug)]
pub enum KeyChange {
    /// Of [`Level::Handshake`], whose keys these are.
    Handshake(Keys),
    /// Of [`Level::Session`]; [`Handshake::next_keys`] gives what follows these.
    Session(Keys),
}

/// The handshake failed; the TLS alert that tells the peer why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct HandshakeFailed {
    /// The alert (RFC 8446 §6).
    pub alert: u8,
    /// For people.
    pub text: String,
}

/// The TLS 1.3 handshake, without its records.
pub trait Handshake: Send {
    /// Takes bytes of the peer, in order, of the level that was last completed for reading.
    ///
    /// # Errors
    /// [`HandshakeFailed`]: the link is over.
    fn read(&mut self, bytes: &[u8]) -> Result<(), HandshakeFailed>;

    /// Appends what is to be said at the present level, and gives the keys of the next one if that comes then. Call it again
    /// until it appends nothing and changes nothing.
    fn write(&mut self, out: &mut Vec<u8>) -> Option<KeyChange>;

    /// Whether the peer's last message is still to come.
    fn is_handshaking(&self) -> bool;

    /// The peer's transport parameters, as soon as they came. They can be believed when the handshake is over.
    fn peer_params(&self) -> Option<&[u8]>;

    /// The packet keys of the next key update; `None` before there are keys of [`Level::Session`].
    fn next_keys(&mut self) -> Option<PacketKeys>;
}

/// What protects packets before any secret is shared.
pub trait InitialCrypto: Send + Sync {
    /// The keys that follow from the first connection id that a client chose for its server (RFC 9001 §5.2).
    fn initial_keys(&self, side: Side, client_chosen: &[u8]) -> Keys;

    /// The tag of a Retry packet (RFC 9001 §5.8) over everything before it.
    fn retry_tag(&self, client_chosen: &[u8], packet: &[u8]) -> [u8; 16];
}

/// A server's own secret, for what it must recognise without having kept anything.
pub trait TokenKey: Send + Sync {
    /// Appends a token of `content`. The same nonce is never given twice.
    fn seal_token(&self, nonce: [u8; 12], content: &[u8], out: &mut Vec<u8>);

    /// What is in a token; `None` if it is not of this key.
    fn open_token(&self, token: &[u8]) -> Option<Vec<u8>>;

    /// The token that ends the link with that connection id of ours when we know nothing of it any more (RFC 9000 §10.3).
    fn reset_token(&self, id: &[u8]) -> [u8; 16];
}
