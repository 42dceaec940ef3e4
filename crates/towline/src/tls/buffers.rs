//! Buffers for what is on its way through TLS, lent by the thread: a connection holds one only while something is on its way,
//! so that an idle connection has none and a busy one allocates none.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// Bytes of a buffer: four full records written at once with what TLS itself may say between them; or as much read at once
/// behind the beginning of a record.
pub(super) const BUFFER_BYTES: usize = 80 * 1024;

/// The most buffers that a thread keeps for the next who needs one; 640 KiB.
const SPARE_MAX: usize = 8;

/// The most beginnings of records, each of up to a record's size, whose memory a thread keeps.
const SPARE_TAILS_MAX: usize = 8;

struct Spare {
    buffers: Vec<Box<[u8]>>,
    tails: Vec<Vec<u8>>,
}

thread_local! {
    static SPARE: RefCell<Spare> = const { RefCell::new(Spare { buffers: Vec::new(), tails: Vec::new() }) };
}

/// [`BUFFER_BYTES`] bytes with anything in them, given back when dropped. Whoever puts plain bytes into one wipes them.
pub(super) struct Buffer(Box<[u8]>);

impl Buffer {
    pub(super) fn take() -> Self {
        let spare = SPARE.try_with(|spare| spare.borrow_mut().buffers.pop()).ok().flatten();
        Self(spare.unwrap_or_else(|| vec![0; BUFFER_BYTES].into_boxed_slice()))
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.0);
        // A thread that ends keeps nothing.
        let _ = SPARE.try_with(|spare| {
            let buffers = &mut spare.borrow_mut().buffers;
            if buffers.len() < SPARE_MAX {
                buffers.push(bytes);
            }
        });
    }
}

/// Sealed bytes that wait for more, in memory of their own size.
pub(super) struct Tail(Vec<u8>);

impl Tail {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let spare = SPARE.try_with(|spare| spare.borrow_mut().tails.pop()).ok().flatten();
        let mut tail = spare.unwrap_or_default();
        tail.reserve_exact(bytes.len());
        tail.extend_from_slice(bytes);
        Self(tail)
    }
}

impl Deref for Tail {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.0);
        bytes.clear();
        // A thread that ends keeps nothing.
        let _ = SPARE.try_with(|spare| {
            let tails = &mut spare.borrow_mut().tails;
            if tails.len() < SPARE_TAILS_MAX {
                tails.push(bytes);
            }
        });
    }
}
