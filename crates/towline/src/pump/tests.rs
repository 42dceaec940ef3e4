//! Verdicts, limits and gathering, at each limit and one past it.

use std::io::IoSlice;

use bytes::Bytes;

use super::outbox::{FULL_BYTES, GATHER_BELOW_BYTES};
use super::*;
use crate::codec::{Decoder, FrameError, LengthPrefixed, Verdict};

/// Messages are one length byte and that many bytes; 255 means: skip the next 1,000; 254 is invalid.
#[derive(Default)]
struct Toy {
    got: Vec<Vec<u8>>,
    longest_input: usize,
}

impl Traffic for Toy {
    type Error = &'static str;

    fn inbound(&mut self, input: &[u8], _out: &mut Outbox) -> Result<Inbound, &'static str> {
        self.longest_input = self.longest_input.max(input.len());
        match input[0] {
            255 => Ok(Inbound::Skip(1_001)),
            254 => Err("invalid"),
            length if input.len() > usize::from(length) => {
                self.got.push(input[1..=usize::from(length)].to_vec());
                Ok(Inbound::Used(1 + usize::from(length)))
            }
            length => Ok(Inbound::Need(1 + usize::from(length) - input.len())),
        }
    }

    fn outbound(&mut self, _out: &mut Outbox) -> Result<(), &'static str> {
        Ok(())
    }
}

#[test]
fn messages_come_out_the_same_however_the_bytes_are_cut() {
    let mut bytes = vec![3, b'a', b'b', b'c', 0, 255];
    bytes.extend([254; 1_000]);
    bytes.extend([2, b'd', b'e']);
    for cut in 1..bytes.len() {
        let (mut pump, mut toy) = (Pump::new(256), Toy::default());
        for piece in bytes.chunks(cut) {
            pump.received(piece, &mut toy).unwrap();
        }
        assert_eq!(toy.got, [&b"abc"[..], b"", b"de"], "pieces of {cut}");
        assert!(!pump.is_inside_message());
    }
}

#[test]
fn skipping_never_buffers() {
    let (mut pump, mut toy) = (Pump::new(16), Toy::default());
    pump.received(&[255, 0, 0], &mut toy).unwrap();
    for _ in 0..99 {
        pump.received(&[254; 10], &mut toy).unwrap();
        assert!(pump.rest.is_empty());
    }
    pump.received(&[254, 254, 254, 254, 254, 254, 254, 254, 1, b'x'], &mut toy).unwrap();
    assert_eq!(toy.got, [b"x"]);
}

#[test]
fn a_message_at_the_limit_passes_and_one_past_it_is_named() {
    let (mut pump, mut toy) = (Pump::new(11), Toy::default());
    pump.received(&[10, 1, 2, 3], &mut toy).unwrap();
    pump.received(&[4, 5, 6, 7, 8, 9, 10], &mut toy).unwrap();
    assert_eq!(toy.got.len(), 1);
    let end = pump.received(&[11], &mut toy).unwrap_err();
    assert!(matches!(end, PumpEnd::TooLarge { bytes: 12, limit_bytes: 11 }));
}

#[test]
fn invalid_bytes_end_it_at_once() {
    let end = Pump::new(11).received(&[1, b'a', 254, 1, b'b'], &mut Toy::default()).unwrap_err();
    assert!(matches!(end, PumpEnd::Traffic("invalid")));
}

#[test]
fn small_pieces_are_gathered_and_large_ones_written_in_place() {
    let mut out = Outbox::default();
    let large = Bytes::from(vec![7; GATHER_BELOW_BYTES]);
    out.put(b"ab");
    out.put_whole(Bytes::from_static(b"cd"));
    out.put_whole(large.clone());
    out.put(b"ef");
    let mut slices = [IoSlice::new(&[]); 8];
    let count = out.slices(&mut slices);
    assert_eq!(count, 3);
    assert_eq!(&*slices[0], b"abcd");
    assert_eq!(slices[1].as_ptr(), large.as_ptr(), "not copied");
    out.advance(3);
    assert_eq!(out.first(), b"d");
    out.advance(1 + large.len() + 1);
    assert_eq!(out.len(), 1);
    out.advance(1);
    assert!(out.is_empty());
}

#[test]
fn four_gib_announced_are_refused_before_any_memory() {
    let mut codec = LengthPrefixed::u32(1 << 20);
    let verdict = codec.decode(&[0xff, 0xff, 0xff, 0xff]);
    assert_eq!(verdict, Err(FrameError::TooLong { bytes: u64::from(u32::MAX), max_bytes: 1 << 20 }));
    assert_eq!(codec.decode(&[0, 0x10, 0, 0]), Ok(Verdict::Need(1 << 20)));
    assert!(codec.decode(&[0, 0x10, 0, 1]).is_err());
}

#[test]
fn a_write_in_part_goes_on_at_every_byte() {
    let large: Vec<u8> = (0..GATHER_BELOW_BYTES).map(|i| (i % 251) as u8).collect();
    let fill = |out: &mut Outbox| {
        out.put(b"one");
        out.put_whole(Bytes::from(large.clone()));
        out.put(b"two");
        out.put_whole(Bytes::from(large.clone()));
        out.put_whole(Bytes::from(large.clone()));
        out.put(b"three");
    };
    let mut whole = Outbox::default();
    fill(&mut whole);
    let all = written_out(&whole);
    for at in 0..=all.len() {
        let mut out = Outbox::default();
        fill(&mut out);
        out.advance(at);
        assert_eq!(out.len(), all.len() - at);
        assert!(written_out(&out) == all[at..], "after {at} bytes");
        out.put(b"!");
        assert!(written_out(&out).ends_with(b"!"));
    }
}

fn written_out(out: &Outbox) -> Vec<u8> {
    let mut slices = [IoSlice::new(&[]); 8];
    let count = out.slices(&mut slices);
    slices[..count].iter().flat_map(|slice| slice.to_vec()).collect()
}

#[test]
fn an_outbox_that_is_never_quite_empty_does_not_grow() {
    let mut out = Outbox::default();
    out.put(&[1; 1_000]);
    for _ in 0..10_000 {
        out.put(&[2; 1_000]);
        out.advance(1_000);
    }
    assert_eq!(out.len(), 1_000);
    assert!(out.spare_bytes() <= 4 * FULL_BYTES, "{}", out.spare_bytes());
    out.give_back();
    assert!(out.spare_bytes() <= 3_000 || out.len() == 1_000);
    assert!(written_out(&out) == [2; 1_000]);
    out.advance(1_000);
    out.give_back();
    assert_eq!(out.spare_bytes(), 0);
}

/// Wants a number of messages and then no more.
struct Reluctant(Toy, usize);

impl Traffic for Reluctant {
    type Error = &'static str;

    fn inbound(&mut self, input: &[u8], out: &mut Outbox) -> Result<Inbound, &'static str> {
        let verdict = self.0.inbound(input, out);
        self.1 -= usize::from(matches!(verdict, Ok(Inbound::Used(_))));
        verdict
    }

    fn outbound(&mut self, _out: &mut Outbox) -> Result<(), &'static str> {
        Ok(())
    }

    fn wants_input(&self) -> bool {
        self.1 > 0
    }
}

#[test]
fn what_is_not_wanted_yet_is_held_back_and_nothing_is_lost() {
    let bytes: Vec<u8> = (0..100).flat_map(|number| [2, number, number]).collect();
    let (mut pump, mut traffic) = (Pump::new(16), Reluctant(Toy::default(), 0));
    pump.received(&bytes[..299], &mut traffic).unwrap();
    for taken in 0..99 {
        assert!(pump.holds_back());
        assert_eq!(traffic.0.got.len(), taken);
        traffic.1 = 1;
        pump.resume(&mut traffic).unwrap();
    }
    traffic.1 = 1;
    pump.resume(&mut traffic).unwrap();
    assert!(!pump.holds_back() && pump.is_inside_message());
    pump.received(&bytes[299..], &mut traffic).unwrap();
    assert!(!pump.is_inside_message());
    assert!(traffic.0.got.iter().enumerate().all(|(number, got)| *got == [number as u8; 2]));
}

#[test]
fn a_message_that_comes_byte_by_byte_is_looked_at_only_when_it_can_be_whole() {
    struct Counting(Toy, usize);
    impl Traffic for Counting {
        type Error = &'static str;
        fn inbound(&mut self, input: &[u8], out: &mut Outbox) -> Result<Inbound, &'static str> {
            self.1 += 1;
            self.0.inbound(input, out)
        }
        fn outbound(&mut self, _out: &mut Outbox) -> Result<(), &'static str> {
            Ok(())
        }
    }
    let (mut pump, mut traffic) = (Pump::new(256), Counting(Toy::default(), 0));
    for byte in [&[200][..], &[7; 200]].concat() {
        pump.received(&[byte], &mut traffic).unwrap();
    }
    assert_eq!((traffic.0.got.len(), traffic.1), (1, 2));
}

/// Messages in lines; says that it lacks one byte more until it sees an end. Keeps where each message lay.
#[derive(Default)]
struct Lines {
    got: Vec<(usize, *const u8)>,
    looks: usize,
    wants: usize,
}

impl Traffic for Lines {
    type Error = &'static str;

    fn inbound(&mut self, input: &[u8], _out: &mut Outbox) -> Result<Inbound, &'static str> {
        self.looks += 1;
        let Some(end) = input.iter().position(|byte| *byte == b'\n') else { return Ok(Inbound::Need(1)) };
        self.got.push((end, input.as_ptr()));
        self.wants -= 1;
        Ok(Inbound::Used(end + 1))
    }

    fn outbound(&mut self, _out: &mut Outbox) -> Result<(), &'static str> {
        Ok(())
    }

    fn wants_input(&self) -> bool {
        self.wants > 0
    }
}

#[test]
fn behind_a_cut_message_all_is_looked_at_where_it_lies() {
    const LENGTH: usize = 3 * COMPLETE_FROM_BYTES;
    let bytes = [&[b'x'; LENGTH][..], b"\n"].concat().repeat(5);
    for cut in 1..=LENGTH {
        let (mut pump, mut lines) = (Pump::new(LENGTH + 1), Lines { wants: 5, ..Lines::default() });
        let (first, second) = bytes.split_at(cut);
        pump.received(first, &mut lines).unwrap();
        pump.received(second, &mut lines).unwrap();
        assert!(!pump.is_inside_message());
        assert_eq!(lines.got.len(), 5, "cut at {cut}");
        assert!(lines.got.iter().all(|(length, _)| *length == LENGTH));
        let in_place = lines.got[1..].iter().filter(|(_, at)| second.as_ptr_range().contains(at));
        assert_eq!(in_place.count(), 4, "only the cut one is copied, cut at {cut}");
        assert!(pump.rest.capacity() <= 2 * (LENGTH + COMPLETE_FROM_BYTES));
    }
}

#[test]
fn a_message_of_unknown_length_is_looked_at_a_few_times_however_long_it_is() {
    const LENGTH: usize = 1 << 20;
    let bytes = [&vec![b'x'; LENGTH][..], b"\n"].concat();
    let (mut pump, mut lines) = (Pump::new(LENGTH + 1), Lines { wants: 1, ..Lines::default() });
    pump.received(&bytes[..1], &mut lines).unwrap();
    pump.received(&bytes[1..], &mut lines).unwrap();
    assert_eq!(lines.got.len(), 1);
    assert!(lines.looks <= 13, "each look sees twice as much: {}", lines.looks);
}

#[test]
fn what_is_completed_and_not_wanted_is_kept_at_every_cut() {
    let bytes = b"ab\ncde\n\nfg\n".repeat(200);
    for cut in 1..bytes.len() {
        let (mut pump, mut lines) = (Pump::new(64), Lines { wants: cut % 7, ..Lines::default() });
        pump.received(&bytes[..cut], &mut lines).unwrap();
        // A driver may hand on what came although nothing is wanted.
        pump.received(&bytes[cut..], &mut lines).unwrap();
        lines.wants = 800;
        pump.resume(&mut lines).unwrap();
        let lengths: Vec<_> = lines.got.iter().map(|(length, _)| *length).collect();
        assert_eq!(lengths, [2, 3, 0, 2].repeat(200), "cut at {cut}");
        assert!(!pump.is_inside_message());
    }
}

#[test]
fn a_decoder_is_asked_again_only_with_what_it_lacked() {
    /// Messages of a length in two bytes, exact about what it lacks; at a point in the stream that many must be here.
    struct Exact {
        at: usize,
        lacks: usize,
    }
    impl Traffic for Exact {
        type Error = &'static str;
        fn inbound(&mut self, input: &[u8], _out: &mut Outbox) -> Result<Inbound, &'static str> {
            assert!(input.len() >= self.lacks, "at {}: {} of {}", self.at, input.len(), self.lacks);
            let Some(length) = input.first_chunk() else {
                self.lacks = 2;
                return Ok(Inbound::Need(1));
            };
            let whole = 2 + usize::from(u16::from_be_bytes(*length));
            if input.len() < whole {
                self.lacks = whole;
                return Ok(Inbound::Need(whole - input.len()));
            }
            self.at += whole;
            self.lacks = 0;
            Ok(Inbound::Used(whole))
        }
        fn outbound(&mut self, _out: &mut Outbox) -> Result<(), &'static str> {
            Ok(())
        }
    }
    let bytes: Vec<u8> =
        (0..60u16).flat_map(|n| [&(n * 29).to_be_bytes()[..], &vec![7; usize::from(n * 29)]].concat()).collect();
    for size in [1, 2, 3, 700, 1_023, 1_024, 1_025, 1_500, 5_000] {
        let (mut pump, mut exact) = (Pump::new(1 << 16), Exact { at: 0, lacks: 0 });
        bytes.chunks(size).for_each(|piece| pump.received(piece, &mut exact).unwrap());
        assert_eq!(exact.at, bytes.len(), "pieces of {size}");
    }
}
