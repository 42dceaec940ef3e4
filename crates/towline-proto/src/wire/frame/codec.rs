//! Frames to bytes and back.

use super::{FIRST_SKIPPABLE_TYPE, Frame, Open, kind};
use crate::ids::Lane;
use crate::wire::close::Close;
use crate::wire::cursor::{DecodeError, Reader, put_varint};

/// The bit of `open` that says "as messages complete"; below it the lane, above it nothing.
const AS_COMPLETE_BIT: u8 = 0x08;

/// Why a frame was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Its bytes make no sense.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// A type that is unknown and must not be skipped.
    #[error("unknown frame type {kind:#x}")]
    Unknown {
        /// The type.
        kind: u64,
    },
}

/// Which of the three data frames, and what it needs besides stream and offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// Whole messages.
    Run,
    /// A piece of the message that begins at `start`.
    Chunk {
        /// See [`Frame::Chunk`].
        start: u64,
    },
    /// Raw bytes.
    Bytes,
}

/// Appends all of a data frame but its data, which the caller appends (it may lie in two parts).
pub fn put_data_head(out: &mut Vec<u8>, data: Data, stream: u64, open: Option<Open>, offset: u64) {
    match data {
        Data::Run => put_head(out, kind::RUN, stream, open),
        Data::Chunk { .. } => put_head(out, kind::CHUNK, stream, open),
        Data::Bytes => put_head(out, kind::BYTES, stream, open),
    }
    put_varint(out, offset);
    if let Data::Chunk { start } = data {
        put_varint(out, offset - start);
    }
}

fn put_head(out: &mut Vec<u8>, kind: u64, stream: u64, open: Option<Open>) {
    put_varint(out, kind + u64::from(open.is_some()));
    put_varint(out, stream);
    if let Some(open) = open {
        out.push(open.lane.0 | if open.as_complete { AS_COMPLETE_BIT } else { 0 });
    }
}

impl<'a> Frame<'a> {
    /// Appends type and fields (not the length that goes before them on a byte stream).
    pub fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Ping { nonce } => put_numbers(out, kind::PING, &[nonce]),
            Self::Pong { nonce } => put_numbers(out, kind::PONG, &[nonce]),
            Self::Confirm { count } => put_numbers(out, kind::CONFIRM, &[count]),
            Self::SessionCredit { limit } => put_numbers(out, kind::SESSION_CREDIT, &[limit]),
            Self::StreamsCredit { count } => put_numbers(out, kind::STREAMS_CREDIT, &[count]),
            Self::StreamCredit { stream, limit } => put_numbers(out, kind::STREAM_CREDIT, &[stream, limit]),
            Self::Close(ref close) => {
                put_varint(out, kind::CLOSE);
                close.encode(out);
            }
            Self::Run { stream, open, offset, messages } => {
                put_data_head(out, Data::Run, stream, open, offset);
                out.extend_from_slice(messages);
            }
            Self::Chunk { stream, open, offset, start, bytes } => {
                put_data_head(out, Data::Chunk { start }, stream, open, offset);
                out.extend_from_slice(bytes);
            }
            Self::Bytes { stream, open, offset, bytes } => {
                put_data_head(out, Data::Bytes, stream, open, offset);
                out.extend_from_slice(bytes);
            }
            Self::End { stream, open, final_offset } => put_stream(out, kind::END, stream, open, &[final_offset]),
            Self::Reset { stream, open, final_offset, code } => {
                put_stream(out, kind::RESET, stream, open, &[final_offset, code.into()]);
            }
            Self::Stop { stream, open, code } => put_stream(out, kind::STOP, stream, open, &[code.into()]),
            Self::Blocked { stream, open, need } => put_stream(out, kind::BLOCKED, stream, open, &[need]),
            Self::Reserved { kind, body } => {
                put_varint(out, kind);
                out.extend_from_slice(body);
            }
        }
    }

    /// Reads one whole frame: type and fields, nothing before and nothing after.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn decode(frame: &'a [u8]) -> Result<Self, FrameError> {
        let mut reader = Reader::new(frame);
        let kind = reader.varint("frame type")?;
        let decoded = match kind {
            kind::PING => Self::Ping { nonce: reader.varint("nonce")? },
            kind::PONG => Self::Pong { nonce: reader.varint("nonce")? },
            kind::CONFIRM => Self::Confirm { count: reader.varint("count")? },
            kind::SESSION_CREDIT => Self::SessionCredit { limit: reader.varint("limit")? },
            kind::STREAMS_CREDIT => Self::StreamsCredit { count: reader.varint("count")? },
            kind::CLOSE => Self::Close(Close::decode(&mut reader)?),
            kind::STREAM_CREDIT => {
                Self::StreamCredit { stream: reader.varint("stream")?, limit: reader.varint("limit")? }
            }
            kind::RUN..=0x1d => Self::decode_of_stream(kind, &mut reader)?,
            reserved if reserved >= FIRST_SKIPPABLE_TYPE && reserved % 2 == 0 => {
                Self::Reserved { kind, body: reader.take_rest() }
            }
            unknown => return Err(FrameError::Unknown { kind: unknown }),
        };
        reader.finish("end of a frame")?;
        Ok(decoded)
    }

    fn decode_of_stream(kind: u64, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let stream = reader.varint("stream")?;
        let open = if kind % 2 == 1 { Some(decode_open(reader)?) } else { None };
        let number = reader.varint("offset")?;
        Ok(match kind & !1 {
            kind::RUN => Self::Run { stream, open, offset: number, messages: some(reader.take_rest(), "run")? },
            kind::CHUNK => {
                let into = reader.varint("distance into the message")?;
                let start = number.checked_sub(into).ok_or(DecodeError::Invalid { what: "start of a message" })?;
                Self::Chunk { stream, open, offset: number, start, bytes: some(reader.take_rest(), "chunk")? }
            }
            kind::BYTES => Self::Bytes { stream, open, offset: number, bytes: some(reader.take_rest(), "bytes")? },
            kind::END => Self::End { stream, open, final_offset: number },
            kind::RESET => {
                let code = decode_code(reader.varint("code")?)?;
                Self::Reset { stream, open, final_offset: number, code }
            }
            kind::STOP => Self::Stop { stream, open, code: decode_code(number)? },
            _ => Self::Blocked { stream, open, need: number },
        })
    }
}

fn put_numbers(out: &mut Vec<u8>, kind: u64, numbers: &[u64]) {
    put_varint(out, kind);
    numbers.iter().for_each(|&number| put_varint(out, number));
}

fn put_stream(out: &mut Vec<u8>, kind: u64, stream: u64, open: Option<Open>, numbers: &[u64]) {
    put_head(out, kind, stream, open);
    numbers.iter().for_each(|&number| put_varint(out, number));
}

fn decode_open(reader: &mut Reader<'_>) -> Result<Open, DecodeError> {
    let byte = reader.byte("open")?;
    let lane = byte & !AS_COMPLETE_BIT;
    if usize::from(lane) >= Lane::COUNT {
        return Err(DecodeError::Invalid { what: "open" });
    }
    Ok(Open { lane: Lane(lane), as_complete: byte & AS_COMPLETE_BIT != 0 })
}

fn decode_code(number: u64) -> Result<u32, DecodeError> {
    u32::try_from(number).map_err(|_| DecodeError::Invalid { what: "code" })
}

/// Data frames without data would cost their receiver work and their sender nothing.
fn some<'a>(bytes: &'a [u8], what: &'static str) -> Result<&'a [u8], DecodeError> {
    if bytes.is_empty() { Err(DecodeError::Truncated { what }) } else { Ok(bytes) }
}
