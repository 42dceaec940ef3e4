//! What one side has received in a session, stated when a link joins it.
//!
//! ```text
//! state  := highest[client] + 1 varint ‖ highest[server] + 1 varint          (0: none was opened yet)
//!           ‖ count varint (≤ 2,056) ‖ count × stream                        in ascending order of id
//! stream := id, less the id before it and 1 (the first: as it is) varint ‖ contiguous end varint
//!           ‖ 2 × ranges + ended varint (ranges ≤ 256) ‖ ranges × (gap varint ≥ 1 ‖ length varint ≥ 1)
//! ```

use crate::limits::{MAX_HELLO_BYTES, MAX_STATE_RANGES, MAX_STATE_STREAMS};
use crate::wire::cursor::{DecodeError, MAX_VARINT, Reader, put_varint, varint_len};

/// What one side has received, so that the other knows what is confirmed and what to send again.
///
/// A stream that is not listed: closed, if its id is at or below its opener's highest; else never seen here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiveState {
    /// The highest stream id that this side has seen of each opener (0 client, 1 server), its own included; `None`: none.
    pub highest: [Option<u64>; 2],
    /// Every stream that is open in the direction towards this side, the lanes' permanent ones included, by ascending id.
    pub streams: Vec<StreamState>,
}

/// What one side has received of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamState {
    /// Which stream.
    pub id: u64,
    /// Everything before this offset has been received.
    pub contiguous_end: u64,
    /// Whether the stream's end or reset has been received, too, so that its final offset is known here.
    pub ended: bool,
    /// What else has been received: ranges `(start, end)` past the contiguous end, ascending, apart by one byte at least.
    pub ranges: Vec<(u64, u64)>,
}

/// What the rest of a hello may take, in bytes: features at their limits would not fit, and nobody sends those on a join.
const REST_OF_HELLO_BYTES: usize = 16 * 1024;

impl ReceiveState {
    /// Appends the wire's form. Ranges that find no room are left out, the last ones first: then they are sent again.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        assert!(self.streams.len() <= MAX_STATE_STREAMS, "the session bounds its open streams");
        for highest in self.highest {
            put_varint(out, highest.map_or(0, |id| id + 1));
        }
        put_varint(out, self.streams.len() as u64);
        let heads: usize = self.streams.iter().map(StreamState::longest_head).sum();
        let mut room = MAX_HELLO_BYTES.saturating_sub(REST_OF_HELLO_BYTES + heads);
        let mut next_id = 0;
        for stream in &self.streams {
            put_varint(out, stream.id.checked_sub(next_id).expect("streams are listed by ascending id"));
            stream.encode_rest(&mut room, out);
            next_id = stream.id + 1;
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut highest = [None; 2];
        for slot in &mut highest {
            *slot = reader.varint("highest stream")?.checked_sub(1);
        }
        let count = reader.bounded(MAX_STATE_STREAMS, "stream count")?;
        let mut streams = Vec::with_capacity(count.min(reader.remaining() / StreamState::SHORTEST_BYTES));
        let mut next_id = 0;
        for _ in 0..count {
            let id = sum(next_id, reader.varint("stream id")?)?;
            streams.push(StreamState::decode_rest(id, reader)?);
            next_id = id + 1;
        }
        Ok(Self { highest, streams })
    }
}

impl StreamState {
    /// Id, contiguous end and count take a byte each at least.
    const SHORTEST_BYTES: usize = 3;

    fn longest_head(&self) -> usize {
        varint_len(self.id) + varint_len(self.contiguous_end) + 2
    }

    fn encode_rest(&self, room: &mut usize, out: &mut Vec<u8>) {
        let mut ranges = Vec::new();
        let (mut count, mut before) = (0, self.contiguous_end);
        for &(start, end) in self.ranges.iter().take(MAX_STATE_RANGES) {
            assert!(before < start && start < end, "ranges ascend and are apart");
            let (gap, length) = (start - before, end - start);
            let Some(left) = room.checked_sub(varint_len(gap) + varint_len(length)) else { break };
            *room = left;
            put_varint(&mut ranges, gap);
            put_varint(&mut ranges, length);
            (count, before) = (count + 1, end);
        }
        put_varint(out, self.contiguous_end);
        put_varint(out, 2 * count + u64::from(self.ended));
        out.extend_from_slice(&ranges);
    }

    fn decode_rest(id: u64, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let contiguous_end = reader.varint("contiguous end")?;
        let counted = reader.bounded(2 * MAX_STATE_RANGES + 1, "range count")?;
        let (count, ended) = (counted / 2, counted % 2 == 1);
        let mut ranges = Vec::with_capacity(count.min(reader.remaining() / 2));
        let mut before = contiguous_end;
        for _ in 0..count {
            let start = sum(before, positive(reader.varint("range gap")?)?)?;
            let end = sum(start, positive(reader.varint("range length")?)?)?;
            ranges.push((start, end));
            before = end;
        }
        Ok(Self { id, contiguous_end, ended, ranges })
    }
}

fn positive(number: u64) -> Result<u64, DecodeError> {
    if number == 0 { Err(DecodeError::Invalid { what: "range" }) } else { Ok(number) }
}

fn sum(a: u64, b: u64) -> Result<u64, DecodeError> {
    let sum = a + b; // Both are below 2^63: a sum of two varints cannot overflow.
    if sum <= MAX_VARINT { Ok(sum) } else { Err(DecodeError::Invalid { what: "stream state" }) }
}
