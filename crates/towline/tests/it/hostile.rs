//! Peers that mean harm or are broken: each ends by a named reason, and others notice nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use towline::{Close, CloseCode, ConnectError, Identity, Lane, Limits, RunningServer, Session};

use crate::support::{Deaf, Echo, client_as, client_of, echo_numbered, pattern, serve, soon};

fn impatient() -> Limits {
    let mut limits = Limits::default();
    limits.handshake_timeout = Duration::from_millis(500);
    limits
}

/// A server with short patience and one good session on it.
async fn server_and_friend() -> (RunningServer, Session) {
    let identity = Arc::new(Identity::generate());
    let server = serve(&identity, impatient(), Echo).await;
    let friend = loop {
        // On a busy machine even a friend may be too slow for this patience.
        if let Ok(friend) = client_of(&identity, server.local_addrs()[0].to_string()).connect().await {
            break friend;
        }
    };
    (server, friend)
}

async fn until_refused(server: &RunningServer, word: &str, count: u64) {
    soon(async {
        while server.counters().refused.get(word).copied().unwrap_or(0) < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

async fn everything_is_given_back(server: &RunningServer) {
    soon(async {
        while server.counters().handshakes > 0 || server.counters().connections > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn p14_silent_and_dripping_peers_are_cut_in_time_and_others_go_on() {
    let (server, friend) = server_and_friend().await;
    let address = server.local_addrs()[0];
    let before = server.counters().refused.get("handshake-timeout").copied().unwrap_or(0);
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let mut dripping = TcpStream::connect(address).await.unwrap();
    let drip = tokio::spawn(async move {
        // The beginning of a true record, one byte at a time.
        for byte in [22, 3, 1, 2, 0, 1, 0, 1, 0xfc].into_iter().chain(std::iter::repeat(3)) {
            if dripping.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    soon(echo_numbered(&friend, Lane::NORMAL, 100, 100)).await;
    until_refused(&server, "handshake-timeout", before + 101).await;
    soon(drip).await.unwrap();
    everything_is_given_back(&server).await;
    soon(echo_numbered(&friend, Lane::NORMAL, 100, 100)).await;
}

#[tokio::test]
async fn p18_garbage_is_refused_by_name_and_without_panic() {
    let (server, friend) = server_and_friend().await;
    let address = server.local_addrs()[0];
    let garbage: Vec<Vec<u8>> = vec![
        b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n".to_vec(),
        b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(),
        vec![0xff; 100_000],
        vec![22, 3, 1, 0xff, 0xff, 1, 2, 3],
        pattern(7, 50_000),
        pattern(8, 3),
    ];
    let count = garbage.len() as u64;
    for bytes in garbage {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
        let _ = soon(stream.read_to_end(&mut Vec::new())).await;
    }
    until_refused(&server, "tls", count).await;
    everything_is_given_back(&server).await;
    soon(echo_numbered(&friend, Lane::NORMAL, 10, 100)).await;
}

#[tokio::test]
async fn who_is_not_admitted_hears_it_by_name() {
    let identity = Arc::new(Identity::generate());
    let stranger = Identity::generate();
    let wanted = stranger.public_key();
    let server = towline::Server::builder(identity.clone())
        .listen("127.0.0.1:0")
        .admit(move |peer| if *peer == wanted { Err(Close::new(CloseCode::Revoked)) } else { Ok(()) })
        .serve(Echo)
        .await
        .unwrap();
    let address = server.local_addrs()[0].to_string();
    let refused = soon(client_as(stranger, &identity, address.clone()).connect()).await.unwrap_err();
    assert!(matches!(&refused, ConnectError::Refused(close) if close.code == CloseCode::Revoked), "{refused}");
    assert!(soon(client_of(&identity, address).connect()).await.is_ok());
    assert_eq!(server.counters().refused.get("revoked"), Some(&1));
}

#[tokio::test]
async fn p31_a_hub_with_another_key_is_refused_and_nothing_was_said() {
    let (true_hub, false_hub) = (Identity::generate(), Arc::new(Identity::generate()));
    let server = serve(&false_hub, Limits::default(), Echo).await;
    let refused = soon(client_of(&true_hub, server.local_addrs()[0].to_string()).connect()).await.unwrap_err();
    assert!(matches!(refused, ConnectError::WrongKey { shown, .. } if shown == false_hub.key_hash()), "{refused}");
    until_refused(&server, "tls", 1).await;
    assert_eq!(server.counters().opened, 0);
}

#[tokio::test]
async fn one_connection_too_many_is_refused_by_name() {
    let identity = Arc::new(Identity::generate());
    let mut limits = Limits::default();
    limits.connections_per_address = 2;
    let server = serve(&identity, limits, Deaf).await;
    let address = server.local_addrs()[0].to_string();
    let _first = soon(client_of(&identity, address.clone()).connect()).await.unwrap();
    let second = soon(client_of(&identity, address.clone()).connect()).await.unwrap();
    let refused = soon(client_of(&identity, address.clone()).connect()).await.unwrap_err();
    assert!(
        matches!(&refused, ConnectError::Refused(close) if close.code == CloseCode::TooManyConnections),
        "{refused}"
    );
    drop(second);
    soon(async { while client_of(&identity, address.clone()).connect().await.is_err() {} }).await;
}

#[tokio::test]
async fn an_unreachable_hub_names_what_was_tried() {
    let hub = Identity::generate();
    let failed = soon(client_of(&hub, "127.0.0.1:1".into()).connect()).await.unwrap_err();
    let ConnectError::Unreachable(tried) = &failed else { panic!("{failed}") };
    assert_eq!(tried.len(), 1);
    assert!(failed.to_string().contains("127.0.0.1:1"));
    assert!(failed.may_retry());
}
