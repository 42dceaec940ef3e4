//! What links pull from a session and give to it.

use super::events::{EndReason, Event, StreamKey};
use super::send::Ending;
use super::streams::Stream;
use super::{Phase, Session};
use crate::link::{FrameRef, Frames, Item, LinkId, StreamRef, Violation};
use crate::time::Instant;
use crate::wire::frame::{FIRST_SKIPPABLE_TYPE, Frame, Open, put_data_head};

/// A data frame's type, stream, open, offset and start at their longest, in bytes.
const HEAD_MAX_BYTES: usize = 1 + 8 + 1 + 8 + 8;

/// A link's second frame is of a reserved type, and then one of so many.
const GREASE_EVERY: u64 = 1_024;

impl Frames for Session {
    fn fill(&mut self, now: Instant, link: LinkId, room: usize, out: &mut Vec<u8>) -> Option<FrameRef> {
        if self.phase == Phase::Ended || room <= HEAD_MAX_BYTES || !self.wants_to_send() {
            return None;
        }
        let known = self.links.iter_mut().find(|known| known.id == link)?;
        known.frames += 1;
        if known.frames % GREASE_EVERY == 2 {
            let kind = FIRST_SKIPPABLE_TYPE + 2 * (known.frames / GREASE_EVERY % 16);
            Frame::Reserved { kind, body: &[] }.encode(out);
            return Some(FrameRef { stream: StreamRef::NONE, item: Item::Grease });
        }
        let filled = self.fill_control(now, out).or_else(|| self.fill_bytes(now, room, out));
        filled.or_else(|| self.fill_close(out))
    }

    fn confirmed(&mut self, now: Instant, _: LinkId, frame: FrameRef) {
        let key = frame.stream;
        self.works(now);
        let Some(stream) = self.streams.get_mut(key) else { return };
        stream.open_known = true;
        match (frame.item, stream.send.ending) {
            (Item::Data { from, to }, _) => _ = self.let_go(key, |half| half.confirm(from, to)),
            (Item::End, Ending::Finish { .. }) => {
                stream.send.ending = Ending::Finish { due: false };
                stream.end_confirmed = true;
            }
            (Item::Reset, Ending::Reset { .. }) => stream.send.ending = Ending::Done { reset: true },
            _ => return,
        }
        self.after_confirm(key);
    }

    fn lost(&mut self, _: Instant, _: LinkId, frame: FrameRef) {
        let key = frame.stream;
        match frame.item {
            Item::SessionCredit { limit } => self.recv_credit.due |= limit == self.recv_credit.limit(),
            Item::StreamsCredit { count } => self.streams.lost_peer_credit(count),
            _ => {}
        }
        let Some(stream) = self.streams.get_mut(key) else { return };
        match (frame.item, &mut stream.send.ending) {
            (Item::Data { from, to }, _) => stream.send.lose(from, to),
            (Item::End, Ending::Finish { due }) => *due = !stream.end_confirmed,
            (Item::Reset, Ending::Reset { due, .. }) => *due = true,
            (Item::Stop, _) => stream.stop.iter_mut().for_each(|(_, due)| *due = true),
            (Item::StreamCredit { limit }, _) => stream.credit_due |= limit == stream.recv.limit,
            (Item::Blocked { need }, _) => stream.send.blocked_due |= stream.send.need == Some(need),
            _ => {}
        }
        self.queue_control(key);
        self.queue_bytes(key);
    }

    fn received(&mut self, now: Instant, _: LinkId, frame: Frame<'_>) -> Result<(), Violation> {
        if self.phase == Phase::Ended {
            return Ok(());
        }
        let taken = self.take(now, frame);
        if let Err(violation) = taken {
            self.end(EndReason::Violated(violation));
        }
        taken
    }
}

impl Session {
    fn fill_close(&mut self, out: &mut Vec<u8>) -> Option<FrameRef> {
        if !self.may_say_close() {
            return None;
        }
        let Phase::Closing(close) = self.phase.clone() else { return None };
        Frame::Close(close.clone()).encode(out);
        self.end(EndReason::Closed(close));
        Some(FrameRef { stream: StreamRef::NONE, item: Item::Close })
    }

    fn fill_control(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<FrameRef> {
        if core::mem::take(&mut self.recv_credit.due) {
            let limit = self.recv_credit.limit();
            Frame::SessionCredit { limit }.encode(out);
            return Some(FrameRef { stream: StreamRef::NONE, item: Item::SessionCredit { limit } });
        }
        if self.streams.owes_peer_credit() && !self.streams_are_withheld() {
            let count = self.streams.tell_peer_credit();
            Frame::StreamsCredit { count }.encode(out);
            return Some(FrameRef { stream: StreamRef::NONE, item: Item::StreamsCredit { count } });
        }
        while let Some(&key) = self.control.front() {
            if let Some((id, open)) = self.number(key)
                && let Some(stream) = self.streams.get_mut(key)
                && let Some(item) = stream.say_control(now, id, open, out)
            {
                return Some(FrameRef { stream: key, item });
            }
            self.control.pop_front();
            if let Some(stream) = self.streams.get_mut(key) {
                stream.in_control = false;
            }
        }
        None
    }

    fn fill_bytes(&mut self, now: Instant, room: usize, out: &mut Vec<u8>) -> Option<FrameRef> {
        self.works(now);
        while let Some((lane, key)) = self.schedule.pop() {
            let numbered = self.number(key);
            let Some(stream) = self.streams.get_mut(key) else { continue };
            stream.in_schedule = false;
            let Some((id, open)) = numbered.filter(|_| stream.send.wants_to_send()) else { continue };
            let before = out.len();
            let item = match stream.send.take((room - HEAD_MAX_BYTES) as u64) {
                Some(piece) => {
                    put_data_head(out, piece.data, id, open, piece.from);
                    stream.send.copy(piece.from, piece.to, out);
                    self.sent_bytes += piece.to - piece.from;
                    self.resent_bytes += if piece.again { piece.to - piece.from } else { 0 };
                    Item::Data { from: piece.from, to: piece.to }
                }
                None => {
                    stream.send.ending = Ending::Finish { due: false };
                    Frame::End { stream: id, open, final_offset: stream.send.end() }.encode(out);
                    Item::End
                }
            };
            self.queue_bytes(key);
            self.queue_control(key);
            self.schedule.served(lane, (out.len() - before) as u64);
            return Some(FrameRef { stream: key, item });
        }
        None
    }

    /// The stream's number, given now if it has none, and `open` as long as the peer may not know it.
    fn number(&mut self, key: StreamRef) -> Option<(u64, Option<Open>)> {
        if self.streams.get_mut(key)?.id.is_none() {
            self.streams.assign_id(key);
        }
        let stream = self.streams.get(key)?;
        Some((stream.id?, stream.open.filter(|_| !stream.open_known)))
    }

    pub(super) fn queue_control(&mut self, key: StreamRef) {
        if let Some(stream) = self.streams.get_mut(key)
            && stream.has_control()
            && !core::mem::replace(&mut stream.in_control, true)
        {
            self.control.push_back(key);
        }
    }

    pub(super) fn queue_bytes(&mut self, key: StreamRef) {
        if let Some(stream) = self.streams.get_mut(key)
            && let Some(open) = stream.open
            && stream.send.wants_to_send()
            && !core::mem::replace(&mut stream.in_schedule, true)
        {
            self.schedule.push(open.lane, key);
        }
    }

    pub(super) fn after_confirm(&mut self, key: StreamRef) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        let send = &mut stream.send;
        while let Some(mark) = send.next_reached() {
            self.events.push_back(Event::Confirmed(StreamKey(key), super::Mark(mark)));
        }
        if stream.end_confirmed && matches!(send.ending, Ending::Finish { .. }) && send.unconfirmed() == 0 {
            send.ending = Ending::Done { reset: false };
            self.events.push_back(Event::Finished(StreamKey(key)));
        }
        self.settle(key);
    }

    /// The peer has closed this stream: all we sent on it is settled.
    pub(super) fn settle_closed(&mut self, key: StreamRef) {
        self.let_go(key, |half| half.confirm(0, half.sent()));
        let Some(stream) = self.streams.get_mut(key) else { return };
        match stream.send.ending {
            Ending::Reset { .. } => stream.send.ending = Ending::Done { reset: true },
            Ending::Finish { .. } => stream.end_confirmed = true,
            Ending::Not | Ending::Done { .. } => {}
        }
        self.after_confirm(key);
    }

    /// Settles a stream whose end is known with the session's credit, and forgets one that is over both ways.
    pub(super) fn settle(&mut self, key: StreamRef) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        if let Some(last) = stream.recv.final_offset()
            && !core::mem::replace(&mut stream.settled, true)
            && stream.touched
        {
            self.recv_credit.settle(stream.recv.limit - last, self.share.may_grow());
        }
        if stream.recv.is_over() && matches!(stream.send.ending, Ending::Done { .. }) {
            self.streams.remove(key);
        }
    }
}

impl Stream {
    fn has_control(&self) -> bool {
        let reset = matches!(self.send.ending, Ending::Reset { due: true, .. });
        reset || self.credit_due || self.must_say_blocked() || self.stop.is_some_and(|(_, due)| due)
    }

    /// The word that more is needed goes behind the bytes that are there: before them it would look as if their reader
    /// waited for it.
    fn must_say_blocked(&self) -> bool {
        self.send.blocked_due && !self.send.has_bytes()
    }

    /// Writes one thing that waits to be said besides bytes.
    fn say_control(&mut self, now: Instant, id: u64, open: Option<Open>, out: &mut Vec<u8>) -> Option<Item> {
        if let Ending::Reset { code, due: true } = self.send.ending {
            self.send.ending = Ending::Reset { code, due: false };
            Frame::Reset { stream: id, open, final_offset: self.send.sent(), code }.encode(out);
            return Some(Item::Reset);
        }
        if let Some((code, due @ true)) = &mut self.stop {
            *due = false;
            Frame::Stop { stream: id, open, code: *code }.encode(out);
            return Some(Item::Stop);
        }
        if core::mem::take(&mut self.credit_due) {
            let limit = self.recv.limit;
            self.recv.pace.told(now, limit);
            Frame::StreamCredit { stream: id, limit }.encode(out);
            return Some(Item::StreamCredit { limit });
        }
        let need = self.send.need.filter(|_| self.must_say_blocked())?;
        self.send.blocked_due = false;
        Frame::Blocked { stream: id, open, need }.encode(out);
        Some(Item::Blocked { need })
    }
}
