//! The words on a call's stream, each one message of it.
//!
//! ```text
//! word     := 0x00 ‖ begin                     the caller's first: items follow, or none
//!           | 0x01 ‖ begin ‖ item              the caller's first, with the first item
//!           | 0x02 ‖ item                      one more item, either way
//!           | 0x03 ‖ item                      the answer's last: status `ok`, with the last item
//!           | 0x04 ‖ code varint ‖ text ‖ detail ‖ metadata     the answer's last: how it ended
//! begin    := method ‖ time left varint ‖ metadata
//! metadata := count varint ‖ count × (key ‖ value)
//! method, text, detail, key, value := length varint ‖ bytes
//! ```
//! `time left` is in milliseconds plus one, 0 means without end. An item is what is left of the message.

use super::{Code, Status};
use super::{MAX_METADATA, MAX_METADATA_KEY_BYTES, MAX_METADATA_VALUE_BYTES, MAX_METHOD_BYTES};
use super::{MAX_STATUS_DETAIL_BYTES, MAX_STATUS_TEXT_BYTES};
use crate::time::Duration;
use crate::wire::cursor::{DecodeError, MAX_VARINT, Reader, put_prefixed, put_varint};
use bytes::Bytes;

const BEGIN: u8 = 0;
const BEGIN_WITH_ITEM: u8 = 1;
const ITEM: u8 = 2;
const LAST: u8 = 3;
const STATUS: u8 = 4;

/// Named values beside a call's items, in the order in which they were given. A key may stand twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata(pub Vec<(String, Bytes)>);

impl Metadata {
    /// The first value under `key`.
    pub fn get(&self, key: &str) -> Option<&Bytes> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Adds a value.
    pub fn push(&mut self, key: impl Into<String>, value: impl Into<Bytes>) {
        self.0.push((key.into(), value.into()));
    }

    /// Whether it can stand on the wire.
    ///
    /// # Errors
    /// [`DecodeError::TooLong`]: as whoever reads it would say.
    pub fn check(&self) -> Result<(), DecodeError> {
        check(self.0.len(), MAX_METADATA, "metadata")?;
        self.0.iter().try_for_each(|(key, value)| {
            check(key.len(), MAX_METADATA_KEY_BYTES, "key of metadata")?;
            check(value.len(), MAX_METADATA_VALUE_BYTES, "value of metadata")
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.0.len() as u64);
        for (key, value) in &self.0 {
            put_prefixed(out, key.as_bytes());
            put_prefixed(out, value);
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = reader.bounded(MAX_METADATA, "metadata")?;
        let entry = |_| {
            let key = text(reader, MAX_METADATA_KEY_BYTES, "key of metadata")?;
            let value = reader.prefixed(MAX_METADATA_VALUE_BYTES, "value of metadata")?;
            Ok((key.to_owned(), Bytes::copy_from_slice(value)))
        };
        (0..count).map(entry).collect::<Result<_, _>>().map(Self)
    }
}

/// How a call begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Begin<'a> {
    /// The method's name.
    pub method: &'a str,
    /// How long the caller will still wait, in whole milliseconds; `None` is for ever.
    pub time_left: Option<Duration>,
    /// What else the caller says.
    pub metadata: Metadata,
}

impl<'a> Begin<'a> {
    /// Whether it can stand on the wire.
    ///
    /// # Errors
    /// [`DecodeError::TooLong`]: as whoever reads it would say.
    pub fn check(&self) -> Result<(), DecodeError> {
        check(self.method.len(), MAX_METHOD_BYTES, "method")?;
        self.metadata.check()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_prefixed(out, self.method.as_bytes());
        put_time_left(out, self.time_left);
        self.metadata.encode(out);
    }

    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let method = text(reader, MAX_METHOD_BYTES, "method")?;
        Ok(Self { method, time_left: time_left(reader)?, metadata: Metadata::decode(reader)? })
    }
}

/// One message on a call's stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word<'a> {
    /// The caller's first, perhaps with the first item.
    Begin(Begin<'a>, Option<&'a [u8]>),
    /// One more item.
    Item(&'a [u8]),
    /// The answer's last, done, with the last item.
    Last(&'a [u8]),
    /// The answer's last: how it ended.
    Status(Status, Metadata),
}

impl<'a> Word<'a> {
    /// Appends it. A status's text and detail are cut to their limits; what a caller gives is for [`Begin::check`].
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Begin(begin, item) => {
                out.push(if item.is_some() { BEGIN_WITH_ITEM } else { BEGIN });
                begin.encode(out);
                out.extend_from_slice(item.unwrap_or_default());
            }
            Self::Item(item) => put_tagged(out, ITEM, item),
            Self::Last(item) => put_tagged(out, LAST, item),
            Self::Status(status, metadata) => {
                out.push(STATUS);
                put_status(out, status);
                metadata.encode(out);
            }
        }
    }

    /// Reads all of `bytes` as one word.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        match reader.byte("kind of word")? {
            BEGIN => {
                let begin = Begin::decode(&mut reader)?;
                reader.finish("begin")?;
                Ok(Self::Begin(begin, None))
            }
            BEGIN_WITH_ITEM => {
                let begin = Begin::decode(&mut reader)?;
                Ok(Self::Begin(begin, Some(reader.take_rest())))
            }
            ITEM => Ok(Self::Item(reader.take_rest())),
            LAST => Ok(Self::Last(reader.take_rest())),
            STATUS => {
                let status = status(&mut reader)?;
                let metadata = Metadata::decode(&mut reader)?;
                reader.finish("status")?;
                Ok(Self::Status(status, metadata))
            }
            _ => Err(DecodeError::Invalid { what: "kind of word" }),
        }
    }
}

pub(super) fn put_time_left(out: &mut Vec<u8>, left: Option<Duration>) {
    let plus_one = |left: Duration| u64::try_from(left.as_millis()).unwrap_or(MAX_VARINT).min(MAX_VARINT - 1) + 1;
    put_varint(out, left.map_or(0, plus_one));
}

pub(super) fn time_left(reader: &mut Reader<'_>) -> Result<Option<Duration>, DecodeError> {
    Ok(reader.varint("time left")?.checked_sub(1).map(Duration::from_millis))
}

/// Appends code, text and detail, cut to their limits.
pub(super) fn put_status(out: &mut Vec<u8>, status: &Status) {
    put_varint(out, status.code.number().into());
    let cut = status.text.floor_char_boundary(MAX_STATUS_TEXT_BYTES);
    put_prefixed(out, &status.text.as_bytes()[..cut]);
    put_prefixed(out, &status.detail[..status.detail.len().min(MAX_STATUS_DETAIL_BYTES)]);
}

pub(super) fn status(reader: &mut Reader<'_>) -> Result<Status, DecodeError> {
    let code = Code::from_number(reader.varint("status code")?);
    let text = text(reader, MAX_STATUS_TEXT_BYTES, "status text")?.to_owned();
    let detail = reader.prefixed(MAX_STATUS_DETAIL_BYTES, "status detail")?;
    Ok(Status { code, text, detail: Bytes::copy_from_slice(detail) })
}

fn put_tagged(out: &mut Vec<u8>, tag: u8, item: &[u8]) {
    out.reserve(1 + item.len());
    out.push(tag);
    out.extend_from_slice(item);
}

fn text<'a>(reader: &mut Reader<'a>, limit: usize, what: &'static str) -> Result<&'a str, DecodeError> {
    core::str::from_utf8(reader.prefixed(limit, what)?).map_err(|_| DecodeError::Invalid { what })
}

const fn check(len: usize, limit: usize, what: &'static str) -> Result<(), DecodeError> {
    if len <= limit { Ok(()) } else { Err(DecodeError::TooLong { what, limit }) }
}
