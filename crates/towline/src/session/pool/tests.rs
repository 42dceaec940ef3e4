//! The defaults, and what one server's sessions do to each other over their pool.

use super::*;

#[test]
fn the_default_pool_is_large_enough_for_the_default_message() {
    let stats = Pool::default().stats();
    assert_eq!((stats.bound_bytes, stats.level, stats.sessions), (1 << 30, Level::Free, 0));
}

#[test]
fn a_pool_of_its_smallest_size_is_made_and_one_byte_less_is_named() {
    assert!(Pool::new(8 << 20, DEFAULT_MAX_MESSAGE_BYTES).is_ok());
    let error = Pool::new((8 << 20) - 1, DEFAULT_MAX_MESSAGE_BYTES).unwrap_err().to_string();
    assert!(error.contains("at least 8388608"), "{error}");
}
