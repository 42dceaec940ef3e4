//! Protocol Buffers.

use std::marker::PhantomData;

use super::{Content, LengthPrefixed, Prefix, Typed};

/// Protocol Buffers' content: messages of type `In` come, messages of type `Out` go.
///
/// ```
/// use towline::codec::{Decoder, Prost, Verdict};
///
/// let mut codec = <Prost<String>>::codec(1 << 20); // prost reads a `String` as google.protobuf.StringValue
/// assert_eq!(codec.decode(b"\x04\x0a\x02hi"), Ok(Verdict::Message("hi".to_owned(), 5)));
/// ```
pub struct Prost<In, Out = In>(PhantomData<fn(Out) -> In>);

impl<In: prost::Message + Default, Out: prost::Message> Prost<In, Out> {
    /// Messages of at most `max_bytes` behind their length as a varint: Protocol Buffers' own way, and protosocket's.
    pub fn codec(max_bytes: usize) -> Typed<LengthPrefixed, Self> {
        Typed::new(LengthPrefixed::new(Prefix::Varint, max_bytes))
    }
}

/// Why bytes hold no such message; writing cannot fail.
pub type ProstError = prost::DecodeError;

impl<In: prost::Message + Default, Out: prost::Message> Content for Prost<In, Out> {
    type In = In;
    type Out = Out;
    type Error = ProstError;

    fn read(bytes: &[u8]) -> Result<In, ProstError> {
        In::decode(bytes)
    }

    fn write(value: &Out, bytes: &mut Vec<u8>) -> Result<(), ProstError> {
        value.encode_raw(bytes); // a vector has room for all of it
        Ok(())
    }
}
