//! What a session makes of the frames that links give to it.

use super::events::{EndReason, Event, StreamKey};
use super::send::Ending;
use super::{Session, new_stream};
use crate::link::{StreamRef, Violation};
use crate::time::Instant;
use crate::wire::close::CloseCode;
use crate::wire::cursor::{MAX_VARINT, Reader, varint_len};
use crate::wire::frame::{Data, Frame, Open};

impl Session {
    /// Takes one frame in.
    ///
    /// # Errors
    /// The peer broke a rule.
    pub(super) fn take(&mut self, now: Instant, frame: Frame<'_>) -> Result<(), Violation> {
        match frame {
            Frame::Run { stream, open, offset, messages } => {
                self.check_run(messages)?;
                self.take_bytes(now, stream, open, offset, messages, Data::Run)
            }
            Frame::Chunk { stream, open, offset, start, bytes } => {
                self.check_chunk(offset, start, bytes)?;
                self.take_bytes(now, stream, open, offset, bytes, Data::Chunk { start })
            }
            Frame::Bytes { stream, open, offset, bytes } => {
                self.take_bytes(now, stream, open, offset, bytes, Data::Bytes)
            }
            Frame::End { stream, open, final_offset } => self.take_end(stream, open, final_offset, None),
            Frame::Reset { stream, open, final_offset, code } => self.take_end(stream, open, final_offset, Some(code)),
            Frame::Stop { stream, open, code } => self.take_stop(stream, open, code),
            Frame::Blocked { stream, open, need } => self.take_blocked(now, stream, open, need),
            Frame::StreamCredit { stream, limit } => {
                if let Some(key) = self.find(stream, None)? {
                    let known = self.streams.get_mut(key).map(|known| &mut known.send.limit);
                    known.into_iter().for_each(|known| *known = limit.max(*known));
                    self.wake_one(key);
                }
                Ok(())
            }
            Frame::SessionCredit { limit } => {
                self.send_credit.limit = self.send_credit.limit.max(limit);
                self.wake_waiting();
                Ok(())
            }
            Frame::StreamsCredit { count } => {
                if count > self.streams.may_open {
                    self.streams.may_open = count;
                    self.events.push_back(Event::Openable);
                }
                Ok(())
            }
            Frame::Close(close) => {
                self.end(EndReason::ClosedByPeer(close));
                Ok(())
            }
            Frame::Ping { .. } | Frame::Pong { .. } | Frame::Confirm { .. } | Frame::Reserved { .. } => Ok(()),
        }
    }

    fn check_run(&self, messages: &[u8]) -> Result<(), Violation> {
        let mut reader = Reader::new(messages);
        while !reader.is_empty() {
            let len = self.check_message(&mut reader)?;
            reader.take(len as usize, "message").map_err(|_| Violation::new(CloseCode::BadFrame, "a run cut short"))?;
        }
        Ok(())
    }

    fn check_chunk(&self, offset: u64, start: u64, bytes: &[u8]) -> Result<(), Violation> {
        if offset > start {
            let within = offset - start <= self.local.max_message + varint_len(MAX_VARINT) as u64;
            return within.then_some(()).ok_or(Violation::new(CloseCode::FlowControl, "a message over max_message"));
        }
        let mut reader = Reader::new(bytes);
        let len = self.check_message(&mut reader)?;
        if (bytes.len() - reader.position()) as u64 > len {
            return Err(Violation::new(CloseCode::Protocol, "a chunk past the end of its message"));
        }
        Ok(())
    }

    fn check_message(&self, reader: &mut Reader<'_>) -> Result<u64, Violation> {
        let len =
            reader.varint("message").map_err(|_| Violation::new(CloseCode::BadFrame, "a message without length"))?;
        if len > self.local.max_message {
            return Err(Violation::new(CloseCode::FlowControl, "a message over max_message"));
        }
        Ok(len)
    }

    /// Finds a stream by number, opens it if it is new, and learns what it is.
    fn find(&mut self, id: u64, open: Option<Open>) -> Result<Option<StreamRef>, Violation> {
        if let Some(&lane) = self.lanes.get(id as usize).filter(|_| id < self.lanes.len() as u64) {
            return Ok(Some(lane));
        }
        let (local, peer) = (self.local, self.peer);
        let Some(key) = self.streams.find(id, |id| new_stream(&local, &peer, Some(id), None, false))? else {
            return Ok(None);
        };
        let Some(stream) = self.streams.get_mut(key) else { return Ok(None) };
        match (stream.open, open) {
            (None, Some(open)) => {
                stream.open = Some(open);
                stream.recv.as_complete = open.as_complete;
                self.events.push_back(Event::Opened(StreamKey(key), open.lane));
            }
            (None, None) => return Err(Violation::new(CloseCode::Protocol, "a stream that never said what it is")),
            _ => {}
        }
        Ok(Some(key))
    }

    /// From its first frame on a stream's grant counts in the session's; that frame itself must fit what was told before.
    fn touch(&mut self, key: StreamRef) {
        if let Some(stream) = self.streams.get_mut(key)
            && !core::mem::replace(&mut stream.touched, true)
        {
            let limit = stream.recv.limit;
            self.grant(limit);
        }
    }

    fn take_bytes(
        &mut self,
        now: Instant,
        id: u64,
        open: Option<Open>,
        offset: u64,
        bytes: &[u8],
        data: Data,
    ) -> Result<(), Violation> {
        let Some(key) = self.find(id, open)? else { return Ok(()) };
        self.works(now);
        let Some(stream) = self.streams.get_mut(key) else { return Ok(()) };
        let grown = stream.recv.take(now, offset, bytes, data)?;
        self.recv_credit.take(grown)?;
        self.touch(key);
        self.wake_reader(key);
        Ok(())
    }

    fn take_end(&mut self, id: u64, open: Option<Open>, last: u64, reset: Option<u32>) -> Result<(), Violation> {
        let Some(key) = self.find(id, open)? else { return Ok(()) };
        if self.lanes.contains(&key) {
            return Err(Violation::new(CloseCode::Protocol, "a lane's permanent stream cannot end"));
        }
        let Some(stream) = self.streams.get_mut(key) else { return Ok(()) };
        let grown = stream.recv.end(last, reset)?;
        self.recv_credit.take(grown)?;
        self.touch(key);
        self.wake_reader(key);
        self.settle(key);
        Ok(())
    }

    fn take_stop(&mut self, id: u64, open: Option<Open>, code: u32) -> Result<(), Violation> {
        let Some(key) = self.find(id, open)? else { return Ok(()) };
        if self.lanes.contains(&key) {
            return Err(Violation::new(CloseCode::Protocol, "a lane's permanent stream cannot be stopped"));
        }
        self.touch(key);
        let Some(stream) = self.streams.get(key) else { return Ok(()) };
        if matches!(stream.send.ending, Ending::Not | Ending::Finish { .. }) {
            self.events.push_back(Event::Stopped(StreamKey(key), code));
            self.reset(StreamKey(key), code);
        }
        Ok(())
    }

    fn take_blocked(&mut self, now: Instant, id: u64, open: Option<Open>, need: u64) -> Result<(), Violation> {
        let Some(key) = self.find(id, open)? else { return Ok(()) };
        self.touch(key);
        if let Some(stream) = self.streams.get_mut(key) {
            stream.recv.peer_needs(now, need, self.share.may_grow());
        }
        self.renew_credit(key);
        Ok(())
    }

    fn wake_reader(&mut self, key: StreamRef) {
        if self.streams.get_mut(key).is_some_and(|stream| stream.open.is_some() && stream.recv.should_wake()) {
            self.events.push_back(Event::Readable(StreamKey(key)));
        }
    }
}
