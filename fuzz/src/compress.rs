//! Compressed blocks from a peer: the fuzz target calls this, and so do the tests on a stable compiler.

use tokio::time::Instant;
use towline::filter::{BLOCK_MAX_BYTES, Compress, Filter, FilterError, More};

/// What a filter makes of `bytes`, given in pieces of `piece` bytes; it never holds more than a block and what came.
fn unpack(bytes: &[u8], piece: usize) -> (Vec<u8>, Result<bool, FilterError>) {
    let (mut filter, mut all, now) = (Compress::new(), Vec::new(), Instant::now());
    for mut piece in bytes.chunks(piece) {
        loop {
            let mut out = Vec::new();
            let more = match filter.inbound(now, piece, &mut out) {
                Ok(more) => more,
                Err(error) => return (all, Err(error)),
            };
            assert!(out.len() <= BLOCK_MAX_BYTES, "one call gives one block");
            all.extend_from_slice(&out);
            if more == More::No {
                break;
            }
            piece = &[];
        }
    }
    (all, Ok(filter.may_end()))
}

/// However the bytes are cut, the same comes out, and the same end; and what our own filter makes of them comes back.
#[allow(unreachable_pub, reason = "the fuzz crate and a test share this file")]
pub fn compress(bytes: &[u8]) {
    let whole = unpack(bytes, usize::MAX);
    for piece in [1, 3, 64] {
        assert_eq!(unpack(bytes, piece), whole, "pieces of {piece}");
    }
    let mut wire = Vec::new();
    Compress::new().outbound(Instant::now(), bytes, &mut wire).expect("what is sent has no wrong form");
    assert_eq!(unpack(&wire, usize::MAX), (bytes.to_vec(), Ok(true)));
}
