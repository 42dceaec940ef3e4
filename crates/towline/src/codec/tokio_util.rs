//! Codecs of `tokio_util::codec` here, and codecs from here there.

use std::fmt;
use std::io;
use std::marker::PhantomData;

use bytes::{Buf, BytesMut};
use tokio_util::codec as theirs;

use super::{Decoder, Encoder, Verdict};
use crate::pump::Outbox;

/// A codec of `tokio_util` as a codec of a [`Connection`](crate::connection::Connection); `Item` is what it writes.
///
/// The bytes of a message that is not whole lie twice: in the connection and in the buffer that such a codec wants. Its
/// `decode_eof` is not asked: a stream that ends inside a message was cut.
pub struct FromTokio<C, Item> {
    codec: C,
    buffer: BytesMut,
    /// So many of the bytes at hand were handed to the codec.
    handed: usize,
    item: PhantomData<fn(Item)>,
}

/// Why a codec of `tokio_util` cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum FromTokioError<E> {
    /// Its own reason.
    #[error(transparent)]
    Codec(E),
    /// It gave a message and took no byte for it, so nobody could say when it is done.
    #[error("the codec gave a message without taking a byte")]
    TookNothing,
}

impl<C, Item> FromTokio<C, Item> {
    /// Takes the codec.
    pub fn new(codec: C) -> Self {
        Self { codec, buffer: BytesMut::new(), handed: 0, item: PhantomData }
    }
}

impl<C: fmt::Debug, Item> fmt::Debug for FromTokio<C, Item> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromTokio").field("codec", &self.codec).finish_non_exhaustive()
    }
}

impl<C: theirs::Decoder, Item> Decoder for FromTokio<C, Item> {
    type Message<'a> = C::Item;
    type Error = FromTokioError<C::Error>;

    fn decode(&mut self, bytes: &[u8]) -> Result<Verdict<C::Item>, Self::Error> {
        self.buffer.extend_from_slice(bytes.get(self.handed..).unwrap_or_default());
        self.handed = bytes.len();
        let Some(message) = self.codec.decode(&mut self.buffer).map_err(FromTokioError::Codec)? else {
            // It may have taken a header already. The bytes at hand are kept all the same until the message is whole: so
            // an end of the stream in between is known for what it is.
            return Ok(Verdict::Need(1));
        };
        let used = self.handed.saturating_sub(self.buffer.len());
        if used == 0 {
            return Err(FromTokioError::TookNothing);
        }
        self.handed -= used;
        Ok(Verdict::Message(message, used))
    }
}

impl<C: theirs::Encoder<Item>, Item> Encoder for FromTokio<C, Item> {
    type Message = Item;
    type Error = C::Error;

    fn encode(&mut self, message: Item, out: &mut Outbox) -> Result<(), C::Error> {
        let mut written = BytesMut::new();
        self.codec.encode(message, &mut written)?;
        out.put_whole(written.freeze());
        Ok(())
    }
}

/// A codec from here as a codec of `tokio_util`, for its `Framed`. What was decoded may borrow from the bytes and cannot
/// leave as it is: a function makes `T` of it, `Bytes::copy_from_slice` or `|message| message`.
pub struct ToTokio<C, F, T> {
    codec: C,
    make: F,
    /// Bytes still to be thrown away.
    skip: u64,
    out: Outbox,
    made: PhantomData<fn() -> T>,
}

/// Why the codec or the stream under it cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ToTokioError<E> {
    /// The codec's own reason.
    #[error(transparent)]
    Codec(E),
    /// The byte stream failed.
    #[error("{0}")]
    Io(io::Error),
}

impl<E> From<io::Error> for ToTokioError<E> {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl<C: Decoder, F: for<'a> FnMut(C::Message<'a>) -> T, T> ToTokio<C, F, T> {
    /// Takes the codec, and what is done to each message.
    pub fn new(codec: C, make: F) -> Self {
        Self { codec, make, skip: 0, out: Outbox::default(), made: PhantomData }
    }
}

impl<C: fmt::Debug, F, T> fmt::Debug for ToTokio<C, F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToTokio").field("codec", &self.codec).finish_non_exhaustive()
    }
}

impl<C: Decoder, F: for<'a> FnMut(C::Message<'a>) -> T, T> theirs::Decoder for ToTokio<C, F, T> {
    type Item = T;
    type Error = ToTokioError<C::Error>;

    fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<T>, Self::Error> {
        loop {
            let now = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
            bytes.advance(now);
            self.skip -= now as u64;
            if bytes.is_empty() {
                return Ok(None);
            }
            let (made, used) = match self.codec.decode(bytes) {
                Ok(Verdict::Message(message, used)) => ((self.make)(message), used),
                Ok(Verdict::Need(_)) => return Ok(None),
                Ok(Verdict::Skip(count)) => {
                    self.skip = count;
                    continue;
                }
                Err(error) => return Err(ToTokioError::Codec(error)),
            };
            bytes.advance(used);
            return Ok(Some(made));
        }
    }
}

impl<C: Encoder, F, T> theirs::Encoder<C::Message> for ToTokio<C, F, T> {
    type Error = ToTokioError<C::Error>;

    fn encode(&mut self, message: C::Message, bytes: &mut BytesMut) -> Result<(), Self::Error> {
        self.codec.encode(message, &mut self.out).map_err(ToTokioError::Codec)?;
        while !self.out.is_empty() {
            let count = self.out.first().len();
            bytes.extend_from_slice(self.out.first());
            self.out.advance(count);
        }
        Ok(())
    }
}
