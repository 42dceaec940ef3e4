//! Bytes that wait to be written: small ones gathered, large ones in place.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// Shorter pieces are copied together, longer ones are written from where they lie: about the length at which copying
/// costs as much as one more entry in a vectored write.
pub(super) const GATHER_BELOW_BYTES: usize = 2 * 1024;

/// How much may wait before no more is asked for: four full TLS records, the most that is sealed at once. More would
/// only make urgent messages wait behind it.
pub(super) const FULL_BYTES: usize = 64 * 1024;

/// The most slices that Linux takes in one write (`IOV_MAX`); more are an error there.
pub const IOV_MAX: usize = 1_024;

/// What an idle outbox keeps for the next small message, in bytes; the rest is given back.
const KEPT_WHEN_IDLE_BYTES: usize = 512;

/// What an idle outbox keeps room for, in pieces.
const KEPT_WHEN_IDLE_PIECES: usize = 4;

#[derive(Debug)]
enum Piece {
    /// That many bytes of [`Outbox::gathered`].
    Gathered(usize),
    Whole(Bytes),
}

/// Bytes that wait to be written.
///
/// All small pieces lie in one buffer, in their order; `pieces` says where large ones stand between them. What stands
/// behind the last of these is in no list: a small message costs its copy and no count. The buffer stays when it runs
/// empty, so that a busy outbox allocates nothing.
#[derive(Debug, Default)]
pub struct Outbox {
    gathered: Vec<u8>,
    /// How much of `gathered` is written.
    written: usize,
    pieces: VecDeque<Piece>,
    /// Bytes of `gathered` that `pieces` list.
    listed: usize,
    /// Bytes of all whole `pieces`.
    whole: usize,
}

impl Outbox {
    /// How many bytes wait.
    #[inline]
    pub fn len(&self) -> usize {
        self.gathered.len() - self.written + self.whole
    }

    /// Whether nothing waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether enough waits: what is to come should come later.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.len() >= FULL_BYTES
    }

    /// How much more should be put in now.
    #[inline]
    pub fn room(&self) -> usize {
        FULL_BYTES.saturating_sub(self.len())
    }

    /// How many slices a write of everything takes.
    pub fn pieces(&self) -> usize {
        self.pieces.len() + usize::from(self.tail() > 0)
    }

    /// Bytes at the end of `gathered`, behind all `pieces`.
    fn tail(&self) -> usize {
        self.gathered.len() - self.written - self.listed
    }

    /// Copies `bytes` behind what waits.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) {
        self.gathered.extend_from_slice(bytes);
    }

    /// Puts `bytes` behind what waits, in place if that is cheaper.
    #[inline]
    pub fn put_whole(&mut self, bytes: Bytes) {
        if bytes.len() < GATHER_BELOW_BYTES {
            return self.put(&bytes);
        }
        let tail = self.tail();
        if tail > 0 {
            self.pieces.push_back(Piece::Gathered(tail));
            self.listed += tail;
        }
        self.whole += bytes.len();
        self.pieces.push_back(Piece::Whole(bytes));
    }

    /// Lets `append` write behind what waits; it must only append, for other bytes may stand before.
    #[inline(always)]
    pub fn gather<R>(&mut self, append: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        append(&mut self.gathered)
    }

    /// The oldest bytes that lie together; empty when nothing waits.
    pub fn first(&self) -> &[u8] {
        match self.pieces.front() {
            Some(Piece::Gathered(count)) => &self.gathered[self.written..self.written + count],
            Some(Piece::Whole(bytes)) => bytes,
            None => &self.gathered[self.written..],
        }
    }

    /// Puts what waits into `slices`, oldest first, for one vectored write; returns how many.
    pub fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut at = self.written;
        let mut used = 0;
        for (slot, piece) in slices.iter_mut().zip(&self.pieces) {
            *slot = match piece {
                Piece::Gathered(count) => {
                    at += count;
                    IoSlice::new(&self.gathered[at - count..at])
                }
                Piece::Whole(bytes) => IoSlice::new(bytes),
            };
            used += 1;
        }
        if self.tail() > 0
            && let Some(slot) = slices.get_mut(used)
        {
            *slot = IoSlice::new(&self.gathered[at..]);
            used += 1;
        }
        used
    }

    /// Drops the oldest `count` bytes, which were written. Never more than [`Outbox::len`].
    pub fn advance(&mut self, count: usize) {
        let mut left = count;
        while left > 0 {
            left -= self.advance_first(left);
        }
        self.compact();
    }

    /// Drops up to `count` bytes of the oldest piece; how many.
    fn advance_first(&mut self, count: usize) -> usize {
        let (taken, all) = match self.pieces.front_mut() {
            Some(Piece::Gathered(length)) => {
                let taken = count.min(*length);
                *length -= taken;
                self.listed -= taken;
                self.written += taken;
                (taken, *length == 0)
            }
            Some(Piece::Whole(bytes)) => {
                let taken = count.min(bytes.len());
                bytes.advance(taken);
                self.whole -= taken;
                (taken, bytes.is_empty())
            }
            None => {
                self.written += count;
                return count;
            }
        };
        if all {
            self.pieces.pop_front();
        }
        taken
    }

    /// Makes the room of written bytes usable again, moving at most as many bytes as were written since the last time.
    fn compact(&mut self) {
        if self.written == self.gathered.len() {
            self.gathered.clear();
            self.written = 0;
        } else if self.written >= FULL_BYTES && self.written * 2 >= self.gathered.len() {
            self.gathered.drain(..self.written);
            self.written = 0;
        }
    }

    /// Bytes of memory held beyond what an idle outbox keeps.
    pub(crate) fn spare_bytes(&self) -> usize {
        let pieces = self.pieces.capacity().saturating_sub(KEPT_WHEN_IDLE_PIECES) * size_of::<Piece>();
        self.gathered.capacity().saturating_sub(KEPT_WHEN_IDLE_BYTES) + pieces
    }

    /// Gives memory back that what waits does not need.
    pub(crate) fn give_back(&mut self) {
        self.gathered.shrink_to(KEPT_WHEN_IDLE_BYTES);
        self.pieces.shrink_to(KEPT_WHEN_IDLE_PIECES);
    }
}
