//! Where bytes are read to before they are looked at.

use std::cell::Cell;

/// Bytes read at once: thousands of small messages, or two large ones, for one system call. It also bounds what a stream
/// keeps whose traffic wants no more in the middle of a read.
pub(super) const READ_BYTES: usize = 128 * 1024;

thread_local! {
    /// One space for all streams that a thread polls, for only one is read at a time; an idle one holds none.
    static SPACE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Lends this thread's space. Who reads while another on this thread does so, from within it, is lent one of its own.
pub(super) fn with_space<R>(read: impl FnOnce(&mut [u8]) -> R) -> R {
    let mut space = SPACE.take();
    if space.is_empty() {
        space = vec![0; READ_BYTES];
    }
    let done = read(&mut space);
    SPACE.set(space);
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_space_serves_a_thread_and_a_second_one_who_reads_meanwhile() {
        let first = with_space(|space| space.as_ptr());
        let (outer, inner) = with_space(|space| (space.as_ptr(), with_space(|space| (space.as_ptr(), space.len()))));
        assert_eq!(outer, first);
        assert_ne!(inner.0, outer);
        assert_eq!(inner.1, READ_BYTES);
    }
}
