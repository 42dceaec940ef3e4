//! Ciphertext on its way in, and data of a record that its reader had no room for.

use std::ops::Range;

use tokio::io::ReadBuf;

use super::buffers::{Buffer, Tail};
use super::record::{self, Fault, HEADER_BYTES, RECORD_MAX_BYTES};

/// What came and was not handed on.
#[derive(Default)]
pub(super) struct Incoming {
    /// Here as long as it holds something, and while more is read.
    buffer: Option<Buffer>,
    /// What of the buffer is sealed.
    sealed: Range<usize>,
    /// What of the buffer is an opened record's data, and how much of that is handed on.
    plain: Range<usize>,
    plain_taken: usize,
    /// The beginning of a record, kept while nothing more comes. It stands before what is read next.
    tail: Option<Tail>,
}

impl Incoming {
    /// Begins with what came behind a handshake.
    pub(super) fn new(early: &[u8]) -> Self {
        let mut this = Self::default();
        if !early.is_empty() {
            this.tail = Some(Tail::of(early));
            this.place();
            this.came(0);
        }
        this
    }

    /// Where to read to. Only when no whole record is left.
    pub(super) fn place(&mut self) -> &mut [u8] {
        let buffer = self.buffer.get_or_insert_with(Buffer::take);
        if let Some(tail) = &self.tail {
            return &mut buffer[tail.len()..];
        }
        if self.sealed.start > 0 {
            buffer.copy_within(self.sealed.clone(), 0);
            self.sealed = 0..self.sealed.len();
        }
        &mut buffer[self.sealed.end..]
    }

    /// Says that `count` bytes were read to their place.
    pub(super) fn came(&mut self, count: usize) {
        let Some(buffer) = &mut self.buffer else { return };
        if let Some(tail) = self.tail.take() {
            buffer[..tail.len()].copy_from_slice(&tail);
            self.sealed = 0..tail.len();
        }
        self.sealed.end += count;
    }

    /// Nothing more comes for now: keeps no more memory than the beginning of a record needs.
    pub(super) fn rest(&mut self) {
        if let Some(buffer) = self.buffer.take()
            && !self.sealed.is_empty()
        {
            self.tail = Some(Tail::of(&buffer[self.sealed.clone()]));
        }
        self.sealed = 0..0;
    }

    /// Where the next record stands, once it is whole.
    pub(super) fn next(&self) -> Result<Option<Range<usize>>, Fault> {
        let Some(buffer) = &self.buffer else { return Ok(None) };
        let length = record::length(&buffer[self.sealed.clone()])?;
        let whole = length.filter(|length| *length <= self.sealed.len());
        Ok(whole.map(|length| self.sealed.start..self.sealed.start + length))
    }

    /// Takes the next record to open it; it stands where [`Incoming::next`] says.
    pub(super) fn take(&mut self, at: Range<usize>) -> &mut [u8] {
        self.sealed.start = at.end;
        self.buffer.as_mut().map_or(&mut [], |buffer| &mut buffer[at])
    }

    /// Leaves the record for later after all.
    pub(super) fn put_back(&mut self, at: Range<usize>) {
        self.sealed.start = at.start;
    }

    /// Keeps the first `count` bytes of data of the record at that place, which was opened there.
    pub(super) fn keep(&mut self, record: &Range<usize>, count: usize) {
        let from = record.start + HEADER_BYTES;
        self.plain = from..from + count;
        self.plain_taken = 0;
    }

    /// Hands on as much of the kept data as `out` has room for.
    pub(super) fn hand_on(&mut self, out: &mut ReadBuf<'_>) {
        if self.plain.is_empty() {
            return;
        }
        if let Some(buffer) = &self.buffer {
            let left = &buffer[self.plain.start + self.plain_taken..self.plain.end];
            let count = left.len().min(out.remaining());
            out.put_slice(&left[..count]);
            self.plain_taken += count;
        }
        if self.plain_taken == self.plain.len() {
            self.wipe();
        }
    }

    /// Whether data waits to be handed on.
    pub(super) fn has_plain(&self) -> bool {
        !self.plain.is_empty()
    }

    /// Gives the buffer back if nothing is in it.
    pub(super) fn let_go(&mut self) {
        if self.sealed.is_empty() && self.plain.is_empty() {
            self.buffer = None;
            self.sealed = 0..0;
        }
    }

    /// How much memory it has now.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.buffer.as_ref().map_or(0, |buffer| buffer.len()) + self.tail.as_ref().map_or(0, |tail| tail.len())
    }

    /// No plain byte stays in a buffer that another connection gets.
    fn wipe(&mut self) {
        let plain = std::mem::replace(&mut self.plain, 0..0);
        if let Some(buffer) = &mut self.buffer {
            buffer[plain].fill(0);
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.wipe();
    }
}

// A read behind the beginning of a record always has room for the rest of it.
const _: () = assert!(super::buffers::BUFFER_BYTES >= 2 * RECORD_MAX_BYTES);
