//! Packet numbers as they stand on the wire: the last one to four bytes of a number that never repeats (RFC 9000 §17.1,
//! appendix A).

/// The largest packet number (RFC 9000 §12.3); a link that came there is over. At a million packets a second that takes
/// a hundred thousand years.
pub const MAX_PACKET_NUMBER: u64 = (1 << 62) - 1;

/// How many bytes `number` needs so that a peer can tell it whose packets up to `confirmed` this side knows to have
/// arrived (`None`: none yet).
pub fn truncated_len(number: u64, confirmed: Option<u64>) -> usize {
    let unconfirmed = number - confirmed.map_or(0, |confirmed| confirmed + 1) + 1;
    // Twice the range that may be on its way, so that a number is nearer to the expected one than to any of its twins.
    let bits = u64::BITS - (2 * unconfirmed - 1).leading_zeros();
    (bits as usize).div_ceil(8).clamp(1, 4)
}

/// Appends the last `len` bytes of `number`.
pub fn put_truncated(out: &mut Vec<u8>, number: u64, len: usize) {
    out.extend_from_slice(&number.to_be_bytes()[8 - len..]);
}

/// The whole number of which `truncated` are the last `len` bytes: the one nearest to the next after `largest`, the
/// largest that was received (`None`: none yet).
pub fn expand(truncated: u64, len: usize, largest: Option<u64>) -> u64 {
    let expected = largest.map_or(0, |largest| largest + 1);
    let window = 1u64 << (8 * len);
    let candidate = (expected & !(window - 1)) | truncated;
    if candidate + window / 2 <= expected && candidate + window <= MAX_PACKET_NUMBER {
        candidate + window
    } else if candidate > expected + window / 2 && candidate >= window {
        candidate - window
    } else {
        candidate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_9000_a_2_and_a_3() {
        assert_eq!(truncated_len(0xac_5c02, Some(0xab_e8b3)), 2);
        assert_eq!(truncated_len(0xac_e8fe, Some(0xab_e8b3)), 3);
        assert_eq!(expand(0x9b32, 2, Some(0xa82f_30ea)), 0xa82f_9b32);
    }

    #[test]
    fn every_number_on_its_way_is_told_from_its_twins() {
        for confirmed in [None, Some(0), Some(7), Some(254), Some(65_535), Some((1 << 40) + 3)] {
            for ahead in [1, 2, 63, 127, 128, 129, 20_000, 32_768, 40_000, 3_000_000, 1 << 30] {
                let number = confirmed.unwrap_or(0) + ahead;
                let len = truncated_len(number, confirmed);
                let truncated = number & ((1 << (8 * len)) - 1);
                // The peer may have received anything from what was confirmed to the number itself.
                for largest in [confirmed, Some(number - 1), Some(number.saturating_sub(ahead / 2))] {
                    assert_eq!(expand(truncated, len, largest), number, "{number} after {confirmed:?}, {largest:?}");
                }
            }
        }
    }

    #[test]
    fn the_last_bytes_are_written() {
        let mut out = vec![9];
        put_truncated(&mut out, 0x0102_0304_0506, 3);
        assert_eq!(out, [9, 4, 5, 6]);
    }
}
