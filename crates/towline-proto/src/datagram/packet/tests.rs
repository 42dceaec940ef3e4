use proptest::prelude::*;

use super::*;
use crate::datagram::crypto::checksum::{InitialSum, KeyLimits, keys};
use crate::datagram::crypto::{InitialCrypto, Keys, Level, Side};
use crate::datagram::number::truncated_len;

fn id(len: usize, fill: u8) -> ConnectionId {
    ConnectionId::new(&vec![fill; len]).unwrap()
}

fn pair(secret: u64) -> (Keys, Keys) {
    (keys(secret, Side::Client, KeyLimits::default()), keys(secret, Side::Server, KeyLimits::default()))
}

/// A client's packet.
fn packet(header: &Header<'_>, number: u64, number_len: usize, bytes: usize, content: &[u8]) -> Vec<u8> {
    let mut out = vec![];
    let keys = pair(1).0.local;
    let draft = Draft::begin(header, number_len, &mut out);
    assert_eq!(out.len(), header.bytes(number_len));
    out.extend_from_slice(content);
    draft.seal(number, bytes, &*keys.header, &*keys.packet, &mut out);
    out
}

fn headers(token: &[u8], destination: ConnectionId, source: ConnectionId) -> [Header<'_>; 3] {
    [
        Header::Initial { destination, source, token },
        Header::Handshake { destination, source },
        Header::Session { destination: id(LOCAL_ID_BYTES, 7), key_phase: true },
    ]
}

/// What the server makes of each packet of a datagram: its level, its number, its content.
fn read(datagram: &mut [u8]) -> Vec<Option<(Level, u64, Vec<u8>)>> {
    let keys = pair(1).1.remote;
    let open = |packet| match packet {
        Packet::Sealed(sealed) => {
            let (level, shown) = (sealed.level(), sealed.show(&*keys.header)?);
            let number = shown.number(None);
            Some((level, number, shown.open(number, &*keys.packet).ok()?.to_vec()))
        }
        Packet::Retry(_) | Packet::Versions(_) => None,
    };
    Datagram::new(datagram).map(open).collect()
}

#[test]
fn what_one_side_writes_the_other_reads() {
    let long = vec![0xab; 700];
    for (destination, source) in (0..=20).zip((0..=20).rev()) {
        for token in [&[][..], &[1], &[2; 63], &[3; 64], &long] {
            for header in headers(token, id(destination, 1), id(source, 2)) {
                for (number_len, number) in [(1, 0x7f), (2, 0x1234), (3, 0x12_3456), (4, 0x1234_5678)] {
                    for content in [&b""[..], b"x", b"four", &long] {
                        let mut bytes = packet(&header, number, number_len, 0, content);
                        let all = read(&mut bytes);
                        let [Some((_, opened, read))] = &all[..] else { panic!("{header:?} {number_len}") };
                        assert_eq!((*opened, &read[..content.len()]), (number, content));
                        // What was appended so that a sample exists is padding.
                        assert!(read[content.len()..] == [0; 3][..(4 - number_len).saturating_sub(content.len())]);
                    }
                }
            }
        }
    }
}

#[test]
fn a_header_says_what_was_put_into_it() {
    let (destination, source) = (id(20, 3), id(0, 0));
    for (header, level) in
        headers(b"token", destination, source).iter().zip([Level::Initial, Level::Handshake, Level::Session])
    {
        let mut bytes = packet(header, 5, 2, 1_200, b"content");
        assert_eq!(bytes.len(), 1_200);
        let expected = if level == Level::Session { id(8, 7) } else { destination };
        assert_eq!(destination_id(&bytes), Some(expected));
        let Some(Packet::Sealed(sealed)) = Datagram::new(&mut bytes).next() else { panic!() };
        assert_eq!((sealed.level(), sealed.destination(), sealed.packet_bytes()), (level, expected, 1_200));
        assert_eq!(sealed.source(), (level != Level::Session).then_some(source));
        assert_eq!(sealed.token(), if level == Level::Initial { &b"token"[..] } else { b"" });
        let shown = sealed.show(&*pair(1).1.remote.header).unwrap();
        assert_eq!((shown.level(), shown.key_phase()), (level, level == Level::Session));
        assert_eq!(shown.number(None), 5);
    }
}

#[test]
fn numbers_are_expanded_against_the_largest_that_was_opened() {
    let header = Header::Session { destination: id(8, 7), key_phase: false };
    let (number, confirmed) = (0x12_3456_789a, Some(0x12_3456_7000));
    let mut bytes = packet(&header, number, truncated_len(number, confirmed), 0, b"late");
    let Some(Packet::Sealed(sealed)) = Datagram::new(&mut bytes).next() else { panic!() };
    let keys = pair(1).1.remote;
    let shown = sealed.show(&*keys.header).unwrap();
    assert!(!shown.key_phase());
    let expanded = shown.number(Some(0x12_3456_7890));
    assert_eq!(expanded, number);
    assert_eq!(shown.open(expanded, &*keys.packet).unwrap(), b"late");
}

#[test]
fn coalesced_packets_are_read_one_by_one_up_to_the_first_of_another_destination() {
    let (ours, theirs) = (id(8, 7), id(5, 2));
    let one = |header: &Header<'_>| packet(header, 1, 1, 0, b"content");
    let initial = one(&Header::Initial { destination: ours, source: theirs, token: b"" });
    let handshake = one(&Header::Handshake { destination: ours, source: theirs });
    let session = one(&Header::Session { destination: ours, key_phase: false });
    let elsewhere = one(&Header::Handshake { destination: id(8, 8), source: theirs });
    let levels = |parts: &[&[u8]]| -> Vec<Level> {
        read(&mut parts.concat()).into_iter().map(|packet| packet.unwrap().0).collect()
    };
    let three = [Level::Initial, Level::Handshake, Level::Session];
    assert_eq!(levels(&[&initial, &handshake, &session]), three);
    assert_eq!(levels(&[&initial, &elsewhere, &session]), three[..1]);
    assert_eq!(levels(&[&initial, &handshake, &[0; 40]]), three[..2], "padding behind packets");
    let mut bytes = [&initial[..], &elsewhere].concat();
    let mut datagram = Datagram::new(&mut bytes);
    assert!(datagram.next().is_some() && datagram.malformed_bytes() == 0);
    assert!(datagram.next().is_none() && datagram.malformed_bytes() == elsewhere.len() && datagram.next().is_none());
}

#[test]
fn no_truncated_packet_and_no_flipped_bit_passes() {
    for header in headers(b"token", id(8, 7), id(3, 2)) {
        let whole = packet(&header, 5, 2, 0, b"something to say");
        for len in 0..whole.len() {
            assert!(read(&mut whole[..len].to_vec()).iter().all(Option::is_none), "{header:?} cut to {len}");
        }
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&mut flipped).iter().all(Option::is_none), "{header:?} with bit {bit}");
        }
    }
}

#[test]
fn reserved_bits_are_a_fault_of_the_peer_if_it_sealed_them_and_nothing_if_not() {
    for header in headers(b"", id(8, 7), id(3, 2)) {
        for bit in if matches!(header, Header::Session { .. }) { [0x10, 0x08] } else { [0x08, 0x04] } {
            // Sealed as the peer would, with a bit more.
            let (ours, theirs) = (pair(1).0.local, pair(1).1.remote);
            let mut bytes = packet(&header, 5, 2, 0, b"content");
            let Some(Packet::Sealed(sealed)) = Datagram::new(&mut bytes).next() else { panic!() };
            let shown = sealed.show(&*theirs.header).unwrap();
            let content_at = header.bytes(2);
            shown.open(5, &*theirs.packet).unwrap();
            bytes[0] |= bit;
            let forged = bytes.clone();
            let (head, content) = bytes.split_at_mut(content_at);
            ours.packet.seal(5, head, content);
            for (mut bytes, expected) in [(bytes, Fault::ReservedBits), (forged, Fault::Forged)] {
                let (head, content) = bytes.split_at_mut(content_at);
                let (before, number) = head.split_at_mut(content_at - 2);
                ours.header.hide(&content[2..18], &mut before[0], number);
                let Some(Packet::Sealed(sealed)) = Datagram::new(&mut bytes).next() else { panic!() };
                let shown = sealed.show(&*theirs.header).unwrap();
                assert_eq!(shown.open(5, &*theirs.packet).unwrap_err(), expected);
            }
        }
    }
}

#[test]
fn headers_that_break_the_rules_are_not_read() {
    let mut whole = packet(&Header::Handshake { destination: id(8, 7), source: id(2, 2) }, 5, 2, 0, b"content");
    let is_read = |at: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[at] = byte;
        Datagram::new(&mut bytes).next().is_some()
    };
    assert!(is_read(0, whole[0]));
    assert!(!is_read(0, whole[0] & !FIXED), "the fixed bit");
    assert!(!is_read(0, whole[0] & !kind::MASK | 0x10), "early data, which we do not have");
    assert!(!is_read(4, 2), "another version");
    assert!(!is_read(5, 21), "an id of 21 bytes");
    assert!(!is_read(17, 0xff), "a length past the end");
    let short = packet(&Header::Session { destination: id(8, 7), key_phase: false }, 5, 2, 0, b"content");
    assert_eq!(destination_id(&[&[short[0] & !FIXED], &short[1..]].concat()), None);
    // An id may be long in a version that we do not know, but it is then nobody's here.
    whole[5] = 255;
    whole.resize(1_200, 9);
    assert_eq!(destination_id(&whole), None);
    assert_eq!(LongHead::read(&mut Reader::new(&whole)).unwrap().destination.len(), 255);
}

#[test]
fn the_largest_packets_are_read_and_a_longer_one_is_not_written() {
    let long = Header::Handshake { destination: id(20, 7), source: id(20, 2) };
    let most = LONG_PACKET_BYTES_MAX - 1 - 4 - 16;
    let mut bytes = packet(&long, 5, 4, 0, &vec![1; most]);
    assert_eq!(read(&mut bytes)[0].as_ref().unwrap().2.len(), most);
    assert!(std::panic::catch_unwind(|| packet(&long, 5, 4, 0, &vec![1; most + 1])).is_err());
    let session = Header::Session { destination: id(8, 7), key_phase: false };
    let mut bytes = packet(&session, 5, 4, 65_527, &[1]);
    assert_eq!(read(&mut bytes)[0].as_ref().unwrap().2.len(), 65_527 - 13 - 16);
}

#[test]
fn nothing_is_left_of_a_packet_that_had_nothing_to_say() {
    let mut out = vec![1, 2, 3];
    let draft = Draft::begin(&Header::Session { destination: id(8, 7), key_phase: false }, 2, &mut out);
    out.extend_from_slice(b"no");
    draft.drop_from(&mut out);
    assert_eq!(out, [1, 2, 3]);
}

#[test]
fn a_retry_is_authentic_for_the_client_that_it_answers() {
    let (client, server, chosen) = (id(3, 2), id(8, 7), id(18, 1));
    let mut bytes = vec![];
    put_retry(&client, &server, b"token", &chosen, &InitialSum, &mut bytes);
    assert_eq!(destination_id(&bytes), Some(client));
    let authentic = |mut bytes: Vec<u8>, chosen: ConnectionId| match Datagram::new(&mut bytes).next() {
        Some(Packet::Retry(retry)) => retry.is_authentic(&chosen, &InitialSum),
        _ => false,
    };
    assert!(authentic(bytes.clone(), chosen) && !authentic(bytes.clone(), client));
    (0..bytes.len()).for_each(|len| assert!(!authentic(bytes[..len].to_vec(), chosen), "cut to {len}"));
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(!authentic(flipped, chosen), "bit {bit}");
    }
    let Some(Packet::Retry(retry)) = Datagram::new(&mut bytes).next() else { panic!() };
    assert_eq!((retry.destination(), retry.source(), retry.token()), (client, server, &b"token"[..]));
    let mut without_token = vec![];
    put_retry(&client, &server, b"", &chosen, &InitialSum, &mut without_token);
    assert!(Datagram::new(&mut without_token).next().is_none());
}

#[test]
fn a_version_negotiation_lists_ours_and_one_that_does_not_exist() {
    let mut bytes = vec![];
    put_versions(&id(3, 2), &id(20, 7), [0x12, 0x34, 0x56, 0x78], &mut bytes);
    for len in 0..bytes.len() {
        let listed = match Datagram::new(&mut bytes[..len].to_vec()).next() {
            Some(Packet::Versions(versions)) => versions.versions().count(),
            Some(_) => panic!("something else, cut to {len}"),
            None => 0,
        };
        assert_eq!(listed, usize::from(len + 4 == bytes.len()), "cut to {len}");
    }
    let Some(Packet::Versions(versions)) = Datagram::new(&mut bytes).next() else { panic!() };
    assert_eq!((versions.destination(), versions.source()), (id(3, 2), id(20, 7)));
    assert_eq!(versions.versions().collect::<Vec<_>>(), [0x1a3a_5a7a, VERSION]);
}

#[test]
fn a_reset_looks_like_a_packet_of_a_session_and_holds_its_token() {
    let mut bytes = vec![];
    put_reset(&[0xff; RESET_BYTES_MIN - 16], [6; 16], &mut bytes);
    assert_eq!((bytes.len(), bytes[0] & (LONG | FIXED)), (RESET_BYTES_MIN, FIXED));
    assert_eq!(reset_token(&bytes), Some([6; 16]));
    assert_eq!(reset_token(&bytes[1..]), None, "one byte less");
    bytes[0] |= LONG;
    assert_eq!(reset_token(&bytes), None);
}

proptest! {
    #[test]
    fn arbitrary_datagrams_are_read_to_their_end_or_dropped(
        first in prop::sample::select(vec![0x40u8, 0x80, 0xc0, 0xe0, 0xf0, 0x00]),
        version in prop::sample::select(vec![0, VERSION, 1]),
        mut bytes in prop::collection::vec(prop_oneof![0u8..30, any::<u8>()], 0..200),
    ) {
        bytes.splice(..0, [&[first][..], &version.to_be_bytes()].concat());
        let all = bytes.len();
        let _ = (destination_id(&bytes), reset_token(&bytes));
        let keys = InitialSum.initial_keys(Side::Server, &[1; 8]);
        let mut taken = 0;
        let mut datagram = Datagram::new(&mut bytes);
        for packet in datagram.by_ref() {
            match packet {
                Packet::Sealed(sealed) => {
                    taken += sealed.packet_bytes();
                    let _ = sealed.token().len();
                    let opened = sealed.show(&*keys.remote.header).map(|shown| {
                        let number = shown.number(Some(77));
                        shown.open(number, &*keys.remote.packet).is_ok()
                    });
                    prop_assert_ne!(opened, Some(true));
                }
                Packet::Retry(retry) => {
                    prop_assert!(!retry.is_authentic(b"chosen", &InitialSum));
                    taken = all;
                }
                Packet::Versions(versions) => {
                    prop_assert!(versions.versions().count() > 0);
                    taken = all;
                }
            }
        }
        prop_assert_eq!(taken + datagram.malformed_bytes(), all);
    }
}
