//! Reading a datagram: packets one by one, in place.

use core::ops::Range;

use super::{FIXED, KEY_PHASE, LONG, LongHead, NUMBER_BYTES_MAX, RESERVED_LONG, RESERVED_SHORT, TOKEN_BYTES};
use super::{VERSION, kind};
use crate::datagram::connection_id::{ConnectionId, LOCAL_ID_BYTES};
use crate::datagram::crypto::{HeaderKey, InitialCrypto, Level, PacketKey};
use crate::datagram::number;
use crate::wire::cursor::Reader;

/// The packets of a received datagram, in order. It ends at the first that cannot be read, or is for somebody else than
/// the first one (RFC 9000 §12.2).
#[derive(Debug)]
pub struct Datagram<'a> {
    rest: &'a mut [u8],
    destination: Option<ConnectionId>,
    malformed_bytes: usize,
}

impl<'a> Datagram<'a> {
    /// The packets in these bytes.
    pub const fn new(bytes: &'a mut [u8]) -> Self {
        Self { rest: bytes, destination: None, malformed_bytes: 0 }
    }

    /// How many bytes were dropped unread so far.
    pub const fn malformed_bytes(&self) -> usize {
        self.malformed_bytes
    }
}

impl<'a> Iterator for Datagram<'a> {
    type Item = Packet<'a>;

    fn next(&mut self) -> Option<Packet<'a>> {
        let rest = core::mem::take(&mut self.rest);
        let first_destination = self.destination;
        let layout = Layout::read(rest).filter(|layout| first_destination.is_none_or(|id| id == layout.destination));
        let Some(layout) = layout else {
            self.malformed_bytes = rest.len();
            return None;
        };
        self.destination = Some(layout.destination);
        let (bytes, rest) = rest.split_at_mut(layout.end);
        self.rest = rest;
        Some(layout.packet(bytes))
    }
}

/// A packet of a received datagram.
#[derive(Debug)]
pub enum Packet<'a> {
    /// One with a number and sealed content.
    Sealed(Sealed<'a>),
    /// The server wants to see a token first.
    Retry(Retry<'a>),
    /// The server does not speak the version that it was spoken to in.
    Versions(Versions<'a>),
}

/// Where things stand in a packet.
struct Layout {
    form: Form,
    destination: ConnectionId,
    source: Option<ConnectionId>,
    end: usize,
}

enum Form {
    Sealed { level: Level, token: Range<usize>, number_at: usize },
    Retry { token: Range<usize> },
    Versions { from: usize },
}

impl Layout {
    /// Of the packet at the front; `None` if there is none.
    fn read(bytes: &[u8]) -> Option<Self> {
        let first = *bytes.first()?;
        if first & LONG != 0 {
            return Self::read_long(bytes);
        }
        let id = bytes.get(1..=LOCAL_ID_BYTES).filter(|_| first & FIXED != 0)?;
        let form = Form::Sealed { level: Level::Session, token: 0..0, number_at: 1 + LOCAL_ID_BYTES };
        Some(Self { form, destination: ConnectionId::new(id)?, source: None, end: bytes.len() })
    }

    fn read_long(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let head = LongHead::read(&mut reader)?;
        let destination = ConnectionId::new(head.destination)?;
        let source = Some(ConnectionId::new(head.source)?);
        let behind_ids = reader.position();
        let (form, end) = if head.version == 0 {
            let is_whole = reader.remaining() > 0 && reader.remaining().is_multiple_of(size_of::<u32>());
            (is_whole.then_some(Form::Versions { from: behind_ids })?, bytes.len())
        } else if head.version != VERSION || head.first & FIXED == 0 {
            return None;
        } else {
            match head.first & kind::MASK {
                kind::INITIAL => sealed(Level::Initial, &mut reader)?,
                kind::HANDSHAKE => sealed(Level::Handshake, &mut reader)?,
                kind::RETRY => {
                    // A retry without a token would be one without an end.
                    let token = behind_ids..bytes.len().checked_sub(TOKEN_BYTES)?;
                    ((!token.is_empty()).then_some(Form::Retry { token })?, bytes.len())
                }
                _ => return None,
            }
        };
        Some(Self { form, destination, source, end })
    }

    fn packet(self, bytes: &mut [u8]) -> Packet<'_> {
        let Self { destination, source, .. } = self;
        match self.form {
            Form::Sealed { level, token, number_at } => {
                Packet::Sealed(Sealed { level, destination, source, token, number_at, bytes })
            }
            Form::Retry { token } => {
                Packet::Retry(Retry { destination, source: source.unwrap_or_default(), token, bytes })
            }
            Form::Versions { from } => {
                let versions = &bytes[from..];
                Packet::Versions(Versions { destination, source: source.unwrap_or_default(), versions })
            }
        }
    }
}

/// The rest of a long header with a length, and where its packet ends.
fn sealed(level: Level, reader: &mut Reader<'_>) -> Option<(Form, usize)> {
    let mut token = 0..0;
    if level == Level::Initial {
        let bytes = reader.prefixed(reader.remaining(), "token").ok()?;
        token = reader.position() - bytes.len()..reader.position();
    }
    let length = reader.bounded(reader.remaining(), "length").ok()?;
    let number_at = reader.position();
    reader.take(length, "content").ok()?;
    Some((Form::Sealed { level, token, number_at }, number_at + length))
}

/// A packet whose header is still hidden and whose content is sealed.
#[derive(Debug)]
pub struct Sealed<'a> {
    level: Level,
    destination: ConnectionId,
    source: Option<ConnectionId>,
    token: Range<usize>,
    number_at: usize,
    bytes: &'a mut [u8],
}

impl<'a> Sealed<'a> {
    /// Whose keys it needs.
    pub const fn level(&self) -> Level {
        self.level
    }

    /// Whom it is for.
    pub const fn destination(&self) -> ConnectionId {
        self.destination
    }

    /// How the sender wants to be called; `None` in a packet of the session.
    pub const fn source(&self) -> Option<ConnectionId> {
        self.source
    }

    /// The token of an Initial packet; empty if it has none.
    pub fn token(&self) -> &[u8] {
        &self.bytes[self.token.clone()]
    }

    /// How many bytes the whole packet has.
    pub const fn packet_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Shows the header; `None` if the packet is too short to hold a sample. Under a wrong key something else is shown, and
    /// opening will fail.
    pub fn show(self, key: &dyn HeaderKey) -> Option<Shown<'a>> {
        let Self { level, number_at, bytes, .. } = self;
        let (head, sealed) = bytes.split_at_mut_checked(number_at + NUMBER_BYTES_MAX)?;
        let sample = sealed.get(..key.sample_bytes())?;
        let (first, behind) = head.split_first_mut()?;
        key.show(sample, first, &mut behind[number_at - 1..]);
        let first = *first;
        let number_len = usize::from(first & 3) + 1;
        let number = &bytes[number_at..number_at + number_len];
        let truncated = number.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte));
        Some(Shown { level, first, number_len, truncated, content_at: number_at + number_len, bytes })
    }
}

/// A packet whose header is shown. What it says is not to be believed before it was opened.
#[derive(Debug)]
pub struct Shown<'a> {
    level: Level,
    first: u8,
    number_len: usize,
    truncated: u64,
    content_at: usize,
    bytes: &'a mut [u8],
}

impl<'a> Shown<'a> {
    /// Whose keys it needs.
    pub const fn level(&self) -> Level {
        self.level
    }

    /// Its number, if `largest` is the largest of its level that was opened so far.
    pub fn number(&self, largest: Option<u64>) -> u64 {
        number::expand(self.truncated, self.number_len, largest)
    }

    /// Which of two keys sealed it; false at other levels than the session's.
    pub fn key_phase(&self) -> bool {
        self.level == Level::Session && self.first & KEY_PHASE != 0
    }

    /// Opens it under its number, in place, and gives the content. After a failure the bytes mean nothing any more.
    ///
    /// # Errors
    /// [`Fault::Forged`]: drop it, and count it. [`Fault::ReservedBits`]: the peer broke a rule.
    pub fn open(self, number: u64, key: &dyn PacketKey) -> Result<&'a mut [u8], Fault> {
        let (header, content) = self.bytes.split_at_mut(self.content_at);
        let len = key.open(number, header, content).ok_or(Fault::Forged)?;
        let reserved = if self.level == Level::Session { RESERVED_SHORT } else { RESERVED_LONG };
        if self.first & reserved != 0 {
            return Err(Fault::ReservedBits);
        }
        Ok(&mut content[..len])
    }
}

/// Why a packet was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is not of the peer, or was changed on its way.
    #[error("a packet is not the peer's, or was changed on its way")]
    Forged,
    /// The peer sealed a header with bits that must be zero.
    #[error("the peer set reserved bits of a packet's header")]
    ReservedBits,
}

/// A server's wish to see a token.
#[derive(Debug)]
pub struct Retry<'a> {
    destination: ConnectionId,
    source: ConnectionId,
    token: Range<usize>,
    bytes: &'a [u8],
}

impl Retry<'_> {
    /// Whom it is for.
    pub const fn destination(&self) -> ConnectionId {
        self.destination
    }

    /// How the server wants to be called from now on.
    pub const fn source(&self) -> ConnectionId {
        self.source
    }

    /// What to show it.
    pub fn token(&self) -> &[u8] {
        &self.bytes[self.token.clone()]
    }

    /// Whether it answers the client that chose `client_chosen` for its server. Anybody who sees that client's packets could
    /// have made it; nobody else.
    pub fn is_authentic(&self, client_chosen: &[u8], crypto: &dyn InitialCrypto) -> bool {
        let (packet, tag) = self.bytes.split_at(self.token.end);
        crypto.retry_tag(client_chosen, packet) == tag
    }
}

/// A server's list of versions. Nothing proves it: whoever sees a client's packets can make one.
#[derive(Debug)]
pub struct Versions<'a> {
    destination: ConnectionId,
    source: ConnectionId,
    versions: &'a [u8],
}

impl Versions<'_> {
    /// Whom it is for.
    pub const fn destination(&self) -> ConnectionId {
        self.destination
    }

    /// What the client had called its server.
    pub const fn source(&self) -> ConnectionId {
        self.source
    }

    /// What the server speaks, in no order. A list with [`VERSION`] in it is no answer to us, and is to be dropped.
    pub fn versions(&self) -> impl Iterator<Item = u32> + '_ {
        self.versions.as_chunks().0.iter().map(|bytes| u32::from_be_bytes(*bytes))
    }
}
