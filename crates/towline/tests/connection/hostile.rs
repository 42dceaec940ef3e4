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
async fn a_peer_that_announces_four_gib() {
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
async fn peers_of_random_bytes() {
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
}
