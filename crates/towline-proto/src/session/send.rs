//! One stream's outgoing direction: bytes kept once until confirmed, cut into frames when a link pulls.

use super::events::SendError;
use crate::ranges::RangeSet;
use crate::ring::Ring;
use crate::wire::cursor::{put_varint, varint_len};
use crate::wire::frame::Data;
use bytes::Bytes;
use std::collections::VecDeque;

/// Messages up to this size, in bytes, are never cut, and share a segment's record.
const SMALL_BYTES: u64 = 1_024;

/// A segment of small messages takes in more up to this size, in bytes: finding a border walks no further.
const SEGMENT_BYTES: u64 = 16 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Small,
    Big,
    Raw,
}

/// A part of the stream whose frames are cut the same way.
#[derive(Clone, Copy, Debug)]
struct Segment {
    start: u64,
    end: u64,
    kind: Kind,
}

/// How far this direction is on its way to its end. `due`: its last frame waits to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Not,
    Finish {
        due: bool,
    },
    Reset {
        code: u32,
        due: bool,
    },
    /// Confirmed.
    Done {
        reset: bool,
    },
}

#[derive(Clone, Debug)]
pub(super) struct SendHalf {
    ring: Ring,
    segments: VecDeque<Segment>,
    /// Everything below was sent at least once.
    sent: u64,
    /// Sent, and to be sent again.
    lost: RangeSet,
    /// Everything below is in the peer's memory; `confirmed` are the parts above it.
    confirmed_end: u64,
    confirmed: RangeSet,
    /// The peer's grant.
    pub(super) limit: u64,
    pub(super) ending: Ending,
    /// Something was refused that wants to reach this offset; the peer is told once per need.
    pub(super) need: Option<u64>,
    /// Who was refused tries again with this much room: the whole message, or any for raw bytes.
    pub(super) enough: u64,
    pub(super) blocked_due: bool,
    /// Places the application waits to see confirmed, in order.
    watched: VecDeque<u64>,
}

/// What a link is given.
pub(super) struct Piece {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) data: Data,
    pub(super) again: bool,
}

impl SendHalf {
    pub(super) fn new(limit: u64) -> Self {
        Self {
            ring: Ring::new(),
            segments: VecDeque::new(),
            sent: 0,
            lost: RangeSet::new(),
            confirmed_end: 0,
            confirmed: RangeSet::new(),
            limit,
            ending: Ending::Not,
            need: None,
            enough: 0,
            blocked_due: false,
            watched: VecDeque::new(),
        }
    }

    pub(super) fn end(&self) -> u64 {
        self.ring.end()
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// How much memory it holds, in bytes.
    pub(super) fn held(&self) -> usize {
        let records = self.segments.capacity() * size_of::<Segment>() + self.watched.capacity() * size_of::<u64>();
        self.ring.capacity() + records + self.lost.held() + self.confirmed.held()
    }

    /// How many bytes may be taken if memory may grow by so many.
    pub(super) const fn room_within(&self, grow: u64) -> u64 {
        self.ring.room_within(grow)
    }

    /// Gives memory back that is not needed, down to a ring of `keep` bytes; all that is spare, for 0.
    pub(super) fn fit(&mut self, keep: usize) {
        self.ring.fit(keep);
        if keep == 0 {
            self.segments.shrink_to_fit();
            self.watched.shrink_to_fit();
        }
    }

    /// How many bytes its ring has allocated.
    pub(super) const fn allocated(&self) -> u64 {
        self.ring.capacity() as u64
    }

    /// Whether nothing below `offset` is kept any more.
    pub(super) fn is_past(&self, offset: u64) -> bool {
        self.confirmed_end >= offset || matches!(self.ending, Ending::Reset { .. } | Ending::Done { .. })
    }

    /// The session is over: nothing will be sent.
    pub(super) fn drop_all(&mut self) {
        self.ring.clear();
        self.segments = VecDeque::new();
        self.lost.clear();
        self.confirmed.clear();
    }

    /// How many bytes were taken and are not confirmed; nobody waits for those of a direction that was given up.
    pub(super) fn unconfirmed(&self) -> u64 {
        match self.ending {
            Ending::Reset { .. } | Ending::Done { .. } => 0,
            Ending::Not | Ending::Finish { .. } => self.end().saturating_sub(self.confirmed_end),
        }
    }

    /// Remembers a place whose confirmation somebody waits for.
    pub(super) fn watch(&mut self, mark: u64) {
        let at = self.watched.partition_point(|&watched| watched <= mark);
        self.watched.insert(at, mark);
    }

    /// The next watched place that was reached.
    pub(super) fn next_reached(&mut self) -> Option<u64> {
        let confirmed = self.confirmed_end;
        self.watched.pop_front_if(|mark| *mark <= confirmed)
    }

    pub(super) fn is_confirmed(&self, mark: u64) -> bool {
        mark <= self.confirmed_end
    }

    pub(super) fn check_open(&self) -> Result<(), SendError> {
        match self.ending {
            Ending::Not => Ok(()),
            Ending::Finish { .. } | Ending::Done { reset: false } => Err(SendError::Finished),
            Ending::Reset { .. } | Ending::Done { reset: true } => Err(SendError::Reset),
        }
    }

    /// How many bytes of stream a message of this length takes.
    pub(super) const fn size_of(message: usize) -> u64 {
        varint_len(message as u64) as u64 + message as u64
    }

    pub(super) fn push_message(&mut self, message: &[u8], scratch: &mut Vec<u8>) {
        scratch.clear();
        put_varint(scratch, message.len() as u64);
        self.ring.append(scratch);
        self.ring.append(message);
        let kind = if message.len() as u64 <= SMALL_BYTES { Kind::Small } else { Kind::Big };
        self.push_segment(kind, Self::size_of(message.len()));
    }

    pub(super) fn push_raw(&mut self, bytes: &[u8]) {
        self.ring.append(bytes);
        self.push_segment(Kind::Raw, bytes.len() as u64);
    }

    fn push_segment(&mut self, kind: Kind, len: u64) {
        let end = self.end();
        match self.segments.back_mut() {
            Some(last) if last.kind == kind && joins(last, len) => last.end = end,
            _ => self.segments.push_back(Segment { start: end - len, end, kind }),
        }
    }

    /// Whether there are bytes, or an end, to send.
    pub(super) fn wants_to_send(&self) -> bool {
        match self.ending {
            Ending::Not => self.has_bytes(),
            Ending::Finish { due } => due || self.has_bytes(),
            Ending::Reset { .. } | Ending::Done { .. } => false,
        }
    }

    pub(super) fn has_bytes(&self) -> bool {
        !self.lost.is_empty() || self.sent < self.end()
    }

    /// The next piece of at most `room` bytes; it counts as sent.
    pub(super) fn take(&mut self, room: u64) -> Option<Piece> {
        let again = self.lost.first();
        let (from, stop) = again.unwrap_or((self.sent, self.end()));
        if from >= stop {
            return None;
        }
        let (to, data) = self.cut(from, stop, room.max(1));
        if again.is_some() {
            self.lost.remove(from, to);
        } else {
            self.sent = to;
        }
        Some(Piece { from, to, data, again: again.is_some() })
    }

    fn cut(&self, from: u64, stop: u64, room: u64) -> (u64, Data) {
        let at = self.segments.partition_point(|segment| segment.end <= from);
        let first = self.segments[at];
        let most = stop.min(first.end).min(from + room);
        if first.kind == Kind::Raw {
            return (most, Data::Bytes);
        }
        let whole = self.whole_messages(at, from, stop, room);
        match first.kind {
            _ if whole > from => (whole, Data::Run),
            Kind::Big => (most, Data::Chunk { start: first.start }),
            _ => (most, Data::Chunk { start: from }),
        }
    }

    /// Where a run that begins at `from` ends: as many whole messages as fit.
    fn whole_messages(&self, at: usize, from: u64, stop: u64, room: u64) -> u64 {
        let mut end = from;
        let stop = stop.min(from + room);
        for segment in self.segments.range(at..) {
            let begins_inside = segment.kind == Kind::Big && end > segment.start;
            if segment.kind == Kind::Raw || begins_inside {
                break;
            }
            if segment.end <= stop {
                end = segment.end;
                continue;
            }
            if segment.kind == Kind::Small {
                while let Some(next) = self.message_end(end).filter(|&next| next <= stop) {
                    end = next;
                }
            }
            break;
        }
        end
    }

    fn message_end(&self, start: u64) -> Option<u64> {
        let (len, prefix) = self.ring.varint_at(start, self.end())?;
        Some(start + prefix + len).filter(|&end| end <= self.end())
    }

    pub(super) fn copy(&self, from: u64, to: u64, out: &mut Vec<u8>) {
        self.ring.copy_to(from, to, out);
    }

    pub(super) fn confirm(&mut self, from: u64, to: u64) {
        let (from, to) = (from.max(self.confirmed_end), to.min(self.sent));
        if from >= to || matches!(self.ending, Ending::Reset { .. } | Ending::Done { .. }) {
            return;
        }
        self.lost.remove(from, to);
        if from == self.confirmed_end && self.confirmed.is_empty() {
            self.confirmed_end = to;
        } else {
            self.confirmed.insert(from, to);
            if let Some(end) = self.confirmed.end_of(self.confirmed_end) {
                self.confirmed_end = end;
                self.confirmed.remove_below(end);
            }
        }
        self.let_go();
    }

    /// Lets go of what is confirmed, whole messages at a time: one that is only partly confirmed may have to be handed back.
    fn let_go(&mut self) {
        let confirmed = self.confirmed_end;
        while let Some(segment) = self.segments.front().copied() {
            if segment.end <= confirmed {
                self.ring.advance(segment.end);
                self.segments.pop_front();
                continue;
            }
            let mut base = segment.start;
            match segment.kind {
                Kind::Big => {}
                Kind::Raw => base = base.max(confirmed),
                Kind::Small => {
                    while let Some(next) = self.message_end(base).filter(|&next| next <= confirmed) {
                        base = next;
                    }
                }
            }
            self.ring.advance(base);
            self.segments[0].start = base;
            break;
        }
    }

    pub(super) fn lose(&mut self, from: u64, to: u64) {
        let from = from.max(self.confirmed_end);
        if from >= to || matches!(self.ending, Ending::Reset { .. } | Ending::Done { .. }) {
            return;
        }
        for (start, end) in self.confirmed.gaps(from, to.min(self.sent)) {
            self.lost.insert(start, end);
        }
    }

    /// Gives up what was not sent and stops resending; says how many bytes were never sent.
    pub(super) fn reset(&mut self, code: u32) -> u64 {
        let unsent = self.end() - self.sent;
        self.ending = Ending::Reset { code, due: true };
        self.need = None;
        self.blocked_due = false;
        self.lost.clear();
        self.segments.clear();
        self.ring.clear();
        unsent
    }

    /// The messages above the last confirmed place, as [`SendHalf::is_confirmed`] says it: one that arrived behind a gap
    /// has not been delivered if the peer forgets, and nobody was told that it was confirmed.
    pub(super) fn undecided(&self) -> Vec<Bytes> {
        let mut messages = Vec::new();
        for segment in self.segments.iter().filter(|segment| segment.kind != Kind::Raw) {
            let mut start = segment.start;
            while let Some(end) = self.message_end(start).filter(|&end| start < segment.end && end <= segment.end) {
                if end > self.confirmed_end
                    && let Some((len, _)) = self.ring.varint_at(start, end)
                {
                    let mut message = Vec::with_capacity(len as usize);
                    self.ring.copy_to(end - len, end, &mut message);
                    messages.push(message.into());
                }
                start = end;
            }
        }
        messages
    }
}

fn joins(last: &Segment, len: u64) -> bool {
    match last.kind {
        Kind::Small => last.end - last.start + len <= SEGMENT_BYTES,
        Kind::Raw => true,
        Kind::Big => false,
    }
}
