//! Filters as values, and over streams in memory.

use std::ops::ControlFlow;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{Duration, timeout};

use super::*;
use crate::codec::LengthPrefixed;
use crate::connection::{Connection, ConnectionConfig, ConnectionEnd, Reactor, Replies, Timeout, maintain};

const CODEC: LengthPrefixed = LengthPrefixed::u32(1 << 20);

struct Echo;

impl Reactor<LengthPrefixed> for Echo {
    type Outbound = Bytes;

    fn message(&mut self, message: &[u8], replies: &mut Replies<Bytes>) -> ControlFlow<()> {
        replies.push(Bytes::copy_from_slice(message));
        ControlFlow::Continue(())
    }
}

/// Puts its mark before every piece that leaves, and takes it off what comes.
struct Mark(u8);

impl Filter for Mark {
    fn inbound(&mut self, _now: Instant, bytes: &[u8], out: &mut Vec<u8>) -> Result<More, FilterError> {
        out.extend(bytes.iter().filter(|byte| **byte != self.0));
        Ok(More::No)
    }

    fn outbound(&mut self, _now: Instant, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), FilterError> {
        out.push(self.0);
        out.extend_from_slice(bytes);
        Ok(())
    }
}

#[tokio::test]
async fn filters_are_passed_in_the_order_in_which_they_are_stacked() {
    let (mut near, far) = duplex(1_000);
    let stacked = Filtered::new(Filtered::new(far, Mark(b'<')), Mark(b'#'));
    let task = tokio::spawn(Connection::answering(stacked, CODEC, Echo, ConnectionConfig::default()));
    near.write_all(b"<#\0\0\0\x02hi").await.unwrap();
    let mut got = [0; 8];
    near.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"<#\0\0\0\x02hi", "the one over the stream marks last");
    drop(near);
    assert!(matches!(task.await.unwrap(), ConnectionEnd::PeerClosed));
}

#[tokio::test]
async fn what_a_filter_made_of_a_message_leaves_with_it() {
    let (mut near, far) = duplex(1_000);
    let trace = Filtered::new(far, Trace::new("test"));
    let (sender, connection) = Connection::new(trace, CODEC, Echo, ConnectionConfig::default());
    let task = tokio::spawn(connection);
    sender.send(Bytes::from_static(b"hello")).await.unwrap();
    drop(sender);
    let mut got = Vec::new();
    near.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"\0\0\0\x05hello");
    drop(near);
    assert!(task.await.unwrap().is_done());
}

#[tokio::test(start_paused = true)]
async fn a_throttle_keeps_its_rate_in_both_directions() {
    let (mut near, far) = duplex(1 << 20);
    let mut slow = Filtered::new(far, Throttle::new(10_000, 2_000));
    let begun = Instant::now();
    near.write_all(&[1; 52_000]).await.unwrap();
    slow.read_exact(&mut [0; 52_000]).await.unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    assert!((4.9..5.2).contains(&seconds), "50,000 bytes after the burst took {seconds} s inbound");
    let begun = Instant::now();
    slow.write_all(&[2; 52_000]).await.unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    assert!((4.9..5.2).contains(&seconds), "{seconds} s outbound");
    near.read_exact(&mut [0; 52_000]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn beats_keep_a_quiet_connection_and_their_absence_ends_it() {
    let config = ConnectionConfig { silence_timeout: Some(Duration::from_secs(20)), ..Default::default() };
    let beat = || Bytes::from_static(b"");
    let quiet = |io: DuplexStream| {
        let reactor = Heartbeat::new(Deaf, Duration::from_secs(9), beat);
        Connection::new(io, CODEC, reactor, config)
    };
    let (near, far) = duplex(1_000);
    let (held, near) = quiet(near);
    let (also_held, far) = quiet(far);
    let (near, far) = (tokio::spawn(near), tokio::spawn(far));
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert!(!near.is_finished() && !far.is_finished());
    assert_eq!(held.stats().received, 400 - 1);
    far.abort();
    let (held_stream, mute) = duplex(1_000);
    let (also, alone) = quiet(mute);
    assert!(matches!(alone.await, ConnectionEnd::Timeout(Timeout::Silence)));
    drop((held, also_held, also, held_stream));
    let _ = near.await;
}

struct Deaf;

impl Reactor<LengthPrefixed> for Deaf {
    type Outbound = Bytes;

    fn message(&mut self, _message: &[u8], _replies: &mut Replies<Bytes>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_maintained_connection_comes_back_and_sends_what_waited() {
    let (accepted, mut accepting) = tokio::sync::mpsc::unbounded_channel();
    let mut tries = 0;
    let dial = move || {
        tries += 1;
        let (near, far) = duplex(1_000);
        let fails = matches!(tries, 1 | 3 | 4);
        if !fails {
            accepted.send(far).unwrap();
        }
        async move { if fails { Err(std::io::ErrorKind::ConnectionRefused.into()) } else { Ok(near) } }
    };
    let (sender, running) = maintain(dial, CODEC, Deaf, ConnectionConfig::default());
    let running = tokio::spawn(running);
    for number in 0..3 {
        sender.send(Bytes::copy_from_slice(&[number])).await.unwrap();
        let mut far = accepting.recv().await.unwrap();
        let mut got = [0; 5];
        far.read_exact(&mut got).await.unwrap();
        assert_eq!(got, [0, 0, 0, 1, number]);
    }
    drop(sender);
    assert!(running.await.unwrap().is_done());
}

#[tokio::test(start_paused = true)]
async fn a_maintained_connection_that_nobody_wants_gives_up() {
    let dial = || async { Err::<DuplexStream, _>(std::io::ErrorKind::ConnectionRefused.into()) };
    let (sender, running) = maintain(dial, CODEC, Deaf, ConnectionConfig::default());
    let running = tokio::spawn(running);
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert!(!running.is_finished());
    drop(sender);
    assert!(timeout(Duration::from_secs(1), running).await.unwrap().unwrap().is_done());
}

#[cfg(feature = "zstd")]
mod compression {
    use super::*;

    fn packed(filter: &mut Compress, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        filter.outbound(Instant::now(), bytes, &mut out).unwrap();
        out
    }

    fn unpacked(filter: &mut Compress, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<(), FilterError> {
        while filter.inbound(Instant::now(), bytes, out)? == More::Yes {
            bytes = &[];
        }
        Ok(())
    }

    /// Bytes that nothing can pack.
    fn noise(length: usize) -> Vec<u8> {
        let mut seed = 0x2545_f491_4f6c_dd1d_u64;
        let next = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed >> 32) as u8
        };
        std::iter::repeat_with(next).take(length).collect()
    }

    #[test]
    fn every_size_comes_back_however_the_bytes_are_cut() {
        let text = b"all that is gold does not glitter, ".repeat(4_000);
        for size in [0, 1, 127, 128, 1_000, BLOCK_MAX_BYTES - 1, BLOCK_MAX_BYTES, BLOCK_MAX_BYTES + 1, 140_000] {
            for bytes in [&text[..size], &noise(size), &vec![0; size]] {
                let wire = packed(&mut Compress::new(), bytes);
                for cut in [1, 2, 7, 1_000, usize::MAX] {
                    if cut < 7 && wire.len() > 10_000 {
                        continue;
                    }
                    let (mut filter, mut out) = (Compress::new(), Vec::new());
                    wire.chunks(cut).for_each(|piece| unpacked(&mut filter, piece, &mut out).unwrap());
                    assert!(out == bytes, "{size} bytes in pieces of {cut}");
                    assert!(filter.may_end());
                }
            }
        }
    }

    #[test]
    fn it_is_off_where_it_does_not_pay_and_comes_back_where_it_does() {
        let mut filter = Compress::new();
        let noise = noise(4_000);
        let mut wire = 0;
        for _ in 0..200 {
            wire += packed(&mut filter, &noise).len();
        }
        assert_eq!(wire, 200 * (4_000 + HEAD), "what cannot be packed costs its head only");
        assert_eq!(filter.blocks(), (0, 200));
        let text = b"one ring to rule them all ".repeat(100);
        let sizes: Vec<usize> = (0..66).map(|_| packed(&mut filter, &text).len()).collect();
        assert!(sizes.last().unwrap() * 10 < text.len(), "{sizes:?}");
    }

    const HEAD: usize = 4;

    fn block(kind: u8, length: usize, plain: usize, bytes: &[u8]) -> Vec<u8> {
        let [_, a, b, c] = (length as u32).to_be_bytes();
        let [_, d, e, f] = (plain as u32).to_be_bytes();
        [&[kind, a, b, c, d, e, f][..], bytes].concat()
    }

    #[test]
    fn p20_bombs_are_cut_by_size_by_ratio_and_by_what_they_announced() {
        let bomb = zstd::bulk::compress(&vec![0; 100 << 20], 19).unwrap();
        println!("p20: reached a bomb of {} bytes that would become 104857600", bomb.len());
        let end = |wire: Vec<u8>| {
            let mut out = Vec::new();
            let error = unpacked(&mut Compress::new(), &wire, &mut out).unwrap_err();
            assert!(out.capacity() <= BLOCK_MAX_BYTES + 64 * 1024, "{} bytes were held", out.capacity());
            error
        };
        let max = BLOCK_MAX_BYTES;
        assert!(matches!(end(block(1, bomb.len(), max, &bomb)), FilterError::Malformed { .. }));
        assert!(matches!(end(block(1, 20, max + 1, &[])), FilterError::TooLarge { bytes, .. } if bytes == max + 1));
        assert!(matches!(end(block(1, max + 1, 5, &[])), FilterError::TooLarge { .. }));
        assert!(matches!(end(block(1, 60, 60_001, &[])), FilterError::Ratio { .. }));
        assert!(matches!(end(block(2, 1, 1, &[0])), FilterError::Malformed { .. }));
        let nested = zstd::bulk::compress(&bomb, 19).unwrap();
        let mut out = Vec::new();
        let inner = bomb.len();
        if inner <= max {
            unpacked(&mut Compress::new(), &block(1, nested.len(), inner, &nested), &mut out).unwrap();
            assert_eq!(out.len(), inner, "a bomb in a bomb is unpacked once and is bytes then");
        }
    }

    #[test]
    fn what_packs_too_well_for_the_peer_s_limit_is_sent_in_smaller_blocks() {
        let wire = packed(&mut Compress::new(), &[0; BLOCK_MAX_BYTES]);
        assert!(wire.len() < 500, "{}", wire.len());
        let mut out = Vec::new();
        unpacked(&mut Compress::new(), &wire, &mut out).unwrap();
        assert!(out == [0; BLOCK_MAX_BYTES]);
    }

    #[test]
    fn one_call_gives_one_block_so_that_little_input_is_never_much_memory() {
        let mut wire = Vec::new();
        let mut filter = Compress::new();
        for _ in 0..1_000 {
            wire.extend(packed(&mut filter, &[0; BLOCK_MAX_BYTES]));
        }
        let mut filter = Compress::new();
        let mut bytes = &wire[..];
        let mut total = 0;
        loop {
            let mut out = Vec::new();
            let more = filter.inbound(Instant::now(), bytes, &mut out).unwrap();
            assert!(out.len() <= BLOCK_MAX_BYTES);
            total += out.len();
            bytes = &[];
            if more == More::No {
                break;
            }
        }
        assert_eq!(total, 1_000 * BLOCK_MAX_BYTES);
    }

    /// Bombs, one packed twice so that a byte of it stands for a million and more, each with its name. With
    /// `TOWLINE_TEST_LONG` each ends its connection in the time that promise 20 names, too.
    #[tokio::test]
    #[allow(clippy::disallowed_methods, reason = "whether time is asserted is asked of the environment")]
    async fn p20_a_connection_behind_it_ends_by_name() {
        let timed = std::env::var_os("TOWLINE_TEST_LONG").is_some();
        let bomb = zstd::bulk::compress(&vec![0; 100 << 20], 19).unwrap();
        let nested = zstd::bulk::compress(&bomb, 19).unwrap();
        assert!(nested.len() * 1_000_000 < 100 << 20, "{} bytes", nested.len());
        let max = BLOCK_MAX_BYTES;
        let bombs = [
            (block(1, 60, 60_001, &[0; 60]), "ratio"),
            (block(1, bomb.len(), max, &bomb), "malformed"),
            (block(1, nested.len(), max, &nested), "ratio"),
            (block(1, nested.len(), nested.len() * 1_000, &nested), "malformed"),
            (block(1, nested.len(), 100 << 20, &nested), "too large"),
        ];
        let mut slowest = Duration::ZERO;
        for (bytes, name) in bombs {
            let (mut near, far) = duplex(1 << 20);
            let io = Filtered::new(far, Compress::new());
            let task = tokio::spawn(Connection::answering(io, CODEC, Echo, ConnectionConfig::default()));
            let began = std::time::Instant::now();
            near.write_all(&bytes).await.unwrap();
            let ConnectionEnd::Filter(error) = task.await.unwrap() else { panic!("{name}") };
            slowest = slowest.max(began.elapsed());
            let right = match name {
                "ratio" => matches!(error, FilterError::Ratio { .. }),
                "malformed" => matches!(error, FilterError::Malformed { .. }),
                _ => matches!(error, FilterError::TooLarge { .. }),
            };
            assert!(right, "{name}: {error}");
        }
        assert!(!timed || slowest < Duration::from_millis(100), "{slowest:?}");
        println!("p20: reached {} bytes for 104857600, an end by name after {slowest:?} at most", nested.len());
    }

    #[tokio::test]
    async fn a_stream_that_ends_inside_a_block_is_cut() {
        let (mut near, far) = duplex(1 << 20);
        let io = Filtered::new(far, Compress::new());
        let task = tokio::spawn(Connection::answering(io, CODEC, Echo, ConnectionConfig::default()));
        near.write_all(&block(0, 10, 0, &[])[..4]).await.unwrap();
        drop(near);
        assert!(matches!(task.await.unwrap(), ConnectionEnd::Cut));
    }
}
