//! A circular buffer addressed by a stream's offsets.
//!
//! It holds the bytes from [`Ring::base`] to [`Ring::end`]. A sender appends at the end and lets go at the base; a
//! receiver may also write ahead of the end ([`Ring::write_at`]), in any order, and keeps beside it which parts are real.
//! It grows by doubling, so that a byte is moved a few times at most, and keeps what it has until its owner says
//! [`Ring::fit`]: a busy ring runs empty again and again, and to grow anew each time costs more than what it carries.

#[cfg(test)]
mod tests;

/// The smallest allocation, in bytes: a few small messages.
const MIN_CAPACITY_BYTES: usize = 256;

/// The bytes of a stream between two offsets.
#[derive(Clone, Debug, Default)]
pub struct Ring {
    /// Empty, or a power of two long; offset `o` lies at `o & (len - 1)`.
    bytes: Vec<u8>,
    base: u64,
    end: u64,
}

impl Ring {
    /// An empty ring at offset 0 that has allocated nothing.
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), base: 0, end: 0 }
    }

    /// The offset of the first byte held.
    pub const fn base(&self) -> u64 {
        self.base
    }

    /// The offset after the last byte held.
    pub const fn end(&self) -> u64 {
        self.end
    }

    /// How many bytes lie between base and end.
    pub const fn len(&self) -> usize {
        (self.end - self.base) as usize
    }

    /// Whether nothing is held.
    pub const fn is_empty(&self) -> bool {
        self.base == self.end
    }

    /// How many bytes of memory it has allocated.
    pub const fn capacity(&self) -> usize {
        self.bytes.len()
    }

    /// Appends bytes at the end.
    pub fn append(&mut self, bytes: &[u8]) {
        self.write_at(self.end, bytes);
    }

    /// Writes bytes at an offset at or above the base; the end moves up if they reach past it. What lies in a gap is
    /// undefined until it is written.
    ///
    /// # Panics
    /// Below the base: callers cut what they no longer want.
    pub fn write_at(&mut self, offset: u64, bytes: &[u8]) {
        assert!(offset >= self.base, "a write below the base");
        let end = offset + bytes.len() as u64;
        self.reserve_to(end);
        if bytes.is_empty() {
            return;
        }
        let at = self.index(offset);
        let first = bytes.len().min(self.bytes.len() - at);
        self.bytes[at..at + first].copy_from_slice(&bytes[..first]);
        self.bytes[..bytes.len() - first].copy_from_slice(&bytes[first..]);
        self.end = self.end.max(end);
    }

    /// The bytes between two offsets that are held, as two slices (the second is empty unless they lie around the border).
    ///
    /// # Panics
    /// If they are not all held.
    pub fn slices(&self, start: u64, end: u64) -> (&[u8], &[u8]) {
        assert!(self.base <= start && start <= end && end <= self.end, "a read outside of what is held");
        let len = (end - start) as usize;
        if len == 0 {
            return (&[], &[]);
        }
        let at = self.index(start);
        let first = len.min(self.bytes.len() - at);
        (&self.bytes[at..at + first], &self.bytes[..len - first])
    }

    /// Appends the bytes between two offsets to `out`.
    ///
    /// # Panics
    /// As [`Ring::slices`].
    pub fn copy_to(&self, start: u64, end: u64, out: &mut Vec<u8>) {
        let (first, second) = self.slices(start, end);
        out.extend_from_slice(first);
        out.extend_from_slice(second);
    }

    /// The number (as on the wire) at an offset and how many bytes it takes; `None` if not all of it lies below `end`.
    pub fn varint_at(&self, offset: u64, end: u64) -> Option<(u64, u64)> {
        if offset < self.base || offset >= end.min(self.end) {
            return None;
        }
        let first = self.byte(offset);
        let len = 1u64 << (first >> 6);
        if offset + len > end.min(self.end) {
            return None;
        }
        let value = (1..len).fold(u64::from(first & 0x3f), |value, i| (value << 8) | u64::from(self.byte(offset + i)));
        Some((value, len))
    }

    /// Lets go of everything below `offset`.
    ///
    /// # Panics
    /// Above the end.
    pub fn advance(&mut self, offset: u64) {
        assert!(offset <= self.end, "letting go of what is not held");
        self.base = self.base.max(offset);
    }

    /// Gives memory back if more than `keep` bytes are allocated and less than a quarter of them is used. What is
    /// allocated then is at most `keep`, or four times what is held (or the smallest allocation).
    pub fn fit(&mut self, keep: usize) {
        if self.bytes.len() <= keep {
            return;
        }
        if self.is_empty() {
            self.bytes = Vec::new();
        } else if self.len() <= self.bytes.len() / 4 {
            // Half of what remains is free, so that the next change of size is far away in both directions.
            let fitting = (2 * self.len()).next_power_of_two().max(MIN_CAPACITY_BYTES);
            if fitting < self.bytes.len() {
                self.move_to(fitting);
            }
        }
    }

    /// How many bytes may be appended if the allocation may grow by so many.
    pub const fn room_within(&self, grow: u64) -> u64 {
        let most = (self.bytes.len() as u64).saturating_add(grow);
        let allocation = if most < MIN_CAPACITY_BYTES as u64 { self.bytes.len() as u64 } else { 1 << most.ilog2() };
        allocation.saturating_sub(self.len() as u64)
    }

    /// Lets go of everything from `offset` on, as if it had never been written.
    pub fn truncate(&mut self, offset: u64) {
        self.end = self.end.min(offset.max(self.base));
    }

    /// Drops all that is held and all memory; the ring is empty at its end.
    pub fn clear(&mut self) {
        self.base = self.end;
        self.bytes = Vec::new();
    }

    fn index(&self, offset: u64) -> usize {
        offset as usize & (self.bytes.len() - 1)
    }

    fn byte(&self, offset: u64) -> u8 {
        self.bytes[self.index(offset)]
    }

    fn reserve_to(&mut self, end: u64) {
        let needed = (end - self.base) as usize;
        if needed <= self.bytes.len() {
            return;
        }
        self.move_to(needed.next_power_of_two().max(MIN_CAPACITY_BYTES));
    }

    /// Moves what is held to an allocation of so many bytes, a power of two that it fits.
    fn move_to(&mut self, allocation: usize) {
        let mut bytes = vec![0; allocation];
        let mask = bytes.len() - 1;
        let (first, second) = self.slices(self.base, self.end);
        let mut at = self.base as usize & mask;
        for part in [first, second] {
            let straight = part.len().min(bytes.len() - at);
            bytes[at..at + straight].copy_from_slice(&part[..straight]);
            bytes[..part.len() - straight].copy_from_slice(&part[straight..]);
            at = (at + part.len()) & mask;
        }
        self.bytes = bytes;
    }
}
