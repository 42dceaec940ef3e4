//! How a TLS connection begins, on either side: between two keys, or to a name that an authority vouches for.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::{Resumption, UnbufferedClientConnection};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::server::{NoServerSessionStorage, UnbufferedServerConnection};
use rustls::{ClientConfig, Error, RootCertStore, ServerConfig};
use towline_proto::ids::KeyHash;

use super::exporter::Catch;
use super::handshake::Handshake;
use super::key_exchange::PostQuantum;
use super::verify::{AnyKey, Pinned};
use crate::identity::Identity;

/// The protocol's name in TLS.
pub(super) const ALPN: &[u8] = b"towline/1";

/// The name in SNI is not sent and not looked at, but rustls wants one.
const NO_NAME: &str = "towline";

/// aws-lc with these key exchanges. Handed in each time: nothing is process-wide.
fn provider(pq: PostQuantum) -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider { kx_groups: pq.groups(), ..aws_lc_rs::default_provider() })
}

fn private_key(identity: &Identity) -> PrivateKeyDer<'static> {
    PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.pair().pkcs8().to_vec()))
}

/// aws-lc as it comes: post-quantum key exchange preferred, the classic ones for foreign programs.
fn foreign_provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn bad_pem(error: impl std::fmt::Display) -> Error {
    Error::General(format!("not a certificate or key in PEM: {error}"))
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(bad_pem)
}

/// What a client needs to begin TLS with one peer.
#[derive(Clone)]
pub(crate) struct ClientTls {
    config: ClientConfig,
    name: ServerName<'static>,
}

impl ClientTls {
    /// For a link of a session.
    pub(crate) fn new(identity: &Identity, hub: KeyHash, pq: PostQuantum) -> Result<Self, Error> {
        Self::to_key(identity, hub, ALPN, pq)
    }

    /// To whoever holds that key.
    pub(super) fn to_key(identity: &Identity, peer: KeyHash, alpn: &[u8], pq: PostQuantum) -> Result<Self, Error> {
        let provider = provider(pq);
        let algorithms = provider.signature_verification_algorithms;
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pinned { wanted: peer, algorithms }))
            .with_client_auth_cert(vec![identity.pair().certificate().clone()], private_key(identity))?;
        config.enable_sni = false;
        let name = ServerName::try_from(NO_NAME).map_err(|_| Error::General("server name".into()))?;
        Ok(Self::finished(config, name, alpn))
    }

    /// To a name for which one of the authorities in `roots` (PEM) vouches.
    pub(super) fn to_name(name: &str, roots: &[u8], alpn: &[u8]) -> Result<Self, Error> {
        let provider = foreign_provider();
        let mut store = RootCertStore::empty();
        for certificate in certificates(roots)? {
            store.add(certificate)?;
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider.clone())
            .build()
            .map_err(|error| Error::General(error.to_string()))?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_webpki_verifier(verifier)
            .with_no_client_auth();
        let name = ServerName::try_from(name.to_owned()).map_err(|error| Error::General(error.to_string()))?;
        Ok(Self::finished(config, name, alpn))
    }

    fn finished(mut config: ClientConfig, name: ServerName<'static>, alpn: &[u8]) -> Self {
        config.alpn_protocols = vec![alpn.to_vec()];
        config.resumption = Resumption::disabled();
        config.enable_secret_extraction = true;
        Self { config, name }
    }

    pub(super) fn begin(&self) -> Result<Handshake, Error> {
        let caught = Arc::new(Catch::default());
        let mut config = self.config.clone();
        config.key_log = caught.clone();
        let alpn = config.alpn_protocols.concat();
        let connection = UnbufferedClientConnection::new(Arc::new(config), self.name.clone())?;
        Ok(Handshake::client(connection, caught, alpn))
    }
}

/// What a server needs to begin TLS with anybody.
#[derive(Clone)]
pub(crate) struct ServerTls(ServerConfig);

impl ServerTls {
    /// For the links of sessions.
    pub(crate) fn new(identity: &Identity, pq: PostQuantum) -> Result<Self, Error> {
        Self::with_key(identity, ALPN, pq)
    }

    /// Shows a key, and demands one.
    pub(super) fn with_key(identity: &Identity, alpn: &[u8], pq: PostQuantum) -> Result<Self, Error> {
        let provider = provider(pq);
        let algorithms = provider.signature_verification_algorithms;
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(Arc::new(AnyKey { algorithms }))
            .with_single_cert(vec![identity.pair().certificate().clone()], private_key(identity))?;
        Ok(Self::finished(config, alpn))
    }

    /// Shows a certificate with its chain and demands none (all in PEM).
    pub(super) fn with_certificate(chain: &[u8], key: &[u8], alpn: &[u8]) -> Result<Self, Error> {
        let key = PrivateKeyDer::from_pem_slice(key).map_err(bad_pem)?;
        let config = ServerConfig::builder_with_provider(foreign_provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(certificates(chain)?, key)?;
        Ok(Self::finished(config, alpn))
    }

    fn finished(mut config: ServerConfig, alpn: &[u8]) -> Self {
        config.alpn_protocols = vec![alpn.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        config.enable_secret_extraction = true;
        Self(config)
    }

    pub(super) fn begin(&self) -> Result<Handshake, Error> {
        let caught = Arc::new(Catch::default());
        let mut config = self.0.clone();
        config.key_log = caught.clone();
        let alpn = config.alpn_protocols.concat();
        Ok(Handshake::server(UnbufferedServerConnection::new(Arc::new(config))?, caught, alpn))
    }
}
