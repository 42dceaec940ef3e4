//! Connections over TLS: whole replies, a goodbye that is sent and demanded, names and keys.

use std::ops::ControlFlow;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use towline::Identity;
use towline::codec::LengthPrefixed;
use towline::connection::{Connection, ConnectionConfig, ConnectionEnd, Reactor, Replies};
use towline::tls::{Acceptor, Connector, TlsError, TlsStream};

use crate::support::{CODEC, Echo, tcp_pair};

const ALPN: &[u8] = b"echo/1";

/// Both ends of a TLS connection on loopback between two identities.
pub(crate) async fn tls_pair() -> (TlsStream<TcpStream>, TlsStream<TcpStream>) {
    let (client, server) = (Identity::generate(), Identity::generate());
    let connector = Connector::to_key(&client, server.key_hash(), ALPN).unwrap();
    let acceptor = Acceptor::with_identity(&server, ALPN).unwrap();
    let (near, far) = tcp_pair().await;
    let (near, far) = tokio::join!(connector.connect(near), acceptor.accept(far));
    let (near, far) = (near.unwrap(), far.unwrap());
    assert_eq!((near.peer(), far.peer()), (Some(server.public_key()), Some(client.public_key())));
    (near, far)
}

/// Says how long each answer was, and whether it was what was sent.
struct Check(mpsc::UnboundedSender<(usize, bool)>);

impl Reactor<LengthPrefixed> for Check {
    type Outbound = Bytes;

    fn message(&mut self, message: &[u8], _replies: &mut Replies<Bytes>) -> ControlFlow<()> {
        let _ = self.0.send((message.len(), message == pattern(message.len())));
        ControlFlow::Continue(())
    }
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 7 % 251) as u8).collect()
}

#[tokio::test]
async fn one_byte_to_64_mib_come_back_whole_each_followed_by_silence() {
    let (near, far) = tls_pair().await;
    let mut config = ConnectionConfig::default();
    config.partial_message_max_bytes = 80 << 20;
    let server = tokio::spawn(Connection::answering(far, CODEC, Echo, config));
    let (checked, mut checks) = mpsc::unbounded_channel();
    let (sender, connection) = Connection::new(near, CODEC, Check(checked), config);
    let client = tokio::spawn(connection);
    for size in [1, 2, 1_024, 16_383, 16_384, 16_385, 65_535, 65_537, 100_001, 1 << 20, (8 << 20) + 1, 64 << 20] {
        sender.send(pattern(size).into()).await.unwrap();
        // Nothing else is sent: what is not flushed now never comes.
        let answer = timeout(Duration::from_secs(60), checks.recv()).await;
        assert_eq!(answer, Ok(Some((size, true))), "{size} bytes");
    }
    drop(sender);
    assert!(client.await.unwrap().is_done());
    assert!(matches!(server.await.unwrap(), ConnectionEnd::PeerClosed), "it was told goodbye");
}

#[tokio::test]
async fn an_end_without_goodbye_is_called_cut_though_no_message_had_begun() {
    let (mut near, far) = tls_pair().await;
    near.write_all(b"\0\0\0\x02hi").await.unwrap();
    near.flush().await.unwrap();
    drop(near);
    let end = Connection::answering(far, CODEC, Echo, ConnectionConfig::default()).await;
    assert!(matches!(end, ConnectionEnd::Cut), "{end:?}");
}

/// An authority, and a certificate of it for `name`, in PEM: authority, chain, key.
fn certified(name: &str) -> (String, String, String) {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::from_params(&params, &authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let own = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    (authority.pem(), own.pem(), key.serialize_pem())
}

#[tokio::test]
async fn a_name_that_an_authority_vouches_for_is_accepted_and_no_other() {
    let (authority, chain, key) = certified("example.test");
    let (stranger, _, _) = certified("example.test");
    let acceptor = Acceptor::with_certificate(chain.as_bytes(), key.as_bytes(), ALPN).unwrap();
    let connect = async |name: &str, roots: &str| {
        let connector = Connector::to_name(name, roots.as_bytes(), ALPN).unwrap();
        let (near, far) = tcp_pair().await;
        let (near, far) = tokio::join!(connector.connect(near), acceptor.accept(far));
        near.map(|near| (near, far.unwrap()))
    };
    assert!(matches!(connect("other.test", &authority).await, Err(TlsError::Protocol(_))));
    assert!(matches!(connect("example.test", &stranger).await, Err(TlsError::Protocol(_))));
    let (near, far) = connect("example.test", &authority).await.unwrap();
    let server = tokio::spawn(Connection::answering(far, CODEC, Echo, ConnectionConfig::default()));
    let (checked, mut checks) = mpsc::unbounded_channel();
    let (sender, connection) = Connection::new(near, CODEC, Check(checked), ConnectionConfig::default());
    let client = tokio::spawn(connection);
    sender.send(pattern(9).into()).await.unwrap();
    assert_eq!(checks.recv().await, Some((9, true)));
    drop(sender);
    assert!(client.await.unwrap().is_done());
    assert!(matches!(server.await.unwrap(), ConnectionEnd::PeerClosed));
}

#[tokio::test]
async fn peers_of_another_protocol_are_refused() {
    let (client, server) = (Identity::generate(), Identity::generate());
    let connector = Connector::to_key(&client, server.key_hash(), b"chess/1").unwrap();
    let acceptor = Acceptor::with_identity(&server, ALPN).unwrap();
    let (near, far) = tcp_pair().await;
    let (near, far) = tokio::join!(connector.connect(near), acceptor.accept(far));
    assert!(near.is_err() && far.is_err());
}

/// The fuzz target's own way to look at it, over seeded edits.
#[test]
fn records_that_somebody_edits_on_their_way_are_refused() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for round in 0..200 {
        let steps = 1 + round % 12;
        let input: Vec<u8> = (0..4 * steps)
            .map(|at| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                // Mostly places that there are: what lies on the wire is seldom longer than this.
                if at % 4 == 1 { (state >> 32) as u8 % 8 } else { (state >> 32) as u8 }
            })
            .collect();
        // Every conversation begins with something on the wire.
        crate::tls::tls_records(&[&[0, 1, 0, round as u8], &input[..]].concat());
    }
}
