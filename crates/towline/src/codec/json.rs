//! JSON, by serde.

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Content, Delimited, Typed};

/// JSON's content: values of type `In` come, values of type `Out` go.
///
/// ```
/// use towline::codec::{Decoder, Json, Verdict};
///
/// let mut codec = <Json<(u8, String)>>::lines(1 << 20);
/// let Ok(verdict) = codec.decode(b"[7,\"hi\"]\n") else { panic!() };
/// assert_eq!(verdict, Verdict::Message((7, "hi".to_owned()), 9));
/// ```
pub struct Json<In, Out = In>(PhantomData<fn(Out) -> In>);

impl<In: DeserializeOwned, Out: Serialize> Json<In, Out> {
    /// One value a line, of at most `max_bytes` without the line's end. `\r\n` is read as well, `\n` is written.
    pub fn lines(max_bytes: usize) -> Typed<Delimited, Self> {
        Typed::new(Delimited::lines(max_bytes))
    }
}

/// Why a line holds no such value, or a value cannot be written.
pub type JsonError = serde_json::Error;

impl<In: DeserializeOwned, Out: Serialize> Content for Json<In, Out> {
    type In = In;
    type Out = Out;
    type Error = JsonError;

    fn read(bytes: &[u8]) -> Result<In, JsonError> {
        serde_json::from_slice(bytes)
    }

    fn write(value: &Out, bytes: &mut Vec<u8>) -> Result<(), JsonError> {
        serde_json::to_writer(bytes, value)
    }
}
