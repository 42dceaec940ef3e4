//! What one side has of the other's streams: the heart of a resume.
//!
//! ```text
//! state  := next client id varint ‖ next server id varint ‖ count varint ‖ stream*
//! stream := id varint ‖ contiguous end varint ‖ ranges varint ‖ (gap varint ‖ length varint)*
//! ```
//! A stream of an opener whose id is below that opener's *next id* and that is not listed is closed: everything the
//! other side sent on it is settled. A *next id* of 0 claims nothing (the list was cut to fit).
//! Ranges lie above the contiguous end; each says how far above the one before it begins, and how long it is.

use super::cursor::{DecodeError, MAX_VARINT, Reader, put_varint};
use crate::limits::{MAX_STATE_RANGES, MAX_STATE_STREAMS};

/// What has been received, per open stream, and which ids have been seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiveState {
    /// Per opener (0 client, 1 server): streams of a lower id that are not in `streams` are closed. 0: nothing is said.
    pub next_ids: [u64; 2],
    /// The open streams, in the order of their ids.
    pub streams: Vec<StreamState>,
}

/// What has been received of one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamState {
    /// The stream's number.
    pub id: u64,
    /// Everything below this offset has been received.
    pub contiguous_end: u64,
    /// Further parts above it: begin and end of each, in order, not touching.
    pub ranges: Vec<(u64, u64)>,
}

impl ReceiveState {
    /// Appends the wire's form.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.next_ids[0]);
        put_varint(out, self.next_ids[1]);
        put_varint(out, self.streams.len() as u64);
        for stream in &self.streams {
            stream.encode(out);
        }
    }

    /// Takes the wire's form from the front.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let next_ids = [reader.varint("next client stream")?, reader.varint("next server stream")?];
        let count = reader.bounded(MAX_STATE_STREAMS, "streams in a state")?;
        let mut streams = Vec::new();
        for _ in 0..count {
            streams.push(StreamState::decode(reader)?);
        }
        if !streams.windows(2).all(|pair| pair[0].id < pair[1].id) {
            return Err(DecodeError::Invalid { what: "order of streams in a state" });
        }
        Ok(Self { next_ids, streams })
    }
}

impl StreamState {
    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.id);
        put_varint(out, self.contiguous_end);
        put_varint(out, self.ranges.len() as u64);
        let mut before = self.contiguous_end;
        for &(start, end) in &self.ranges {
            put_varint(out, start - before);
            put_varint(out, end - start);
            before = end;
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let id = reader.varint("stream id")?;
        let contiguous_end = reader.varint("contiguous end")?;
        let count = reader.bounded(MAX_STATE_RANGES, "ranges of a stream")?;
        let mut ranges = Vec::new();
        let mut before = contiguous_end;
        for _ in 0..count {
            let start = before + reader.varint("gap")?;
            let end = start + reader.varint("length of a range")?;
            if start == before || end == start || end > MAX_VARINT {
                return Err(DecodeError::Invalid { what: "range" });
            }
            ranges.push((start, end));
            before = end;
        }
        Ok(Self { id, contiguous_end, ranges })
    }
}
