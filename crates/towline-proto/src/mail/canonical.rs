//! One value, one byte string: CBOR in its deterministic form, checked by encoding again.

use minicbor::{Decode, Encode};

/// Bytes that are not the one canonical encoding of a value of the wanted type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the canonical encoding")]
pub struct NotCanonical;

/// The canonical encoding: minicbor writes definite lengths and the shortest form of every number.
pub(super) fn encode<T: Encode<()>>(value: &T) -> Vec<u8> {
    minicbor::to_vec(value).expect("writing to a vector does not fail")
}

/// Decodes at most `max_len` bytes, and refuses whatever [`encode`] would have written otherwise.
pub(super) fn decode<'b, T>(bytes: &'b [u8], max_len: usize) -> Result<T, NotCanonical>
where
    T: Decode<'b, ()> + Encode<()>,
{
    if bytes.len() > max_len {
        return Err(NotCanonical);
    }
    let value: T = minicbor::decode(bytes).map_err(|_| NotCanonical)?;
    (encode(&value) == bytes).then_some(value).ok_or(NotCanonical)
}

/// `to_bytes` and `from_bytes` for what is said or stored: bytes that are left over are as wrong as bytes that lack.
macro_rules! whole_codec {
    ($error:ident: $($name:ty),*) => {$(
        impl $name {
            /// Encodes for the wire or the store.
            pub fn to_bytes(&self) -> Vec<u8> {
                minicbor::to_vec(self).expect("writing to a vector does not fail")
            }

            /// Decodes the whole of `bytes`.
            ///
            /// # Errors
            /// If they are no value of this kind, or more than one.
            pub fn from_bytes(bytes: &[u8]) -> Result<Self, $error> {
                let mut decoder = minicbor::Decoder::new(bytes);
                let record = decoder.decode().map_err(|_| $error)?;
                if decoder.position() == bytes.len() { Ok(record) } else { Err($error) }
            }
        }
    )*};
}
pub(super) use whole_codec;
