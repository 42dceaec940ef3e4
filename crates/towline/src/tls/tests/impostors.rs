//! Row 31: whoever does not hold the one right key gets nothing, whatever certificate it shows.
//!
//! The impostors are rustls' own buffered connections, so each can read everything that was said to it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ConnectionCommon;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::*;
use crate::client::{Client, ClientConfig, ConnectError};
use crate::server::{Plugin, Server};
use crate::session::Session;

/// A certificate authority that anybody may trust: it says of any key what it is asked to.
struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// Certifies that this key belongs to the name that hubs and devices show.
    fn certify(&self, own: &Identity) -> CertificateDer<'static> {
        let pkcs8 = PrivatePkcs8KeyDer::from(own.pair().pkcs8());
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8, &rcgen::PKCS_ED25519).unwrap();
        CertificateParams::new(vec!["towline".into()]).unwrap().signed_by(&key, &self.issuer).unwrap().der().clone()
    }
}

/// Shows this chain and signs with this key, whether or not they belong together.
#[derive(Debug)]
struct Shows(Arc<CertifiedKey>);

impl Shows {
    fn new(chain: Vec<CertificateDer<'static>>, holds: &Identity) -> Arc<Self> {
        let key = PrivateKeyDer::Pkcs8(holds.pair().pkcs8().to_vec().into());
        let key = aws_lc_rs::sign::any_supported_type(&key).unwrap();
        Arc::new(Self(Arc::new(CertifiedKey::new(chain, key))))
    }
}

impl ResolvesServerCert for Shows {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

impl rustls::client::ResolvesClientCert for Shows {
    fn resolve(&self, _: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Lets a foreign connection read until it ends or was said something; the bytes that were said to it.
fn overheard<D>(connection: &mut ConnectionCommon<D>, socket: &mut TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    let mut goes_on = true;
    while said.is_empty() && goes_on {
        goes_on = connection.complete_io(socket).is_ok_and(|(read, written)| read + written > 0);
        // Nothing to be read yet is an error, too.
        let _ = connection.reader().read_to_end(&mut said);
    }
    said
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    let kx_groups = PostQuantum::Prefer.groups();
    Arc::new(rustls::crypto::CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() })
}

struct Keep;

impl Plugin for Keep {
    async fn session(&self, session: Session) {
        session.closed().await;
    }
}

/// Takes one connection as a server that shows `shows`; what was said to it, and whether its handshake was finished.
fn false_hub(shows: Arc<Shows>) -> (String, JoinHandle<(Vec<u8>, bool)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let algorithms = provider().signature_verification_algorithms;
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(Arc::new(verify::AnyKey { algorithms }))
        .with_cert_resolver(shows);
    config.alpn_protocols = vec![config::ALPN.to_vec()];
    let run = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut connection = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        let said = overheard(&mut connection, &mut socket);
        (said, !connection.is_handshaking())
    });
    (address, run)
}

async fn connect_to(hub: &Identity, address: String) -> ConnectError {
    let own = Arc::new(Identity::generate());
    let client = Client::new(own, hub.key_hash(), vec![address], ClientConfig::default());
    client.connect().await.expect_err("an impostor was believed")
}

#[tokio::test]
async fn p31_a_hub_without_the_right_key_hears_not_one_byte_whatever_it_shows() {
    let (hub, thief, authority) = (Identity::generate(), Identity::generate(), Authority::new());
    let own = |of: &Identity| of.pair().certificate().clone();
    let certified = authority.certify(&thief);
    let impostors = [
        ("another key", vec![own(&thief)], "another key"),
        ("another key, certified by an authority for the right name", vec![certified.clone()], "another key"),
        ("the same with the authority's certificate", vec![certified, authority.certificate.clone()], "another key"),
        ("a copy of the hub's certificate without its key", vec![own(&hub)], "BadSignature"),
        ("a copy with the thief's own certificate behind it", vec![own(&hub), own(&thief)], "UnknownIssuer"),
        ("the thief's with a copy of the hub's behind it", vec![own(&thief), own(&hub)], "another key"),
        ("the authority's certificate alone", vec![authority.certificate.clone()], "BadEncoding"),
        ("no certificate", vec![], "no certificates"),
    ];
    let count = impostors.len();
    for (what, chain, reason) in impostors {
        let (address, heard) = false_hub(Shows::new(chain, &thief));
        let error = connect_to(&hub, address).await;
        assert!(error.to_string().contains(reason), "{what}: {error}");
        assert!(!error.may_retry(), "{what}: {error}");
        let (said, finished) = heard.join().unwrap();
        assert!(said.is_empty() && !finished, "{what}: {} bytes were said to it", said.len());
    }
    println!("p31: reached {count} of {count} false hubs refused, 0 bytes said to them");
}

#[tokio::test]
async fn a_false_hub_that_holds_the_right_key_hears_the_hello() {
    // Otherwise the test before could find nothing because its impostors hear nothing.
    let hub = Identity::generate();
    let (address, heard) = false_hub(Shows::new(vec![hub.pair().certificate().clone()], &hub));
    assert!(matches!(connect_to(&hub, address).await, ConnectError::Broken(_)), "it leaves without an answer");
    let (said, finished) = heard.join().unwrap();
    assert!(finished && said.windows(4).any(|window| window == b"TWLC"));
}

#[tokio::test]
async fn p31_a_device_without_a_known_key_is_refused_whatever_it_shows() {
    let (hub, known, thief) = (Arc::new(Identity::generate()), Identity::generate(), Identity::generate());
    let (authority, only) = (Authority::new(), known.public_key());
    let admit = move |peer: &towline_proto::mail::keys::PublicKey| {
        use towline_proto::wire::close::{Close, CloseCode};
        if *peer == only { Ok(()) } else { Err(Close::new(CloseCode::UnknownKey)) }
    };
    let server = Server::builder(hub).listen("127.0.0.1:0").admit(admit).serve(Keep).await.unwrap();
    let address = server.local_addrs()[0];
    let own = |of: &Identity| of.pair().certificate().clone();
    let certified = authority.certify(&thief);
    let impostors = [
        ("another key", vec![own(&thief)], "unknown-key"),
        ("another key, certified by an authority for the right name", vec![certified.clone()], "unknown-key"),
        ("the same with the authority's certificate", vec![certified, authority.certificate.clone()], "tls"),
        ("a copy of the device's certificate without its key", vec![own(&known)], "tls"),
        ("the thief's with a copy of the device's behind it", vec![own(&thief), own(&known)], "tls"),
        ("the authority's certificate alone", vec![authority.certificate.clone()], "tls"),
        ("no certificate", vec![], "tls"),
    ];
    let count = impostors.len();
    for (number, (what, chain, reason)) in impostors.into_iter().enumerate() {
        let before = server.counters().refused.get(reason).copied().unwrap_or(0);
        let shows = Shows::new(chain, &thief);
        let answer = tokio::task::spawn_blocking(move || {
            let algorithms = provider().signature_verification_algorithms;
            let mut config = rustls::ClientConfig::builder_with_provider(provider())
                .with_protocol_versions(&[&rustls::version::TLS13])
                .unwrap()
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verify::tests::AnyServer { algorithms }))
                .with_client_cert_resolver(shows);
            config.alpn_protocols = vec![config::ALPN.to_vec()];
            let name = ServerName::try_from("towline").unwrap();
            let mut connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
            // It speaks first, as one who hopes to be taken.
            let mut hello = Vec::new();
            let _ = towline_proto::session::handshake::begin(Default::default(), &mut hello);
            connection.writer().write_all(&hello).unwrap();
            overheard(&mut connection, &mut TcpStream::connect(address).unwrap())
        });
        let answer = answer.await.unwrap();
        // A key that is proven and not known is told so; nobody else hears a word.
        assert_eq!(answer.is_empty(), reason == "tls", "{what}: {} bytes", answer.len());
        while server.counters().refused.get(reason) != Some(&(before + 1)) {
            tokio::task::yield_now().await;
        }
        assert_eq!(server.counters().refused.values().sum::<u64>(), number as u64 + 1, "{what}");
    }
    assert_eq!(server.counters().opened, 0);
    println!("p31: reached {count} of {count} false devices refused, no session opened");
}

#[tokio::test]
async fn p31_a_relay_that_ends_tls_itself_has_nothing_to_pass_on() {
    // Towards the hub it is a peer like any other, under its own key; the device notices before it says a word.
    let (hub, relay) = (Arc::new(Identity::generate()), Arc::new(Identity::generate()));
    let server = Server::builder(hub.clone()).listen("127.0.0.1:0").serve(Keep).await.unwrap();
    let address = server.local_addrs()[0].to_string();
    let own = ClientConfig::default();
    let beyond = Client::new(relay.clone(), hub.key_hash(), vec![address], own).connect().await.unwrap();
    let copy = hub.pair().certificate().clone();
    for chain in [vec![relay.pair().certificate().clone()], vec![copy]] {
        let (address, heard) = false_hub(Shows::new(chain, &relay));
        let error = connect_to(&hub, address).await;
        assert!(matches!(error, ConnectError::WrongKey { .. } | ConnectError::Tls(_)), "{error:?}");
        assert_eq!(heard.join().unwrap(), (Vec::new(), false), "nothing to be passed on");
    }
    assert_eq!(server.counters().opened, 1, "the relay's own session");
    drop(beyond);
}
