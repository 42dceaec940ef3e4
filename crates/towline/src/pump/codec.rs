//! How messages lie in bytes: verdicts of a decoder, and the plain length-prefixed form.

use bytes::Bytes;

use super::Outbox;

/// What a decoder says about the bytes at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<M> {
    /// One message, and how many bytes it was.
    Message(M, usize),
    /// At least that many more bytes must come first.
    Need(usize),
    /// That many bytes (counted from the first at hand) mean nothing here and are thrown away as they come.
    Skip(u64),
}

/// Reads messages.
pub trait Decoder {
    /// What it reads.
    type Message;
    /// Why bytes are invalid.
    type Error;

    /// Looks at the bytes at hand, which are never empty.
    ///
    /// # Errors
    /// The bytes can never be a message.
    fn decode(&mut self, bytes: &[u8]) -> Result<Verdict<Self::Message>, Self::Error>;
}

/// Writes messages.
pub trait Encoder {
    /// What it writes.
    type Message;
    /// Why a message cannot be written.
    type Error;

    /// Appends one message.
    ///
    /// # Errors
    /// The message has no form on the wire; nothing was appended.
    fn encode(&mut self, message: Self::Message, out: &mut Outbox) -> Result<(), Self::Error>;
}

/// Messages behind their length in four bytes, most significant first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LengthPrefixed {
    /// The longest message that is read or written, in bytes.
    pub max_bytes: u32,
}

/// Bytes of the length.
const PREFIX_BYTES: usize = 4;

/// A message is longer than its [`LengthPrefixed`] allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message of {bytes} bytes is longer than the limit of {max_bytes}")]
pub struct TooLong {
    /// Its length.
    pub bytes: u64,
    /// The limit.
    pub max_bytes: u32,
}

impl LengthPrefixed {
    fn check(self, bytes: u64) -> Result<(), TooLong> {
        let max_bytes = self.max_bytes;
        if bytes <= u64::from(max_bytes) { Ok(()) } else { Err(TooLong { bytes, max_bytes }) }
    }
}

impl Decoder for LengthPrefixed {
    type Message = Bytes;
    type Error = TooLong;

    fn decode(&mut self, bytes: &[u8]) -> Result<Verdict<Bytes>, TooLong> {
        let Some((prefix, rest)) = bytes.split_first_chunk::<PREFIX_BYTES>() else {
            return Ok(Verdict::Need(PREFIX_BYTES - bytes.len()));
        };
        let length = u32::from_be_bytes(*prefix);
        self.check(u64::from(length))?;
        Ok(match rest.get(..length as usize) {
            Some(message) => Verdict::Message(Bytes::copy_from_slice(message), PREFIX_BYTES + message.len()),
            None => Verdict::Need(length as usize - rest.len()),
        })
    }
}

impl Encoder for LengthPrefixed {
    type Message = Bytes;
    type Error = TooLong;

    fn encode(&mut self, message: Bytes, out: &mut Outbox) -> Result<(), TooLong> {
        self.check(message.len() as u64)?;
        out.put(&(message.len() as u32).to_be_bytes());
        out.put_whole(message);
        Ok(())
    }
}
