//! MessagePack, by serde.

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Content, LengthPrefixed, Prefix, Typed};

/// MessagePack's content: values of type `In` come, values of type `Out` go.
///
/// ```
/// use towline::codec::{Decoder, MessagePack, Verdict};
///
/// let mut codec = <MessagePack<(u8, String)>>::codec(1 << 20);
/// let Ok(verdict) = codec.decode(b"\xce\0\0\0\x05\x92\x07\xa2hi") else { panic!() };
/// assert_eq!(verdict, Verdict::Message((7, "hi".to_owned()), 10));
/// ```
pub struct MessagePack<In, Out = In>(PhantomData<fn(Out) -> In>);

impl<In: DeserializeOwned, Out: Serialize> MessagePack<In, Out> {
    /// Messages of at most `max_bytes` behind their length as a 32-bit MessagePack number, as protosocket frames them.
    pub fn codec(max_bytes: usize) -> Typed<LengthPrefixed, Self> {
        Typed::new(LengthPrefixed::new(Prefix::MessagePack, max_bytes))
    }
}

/// Why bytes hold no such value, or a value cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum MessagePackError {
    /// Reading failed.
    #[error(transparent)]
    Read(#[from] rmp_serde::decode::Error),
    /// Writing failed.
    #[error(transparent)]
    Write(#[from] rmp_serde::encode::Error),
    /// Something stands behind the value. It is no second value: each has its own length.
    #[error("{0} bytes too many")]
    Trailing(usize),
}

impl<In: DeserializeOwned, Out: Serialize> Content for MessagePack<In, Out> {
    type In = In;
    type Out = Out;
    type Error = MessagePackError;

    fn read(mut bytes: &[u8]) -> Result<In, MessagePackError> {
        let value = rmp_serde::from_read(&mut bytes)?;
        if bytes.is_empty() { Ok(value) } else { Err(MessagePackError::Trailing(bytes.len())) }
    }

    fn write(value: &Out, bytes: &mut Vec<u8>) -> Result<(), MessagePackError> {
        Ok(rmp_serde::encode::write(bytes, value)?)
    }
}
