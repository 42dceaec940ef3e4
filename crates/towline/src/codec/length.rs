//! Messages behind their length.

use bytes::Bytes;

use super::{Decoder, Encoder, Verdict};
use crate::pump::Outbox;

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
    type Message<'a> = &'a [u8];
    type Error = TooLong;

    fn decode<'a>(&mut self, bytes: &'a [u8]) -> Result<Verdict<&'a [u8]>, TooLong> {
        let Some((prefix, rest)) = bytes.split_first_chunk::<PREFIX_BYTES>() else {
            return Ok(Verdict::Need(PREFIX_BYTES - bytes.len()));
        };
        let length = u32::from_be_bytes(*prefix);
        self.check(u64::from(length))?;
        Ok(match rest.get(..length as usize) {
            Some(message) => Verdict::Message(message, PREFIX_BYTES + message.len()),
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
