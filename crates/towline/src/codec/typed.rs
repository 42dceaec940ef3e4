//! Messages of a type: where they end is one thing, what they hold another.

use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;

use super::{Decoder, Encoder, FrameError, Framing, HAND_ON_BYTES, Verdict};
use crate::pump::Outbox;

/// What a message holds: how a value becomes bytes and back. Serde formats and Protocol Buffers are such.
pub trait Content {
    /// What is read.
    type In;
    /// What is written.
    type Out;
    /// Why bytes hold no value, or a value cannot be written.
    type Error;

    /// Reads the value that takes all of `bytes`.
    ///
    /// # Errors
    /// They hold no such value, or something behind it.
    fn read(bytes: &[u8]) -> Result<Self::In, Self::Error>;

    /// Appends the value to `bytes`.
    ///
    /// # Errors
    /// The format cannot say such a value.
    fn write(value: &Self::Out, bytes: &mut Vec<u8>) -> Result<(), Self::Error>;

    /// About how many bytes a value holds while it waits, as [`Encoder::weight_bytes`].
    fn weight_bytes(_value: &Self::Out) -> usize {
        size_of::<Self::Out>()
    }
}

/// Why bytes are no message of the type, or a message cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TypedError<E> {
    /// No whole message can be cut out.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// What was cut out is no value of the type.
    #[error("not a value of this type: {0}")]
    Content(E),
}

/// Messages of a type: `F` says where a message ends, `C` what it holds.
///
/// Any framing carries any content: JSON in lines, JSON behind a length, an engineer's own format in either. `codec` on
/// `Prost`, `MessagePack` and `Json` gives each in its usual framing.
pub struct Typed<F, C> {
    framing: F,
    /// Where a message is written before its length is known.
    written: Vec<u8>,
    content: PhantomData<fn() -> C>,
}

impl<F: Framing, C: Content> Typed<F, C> {
    /// Content in messages that end as `framing` says.
    pub fn new(framing: F) -> Self {
        Self { framing, written: Vec::new(), content: PhantomData }
    }
}

impl<F: Clone, C> Clone for Typed<F, C> {
    fn clone(&self) -> Self {
        Self { framing: self.framing.clone(), written: Vec::new(), content: PhantomData }
    }
}

impl<F: fmt::Debug, C> fmt::Debug for Typed<F, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Typed").field("framing", &self.framing).finish_non_exhaustive()
    }
}

impl<F: Framing, C: Content> Decoder for Typed<F, C> {
    type Message<'a> = C::In;
    type Error = TypedError<C::Error>;

    fn decode(&mut self, bytes: &[u8]) -> Result<Verdict<C::In>, Self::Error> {
        Ok(match self.framing.decode(bytes)? {
            Verdict::Message(message, used) => Verdict::Message(C::read(message).map_err(TypedError::Content)?, used),
            Verdict::Need(more) => Verdict::Need(more),
            Verdict::Skip(count) => Verdict::Skip(count),
        })
    }
}

impl<F: Framing, C: Content> Encoder for Typed<F, C> {
    type Message = C::Out;
    type Error = TypedError<C::Error>;

    fn encode(&mut self, message: C::Out, out: &mut Outbox) -> Result<(), Self::Error> {
        self.written.clear();
        C::write(&message, &mut self.written).map_err(TypedError::Content)?;
        if self.written.len() < HAND_ON_BYTES {
            return Ok(self.framing.put(&self.written, out)?);
        }
        Ok(self.framing.encode(Bytes::from(std::mem::take(&mut self.written)), out)?)
    }

    fn weight_bytes(message: &C::Out) -> usize {
        C::weight_bytes(message)
    }
}
