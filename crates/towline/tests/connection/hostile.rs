//! Peers that mean harm, against a bare connection: each ends by name, and none makes it hold more than its limits.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use towline::codec::{FrameError, LengthPrefixed};
use towline::connection::{Connection, ConnectionConfig, ConnectionEnd, Timeout};

use crate::support::{Echo, tcp_pair};

const CODEC: LengthPrefixed = LengthPrefixed::u32(1 << 20);

type End = ConnectionEnd<FrameError, FrameError>;

fn strict() -> ConnectionConfig {
    let mut config = ConnectionConfig::default();
    let limit = Some(Duration::from_millis(400));
    (config.silence_timeout, config.message_timeout, config.stall_timeout) = (limit, limit, limit);
    config.partial_message_max_bytes = (1 << 20) + 4;
    config
}

/// What an echoing connection says of a peer that does `harm`.
async fn end_of(harm: impl AsyncFnOnce(TcpStream)) -> End {
    let (near, far) = tcp_pair().await;
    let connection = Connection::answering(far, CODEC, Echo, strict());
    let mut harm = std::pin::pin!(harm(near));
    tokio::select! {
        end = timeout(Duration::from_secs(30), connection) => end.expect("it ends in time"),
        () = async { harm.as_mut().await; std::future::pending().await } => unreachable!(),
    }
}

#[tokio::test]
async fn a_silent_peer() {
    let end = end_of(async |near| {
        let _held = near;
        std::future::pending().await
    });
    assert!(matches!(end.await, End::Timeout(Timeout::Silence)));
}

#[tokio::test]
async fn a_peer_of_one_byte_at_a_time() {
    let end = end_of(async |mut near| {
        let _ = near.write_all(&[0, 0, 1, 0]).await;
        while near.write_all(b"x").await.is_ok() {
            sleep(Duration::from_millis(50)).await;
        }
    });
    assert!(matches!(end.await, End::Timeout(Timeout::Message)));
}

#[tokio::test]
async fn a_peer_that_asks_and_never_reads() {
    let end = end_of(async |mut near| {
        let ask = [&[0, 0, 0x40, 0][..], &[7; 0x4000]].concat();
        while near.write_all(&ask).await.is_ok() {}
    });
    assert!(matches!(end.await, End::Timeout(Timeout::Stall)));
}

#[tokio::test]
async fn p18_a_peer_that_announces_four_gib_is_refused() {
    let end = end_of(async |mut near| {
        let _ = near.write_all(&[0xff; 4]).await;
        let _ = near.read(&mut [0]).await;
    });
    assert!(matches!(end.await, End::Invalid(FrameError::TooLong { bytes: 0xffff_ffff, .. })));
}

#[tokio::test]
async fn a_peer_that_announces_the_most_allowed_and_sends_nothing_more() {
    let end = end_of(async |mut near| {
        let _ = near.write_all(&[0, 0x10, 0, 0]).await;
        let _held = near.read(&mut [0]).await;
    });
    assert!(matches!(end.await, End::Timeout(Timeout::Silence | Timeout::Message)));
}

#[tokio::test]
async fn p18_peers_of_random_bytes_end_by_name() {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    println!("seed {seed:#x}");
    for _ in 0..40 {
        let bytes: Vec<u8> = (0..5_000)
            .map(|_| {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                seed as u8
            })
            .collect();
        let end = end_of(async |mut near| {
            let _ = near.write_all(&bytes).await;
            let _ = near.shutdown().await;
            let _ = near.read_to_end(&mut Vec::new()).await;
        });
        let end = end.await;
        assert!(matches!(end, End::Invalid(_) | End::Cut | End::PeerClosed), "{end:?}");
    }
    println!("p18: reached 40 peers of 5,000 random bytes, each ended by name");
}

/// Connections of one process, of which one peer never reads.
const CONNECTIONS: usize = 100;

#[tokio::test]
async fn p10_one_peer_that_never_reads_costs_bounded_memory_and_holds_up_no_other() {
    let mut config = ConnectionConfig::default();
    (config.queue_messages, config.queue_bytes) = (64, 256 * 1024);
    let message = bytes::Bytes::from(vec![7; 16 * 1024]);
    let (stalled, never_reads) = tcp_pair().await;
    let (stuck, connection) = Connection::new(stalled, CODEC, Echo, config);
    let stalled = tokio::spawn(connection);
    let mut sent = 0;
    while timeout(Duration::from_millis(500), stuck.send(message.clone())).await.is_ok() {
        sent += 1;
    }
    let others = (1..CONNECTIONS).map(async |_| {
        let (near, mut far) = tcp_pair().await;
        let (sender, connection) = Connection::new(near, CODEC, Echo, config);
        let running = tokio::spawn(connection);
        let sending = async {
            for _ in 0..20 {
                sender.send(message.clone()).await.unwrap();
            }
            drop(sender);
        };
        let mut got = vec![0; 20 * (4 + message.len())];
        let ((), read) = tokio::join!(sending, far.read_exact(&mut got));
        drop(far);
        (read.is_ok(), running.await.unwrap().is_done())
    });
    for other in others {
        assert_eq!(timeout(Duration::from_secs(30), other).await, Ok((true, true)));
    }
    let stats = stuck.stats();
    assert!(stats.waiting_bytes <= config.queue_bytes && stats.waiting <= config.queue_messages, "{stats:?}");
    let encoded = stats.encoded * (4 + message.len() as u64) - stats.written_bytes;
    assert!(encoded <= 64 * 1024 + 4 + message.len() as u64, "{encoded} bytes are encoded and not written");
    println!(
        "p10: reached a stalled peer that took {sent} messages, {} bytes waiting and {encoded} encoded, beside {} others",
        stats.waiting_bytes,
        CONNECTIONS - 1
    );
    stalled.abort();
    drop(never_reads);
}
