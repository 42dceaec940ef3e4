//! The side that is connected to.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use towline_proto::mail::keys::PublicKey;
use towline_proto::wire::close::Close;

use crate::identity::Identity;
use crate::session::Session;

/// What a server does with each new session.
pub trait Plugin: Send + Sync + 'static {
    /// Runs for as long as the session is wanted; when it returns, the session is closed with `done`.
    fn session(&self, session: Session) -> impl Future<Output = ()> + Send;
}

/// Named limits of a server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Connections in all.
    pub connections: usize,
    /// Connections of one address (of one /64 in IPv6).
    pub connections_per_address: usize,
    /// How long TLS and the hello may take together.
    pub handshake_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 10_000, connections_per_address: 1_000, handshake_timeout: Duration::from_secs(10) }
    }
}

type Admit = Arc<dyn Fn(&PublicKey) -> Result<(), Close> + Send + Sync>;

/// Builds a server.
pub struct ServerBuilder {
    identity: Arc<Identity>,
    listen: Vec<String>,
    admit: Admit,
    limits: Limits,
}

/// A server; see [`Server::builder`].
pub struct Server;

impl Server {
    /// Begins a server with this identity.
    pub fn builder(identity: Arc<Identity>) -> ServerBuilder {
        ServerBuilder { identity, listen: Vec::new(), admit: Arc::new(|_| Ok(())), limits: Limits::default() }
    }
}

impl ServerBuilder {
    /// Listens there too (`address:port`).
    #[must_use]
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.listen.push(address.into());
        self
    }

    /// Asks this before a session is made or joined.
    #[must_use]
    pub fn admit(mut self, admit: impl Fn(&PublicKey) -> Result<(), Close> + Send + Sync + 'static) -> Self {
        self.admit = Arc::new(admit);
        self
    }

    /// Other limits than the default ones.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Binds every listener and starts.
    pub async fn serve(self, plugin: impl Plugin) -> io::Result<RunningServer> {
        let _ = (self.identity, self.admit, self.limits, plugin);
        Ok(RunningServer { addresses: Vec::new() })
    }
}

/// A server at work. Dropping it ends it at once; [`RunningServer::shutdown`] drains.
pub struct RunningServer {
    addresses: Vec<SocketAddr>,
}

impl RunningServer {
    /// Where it listens, ports resolved.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What has happened, for `/metrics`: name, label (a close code's word), count.
    pub fn counters(&self) -> Counters {
        Counters::default()
    }

    /// Accepts no more, tells every session `draining`, waits until they are over or `drain` has passed.
    pub async fn shutdown(self, _drain: Duration) {}
}

/// Counts since the start, for `/metrics`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Connections that the listeners took.
    pub accepted: u64,
    /// Times that taking a connection failed (EMFILE, ECONNABORTED …).
    pub accept_errors: u64,
    /// Sessions opened.
    pub opened: u64,
    /// Links that joined a session again.
    pub resumed: u64,
    /// Connections refused before they were a session's link, by the reason's word.
    pub refused: Vec<(&'static str, u64)>,
    /// Sessions ended, by the reason's word.
    pub closed: Vec<(&'static str, u64)>,
    /// Sessions alive now.
    pub sessions: usize,
    /// Connections now, handshakes included.
    pub connections: usize,
}
