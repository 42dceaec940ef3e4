//! The side that is connected to: listeners, limits, admission, the table of sessions.

mod counters;
mod enter;
mod sources;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;
use towline_proto::limits::HANDSHAKE_TIMEOUT;
use towline_proto::mail::keys::PublicKey;
use towline_proto::stream_link::LinkConfig;
use towline_proto::wire::close::{Close, CloseCode};
use towline_proto::wire::hello::Params;

use crate::identity::Identity;
use crate::listen::{self, Gate, GateLimits, SocketOptions};
use crate::session::{Pool, Session, Shared};
use crate::tls::{PostQuantum, ServerTls};
use crate::transport::MemoryListener;
pub use counters::Counters;
use counters::Tally;
use enter::House;
use sources::Listener;

/// Connections in all, by default: what the default pool of 1 GiB carries with every window at its base.
const CONNECTIONS: usize = 16_384;

/// Connections of one address, by default: an office behind one NAT.
const CONNECTIONS_PER_ADDRESS: usize = 1_024;

/// Handshakes at once, by default. Each may hold about 64 KiB for up to the handshake's time.
const HANDSHAKES: usize = 4_096;

/// Sessions in all, those without a link included, by default.
const SESSIONS: usize = 16_384;

/// What a server does with each new session.
pub trait Plugin: Send + Sync + 'static {
    /// Runs for as long as the session is wanted; when it returns, the session is closed with `done`. It may also find
    /// that the session is over: every call then says so.
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
    /// Handshakes at once.
    pub handshakes: usize,
    /// Sessions in all, those without a link included.
    pub sessions: usize,
    /// How long TLS and the hello may take together.
    pub handshake_timeout: Duration,
    /// A silent link is probed this often, and given up after two silent periods.
    pub probe_period: Duration,
    /// The limits and first grants that each session states.
    pub params: Params,
    /// The memory that all its sessions share; a process with several servers or clients may give them the same.
    pub pool: Pool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: CONNECTIONS,
            connections_per_address: CONNECTIONS_PER_ADDRESS,
            handshakes: HANDSHAKES,
            sessions: SESSIONS,
            handshake_timeout: HANDSHAKE_TIMEOUT,
            probe_period: LinkConfig::default().probe_period,
            params: Params::default(),
            pool: Pool::default(),
        }
    }
}

impl Limits {
    fn of_gate(&self) -> GateLimits {
        let &Self { connections, connections_per_address, handshakes, .. } = self;
        GateLimits { connections, connections_per_address, handshakes }
    }
}

/// Who may enter; asked with the proven key before a session is made or joined.
type Admit = Arc<dyn Fn(&PublicKey) -> Result<(), Close> + Send + Sync>;

/// Builds a server.
pub struct ServerBuilder {
    identity: Arc<Identity>,
    listen: Vec<String>,
    memory: Vec<MemoryListener>,
    admit: Admit,
    limits: Limits,
    sockets: SocketOptions,
    post_quantum: PostQuantum,
}

/// A server; see [`Server::builder`].
#[derive(Debug)]
pub struct Server;

impl Server {
    /// Begins a server with this identity.
    pub fn builder(identity: Arc<Identity>) -> ServerBuilder {
        let (listen, memory) = (Vec::new(), Vec::new());
        let (admit, limits) = (Arc::new(|_: &_| Ok(())), Limits::default());
        // Each address means itself, so that `[::]` can stand beside `0.0.0.0` on the same port.
        let sockets = SocketOptions { dual_stack: false, ..SocketOptions::default() };
        let post_quantum = PostQuantum::default();
        ServerBuilder { identity, listen, memory, admit, limits, sockets, post_quantum }
    }
}

impl ServerBuilder {
    /// Listens there too (`address:port`; port 0 takes a free one). `[::]` is IPv6 alone: say `0.0.0.0`, too, for both.
    #[must_use]
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.listen.push(address.into());
        self
    }

    /// Listens in memory too; see [`crate::transport::memory`].
    #[must_use]
    pub fn listen_in_memory(mut self, listener: MemoryListener) -> Self {
        self.memory.push(listener);
        self
    }

    /// Asks this before a session is made or joined. It is asked on the network's threads: it must not block.
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

    /// Other options of the listening sockets than the default ones.
    #[must_use]
    pub fn sockets(mut self, options: SocketOptions) -> Self {
        self.sockets = options;
        self
    }

    /// Whether peers must have post-quantum key exchange; without this they must.
    #[must_use]
    pub fn post_quantum(mut self, choice: PostQuantum) -> Self {
        self.post_quantum = choice;
        self
    }

    /// Binds every listener and starts.
    ///
    /// # Errors
    /// A listener cannot be bound; none is left behind. Or the pool is too small for the largest message.
    pub async fn serve(self, plugin: impl Plugin) -> io::Result<RunningServer> {
        let (taken, fits) = (self.limits.params.max_message, self.limits.pool.max_message());
        if taken > fits {
            let text =
                format!("messages of {taken} bytes do not fit a pool made for {fits}: give Pool::new the larger");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let mut listeners: Vec<_> = self.memory.into_iter().map(Listener::Memory).collect();
        let mut addresses = Vec::new();
        for address in &self.listen {
            let listener = listen::bind(address, &self.sockets).await?;
            addresses.push(listener.local_addr()?);
            listeners.push(Listener::Tcp(listener));
        }
        let tls = ServerTls::new(&self.identity, self.post_quantum).map_err(io::Error::other)?;
        Ok(start(tls, self.admit, self.limits, listeners, addresses, plugin))
    }
}

fn start(
    tls: ServerTls,
    admit: Admit,
    limits: Limits,
    listeners: Vec<Listener>,
    addresses: Vec<SocketAddr>,
    plugin: impl Plugin,
) -> RunningServer {
    let house = Arc::new(House {
        tls,
        gate: Gate::new(limits.of_gate()),
        limits,
        admit,
        plugin,
        tally: Tally::default(),
        sessions: Mutex::new(HashMap::new()),
    });
    let mut accepting = JoinSet::new();
    for listener in listeners {
        let house = house.clone();
        accepting.spawn(async move {
            let failed = |error: &io::Error| {
                tracing::warn!(%error, "cannot take a connection");
                house.tally.add(|counters| counters.accept_errors += 1);
            };
            sources::run(listener, |carried| house.take(carried), failed).await;
        });
    }
    RunningServer { addresses, accepting, house }
}

/// What a running server asks of its house, whatever its plug-in is.
trait Keeper: Send + Sync {
    fn counters(&self) -> Counters;
    fn sessions(&self) -> Vec<Arc<Shared>>;
}

impl<P: Plugin> Keeper for House<P> {
    fn counters(&self) -> Counters {
        let (connections, handshakes) = self.gate.inside();
        let (sessions, memory) = (self.sessions().len(), self.limits.pool.stats());
        Counters { sessions, connections, handshakes, memory, ..self.tally.read() }
    }

    fn sessions(&self) -> Vec<Arc<Shared>> {
        let sessions = self.sessions.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        sessions.values().map(|resident| resident.shared.clone()).collect()
    }
}

/// A server at work. Dropping it stops its listeners and leaves its sessions; [`RunningServer::shutdown`] ends those.
pub struct RunningServer {
    addresses: Vec<SocketAddr>,
    accepting: JoinSet<()>,
    house: Arc<dyn Keeper>,
}

impl RunningServer {
    /// Where it listens, ports resolved.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What has happened, for `/metrics`.
    pub fn counters(&self) -> Counters {
        self.house.counters()
    }

    /// Takes no more connections, tells every session `draining` after what it sent is confirmed, and waits until all
    /// are over or `drain` has passed; then the rest is cut.
    pub async fn shutdown(mut self, drain: Duration) {
        self.accepting.abort_all();
        while self.accepting.join_next().await.is_some() {}
        let sessions = self.house.sessions();
        sessions.iter().for_each(|shared| shared.close(Close::new(CloseCode::Draining)));
        let all_over = async {
            for shared in &sessions {
                shared.until_over().await;
            }
        };
        if timeout(drain, all_over).await.is_err() {
            sessions.iter().for_each(|shared| shared.cut(Close::new(CloseCode::Draining)));
        }
    }
}

#[cfg(test)]
mod tests;
