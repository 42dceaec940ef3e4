//! Verdicts, limits and gathering, at each limit and one past it.

use std::io::IoSlice;
use std::ops::ControlFlow;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::outbox::GATHER_BELOW_BYTES;
use super::*;
use crate::codec::{Decoder, LengthPrefixed, TooLong, Verdict};
use crate::connection::{Connection, ConnectionConfig, ConnectionEnd, Reactor, Replies};

/// Messages are one length byte and that many bytes; 255 means: skip the next 1,000; 254 is invalid.
#[derive(Default)]
struct Toy {
    got: Vec<Vec<u8>>,
    longest_input: usize,
}

impl Traffic for Toy {
    type Error = &'static str;

    fn inbound(&mut self, input: &[u8]) -> Result<Inbound, &'static str> {
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
    let mut slices = [IoSlice::new(&[]); 8];
    out.slices(&mut slices);
    assert_eq!(&*slices[0], b"d");
    out.advance(1 + large.len() + 1);
    assert_eq!(out.len(), 1);
    out.advance(1);
    assert!(out.is_empty());
}

#[test]
fn four_gib_announced_are_refused_before_any_memory() {
    let mut codec = LengthPrefixed { max_bytes: 1 << 20 };
    let verdict = codec.decode(&[0xff, 0xff, 0xff, 0xff]);
    assert_eq!(verdict, Err(TooLong { bytes: u64::from(u32::MAX), max_bytes: 1 << 20 }));
    assert_eq!(codec.decode(&[0, 0x10, 0, 0]), Ok(Verdict::Need(1 << 20)));
    assert!(codec.decode(&[0, 0x10, 0, 1]).is_err());
}

/// Echoes, and ends at an empty message.
struct Echo;

impl Reactor<LengthPrefixed> for Echo {
    type Outbound = Bytes;

    fn message(&mut self, message: &[u8], replies: &mut Replies<Bytes>) -> ControlFlow<()> {
        if message.is_empty() {
            return ControlFlow::Break(());
        }
        replies.push(Bytes::copy_from_slice(message));
        ControlFlow::Continue(())
    }
}

const CODEC: LengthPrefixed = LengthPrefixed { max_bytes: 1 << 20 };

#[tokio::test]
async fn a_connection_echoes_every_size_and_ends_with_done() {
    let (mut near, far) = duplex(10_000);
    let (sender, connection) = Connection::new(far, CODEC, Echo, ConnectionConfig::default());
    let task = tokio::spawn(connection);
    sender.send(Bytes::from_static(b"hi")).await.unwrap();
    let mut first = [0; 6];
    near.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"\0\0\0\x02hi");
    let (mut reading, mut writing) = tokio::io::split(near);
    for size in [1usize, 2_047, 2_048, 65_536, 1 << 20] {
        let mut sent = (size as u32).to_be_bytes().to_vec();
        sent.resize(4 + size, 0x5a);
        let mut got = vec![0; sent.len()];
        let (wrote, read) = tokio::join!(writing.write_all(&sent), reading.read_exact(&mut got));
        wrote.unwrap();
        read.unwrap();
        assert!(sent == got, "{size} bytes");
    }
    writing.write_all(&[0; 4]).await.unwrap();
    assert!(task.await.unwrap().is_done());
    assert_eq!(reading.read(&mut [0; 8]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_connection_ends_with_the_reason() {
    let run = async |bytes: &[u8]| {
        let (mut near, far) = duplex(10_000);
        let (_sender, connection) = Connection::new(far, CODEC, Echo, ConnectionConfig::default());
        near.write_all(bytes).await.unwrap();
        drop(near);
        connection.await
    };
    assert!(matches!(run(b"").await, ConnectionEnd::PeerClosed));
    assert!(matches!(run(b"\0\0\0\x09half").await, ConnectionEnd::Cut));
    assert!(matches!(run(&[0xff; 4]).await, ConnectionEnd::Invalid(TooLong { .. })));
}

#[tokio::test]
async fn a_peer_that_never_reads_stops_the_reading_and_not_the_memory() {
    let (mut near, far) = duplex(64);
    let (_sender, connection) = Connection::new(far, CODEC, Echo, ConnectionConfig::default());
    let mut connection = tokio::spawn(connection);
    let message = [&[0, 0, 0x10, 0][..], &[1; 4096]].concat();
    let flood = async {
        for _ in 0..10_000 {
            near.write_all(&message).await.unwrap();
        }
    };
    tokio::select! {
        () = flood => panic!("40 MB were taken of a peer that reads nothing"),
        end = &mut connection => panic!("{end:?}"),
        () = std::future::poll_fn(|cx| { settle(cx) }) => {}
    }
}

/// Ready after enough turns of the one-thread runtime for everything to come to rest.
fn settle(cx: &mut std::task::Context<'_>) -> std::task::Poll<()> {
    thread_local!(static TURNS: std::cell::Cell<u32> = const { std::cell::Cell::new(0) });
    TURNS.set(TURNS.get() + 1);
    if TURNS.get() > 20_000 {
        return std::task::Poll::Ready(());
    }
    cx.waker().wake_by_ref();
    std::task::Poll::Pending
}
