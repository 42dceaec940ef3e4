//! What the application asks of its streams.

use super::credit::{LANES_KEEP_MAX_BYTES, lane_keeps};
use super::events::{Event, Mark, OpenError, Order, RecvError, SendError, StreamKey};
use super::pool::Level;
use super::send::{Ending, SendHalf};
use super::{Phase, Session, new_stream};
use crate::ids::Lane;
use crate::link::StreamRef;
use crate::wire::frame::Open;
use bytes::Bytes;
use std::collections::VecDeque;

impl Session {
    /// Opens a stream. The peer sees it with its first frame.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(&mut self, lane: Lane, order: Order) -> Result<StreamKey, OpenError> {
        if self.phase != Phase::Open {
            return Err(OpenError::Closed);
        }
        if self.share.view.level >= Level::NoStreams {
            return Err(OpenError::Memory);
        }
        if self.streams.opened >= self.streams.may_open {
            return Err(OpenError::TooMany);
        }
        self.streams.opened += 1;
        let open = Open { lane, as_complete: order == Order::AsComplete };
        Ok(StreamKey(self.streams.insert(new_stream(&self.local, &self.peer, None, Some(open), true))))
    }

    /// Takes a whole message into credit.
    ///
    /// # Errors
    /// [`SendError`]; then nothing was taken.
    pub fn send(&mut self, stream: StreamKey, message: &[u8]) -> Result<Mark, SendError> {
        self.fits(stream, message.len())?;
        let size = SendHalf::size_of(message.len());
        let half = &mut self.streams.get_mut(stream.0).ok_or(SendError::Closed)?.send;
        let before = half.allocated();
        half.push_message(message, &mut self.scratch);
        let (mark, grown) = (Mark(half.end()), half.allocated() - before);
        self.took(stream.0, size, grown);
        Ok(mark)
    }

    /// Takes whole messages off the front, as many as there is credit for, up to `at_most` bytes but at least one; says how
    /// many bytes of the stream they took.
    ///
    /// # Errors
    /// What [`Session::send`] would say of the first; then nothing was taken.
    pub fn send_many(
        &mut self,
        stream: StreamKey,
        messages: &mut VecDeque<Bytes>,
        at_most: u64,
    ) -> Result<u64, SendError> {
        let Some(first) = messages.front() else { return Ok(0) };
        self.fits(stream, first.len())?;
        let least = SendHalf::size_of(first.len());
        let room = self.room(stream.0)?.min(at_most).max(least);
        let half = &mut self.streams.get_mut(stream.0).ok_or(SendError::Closed)?.send;
        let (before, begin) = (half.allocated(), half.end());
        let fits = |half: &SendHalf, message: &Bytes| {
            let end = half.end() - begin + SendHalf::size_of(message.len());
            message.len() as u64 <= self.peer.max_message && end <= room
        };
        while let Some(message) = messages.pop_front_if(|message| fits(half, message)) {
            half.push_message(&message, &mut self.scratch);
        }
        let (size, grown) = (half.end() - begin, half.allocated() - before);
        self.took(stream.0, size, grown);
        Ok(size)
    }

    /// Whether a message of so many bytes would be taken now; if it waits for credit, the peer hears of the need.
    ///
    /// # Errors
    /// What [`Session::send`] would say.
    pub fn fits(&mut self, stream: StreamKey, message_bytes: usize) -> Result<(), SendError> {
        if message_bytes as u64 > self.peer.max_message {
            return Err(SendError::TooLarge { max: self.peer.max_message });
        }
        let size = SendHalf::size_of(message_bytes);
        if self.room(stream.0)? >= size || self.refuse(stream.0, size, size) {
            return Ok(());
        }
        Err(SendError::Full)
    }

    /// Takes raw bytes, as many as there is credit for, and says how many.
    ///
    /// # Errors
    /// [`SendError::Full`] if none.
    pub fn write(&mut self, stream: StreamKey, bytes: &[u8]) -> Result<usize, SendError> {
        let room = self.room(stream.0)?.min(bytes.len() as u64) as usize;
        if room < bytes.len() {
            self.refuse(stream.0, bytes.len() as u64, 1);
        }
        if room == 0 && !bytes.is_empty() {
            return Err(SendError::Full);
        }
        if room > 0 {
            let half = &mut self.streams.get_mut(stream.0).ok_or(SendError::Closed)?.send;
            let before = half.allocated();
            half.push_raw(&bytes[..room]);
            let grown = half.allocated() - before;
            self.took(stream.0, room as u64, grown);
        }
        Ok(room)
    }

    /// How much a stream may take now, as credit and memory go.
    fn room(&self, key: StreamRef) -> Result<u64, SendError> {
        Ok(self.credit(key)?.min(self.memory_for(key)))
    }

    /// How much a stream may take as the peer's credit goes.
    fn credit(&self, key: StreamRef) -> Result<u64, SendError> {
        if self.phase != Phase::Open {
            return Err(SendError::Closed);
        }
        let half = &self.streams.get(key).ok_or(SendError::Closed)?.send;
        half.check_open()?;
        let own = half.limit.saturating_sub(half.end());
        if own <= self.send_credit.granted(LANES_KEEP_MAX_BYTES) {
            return Ok(own);
        }
        let others = self.lanes.iter().filter(|&&lane| lane != key).filter_map(|&lane| self.streams.get(lane));
        let keep = others.map(|lane| lane_keeps(lane.send.limit, lane.send.end())).sum();
        Ok(own.min(self.send_credit.granted(keep)))
    }

    /// So much was taken, for which the ring grew by `grown`.
    fn took(&mut self, key: StreamRef, size: u64, grown: u64) {
        self.send_credit.took(size);
        if let Some(stream) = self.streams.get_mut(key) {
            stream.send.need = None;
            stream.send.blocked_due = false;
            let end = stream.send.end();
            self.took_memory(key, grown, end);
        }
        self.queue_bytes(key);
    }

    /// There was no room for `size`; with `enough` it is worth trying again. Says whether that is now, since the session
    /// has a turn at the pool's reserve.
    fn refuse(&mut self, key: StreamRef, size: u64, enough: u64) -> bool {
        let (credit, memory) = (self.credit(key).unwrap_or(0), self.memory_for(key));
        if memory < size && self.lacks_memory(key, credit, enough) && memory < enough {
            return true;
        }
        let Some(stream) = self.streams.get_mut(key) else { return false };
        let need = stream.send.end() + size;
        stream.send.enough = enough;
        if !core::mem::replace(&mut stream.in_waiting, true) {
            self.waiting.push(key);
        }
        if credit < size && stream.send.need != Some(need) {
            stream.send.need = Some(need);
            stream.send.blocked_due = true;
            self.queue_control(key);
        }
        false
    }

    /// The session's credit or memory grew: who waited for it hears so.
    pub(super) fn wake_waiting(&mut self) {
        self.send_credit.look_again();
        let mut waiting = core::mem::take(&mut self.waiting);
        waiting.retain(|&key| !self.wake(key));
        self.waiting = waiting;
    }

    /// A stream's credit grew: if it waited for that, it hears so.
    pub(super) fn wake_one(&mut self, key: StreamRef) {
        if self.streams.get(key).is_some_and(|stream| stream.in_waiting) && self.wake(key) {
            self.waiting.retain(|&waits| waits != key);
        }
    }

    /// Tells a waiting stream if there is enough room; says whether it waits no longer.
    fn wake(&mut self, key: StreamRef) -> bool {
        let Some(stream) = self.streams.get(key) else { return true };
        let enough = stream.send.enough;
        let credit = self.credit(key);
        let memory =
            self.memory_for(key) >= enough || credit.is_ok_and(|credit| self.lacks_memory(key, credit, enough));
        if credit.is_ok_and(|credit| credit < enough || !memory) {
            return false;
        }
        if let Some(stream) = self.streams.get_mut(key) {
            stream.in_waiting = false;
        }
        self.events.push_back(Event::Writable(StreamKey(key)));
        true
    }

    /// Changes a stream's outgoing direction so that it may hold less, and counts that.
    pub(super) fn let_go<R>(&mut self, key: StreamRef, change: impl FnOnce(&mut SendHalf) -> R) -> Option<R> {
        let keep = self.kept();
        let half = &mut self.streams.get_mut(key)?.send;
        let before = half.unconfirmed();
        let result = change(half);
        half.fit(keep);
        let less = before - half.unconfirmed();
        if self.send_credit.let_go(less) {
            self.wake_waiting();
        }
        Some(result)
    }

    /// Ends our direction after what was sent.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn finish(&mut self, stream: StreamKey) -> Result<(), SendError> {
        if self.is_lane(stream.0) {
            return Err(SendError::Finished);
        }
        let half = &mut self.streams.get_mut(stream.0).ok_or(SendError::Closed)?.send;
        half.check_open()?;
        half.ending = Ending::Finish { due: true };
        self.queue_bytes(stream.0);
        Ok(())
    }

    /// Gives our direction up: what was not sent never is. A lane's permanent stream cannot be reset.
    pub fn reset(&mut self, stream: StreamKey, code: u32) {
        if self.is_lane(stream.0) {
            return;
        }
        let Some(known) = self.streams.get_mut(stream.0) else { return };
        if matches!(known.send.ending, Ending::Not | Ending::Finish { .. }) {
            let numbered = known.id.is_some();
            self.send_credit.used -= self.let_go(stream.0, |half| half.reset(code)).unwrap_or(0);
            // A stream that never said a word needs no goodbye.
            if !numbered {
                self.streams.remove(stream.0);
                self.events.push_back(Event::Openable);
            } else {
                self.queue_control(stream.0);
            }
            self.wake_waiting();
        }
    }

    /// Wants no more of the peer's direction.
    pub fn stop(&mut self, stream: StreamKey, code: u32) {
        if self.is_lane(stream.0) {
            return;
        }
        let Some(known) = self.streams.get_mut(stream.0) else { return };
        known.recv.discard();
        if known.recv.may_stop() && known.stop.is_none() {
            known.stop = Some((code, true));
            self.queue_control(stream.0);
        }
        self.settle(stream.0);
    }

    /// The next whole message; `None`: nothing yet.
    ///
    /// # Errors
    /// [`RecvError`]: there will be no more.
    pub fn recv(&mut self, stream: StreamKey) -> Result<Option<Bytes>, RecvError> {
        if self.streams.is_unused_lane(stream.0) {
            return Ok(None);
        }
        let max = self.local.max_message;
        let got = self.streams.get_mut(stream.0).ok_or(RecvError::Closed)?.recv.recv(max);
        self.after_read(stream.0);
        got
    }

    /// Appends the next whole messages to `messages`, at most `count` and about `at_most` bytes of them, and says how many
    /// that were; 0: nothing yet. Small ones share their memory.
    ///
    /// # Errors
    /// [`RecvError`]: there will be no more.
    pub fn recv_many(
        &mut self,
        stream: StreamKey,
        messages: &mut Vec<Bytes>,
        count: usize,
        at_most: usize,
    ) -> Result<usize, RecvError> {
        if self.streams.is_unused_lane(stream.0) {
            return Ok(0);
        }
        let max = self.local.max_message;
        let half = &mut self.streams.get_mut(stream.0).ok_or(RecvError::Closed)?.recv;
        let got = half.recv_many(max, messages, count, at_most);
        self.after_read(stream.0);
        got
    }

    /// The next raw bytes, and their offset in the stream; `None`: nothing yet.
    ///
    /// # Errors
    /// [`RecvError`]: there will be no more.
    pub fn read(&mut self, stream: StreamKey) -> Result<Option<(u64, Bytes)>, RecvError> {
        let got = self.streams.get_mut(stream.0).ok_or(RecvError::Closed)?.recv.read();
        self.after_read(stream.0);
        got
    }

    fn after_read(&mut self, key: StreamRef) {
        let keep = self.kept();
        if let Some(stream) = self.streams.get_mut(key) {
            stream.recv.fit(keep);
        }
        self.renew_credit(key);
        self.settle(key);
    }

    /// Asks for [`Event::Confirmed`] when everything up to `mark` is in the peer's memory.
    pub fn watch(&mut self, stream: StreamKey, mark: Mark) {
        let Some(known) = self.streams.get_mut(stream.0) else { return };
        if known.send.is_confirmed(mark.0) {
            self.events.push_back(Event::Confirmed(stream, mark));
        } else {
            known.send.watch(mark.0);
        }
    }

    fn is_lane(&self, key: StreamRef) -> bool {
        self.lanes.contains(&key)
    }
}
