//! Names of things: sessions, links, streams, lanes, keys, messages, devices.

use core::fmt;
use core::str::FromStr;

/// Crockford's base-32 alphabet in lower case: no `i`, `l`, `o`, `u`, so nothing is misread aloud.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Writes `bytes` in lower-case Crockford base 32, most significant bit first, without padding.
pub fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity((bytes.len() * 8).div_ceil(5));
    let (mut pending, mut bits) = (0u32, 0u32);
    for &byte in bytes {
        pending = (pending << 8) | u32::from(byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(ALPHABET[(pending >> bits) as usize & 31]));
        }
    }
    if bits > 0 {
        text.push(char::from(ALPHABET[(pending << (5 - bits)) as usize & 31]));
    }
    text
}

/// Reads what [`base32`] wrote (either case); `None` if a character, or a bit past the last whole byte, does not belong.
pub fn from_base32(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 5 / 8);
    let (mut pending, mut bits) = (0u32, 0u32);
    for character in text.bytes() {
        let lower = character.to_ascii_lowercase();
        let value = ALPHABET.iter().position(|&letter| letter == lower)?;
        pending = ((pending << 5) | value as u32) & 0xfff;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((pending >> bits) as u8);
        }
    }
    let canonical = bits < 5 && pending & ((1 << bits) - 1) == 0;
    canonical.then_some(bytes)
}

/// A session's name: 16 random bytes chosen by the server.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub [u8; 16]);

/// The name of a public key: SHA-256 over its SubjectPublicKeyInfo in DER, as in RFC 7469 pins.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, minicbor::Encode, minicbor::Decode)]
#[cbor(transparent)]
pub struct KeyHash(#[cbor(with = "minicbor::bytes")] pub [u8; 32]);

/// A BLAKE3 digest, as `b3sum` prints it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, minicbor::Encode, minicbor::Decode)]
#[cbor(transparent)]
pub struct Digest(#[cbor(with = "minicbor::bytes")] pub [u8; 32]);

/// A message's name: a UUID of version 7, shown as `m_` and 26 characters of base 32.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, minicbor::Encode, minicbor::Decode)]
#[cbor(transparent)]
pub struct MessageId(#[cbor(with = "minicbor::bytes")] pub [u8; 16]);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s_{}", base32(&self.0))
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base32(&self.0))
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m_{}", base32(&self.0))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

macro_rules! debug_as_display {
    ($($name:ty),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}
debug_as_display!(SessionId, KeyHash, MessageId, Digest);

/// Text that names nothing of the wanted kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {wanted}")]
pub struct NotAnId {
    text: String,
    wanted: &'static str,
}

impl FromStr for MessageId {
    type Err = NotAnId;
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        text.strip_prefix("m_")
            .and_then(from_base32)
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| NotAnId { text: text.into(), wanted: "a message id (m_ and 26 letters or digits)" })
    }
}

impl FromStr for KeyHash {
    type Err = NotAnId;
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        from_base32(text)
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| NotAnId { text: text.into(), wanted: "a key's name (52 letters or digits)" })
    }
}

/// A device's name: 1 to 63 of `a-z 0-9 - _ .`, beginning with a letter or digit. It is safe as a file name and in a URL.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceName(String);

impl DeviceName {
    /// The longest name, in bytes (as a DNS label).
    pub const MAX_LEN: usize = 63;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DeviceName {
    type Err = NotAnId;
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let inner = |byte: u8| plain(byte) || matches!(byte, b'-' | b'_' | b'.');
        let valid = text.len() <= Self::MAX_LEN && text.bytes().next().is_some_and(plain) && text.bytes().all(inner);
        if valid {
            Ok(Self(text.into()))
        } else {
            Err(NotAnId {
                text: text.into(),
                wanted: "a device name (1 to 63 of a-z 0-9 - _ ., not beginning with a sign)",
            })
        }
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<C> minicbor::Encode<C> for DeviceName {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.str(&self.0)?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for DeviceName {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        d.str()?.parse().map_err(|_| minicbor::decode::Error::message("not a device name"))
    }
}

/// A class of priority: who is served first. The lanes' numbers are the order of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, minicbor::Encode, minicbor::Decode)]
#[cbor(transparent)]
pub struct Lane(pub u8);

impl Lane {
    /// Served before everything else; small messages only.
    pub const URGENT: Self = Self(0);
    /// The ordinary lane.
    pub const NORMAL: Self = Self(1);
    /// Bodies and files: served when nothing else waits, but never starved.
    pub const BULK: Self = Self(2);
    /// How many lanes a session has: the three named ones and five of the application's own.
    pub const COUNT: usize = 8;
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::URGENT => f.write_str("urgent"),
            Self::NORMAL => f.write_str("normal"),
            Self::BULK => f.write_str("bulk"),
            Self(other) => write!(f, "lane{other}"),
        }
    }
}

impl FromStr for Lane {
    type Err = NotAnId;
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let own = || text.strip_prefix("lane")?.parse().ok().filter(|&n: &u8| (3..Self::COUNT as u8).contains(&n));
        match text {
            "urgent" => Ok(Self::URGENT),
            "normal" => Ok(Self::NORMAL),
            "bulk" => Ok(Self::BULK),
            _ => own().map(Self).ok_or_else(|| NotAnId { text: text.into(), wanted: "a lane (urgent, normal, bulk)" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_their_text_form() {
        let id = MessageId([7; 16]);
        assert_eq!(id.to_string().len(), 28);
        assert_eq!(id.to_string().parse(), Ok(id));
        let key = KeyHash([0xa5; 32]);
        assert_eq!(key.to_string().parse(), Ok(key));
    }

    #[test]
    fn a_message_id_with_stray_bits_or_letters_is_refused() {
        assert!("m_zzzzzzzzzzzzzzzzzzzzzzzzzz".parse::<MessageId>().is_err());
        assert!("m_0000".parse::<MessageId>().is_err());
        assert!("0000000000000000000000000000".parse::<MessageId>().is_err());
    }

    #[test]
    fn device_names_are_safe_as_file_names() {
        for good in ["a", "kitchen-7", "7.web_shop", &"x".repeat(63)] {
            assert!(good.parse::<DeviceName>().is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "-a", "a/b", "A", "ä", "a b", &"x".repeat(64)] {
            assert!(bad.parse::<DeviceName>().is_err(), "{bad}");
        }
    }
}
