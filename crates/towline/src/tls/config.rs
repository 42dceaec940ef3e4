//! How a TLS connection begins, on either side.

use std::sync::Arc;

use rustls::client::{Resumption, UnbufferedClientConnection};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::server::{NoServerSessionStorage, UnbufferedServerConnection};
use rustls::{ClientConfig, Error, ServerConfig};
use towline_proto::ids::KeyHash;

use super::exporter::Catch;
use super::key_exchange::PostQuantum;
use super::machine::Machine;
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

/// What a client needs to begin TLS with one hub.
#[derive(Clone)]
pub(crate) struct ClientTls(ClientConfig);

impl ClientTls {
    pub(crate) fn new(identity: &Identity, hub: KeyHash, pq: PostQuantum) -> Result<Self, Error> {
        let provider = provider(pq);
        let algorithms = provider.signature_verification_algorithms;
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pinned { wanted: hub, algorithms }))
            .with_client_auth_cert(vec![identity.pair().certificate().clone()], private_key(identity))?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = Resumption::disabled();
        config.enable_sni = false;
        Ok(Self(config))
    }

    pub(super) fn begin(&self) -> Result<Machine, Error> {
        let caught = Arc::new(Catch::default());
        let mut config = self.0.clone();
        config.key_log = caught.clone();
        let name = ServerName::try_from(NO_NAME).map_err(|_| Error::General("server name".into()))?;
        Ok(Machine::client(UnbufferedClientConnection::new(Arc::new(config), name)?, caught))
    }
}

/// What a server needs to begin TLS with anybody.
#[derive(Clone)]
pub(crate) struct ServerTls(ServerConfig);

impl ServerTls {
    pub(crate) fn new(identity: &Identity, pq: PostQuantum) -> Result<Self, Error> {
        let provider = provider(pq);
        let algorithms = provider.signature_verification_algorithms;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(Arc::new(AnyKey { algorithms }))
            .with_single_cert(vec![identity.pair().certificate().clone()], private_key(identity))?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        Ok(Self(config))
    }

    pub(super) fn begin(&self) -> Result<Machine, Error> {
        let caught = Arc::new(Catch::default());
        let mut config = self.0.clone();
        config.key_log = caught.clone();
        Ok(Machine::server(UnbufferedServerConnection::new(Arc::new(config))?, caught))
    }
}
