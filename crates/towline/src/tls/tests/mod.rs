//! TLS against itself and against rustls' own buffered connections.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::identity::{self, Identity};

mod downgrade;
mod hostile;
mod impostors;
mod traffic;

type End = (TlsStream<DuplexStream>, Proven);

/// Both ends of a handshake over `wire`, whatever becomes of it.
async fn handshake(
    (near, far): (DuplexStream, DuplexStream),
    client: &ClientTls,
    server: &ServerTls,
) -> (Result<End, TlsError>, Result<End, TlsError>) {
    tokio::join!(TlsStream::connect(near, client), TlsStream::accept(far, server))
}

async fn pair(client: &Identity, server: &Identity) -> (End, End) {
    let client = ClientTls::new(client, server.key_hash(), PostQuantum::Require).unwrap();
    let server = ServerTls::new(server, PostQuantum::Require).unwrap();
    let (one, other) = handshake(duplex(64 * 1024), &client, &server).await;
    (one.unwrap(), other.unwrap())
}

#[tokio::test]
async fn both_sides_learn_the_other_s_key_and_share_a_secret() {
    let (client, server) = (Identity::generate(), Identity::generate());
    let ((_, near), (_, far)) = pair(&client, &server).await;
    assert_eq!(near.peer, Some(server.public_key()));
    assert_eq!(far.peer, Some(client.public_key()));
    let secret = near.exporter.export(b"EXPORTER one").unwrap();
    assert_eq!(secret, far.exporter.export(b"EXPORTER one").unwrap());
    assert_ne!(secret, near.exporter.export(b"EXPORTER two").unwrap());
}

#[tokio::test]
async fn bodies_of_every_size_arrive_unchanged_and_the_end_is_told() {
    let ((mut near, _), (mut far, _)) = pair(&Identity::generate(), &Identity::generate()).await;
    for size in [1usize, 2, 16_383, 16_384, 16_385, 65_536, 65_537, 1 << 20] {
        let sent: Vec<u8> = (0..size).map(|i| (i * 31 % 251) as u8).collect();
        let mut got = vec![0; size];
        let write = async {
            near.write_all(&sent).await.unwrap();
            near.flush().await.unwrap();
        };
        tokio::join!(write, async { far.read_exact(&mut got).await.unwrap() });
        assert!(got == sent, "{size} bytes");
    }
    near.shutdown().await.unwrap();
    assert_eq!(far.read(&mut [0; 8]).await.unwrap(), 0);
}

#[tokio::test]
async fn an_end_without_goodbye_is_an_error() {
    let ((near, _), (mut far, _)) = pair(&Identity::generate(), &Identity::generate()).await;
    drop(near);
    assert_eq!(far.read(&mut [0; 8]).await.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn p31_wrong_key_is_refused_before_any_application_byte() {
    let (wanted, shown) = (Identity::generate(), Identity::generate());
    let client = ClientTls::new(&Identity::generate(), wanted.key_hash(), PostQuantum::Require).unwrap();
    let server = ServerTls::new(&shown, PostQuantum::Require).unwrap();
    let (one, other) = handshake(duplex(64 * 1024), &client, &server).await;
    let Err(TlsError::WrongKey(wrong)) = one else { panic!("a wrong key was accepted") };
    assert_eq!((wrong.wanted, wrong.shown), (wanted.key_hash(), shown.key_hash()));
    assert!(other.is_err(), "the server saw no finished handshake");
}

/// A rustls client that differs from ours as `change` says; `None` leaves it without a certificate.
fn foreign_client(
    groups: Vec<&'static dyn rustls::crypto::SupportedKxGroup>,
    own: Option<&Identity>,
) -> Arc<rustls::ClientConfig> {
    let provider = rustls::crypto::CryptoProvider { kx_groups: groups, ..aws_lc_rs::default_provider() };
    let algorithms = provider.signature_verification_algorithms;
    let verifier = verify::tests::AnyServer { algorithms };
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match own {
        Some(own) => builder
            .with_client_auth_cert(
                vec![own.pair().certificate().clone()],
                rustls::pki_types::PrivatePkcs8KeyDer::from(own.pair().pkcs8().to_vec()).into(),
            )
            .unwrap(),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![config::ALPN.to_vec()];
    Arc::new(config)
}

/// Runs rustls' own client against our server over real threads and a socket pair; returns both exporters' results.
async fn against_foreign(
    client: Arc<rustls::ClientConfig>,
    pq: PostQuantum,
) -> (Result<[u8; 32], String>, Result<[u8; 32], TlsError>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let foreign = tokio::task::spawn_blocking(move || {
        let mut socket = std::net::TcpStream::connect(address).unwrap();
        let name = ServerName::try_from("towline").unwrap();
        let mut connection = rustls::ClientConnection::new(client, name).unwrap();
        while connection.is_handshaking() {
            connection.complete_io(&mut socket).map_err(|error| error.to_string())?;
        }
        connection.export_keying_material([0; 32], b"EXPORTER one", Some(b"")).map_err(|error| error.to_string())
    });
    let (socket, _) = listener.accept().unwrap();
    socket.set_nonblocking(true).unwrap();
    let socket = tokio::net::TcpStream::from_std(socket).unwrap();
    let server = ServerTls::new(&Identity::generate(), pq).unwrap();
    let ours = match TlsStream::accept(socket, &server).await {
        Ok((_, proven)) => proven.exporter.export(b"EXPORTER one"),
        Err(error) => Err(error),
    };
    (foreign.await.unwrap(), ours)
}

#[tokio::test]
async fn the_exporter_agrees_with_rustls_own() {
    let own = Identity::generate();
    let (theirs, ours) =
        against_foreign(foreign_client(PostQuantum::Require.groups(), Some(&own)), PostQuantum::Require).await;
    assert_eq!(theirs.unwrap(), ours.unwrap());
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused() {
    let (_, ours) = against_foreign(foreign_client(PostQuantum::Require.groups(), None), PostQuantum::Require).await;
    assert!(matches!(ours, Err(TlsError::Protocol(rustls::Error::NoCertificatesPresented))), "{ours:?}");
}

#[tokio::test]
async fn an_endless_handshake_record_ends_at_the_named_bound() {
    let (mut near, far) = duplex(64 * 1024);
    let server = ServerTls::new(&Identity::generate(), PostQuantum::Require).unwrap();
    let accept = tokio::spawn(async move { TlsStream::accept(far, &server).await.map(drop) });
    // A handshake message that says it has 16 MiB, in records that never end it.
    let mut record = vec![22, 3, 1, 0x40, 0x00, 1, 0xff, 0xff, 0xff];
    record.resize(5 + 0x4000, 0);
    while near.write_all(&record).await.is_ok() {
        record[5..9].fill(0);
    }
    assert!(accept.await.unwrap().is_err());
}

#[test]
fn a_key_s_name_is_the_hash_of_its_spki() {
    let own = Identity::generate();
    let parsed = verify::key_of(own.pair().certificate()).unwrap();
    assert_eq!(identity::key_hash(&parsed), own.key_hash());
}
