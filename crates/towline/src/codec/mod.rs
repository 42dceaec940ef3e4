//! How messages lie in bytes: what a codec is, and the codecs for the usual wire formats.
//!
//! A decoder looks at the bytes at hand and answers with a [`Verdict`]: a message, *need n more*, *skip n*, or invalid.
//! Its message may borrow from those bytes, so that looking at a message copies and allocates nothing. An encoder appends
//! to an [`Outbox`], which copies small pieces together and writes large ones from where they lie.

mod length;

pub use length::{LengthPrefixed, TooLong};

use crate::pump::Outbox;

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
    /// What it reads. It may borrow from the bytes at hand.
    type Message<'a>;
    /// Why bytes are invalid.
    type Error;

    /// Looks at the bytes at hand, which are never empty.
    ///
    /// # Errors
    /// The bytes can never be a message.
    fn decode<'a>(&mut self, bytes: &'a [u8]) -> Result<Verdict<Self::Message<'a>>, Self::Error>;
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
