//! Every word comes back as it went; every limit holds at its number and one past it.

use super::*;
use crate::time::Duration;
use crate::wire::cursor::DecodeError;
use bytes::Bytes;
use proptest::prelude::*;

fn bytes_of(word: &Word<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    word.encode(&mut out);
    out
}

fn metadata() -> impl Strategy<Value = Metadata> {
    let entry = ("[a-z-]{0,20}", prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from));
    prop::collection::vec(entry, 0..4).prop_map(Metadata)
}

proptest! {
    #[test]
    fn every_word_comes_back_as_it_went(
        method in "\\PC{0,60}",
        left in prop::option::of(0u64..1 << 40),
        metadata in metadata(),
        item in prop::collection::vec(any::<u8>(), 0..300),
        kind in 0..5,
        code in 0..Code::ALL.len(),
        text in "\\PC{0,60}",
    ) {
        let begin = Begin { method: &method, time_left: left.map(Duration::from_millis), metadata: metadata.clone() };
        let word = match kind {
            0 => Word::Begin(begin, None),
            1 => Word::Begin(begin, Some(&item)),
            2 => Word::Item(&item),
            3 => Word::Last(&item),
            _ => Word::Status(Status::new(Code::ALL[code], text).with_detail(item.clone()), metadata),
        };
        let bytes = bytes_of(&word);
        prop_assert_eq!(Word::decode(&bytes), Ok(word));
    }

    #[test]
    fn p18_no_bytes_make_the_reading_of_a_word_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Word::decode(&bytes);
    }
}

proptest! {
    #[test]
    fn every_packet_comes_back_as_it_went(
        call in 0u64..1 << 62,
        kind in 0..8,
        left in prop::option::of(0u64..1 << 40),
        item in prop::collection::vec(any::<u8>(), 0..100),
        code in 0..Code::ALL.len(),
        limit in 0u64..1 << 62,
    ) {
        let time_left = left.map(Duration::from_millis);
        let part = match kind {
            0 | 1 => Part::Begin { item: &item[..], ends: kind == 1, time_left },
            2 => Part::Item(&item[..]),
            3 => Part::End,
            4 => Part::Last(&item[..]),
            5 => Part::Status(Status::new(Code::ALL[code], "text").with_detail(item.clone())),
            6 => Part::GiveUp(Code::ALL[code]),
            _ => Part::Credit(limit),
        };
        let packet = Packet { call: exchange::CallId(call), part };
        let mut bytes = Vec::new();
        packet.encode(&mut bytes, |item, out| { out.extend_from_slice(item); Ok::<_, ()>(()) }).unwrap();
        prop_assert_eq!(Packet::decode(&bytes), Ok(packet));
    }

    #[test]
    fn p18_no_bytes_make_the_reading_of_a_packet_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Packet::decode(&bytes);
    }
}

#[test]
fn every_cut_of_a_word_with_fields_is_refused() {
    let metadata = Metadata(vec![("key".into(), Bytes::from_static(b"value"))]);
    let begin = Begin { method: "greet", time_left: Some(Duration::from_secs(1)), metadata: metadata.clone() };
    for word in [Word::Begin(begin, None), Word::Status(Status::new(Code::Aborted, "text"), metadata)] {
        let bytes = bytes_of(&word);
        for cut in 0..bytes.len() {
            assert!(Word::decode(&bytes[..cut]).is_err(), "{word:?} cut at {cut}");
        }
    }
}

#[test]
fn each_limit_holds_at_its_number_and_one_past_it_is_refused_by_both_sides() {
    let of = |method: usize, keys: usize, key: usize, value: usize| {
        let entry = ("k".repeat(key), Bytes::from(vec![1; value]));
        (String::from("m").repeat(method), Metadata(vec![entry; keys]))
    };
    let limits = (MAX_METHOD_BYTES, MAX_METADATA, MAX_METADATA_KEY_BYTES, MAX_METADATA_VALUE_BYTES);
    let at = |a, b, c, d| of(limits.0 + a, limits.1 + b, limits.2 + c, limits.3 + d);
    let judged = |(method, metadata): (String, Metadata)| {
        let begin = Begin { method: &method, time_left: None, metadata };
        let checked = begin.check();
        let read = Word::decode(&bytes_of(&Word::Begin(begin, None))).map(drop);
        assert_eq!(checked, read, "writer and reader agree");
        checked
    };
    assert_eq!(judged(at(0, 0, 0, 0)), Ok(()));
    for past in [at(1, 0, 0, 0), at(0, 1, 0, 0), at(0, 0, 1, 0), at(0, 0, 0, 1)] {
        assert!(matches!(judged(past), Err(DecodeError::TooLong { .. })));
    }
}

#[test]
fn a_status_that_is_too_long_is_cut_between_letters() {
    let status = Status::new(Code::Unknown, "ä".repeat(600)).with_detail(vec![7; MAX_STATUS_DETAIL_BYTES + 1]);
    let bytes = bytes_of(&Word::Status(status, Metadata::default()));
    let Ok(Word::Status(read, _)) = Word::decode(&bytes) else { panic!("{bytes:?}") };
    assert_eq!(read.text, "ä".repeat(512));
    assert_eq!(read.detail.len(), MAX_STATUS_DETAIL_BYTES);
}

#[test]
fn codes_are_grpcs_numbers_and_an_unknown_one_says_so() {
    for (number, code) in Code::ALL.iter().enumerate() {
        assert_eq!(code.number() as usize, number);
        assert_eq!(Code::from_number(number as u64), *code);
    }
    assert_eq!(Code::from_number(17), Code::Unknown);
    assert_eq!(Code::from_number(u64::MAX), Code::Unknown);
}
