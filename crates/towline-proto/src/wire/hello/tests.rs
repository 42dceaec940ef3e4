use super::*;
use crate::limits::{MAX_STATE_RANGES, MAX_STATE_STREAMS, MAX_STREAMS};
use crate::wire::close::CloseCode;
use crate::wire::receive_state::StreamState;

fn new_session() -> ClientHello {
    ClientHello {
        versions: 1..=1,
        intent: Intent::New,
        params: Params {
            max_message: 262_144,
            stream_credit: 262_144,
            session_credit: 294_912,
            max_streams: 256,
            resume_time_ms: 600_000,
        },
        features: vec![],
    }
}

fn state() -> ReceiveState {
    ReceiveState {
        next_ids: [12, 9],
        streams: vec![
            StreamState { id: 0, contiguous_end: 5, ranges: vec![] },
            StreamState { id: 10, contiguous_end: 100, ranges: vec![(110, 120), (200, 201)] },
        ],
    }
}

fn join() -> ClientHello {
    let intent = Intent::Join { session: SessionId([0x11; 16]), proof: [0x22; 32], received: state() };
    ClientHello { intent, features: vec![(RESERVED_FEATURE, b"grease".to_vec())], ..new_session() }
}

fn bytes_of(hello: &ClientHello) -> Vec<u8> {
    let mut out = Vec::new();
    hello.encode(&mut out);
    out
}

fn answer(verdict: Verdict) -> ServerHello {
    ServerHello { version: 1, verdict, features: vec![] }
}

fn bytes_of_answer(hello: &ServerHello) -> Vec<u8> {
    let mut out = Vec::new();
    hello.encode(&mut out);
    out
}

fn answers() -> Vec<ServerHello> {
    vec![
        answer(Verdict::New { session: SessionId([7; 16]), params: Params::default() }),
        answer(Verdict::Joined { received: state() }),
        answer(Verdict::Gone),
        answer(Verdict::Refused(Close::new(CloseCode::UnknownKey).with_text("who are you"))),
    ]
}

#[test]
fn a_new_sessions_hello_has_its_golden_bytes() {
    let golden = b"\x1aTWLC\x01\x01\x00\x80\x04\x00\x00\x80\x04\x00\x00\x80\x04\x80\x00\x41\x00\x80\x09\x27\xc0\x00";
    assert_eq!(bytes_of(&new_session()), golden);
    assert_eq!(ClientHello::decode(golden), Ok(Some((new_session(), golden.len()))));
}

#[test]
fn a_joins_state_has_its_golden_bytes() {
    let mut bytes = Vec::new();
    state().encode(&mut bytes);
    assert_eq!(bytes, b"\x0c\x09\x02\x00\x05\x00\x0a\x40\x64\x02\x0a\x0a\x40\x50\x01");
    assert_eq!(ReceiveState::decode(&mut Reader::new(&bytes)), Ok(state()));
}

#[test]
fn every_hello_survives_the_wire_with_bytes_behind_it() {
    for hello in [new_session(), join()] {
        let mut bytes = bytes_of(&hello);
        let used = bytes.len();
        bytes.extend_from_slice(b"the next frame");
        assert_eq!(ClientHello::decode(&bytes), Ok(Some((hello, used))));
    }
    for hello in answers() {
        let bytes = bytes_of_answer(&hello);
        assert_eq!(ServerHello::decode(&bytes), Ok(Some((hello, bytes.len()))));
    }
}

#[test]
fn a_hello_that_has_not_come_whole_waits_at_every_byte() {
    let bytes = bytes_of(&join());
    for cut in 0..bytes.len() {
        assert_eq!(ClientHello::decode(&bytes[..cut]), Ok(None), "at {cut}");
    }
    for bytes in answers().iter().map(bytes_of_answer) {
        for cut in 0..bytes.len() {
            assert_eq!(ServerHello::decode(&bytes[..cut]), Ok(None), "at {cut}");
        }
    }
}

#[test]
fn a_hello_whose_length_cuts_it_short_is_refused_at_every_byte() {
    let whole = bytes_of(&join());
    let body = &whole[2..];
    for cut in 4..body.len() {
        let mut bytes = Vec::new();
        put_prefixed(&mut bytes, &body[..cut]);
        assert!(matches!(ClientHello::decode(&bytes), Err(DecodeError::Truncated { .. })), "at {cut}");
    }
    let mut longer = Vec::new();
    put_prefixed(&mut longer, &[body, &[0]].concat());
    assert_eq!(ClientHello::decode(&longer), Err(DecodeError::Invalid { what: "hello" }));
}

#[test]
fn another_protocol_is_refused_at_its_first_wrong_byte() {
    for (bytes, what) in [(&b"\x1aTX"[..], "magic"), (b"\x1aG", "magic"), (b"\x03TWL", "magic")] {
        assert_eq!(ClientHello::decode(bytes), Err(DecodeError::Invalid { what }));
    }
    assert_eq!(ClientHello::decode(b"GET / HTTP/1.1\r\n"), Err(DecodeError::Invalid { what: "magic" }));
    assert_eq!(ClientHello::decode(b"\x16\x03\x01\x02\x00\x01"), Err(DecodeError::Invalid { what: "magic" }));
    let answer = bytes_of_answer(&answer(Verdict::Gone));
    assert_eq!(ClientHello::decode(&answer), Err(DecodeError::Invalid { what: "magic" }), "a hello mirrored back");
}

#[test]
fn a_length_of_the_limit_is_waited_for_and_one_past_it_refused() {
    assert_eq!(ClientHello::decode(&[0x80, 0x01, 0, 0]), Ok(None));
    let too_long = DecodeError::TooLong { what: "hello", limit: MAX_HELLO_BYTES };
    assert_eq!(ClientHello::decode(&[0x80, 0x01, 0, 1]), Err(too_long));
    assert_eq!(ClientHello::decode(&[0xc0, 0, 0, 1, 0, 0, 0, 0]), Err(too_long), "4 GiB");
}

#[test]
fn features_are_taken_to_their_limits_and_not_past_them() {
    let full = ClientHello { features: vec![(1 << 40, vec![9; 1_000]); MAX_FEATURES], ..new_session() };
    let bytes = bytes_of(&full);
    assert_eq!(ClientHello::decode(&bytes), Ok(Some((full, bytes.len()))));
    let with_tail = |tail: &[u8]| {
        let mut bytes = Vec::new();
        let plain = bytes_of(&new_session());
        put_prefixed(&mut bytes, &[&plain[1..plain.len() - 1], tail].concat());
        ClientHello::decode(&bytes)
    };
    assert_eq!(with_tail(&[0x40, 65]), Err(DecodeError::TooLong { what: "feature count", limit: MAX_FEATURES }));
    assert_eq!(
        with_tail(&[1, 0, 0x44, 0x01]),
        Err(DecodeError::TooLong { what: "feature value", limit: MAX_FEATURE_BYTES })
    );
}

#[test]
fn the_largest_state_fits_a_hello_and_loses_only_ranges() {
    let far = 1 << 61;
    let ranges: Vec<_> =
        (0..MAX_STATE_RANGES as u64).map(|n| (far + n * (far / 512) + 1, far + n * (far / 512) + 2)).collect();
    let stream = |id| StreamState { id, contiguous_end: far, ranges: ranges.clone() };
    let received =
        ReceiveState { next_ids: [far; 2], streams: (0..MAX_STATE_STREAMS as u64).map(|n| stream(far + n)).collect() };
    let hello = ClientHello {
        intent: Intent::Join { session: SessionId([1; 16]), proof: [2; 32], received: received.clone() },
        ..join()
    };
    let bytes = bytes_of(&hello);
    let Ok(Some((ClientHello { intent: Intent::Join { received: came, .. }, .. }, _))) = ClientHello::decode(&bytes)
    else {
        panic!("it fits and is read")
    };
    assert_eq!(came.streams.len(), received.streams.len());
    assert!(came.streams.iter().all(|stream| !stream.ranges.is_empty()), "each keeps some");
    for (came, said) in came.streams.iter().zip(&received.streams) {
        assert_eq!((came.id, came.contiguous_end), (said.id, said.contiguous_end));
        assert!(said.ranges.starts_with(&came.ranges));
    }
}

#[test]
fn a_state_over_its_limits_is_refused_before_it_is_held() {
    let decode = |bytes: &[u8]| ReceiveState::decode(&mut Reader::new(bytes)).unwrap_err().to_string();
    let mut many = vec![0, 0];
    put_varint(&mut many, MAX_STATE_STREAMS as u64 + 1);
    assert!(decode(&many).contains("over its limit of 2056"));
    let mut wide = vec![0, 0, 1, 0, 0];
    put_varint(&mut wide, MAX_STATE_RANGES as u64 + 1);
    assert!(decode(&wide).contains("over its limit of 256"));
    assert!(decode(&[0, 0, 1, 0, 0, 1, 0, 1]).contains("malformed"), "no gap");
    assert!(decode(&[0, 0, 1, 0, 0, 1, 1, 0]).contains("malformed"), "no length");
    assert!(
        decode(&[&[0, 0, 1, 0][..], &[0xff; 8], &[1, 1, 1]].concat()).contains("malformed"),
        "past the last offset"
    );
}

#[test]
fn params_over_what_both_sides_know_are_taken_as_the_limit() {
    let mut bytes = Vec::new();
    (0..5).for_each(|_| put_varint(&mut bytes, crate::wire::cursor::MAX_VARINT));
    let params = Params::decode(&mut Reader::new(&bytes)).unwrap();
    assert_eq!((params.max_message, params.max_streams), (16 * 1024 * 1024, MAX_STREAMS));
    assert_eq!(params.resume_time_ms, 86_400_000);
}

#[test]
fn an_empty_range_of_versions_is_refused() {
    let mut bytes = bytes_of(&new_session());
    bytes[5] = 2;
    assert_eq!(ClientHello::decode(&bytes), Err(DecodeError::Invalid { what: "version range" }));
}
