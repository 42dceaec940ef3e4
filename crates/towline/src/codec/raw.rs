//! Whatever came, as it came.

use std::convert::Infallible;

use bytes::Bytes;

use super::{Decoder, Encoder, Verdict};
use crate::pump::Outbox;

/// No messages at all: bytes are handed up in the pieces in which they came, and sent as they are. Where one piece ends
/// says nothing, since networks cut and join as they like.
#[derive(Clone, Copy, Debug, Default)]
pub struct Raw;

impl Decoder for Raw {
    type Message<'a> = &'a [u8];
    type Error = Infallible;

    fn decode<'a>(&mut self, bytes: &'a [u8]) -> Result<Verdict<&'a [u8]>, Infallible> {
        Ok(Verdict::Message(bytes, bytes.len()))
    }
}

impl Encoder for Raw {
    type Message = Bytes;
    type Error = Infallible;

    fn encode(&mut self, message: Bytes, out: &mut Outbox) -> Result<(), Infallible> {
        out.put_whole(message);
        Ok(())
    }
}
