//! How messages lie in bytes: what a codec is, and the codecs for the usual wire formats.
//!
//! A decoder looks at the bytes at hand and answers with a [`Verdict`]: a message, *need n more*, *skip n*, or invalid.
//! Its message may borrow from those bytes, so that looking at a message copies and allocates nothing. An encoder appends
//! to an [`Outbox`], which copies small pieces together and writes large ones from where they lie.
//!
//! | codec | a message is | feature |
//! |---|---|---|
//! | [`Delimited`] | what stands before a delimiter | |
//! | [`LengthPrefixed`] | what stands behind its length ([`Prefix`]) | |
//! | [`Raw`] | whatever came | |
//! | `Prost` | a Protocol Buffers message behind its length | `prost` |
//! | `MessagePack` | a value of serde behind its length | `messagepack` |
//! | `Json` | a value of serde in a line | `json` |
//! | `FromTokio`, `ToTokio` | what a codec of `tokio_util` takes for one, and back | `tokio-util` |
//!
//! The typed ones are a [`Content`] in a [`Framing`], joined by [`Typed`]. Each codec has a limit, and each message that is
//! longer is an error, or is skipped and counted ([`Skipped`]). No limit is left to a default: only the protocol knows it.

mod delimited;
#[cfg(feature = "json")]
mod json;
mod length;
mod limit;
#[cfg(feature = "messagepack")]
mod messagepack;
#[cfg(feature = "prost")]
mod prost;
mod raw;
#[cfg(feature = "tokio-util")]
mod tokio_util;
mod typed;

pub use delimited::Delimited;
#[cfg(feature = "json")]
pub use json::{Json, JsonError};
pub use length::{LengthPrefixed, Prefix};
pub use limit::{FrameError, Skipped};
#[cfg(feature = "messagepack")]
pub use messagepack::{MessagePack, MessagePackError};
#[cfg(feature = "prost")]
pub use prost::{Prost, ProstError};
pub use raw::Raw;
#[cfg(feature = "tokio-util")]
pub use tokio_util::{FromTokio, FromTokioError, ToTokio, ToTokioError};
pub use typed::{Content, Typed, TypedError};

use bytes::Bytes;

use crate::pump::Outbox;

/// Messages of this length and more are handed on in their own buffer, if they have one; a shorter one costs less to copy
/// than the buffer that would go with it.
const HAND_ON_BYTES: usize = 2 * 1024;

/// What a decoder says about the bytes at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<M> {
    /// One message, and how many bytes it was.
    Message(M, usize),
    /// At least that many more bytes must come first. Then the decoder is asked again with the same bytes and those.
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

    /// About how many bytes a message holds while it waits; queues are bounded by it. An encoder whose messages own
    /// memory says how much: best, what they become on the wire. Always the same for the same message.
    fn weight_bytes(_message: &Self::Message) -> usize {
        size_of::<Self::Message>()
    }
}

/// Cuts a stream into messages that are plain bytes: what a [`Typed`] codec stands on.
pub trait Framing:
    for<'a> Decoder<Message<'a> = &'a [u8], Error = FrameError> + Encoder<Message = Bytes, Error = FrameError>
{
    /// Appends one message by copying it.
    ///
    /// # Errors
    /// The message has no form on the wire; nothing was appended.
    fn put(&mut self, message: &[u8], out: &mut Outbox) -> Result<(), FrameError>;
}
