//! Bytes that wait to be written: small ones gathered, large ones in place.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// Shorter pieces are copied together, longer ones are written from where they lie: about the length at which copying
/// costs as much as one more entry in a vectored write.
pub const GATHER_BELOW_BYTES: usize = 2 * 1024;

/// How much may wait before no more is asked for: four full TLS records, the most that is sealed at once. More would
/// only make urgent messages wait behind it.
pub const FULL_BYTES: usize = 64 * 1024;

/// The most slices in one write; Linux takes 1,024, and 64 KiB of large pieces are at most 32.
pub(crate) const SLICES_MAX: usize = 64;

#[derive(Debug)]
enum Piece {
    Gathered(Vec<u8>),
    Whole(Bytes),
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Gathered(bytes) => bytes,
            Self::Whole(bytes) => bytes,
        }
    }
}

/// Bytes that wait to be written.
#[derive(Debug, Default)]
pub struct Outbox {
    pieces: VecDeque<Piece>,
    /// How much of the first piece is written.
    written: usize,
    len: usize,
}

impl Outbox {
    /// How many bytes wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether enough waits: what is to come should come later.
    pub fn is_full(&self) -> bool {
        self.len >= FULL_BYTES
    }

    /// How much more should be put in now.
    pub fn room(&self) -> usize {
        FULL_BYTES.saturating_sub(self.len)
    }

    /// Copies `bytes` behind what waits.
    pub fn put(&mut self, bytes: &[u8]) {
        self.gather(|tail| tail.extend_from_slice(bytes));
    }

    /// Puts `bytes` behind what waits, in place if that is cheaper.
    pub fn put_whole(&mut self, bytes: Bytes) {
        if bytes.len() < GATHER_BELOW_BYTES {
            return self.put(&bytes);
        }
        self.len += bytes.len();
        self.pieces.push_back(Piece::Whole(bytes));
    }

    /// Lets `append` write behind what waits; it must only append.
    pub fn gather<R>(&mut self, append: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        if !matches!(self.pieces.back(), Some(Piece::Gathered(_))) {
            self.pieces.push_back(Piece::Gathered(Vec::new()));
        }
        let Some(Piece::Gathered(tail)) = self.pieces.back_mut() else {
            unreachable!("the last piece was just seen or made to be a gathered one")
        };
        let before = tail.len();
        let made = append(tail);
        self.len += tail.len() - before;
        made
    }

    /// Puts what waits into `slices`, oldest first; returns how many.
    pub(crate) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut skip = self.written;
        let mut count = 0;
        for (slot, piece) in slices.iter_mut().zip(&self.pieces) {
            *slot = IoSlice::new(&piece.bytes()[skip..]);
            skip = 0;
            count += 1;
        }
        count
    }

    /// Drops the oldest `count` bytes, which were written.
    pub(crate) fn advance(&mut self, mut count: usize) {
        self.len -= count;
        while let Some(first) = self.pieces.front_mut() {
            let left = first.bytes().len() - self.written;
            if count < left {
                match first {
                    Piece::Gathered(_) => self.written += count,
                    Piece::Whole(bytes) => bytes.advance(count),
                }
                return;
            }
            count -= left;
            self.written = 0;
            self.pieces.pop_front();
        }
    }
}
