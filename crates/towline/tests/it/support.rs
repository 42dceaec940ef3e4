//! Servers and clients as the tests want them.

use std::sync::Arc;
use std::time::Duration;

use towline::transport::memory;
use towline::{Client, ClientConfig, Identity, Lane, Limits, Plugin, RunningServer, Server, Session};

/// How long anything may take before a test fails instead of hanging. Not a figure of speed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Answers every message on its lane, and every stream's messages and bytes on that stream.
pub(crate) struct Echo;

impl Plugin for Echo {
    async fn session(&self, session: Session) {
        let streams = tokio::spawn(echo_streams(session.clone()));
        while let Ok((lane, message)) = session.recv_any().await {
            if session.send(lane, message).await.is_err() {
                break;
            }
        }
        streams.abort();
    }
}

async fn echo_streams(session: Session) {
    while let Ok((_, stream)) = session.accept().await {
        tokio::spawn(async move {
            let (mut send, mut recv) = stream.split();
            while let Ok(Some((_, bytes))) = recv.read().await {
                if send.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            let _ = send.finish().await;
        });
    }
}

/// Keeps every session until it ends by itself, and reads nothing.
pub(crate) struct Deaf;

impl Plugin for Deaf {
    async fn session(&self, session: Session) {
        session.closed().await;
    }
}

/// A server on a free port of the loopback.
pub(crate) async fn serve(identity: &Arc<Identity>, limits: Limits, plugin: impl Plugin) -> RunningServer {
    Server::builder(identity.clone()).listen("127.0.0.1:0").limits(limits).serve(plugin).await.unwrap()
}

pub(crate) fn client_of(server: &Identity, host: String) -> Client {
    client_as(Identity::generate(), server, host)
}

pub(crate) fn client_as(own: Identity, server: &Identity, host: String) -> Client {
    Client::new(Arc::new(own), server.key_hash(), vec![host], ClientConfig::default())
}

/// A server and a session with it, over TCP.
pub(crate) async fn over_tcp(plugin: impl Plugin) -> (RunningServer, Session) {
    let identity = Arc::new(Identity::generate());
    let server = serve(&identity, Limits::default(), plugin).await;
    let client = client_of(&identity, server.local_addrs()[0].to_string());
    let session = client.connect().await.unwrap();
    (server, session)
}

/// The same in memory.
pub(crate) async fn over_memory(plugin: impl Plugin) -> (RunningServer, Session) {
    let identity = Arc::new(Identity::generate());
    let (dialer, listener) = memory();
    let server = Server::builder(identity.clone()).listen_in_memory(listener).serve(plugin).await.unwrap();
    let own = Arc::new(Identity::generate());
    let client = Client::in_memory(own, identity.key_hash(), dialer, ClientConfig::default());
    let session = client.connect().await.unwrap();
    (server, session)
}

/// Fails instead of hanging.
pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("this should have come to an end")
}

/// Bytes that differ from place to place, the same for the same seed.
pub(crate) fn pattern(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..len.div_ceil(8)).flat_map(|_| next().to_le_bytes()).take(len).collect()
}

/// Sends numbered messages and takes their echoes: all of them, once, in order.
pub(crate) async fn echo_numbered(session: &Session, lane: Lane, count: u32, len: usize) {
    let sending = async {
        for number in 0..count {
            let mut message = number.to_le_bytes().to_vec();
            message.extend(pattern(u64::from(number), len));
            session.send(lane, message).await.unwrap();
        }
    };
    let receiving = async {
        for number in 0..count {
            let message = session.recv(lane).await.unwrap();
            assert_eq!(message[..4], number.to_le_bytes(), "order of {lane}");
            assert!(message[4..] == pattern(u64::from(number), len), "bytes of {number}");
        }
    };
    tokio::join!(sending, receiving);
}
