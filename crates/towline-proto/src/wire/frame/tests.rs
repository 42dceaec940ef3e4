use super::*;
use crate::wire::close::CloseCode;
use crate::wire::cursor::{MAX_VARINT, put_varint};
use proptest::prelude::*;

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..100, 0..=MAX_VARINT, Just(MAX_VARINT)]
}

fn open() -> impl Strategy<Value = Option<Open>> {
    let some =
        (0..Lane::COUNT as u8, any::<bool>()).prop_map(|(lane, as_complete)| Open { lane: Lane(lane), as_complete });
    proptest::option::of(some)
}

/// Calls `check` with every kind of frame, made of the given numbers.
fn every_frame(a: u64, b: u64, code: u32, open: Option<Open>, bytes: &[u8], check: impl Fn(&Frame<'_>)) {
    let (stream, low, high) = (a, a.min(b), a.max(b));
    check(&Frame::Ping { nonce: a });
    check(&Frame::Pong { nonce: a });
    check(&Frame::Confirm { count: a });
    check(&Frame::Close(Close::new(CloseCode::ALL[code as usize % CloseCode::ALL.len()]).with_text("why")));
    check(&Frame::SessionCredit { limit: a });
    check(&Frame::StreamsCredit { count: a });
    check(&Frame::StreamCredit { stream, limit: b });
    check(&Frame::Run { stream, open, offset: b, messages: bytes });
    check(&Frame::Chunk { stream, open, offset: high, start: low, bytes });
    check(&Frame::Bytes { stream, open, offset: b, bytes });
    check(&Frame::End { stream, open, final_offset: b });
    check(&Frame::Reset { stream, open, final_offset: b, code });
    check(&Frame::Stop { stream, open, code });
    check(&Frame::Blocked { stream, open, need: b });
    check(&Frame::Reserved { kind: FIRST_SKIPPABLE_TYPE + 2 * (a % 1000), body: bytes });
}

proptest! {
    #[test]
    fn every_frame_comes_back_as_it_went(
        a in number(), b in number(), code in any::<u32>(), open in open(),
        bytes in proptest::collection::vec(any::<u8>(), 1..80),
    ) {
        every_frame(a, b, code, open, &bytes, |frame| {
            let mut wire = Vec::new();
            frame.encode(&mut wire);
            assert_eq!(Frame::decode(&wire).as_ref(), Ok(frame));
        });
    }

    #[test]
    fn random_bytes_never_panic_and_what_they_mean_is_stable(wire in proptest::collection::vec(any::<u8>(), 0..120)) {
        if let Ok(frame) = Frame::decode(&wire) {
            let mut again = Vec::new();
            frame.encode(&mut again);
            prop_assert_eq!(Frame::decode(&again), Ok(frame));
        }
    }
}

#[test]
fn a_frame_cut_anywhere_before_its_data_is_malformed() {
    let open = Some(Open { lane: Lane::BULK, as_complete: true });
    every_frame(5_000_000, 70_000, 9, open, b"x", |frame| {
        let mut wire = Vec::new();
        frame.encode(&mut wire);
        if !matches!(frame, Frame::Reserved { .. }) {
            for cut in 0..wire.len() {
                assert!(Frame::decode(&wire[..cut]).is_err(), "{frame:?} cut at {cut}");
            }
        }
    });
}

#[test]
fn what_follows_a_frame_of_fixed_fields_is_refused() {
    for frame in [Frame::Ping { nonce: 1 }, Frame::End { stream: 8, open: None, final_offset: 3 }] {
        let mut wire = Vec::new();
        frame.encode(&mut wire);
        wire.push(0);
        assert!(matches!(Frame::decode(&wire), Err(FrameError::Malformed(_))));
    }
}

#[test]
fn unknown_even_types_from_0x40_are_skipped_and_all_others_refused() {
    for kind in 0..0x200u64 {
        let mut wire = Vec::new();
        put_varint(&mut wire, kind);
        wire.extend([1; 30]);
        let decoded = Frame::decode(&wire);
        let known = matches!(kind, 1..=6 | 8 | 0x10..=0x1d);
        if kind >= FIRST_SKIPPABLE_TYPE && kind % 2 == 0 {
            assert!(matches!(decoded, Ok(Frame::Reserved { .. })), "{kind:#x}");
        } else if !known {
            assert_eq!(decoded, Err(FrameError::Unknown { kind }));
        }
    }
}

#[test]
fn a_chunk_that_begins_before_offset_zero_a_large_code_and_an_unknown_lane_are_refused() {
    assert!(Frame::decode(&[kind::CHUNK as u8, 8, 3, 4, 0xaa]).is_err());
    let mut wire = vec![kind::STOP as u8, 8];
    put_varint(&mut wire, u64::from(u32::MAX) + 1);
    assert!(Frame::decode(&wire).is_err());
    for byte in 0x10..=0xff {
        assert!(Frame::decode(&[kind::BYTES as u8 + 1, 8, byte, 0, 1]).is_err());
    }
}
