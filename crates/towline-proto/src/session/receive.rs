//! One stream's incoming direction: bytes in any order in, messages or raw bytes out.

use super::events::RecvError;
use super::pace::Pace;
use crate::link::Violation;
use crate::ranges::RangeSet;
use crate::ring::Ring;
use crate::time::Instant;
use crate::wire::close::CloseCode;
use crate::wire::cursor::Reader;
use crate::wire::frame::Data;
use bytes::Bytes;
use std::collections::VecDeque;

/// A window grows up to this, in bytes: 1 Gbit/s over 130 ms.
const WINDOW_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// The most raw bytes that one `read` hands out.
const READ_MAX_BYTES: u64 = 64 * 1024;

/// Small messages received together lie in one allocation of up to this, in bytes: so much at most is kept by one of them
/// that is kept alone.
const SHARED_MAX_BYTES: u64 = 4 * 1024;

/// How far this direction is on its way to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Not,
    /// The peer said where.
    Final(u64),
    Reset {
        final_offset: u64,
        code: u32,
    },
    /// Nobody listens any more; arrivals are dropped. The final offset, once known.
    Discard(Option<u64>),
}

/// What a stream's credit may come out of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    /// Guaranteed: the window may be this large whatever else happens.
    pub(super) floor: u64,
    /// Of the pool: the limit may grow by so much.
    pub(super) spare: u64,
    /// Of the pool's reserve: a whole message that the peer needs.
    pub(super) turn: bool,
}

/// What came of renewing a stream's credit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Renewal {
    /// The limit grew by so much; 0: nothing is to be told.
    pub(super) more: u64,
    /// The peer needs credit for a whole message, and that was not allowed.
    pub(super) lacks: bool,
}

#[derive(Clone, Debug)]
pub(super) struct RecvHalf {
    ring: Ring,
    /// Everything below has arrived; `beyond` are the parts above it.
    contiguous: u64,
    beyond: RangeSet,
    highest: u64,
    pub(super) limit: u64,
    window: u64,
    pub(super) pace: Pace,
    ending: Ending,
    /// The peer waits to reach this offset.
    need: Option<u64>,
    pub(super) as_complete: bool,
    /// Only for delivery as they complete: complete messages not handed out, those and all that were, those that were.
    complete: VecDeque<(u64, u64)>,
    noted: RangeSet,
    handed_out: RangeSet,
    /// `Readable` is told again when `contiguous` is at least this; `None`: it has been told.
    wake_at: Option<u64>,
    finished_reading: bool,
}

impl RecvHalf {
    pub(super) fn new(limit: u64) -> Self {
        Self {
            ring: Ring::new(),
            contiguous: 0,
            beyond: RangeSet::new(),
            highest: 0,
            limit,
            window: limit,
            pace: Pace::new(limit),
            ending: Ending::Not,
            need: None,
            as_complete: false,
            complete: VecDeque::new(),
            noted: RangeSet::new(),
            handed_out: RangeSet::new(),
            wake_at: Some(0),
            finished_reading: false,
        }
    }

    pub(super) fn contiguous(&self) -> u64 {
        self.contiguous
    }

    pub(super) fn beyond(&self) -> &RangeSet {
        &self.beyond
    }

    /// How much memory it holds, in bytes.
    pub(super) fn held(&self) -> usize {
        let records = self.complete.capacity() * size_of::<(u64, u64)>();
        self.ring.capacity() + records + self.beyond.held() + self.noted.held() + self.handed_out.held()
    }

    /// Gives memory back that is not needed, down to a ring of `keep` bytes; all that is spare, for 0.
    pub(super) fn fit(&mut self, keep: usize) {
        self.ring.fit(keep);
        if keep == 0 {
            self.complete.shrink_to_fit();
        }
    }

    pub(super) fn unread(&self) -> u64 {
        self.ring.len() as u64
    }

    /// Whether the final offset is known and nothing is left that anybody would read.
    pub(super) fn is_over(&self) -> bool {
        self.finished_reading || matches!(self.ending, Ending::Discard(Some(_)))
    }

    pub(super) fn final_offset(&self) -> Option<u64> {
        match self.ending {
            Ending::Final(offset) | Ending::Reset { final_offset: offset, .. } | Ending::Discard(Some(offset)) => {
                Some(offset)
            }
            Ending::Not | Ending::Discard(None) => None,
        }
    }

    /// Whether the stream's end may still be told to stop.
    pub(super) fn may_stop(&self) -> bool {
        self.final_offset().is_none()
    }

    /// Bytes arrived. Says by how much the highest offset grew.
    pub(super) fn take(&mut self, now: Instant, offset: u64, bytes: &[u8], data: Data) -> Result<u64, Violation> {
        let end = offset + bytes.len() as u64;
        if end > self.limit {
            return Err(Violation::new(CloseCode::FlowControl, "a stream went past its credit"));
        }
        if self.final_offset().is_some_and(|last| end > last) {
            return Err(Violation::new(CloseCode::FlowControl, "a stream went past its end"));
        }
        self.check_kind(end, data)?;
        let grown = end.saturating_sub(self.highest);
        self.highest += grown;
        self.pace.arrived(now, self.highest);
        if matches!(self.ending, Ending::Not | Ending::Final(_)) {
            self.store(offset, end, bytes, data);
        }
        Ok(grown)
    }

    /// A later chunk stays within the length that its message's first one told; raw bytes are no messages.
    fn check_kind(&self, end: u64, data: Data) -> Result<(), Violation> {
        match data {
            Data::Bytes if self.as_complete => {
                Err(Violation::new(CloseCode::Protocol, "raw bytes on a stream of messages as they complete"))
            }
            Data::Chunk { start } if self.message_at(start).is_some_and(|stop| end > stop) => {
                Err(Violation::new(CloseCode::Protocol, "a chunk past the end of its message"))
            }
            _ => Ok(()),
        }
    }

    fn store(&mut self, offset: u64, end: u64, bytes: &[u8], data: Data) {
        let from = offset.max(self.contiguous);
        if from >= end || self.beyond.contains(from, end) {
            return;
        }
        self.ring.write_at(from, &bytes[(from - offset) as usize..]);
        if from == self.contiguous && self.beyond.is_empty() {
            self.contiguous = end;
        } else {
            self.beyond.insert(from, end);
            if let Some(joined) = self.beyond.end_of(self.contiguous) {
                self.contiguous = joined;
                self.beyond.remove_below(joined);
            }
        }
        if self.as_complete {
            self.note_complete(offset, bytes, data);
        }
    }

    /// Notes which messages these bytes completed: those of a run, read from the frame itself since the ring may have let
    /// go of the first; or the one that a chunk belongs to.
    fn note_complete(&mut self, offset: u64, bytes: &[u8], data: Data) {
        if let Data::Chunk { start } = data {
            let stop = self.message_at(start).filter(|&stop| self.has(start, stop));
            stop.into_iter().for_each(|stop| self.note(start, stop));
            return;
        }
        let mut reader = Reader::new(bytes);
        let mut start = offset;
        while let Ok(len) = reader.varint("message")
            && reader.take(len as usize, "message").is_ok()
        {
            let stop = offset + reader.position() as u64;
            self.note(start, stop);
            start = stop;
        }
    }

    fn note(&mut self, start: u64, stop: u64) {
        if start >= self.ring.base() && !self.noted.contains(start, stop) {
            self.noted.insert(start, stop);
            self.complete.push_back((start, stop));
        }
    }

    /// Where the message that begins at `start` ends, if its length has arrived and not been let go of.
    fn message_at(&self, start: u64) -> Option<u64> {
        let (len, prefix) = self.ring.varint_at(start, self.ring.end())?;
        self.has(start, start + prefix).then_some(start + prefix + len)
    }

    fn has(&self, start: u64, end: u64) -> bool {
        end <= self.contiguous || self.beyond.contains(start.max(self.contiguous), end)
    }

    /// The peer said where the stream ends. Says by how much the highest offset grew.
    pub(super) fn end(&mut self, last: u64, reset: Option<u32>) -> Result<u64, Violation> {
        if last < self.highest || last > self.limit || self.final_offset().is_some_and(|known| known != last) {
            return Err(Violation::new(CloseCode::FlowControl, "a stream's end is beyond its credit, or was moved"));
        }
        let grown = last - self.highest;
        self.highest = last;
        self.ending = match (self.ending, reset) {
            (Ending::Discard(_), _) => Ending::Discard(Some(last)),
            // Complete is complete. Else what came before the end was given up is no whole, even if all of it is here.
            (Ending::Final(_), Some(_)) if self.contiguous == last => Ending::Final(last),
            (Ending::Not | Ending::Final(_), Some(code)) => {
                self.drop_all();
                Ending::Reset { final_offset: last, code }
            }
            (Ending::Not, None) => Ending::Final(last),
            (known, _) => known,
        };
        Ok(grown)
    }

    pub(super) fn discard(&mut self) {
        self.ending = Ending::Discard(self.final_offset());
        self.drop_all();
    }

    fn drop_all(&mut self) {
        self.ring.clear();
        self.beyond.clear();
        self.complete.clear();
        self.noted.clear();
        self.handed_out.clear();
    }

    pub(super) fn recv(&mut self, max_message: u64) -> Result<Option<Bytes>, RecvError> {
        let found = if self.as_complete { self.complete.pop_front() } else { self.next_in_sequence(max_message)? };
        let Some((start, end)) = found else { return self.nothing().map(|()| None) };
        let (len, _) = self.ring.varint_at(start, end).ok_or(RecvError::NotAMessage)?;
        let mut message = Vec::with_capacity(len as usize);
        self.ring.copy_to(end - len, end, &mut message);
        if self.as_complete {
            self.handed_out.insert(start, end);
            let base = self.handed_out.end_of(self.ring.base()).unwrap_or(self.ring.base());
            self.handed_out.remove_below(base);
            self.noted.remove_below(base);
            self.ring.advance(base);
        } else {
            self.ring.advance(end);
        }
        Ok(Some(message.into()))
    }

    /// Appends whole messages that are here to `messages`, at most `count` and about `at_most` bytes of them; how many.
    pub(super) fn recv_many(
        &mut self,
        max_message: u64,
        messages: &mut Vec<Bytes>,
        count: usize,
        at_most: usize,
    ) -> Result<usize, RecvError> {
        let begin = messages.len();
        let mut bytes = 0;
        while messages.len() - begin < count && bytes < at_most {
            if self.recv_run(max_message, messages, count - (messages.len() - begin), &mut bytes) {
                continue;
            }
            // The end, or what is no message, is told to whoever asks when nothing is before it.
            if messages.len() > begin && !self.has_message(max_message) {
                break;
            }
            let Some(message) = self.recv(max_message)? else { break };
            bytes += message.len();
            messages.push(message);
        }
        Ok(messages.len() - begin)
    }

    fn has_message(&mut self, max_message: u64) -> bool {
        if self.as_complete {
            return !self.complete.is_empty();
        }
        self.next_in_sequence(max_message).is_ok_and(|found| found.is_some())
    }

    /// Takes small messages that lie together in one copy; says whether there was one.
    fn recv_run(&mut self, max_message: u64, messages: &mut Vec<Bytes>, count: usize, bytes: &mut usize) -> bool {
        if self.as_complete {
            return false;
        }
        let (start, mut end) = (self.ring.base(), self.ring.base());
        let stop = self.contiguous.min(start + SHARED_MAX_BYTES);
        let mut ends = 0;
        while ends < count
            && let Some((len, prefix)) = self.ring.varint_at(end, stop)
            && len <= max_message
            && end + prefix + len <= stop
        {
            end += prefix + len;
            ends += 1;
        }
        if ends < 2 {
            return false;
        }
        let mut run = Vec::with_capacity((end - start) as usize);
        self.ring.copy_to(start, end, &mut run);
        let run = Bytes::from(run);
        let mut reader = Reader::new(&run);
        while let Ok(len) = reader.varint("message")
            && reader.take(len as usize, "message").is_ok()
        {
            let position = reader.position();
            messages.push(run.slice(position - len as usize..position));
        }
        *bytes += run.len();
        self.ring.advance(end);
        true
    }

    fn next_in_sequence(&mut self, max_message: u64) -> Result<Option<(u64, u64)>, RecvError> {
        let start = self.ring.base();
        let Some((len, prefix)) = self.ring.varint_at(start, self.contiguous) else { return Ok(None) };
        if len > max_message {
            return Err(RecvError::NotAMessage);
        }
        let end = start + prefix + len;
        if end > self.contiguous {
            self.wake_at = Some(end);
            return Ok(None);
        }
        Ok(Some((start, end)))
    }

    pub(super) fn read(&mut self) -> Result<Option<(u64, Bytes)>, RecvError> {
        let start = self.ring.base();
        let end = self.contiguous.min(start + READ_MAX_BYTES);
        if matches!(self.ending, Ending::Reset { .. } | Ending::Discard(_)) || start >= end {
            return self.nothing().map(|()| None);
        }
        let mut bytes = Vec::with_capacity((end - start) as usize);
        self.ring.copy_to(start, end, &mut bytes);
        self.ring.advance(end);
        Ok(Some((start, bytes.into())))
    }

    /// There is nothing now; is there more to come?
    fn nothing(&mut self) -> Result<(), RecvError> {
        match self.ending {
            Ending::Final(last) if self.ring.base() == last => {
                self.finished_reading = true;
                Err(RecvError::Ended)
            }
            Ending::Final(last) if self.contiguous == last => Err(RecvError::NotAMessage),
            Ending::Reset { code, .. } => {
                self.finished_reading = true;
                Err(RecvError::Reset(code))
            }
            Ending::Discard(_) => Err(RecvError::Closed),
            Ending::Not | Ending::Final(_) => {
                self.wake_at.get_or_insert(0);
                Ok(())
            }
        }
    }

    /// Whether the application should be told, once, that there is something.
    pub(super) fn should_wake(&mut self) -> bool {
        let over = self.final_offset().is_some_and(|last| self.contiguous >= last || self.ring.is_empty());
        let bytes = if self.as_complete { !self.complete.is_empty() } else { self.contiguous > self.ring.base() };
        let due = self.wake_at.is_some_and(|at| (bytes && self.contiguous >= at) || over);
        if due && !matches!(self.ending, Ending::Discard(_)) {
            self.wake_at = None;
            return true;
        }
        false
    }

    /// What the peer may still send on it, and what it sent and was not read.
    pub(super) fn promised(&self) -> u64 {
        self.final_offset().unwrap_or(self.limit).saturating_sub(self.ring.base())
    }

    /// The peer waited (perhaps for credit that is on its way) and says how far it wants to go. Its window grows to what
    /// rate and round trip ask for, at most to its double at once.
    pub(super) fn peer_needs(&mut self, now: Instant, need: u64, may_grow: bool) {
        if may_grow {
            let wanted = self.pace.window(now, self.ring.base(), self.window / 2).unwrap_or(0);
            self.window = self.window.max(wanted.min(2 * self.window).min(WINDOW_MAX_BYTES));
        }
        self.need = Some(need);
    }

    /// How far the limit should be told now, if it is time for it, with what `from` allows.
    pub(super) fn renew(&mut self, max_message: u64, from: &Allowance) -> Renewal {
        if self.final_offset().is_some() || matches!(self.ending, Ending::Discard(_)) {
            return Renewal::default();
        }
        let read = self.ring.base();
        let need = self.need.filter(|&need| need <= read + max_message + 8).unwrap_or(0);
        let wanted = need.max(read + self.window);
        let allowed = (read + from.floor).max(self.limit.saturating_add(from.spare));
        let mut limit = wanted.min(allowed);
        if from.turn {
            limit = limit.max(need);
        }
        // The reader has taken all that is whole: it is this need that it waits for.
        let lacks = need > limit.max(self.limit) && self.wake_at.is_some();
        let waits = self.need.is_some_and(|need| self.limit < need);
        let step = limit.saturating_sub(read).min(self.window) / 2;
        let more = limit.saturating_sub(self.limit);
        if more == 0 || more < step && !waits {
            return Renewal { lacks, more: 0 };
        }
        self.limit = limit;
        self.need = self.need.filter(|&need| need > limit);
        Renewal { lacks, more }
    }

    /// Whether everything up to `offset` was read, or nobody waits for it any more.
    pub(super) fn is_past(&self, offset: u64) -> bool {
        let last = self.final_offset().unwrap_or(u64::MAX);
        self.ring.base() >= offset.min(last) || matches!(self.ending, Ending::Discard(_))
    }
}
