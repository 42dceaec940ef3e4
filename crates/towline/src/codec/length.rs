//! Messages behind their length.

use bytes::Bytes;

use super::limit::Limit;
use super::{Decoder, Encoder, FrameError, Framing, Skipped, Verdict};
use crate::pump::Outbox;

/// How a length is written. It counts the bytes behind it, not itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefix {
    /// One byte.
    U8,
    /// Two bytes, most significant first.
    U16Be,
    /// Two bytes, least significant first.
    U16Le,
    /// Four bytes, most significant first.
    U32Be,
    /// Four bytes, least significant first.
    U32Le,
    /// Eight bytes, most significant first.
    U64Be,
    /// Eight bytes, least significant first.
    U64Le,
    /// Protocol Buffers' variable length: seven bits a byte, least significant first, at most ten bytes.
    Varint,
    /// MessagePack's 32-bit number: the byte 0xce and four bytes, most significant first.
    MessagePack,
}

/// The byte before a 32-bit number in MessagePack.
const MESSAGE_PACK_U32: u8 = 0xce;

/// The most bytes of a length: a varint of 64 bits.
const PREFIX_MAX_BYTES: usize = 10;

/// What the bytes at hand say of a length.
enum Length {
    /// The length, and how many bytes it took.
    Is(u64, usize),
    /// That many more bytes must come first.
    Need(usize),
}

impl Prefix {
    /// The longest message whose length can be written.
    const fn max_length(self) -> u64 {
        match self {
            Self::U8 => u8::MAX as u64,
            Self::U16Be | Self::U16Le => u16::MAX as u64,
            Self::U32Be | Self::U32Le | Self::MessagePack => u32::MAX as u64,
            Self::U64Be | Self::U64Le | Self::Varint => u64::MAX,
        }
    }

    #[inline(always)]
    fn read(self, bytes: &[u8]) -> Result<Length, FrameError> {
        Ok(match self {
            Self::U8 => fixed(bytes, u8::from_be_bytes),
            Self::U16Be => fixed(bytes, u16::from_be_bytes),
            Self::U16Le => fixed(bytes, u16::from_le_bytes),
            Self::U32Be => fixed(bytes, u32::from_be_bytes),
            Self::U32Le => fixed(bytes, u32::from_le_bytes),
            Self::U64Be => fixed(bytes, u64::from_be_bytes),
            Self::U64Le => fixed(bytes, u64::from_le_bytes),
            Self::Varint => return varint(bytes),
            Self::MessagePack => match bytes.split_first() {
                None => Length::Need(5),
                Some((&MESSAGE_PACK_U32, rest)) => match fixed(rest, u32::from_be_bytes) {
                    Length::Is(length, used) => Length::Is(length, 1 + used),
                    need => need,
                },
                Some(_) => return Err(FrameError::NotALength),
            },
        })
    }

    /// Appends a length that is not above the longest.
    #[inline(always)]
    fn append(self, length: usize, out: &mut Vec<u8>) {
        // Each arm appends a number of bytes that is known when this is compiled: a store, not a call.
        match self {
            Self::U8 => out.push(length as u8),
            Self::U16Be => out.extend_from_slice(&(length as u16).to_be_bytes()),
            Self::U16Le => out.extend_from_slice(&(length as u16).to_le_bytes()),
            Self::U32Be => out.extend_from_slice(&(length as u32).to_be_bytes()),
            Self::U32Le => out.extend_from_slice(&(length as u32).to_le_bytes()),
            Self::U64Be => out.extend_from_slice(&(length as u64).to_be_bytes()),
            Self::U64Le => out.extend_from_slice(&(length as u64).to_le_bytes()),
            Self::Varint => append_varint(length as u64, out),
            Self::MessagePack => {
                let [first, second, third, fourth] = (length as u32).to_be_bytes();
                out.extend_from_slice(&[MESSAGE_PACK_U32, first, second, third, fourth]);
            }
        }
    }
}

#[inline]
fn fixed<const N: usize, T: Into<u64>>(bytes: &[u8], number: impl FnOnce([u8; N]) -> T) -> Length {
    match bytes.first_chunk::<N>() {
        Some(length) => Length::Is(number(*length).into(), N),
        None => Length::Need(N - bytes.len()),
    }
}

fn varint(bytes: &[u8]) -> Result<Length, FrameError> {
    let mut length = 0;
    for (at, &byte) in bytes.iter().take(PREFIX_MAX_BYTES).enumerate() {
        // The tenth byte has room for one bit of the 64.
        if at + 1 == PREFIX_MAX_BYTES && byte > 1 {
            return Err(FrameError::NotALength);
        }
        length |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            return Ok(Length::Is(length, at + 1));
        }
    }
    Ok(Length::Need(1))
}

fn append_varint(mut length: u64, out: &mut Vec<u8>) {
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

/// Messages behind their length. A message that is too long is an error as soon as its length is there, before a byte of
/// it is kept; or it is skipped as it comes.
///
/// ```
/// use towline::codec::{Decoder, LengthPrefixed, Prefix, Verdict};
///
/// let mut codec = LengthPrefixed::new(Prefix::U16Le, 1_000);
/// assert_eq!(codec.decode(b"\x02\x00hi\x05"), Ok(Verdict::Message(&b"hi"[..], 4)));
/// assert_eq!(codec.decode(b"\x05\x00hel"), Ok(Verdict::Need(2)));
/// ```
#[derive(Clone, Debug)]
pub struct LengthPrefixed {
    prefix: Prefix,
    limit: Limit,
}

impl LengthPrefixed {
    /// Messages of at most `max_bytes`, or as many as the prefix can say if that is less.
    pub const fn new(prefix: Prefix, max_bytes: usize) -> Self {
        let most = prefix.max_length();
        Self { prefix, limit: Limit::new(if most < max_bytes as u64 { most as usize } else { max_bytes }) }
    }

    /// Messages of at most `max_bytes` behind four bytes, most significant first: the usual network order.
    pub const fn u32(max_bytes: usize) -> Self {
        Self::new(Prefix::U32Be, max_bytes)
    }

    /// Skips and counts messages that are too long, instead of taking them for an error.
    pub fn skipping(mut self, skipped: &Skipped) -> Self {
        self.limit.skipped = Some(skipped.clone());
        self
    }
}

impl Decoder for LengthPrefixed {
    type Message<'a> = &'a [u8];
    type Error = FrameError;

    #[inline(always)]
    fn decode<'a>(&mut self, bytes: &'a [u8]) -> Result<Verdict<&'a [u8]>, FrameError> {
        let (length, head) = match self.prefix.read(bytes)? {
            Length::Is(length, head) => (length, head),
            Length::Need(more) => return Ok(Verdict::Need(more)),
        };
        if let Err(too_long) = self.limit.check(length) {
            let all = length.checked_add(head as u64).ok_or(too_long)?;
            return self.limit.exceeded(length, all);
        }
        let end = head.saturating_add(length as usize);
        Ok(match bytes.get(head..end) {
            Some(message) => Verdict::Message(message, end),
            None => Verdict::Need(end - bytes.len()),
        })
    }
}

impl Encoder for LengthPrefixed {
    type Message = Bytes;
    type Error = FrameError;

    #[inline(always)]
    fn encode(&mut self, message: Bytes, out: &mut Outbox) -> Result<(), FrameError> {
        self.limit.check(message.len() as u64)?;
        out.gather(|tail| self.prefix.append(message.len(), tail));
        out.put_whole(message);
        Ok(())
    }

    /// The usual prefix and the message: that of another prefix differs by a few bytes.
    fn weight_bytes(message: &Bytes) -> usize {
        size_of::<u32>() + message.len()
    }
}

impl Framing for LengthPrefixed {
    #[inline]
    fn put(&mut self, message: &[u8], out: &mut Outbox) -> Result<(), FrameError> {
        self.limit.check(message.len() as u64)?;
        out.gather(|tail| {
            self.prefix.append(message.len(), tail);
            tail.extend_from_slice(message);
        });
        Ok(())
    }
}
