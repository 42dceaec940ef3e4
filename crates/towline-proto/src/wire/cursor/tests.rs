use super::*;

fn encoded(value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, value);
    out
}

#[test]
fn numbers_are_those_of_rfc_9000_appendix_a_1() {
    for (hex, value) in [
        (&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c][..], 151_288_809_941_952_652),
        (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
        (&[0x7b, 0xbd], 15_293),
        (&[0x25], 37),
    ] {
        assert_eq!(encoded(value), hex);
        assert_eq!(Reader::new(hex).varint("number"), Ok(value));
    }
    assert_eq!(Reader::new(&[0x40, 0x25]).varint("number"), Ok(37), "a longer form is read too");
}

#[test]
fn a_number_has_its_shortest_form_at_each_border() {
    for (value, len) in
        [(0, 1), (63, 1), (64, 2), (16_383, 2), (16_384, 4), (1_073_741_823, 4), (1_073_741_824, 8), (MAX_VARINT, 8)]
    {
        let bytes = encoded(value);
        assert_eq!((bytes.len(), varint_len(value)), (len, len), "{value}");
        assert_eq!(Reader::new(&bytes).varint("number"), Ok(value));
    }
}

#[test]
#[should_panic(expected = "2^62")]
fn a_number_over_the_largest_is_our_bug() {
    encoded(MAX_VARINT + 1);
}

#[test]
fn a_number_cut_short_takes_nothing() {
    let bytes = encoded(MAX_VARINT);
    for cut in 0..bytes.len() {
        let mut reader = Reader::new(&bytes[..cut]);
        assert_eq!(reader.varint("number"), Err(DecodeError::Truncated { what: "number" }));
        assert_eq!(reader.position(), 0);
    }
}

#[test]
fn a_length_is_held_against_its_limit_before_its_bytes_are() {
    let mut bytes = Vec::new();
    put_prefixed(&mut bytes, b"seven b");
    assert_eq!(Reader::new(&bytes).prefixed(7, "text"), Ok(&b"seven b"[..]));
    assert_eq!(Reader::new(&bytes).prefixed(6, "text"), Err(DecodeError::TooLong { what: "text", limit: 6 }));
    assert_eq!(Reader::new(&bytes[..7]).prefixed(7, "text"), Err(DecodeError::Truncated { what: "text" }));
    assert_eq!(
        Reader::new(&encoded(MAX_VARINT)).prefixed(7, "text"),
        Err(DecodeError::TooLong { what: "text", limit: 7 })
    );
}

#[test]
fn what_is_left_over_is_an_error() {
    let mut reader = Reader::new(&[1, 2, 3]);
    assert_eq!(reader.array("pair"), Ok([1, 2]));
    assert_eq!((reader.position(), reader.remaining()), (2, 1));
    assert_eq!(reader.clone().finish("pair"), Err(DecodeError::Invalid { what: "pair" }));
    assert_eq!(reader.take_rest(), &[3]);
    assert_eq!(reader.finish("pair"), Ok(()));
}
