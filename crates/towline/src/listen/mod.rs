//! Taking connections: sockets, limits, handshakes in bounded time.
//!
//! A [`Listener`] takes TCP connections for bare [`Connection`](crate::connection::Connection)s; a
//! [`Server`](crate::Server) for sessions uses the same parts.
//!
//! ```no_run
//! # use towline::{listen::{ListenConfig, Listener}, tls::Acceptor, Identity};
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let acceptor = Acceptor::with_identity(&Identity::generate(), b"example/1")?;
//! let mut listener = Listener::bind("[::]:7000", ListenConfig::default()).await?;
//! loop {
//!     let incoming = listener.accept().await; // never fails: errors are counted, waited out
//!     let acceptor = acceptor.clone();
//!     tokio::spawn(async move {
//!         let Ok(stream) = incoming.secure(&acceptor).await else { return };
//!         // Connection::answering(stream, codec, reactor, config).await
//! #       drop(stream);
//!     });
//! }
//! # }
//! ```

mod gate;
mod incoming;
mod socket;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use towline_proto::limits::HANDSHAKE_TIMEOUT;

pub use gate::Refusal;
pub(crate) use gate::{Entry, Gate, GateLimits, Pass};
pub use incoming::{HandshakeError, Incoming, PlacedStream};
pub use socket::SocketOptions;
pub(crate) use socket::bind;

/// Connections in all, by default.
const CONNECTIONS: usize = 16_384;

/// Connections of one address, by default: an office behind one NAT.
const CONNECTIONS_PER_ADDRESS: usize = 1_024;

/// Handshakes at once, by default. Each may hold about 64 KiB for up to the handshake's time.
const HANDSHAKES: usize = 4_096;

/// How long to wait after an error that concerns the process and not one connection (EMFILE, ENFILE, ENOMEM): handles
/// become free only as others close, and asking at once would only burn time.
const EXHAUSTED_WAIT: Duration = Duration::from_millis(100);

/// Named limits and options of a listener.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ListenConfig {
    /// Options of the listening socket.
    pub socket: SocketOptions,
    /// Whether each small write leaves at once (`TCP_NODELAY`). A [`Connection`](crate::connection::Connection) gathers
    /// by itself, so there is nothing to win by waiting.
    pub nodelay: bool,
    /// Whether TCP's urgent byte is read in its place among the others (`SO_OOBINLINE`). Without it the kernel takes the
    /// byte out, and a codec behind it waits for a byte that never comes. It costs one more system call after a read that
    /// left nothing.
    pub urgent_in_place: bool,
    /// Connections in all.
    pub connections: usize,
    /// Connections of one address (of one /64 in IPv6).
    pub connections_per_address: usize,
    /// Handshakes at once.
    pub handshakes: usize,
    /// How long a handshake may take.
    pub handshake_timeout: Duration,
    /// What a refused peer is told before it is cut, in the words of the protocol; empty: nothing. Not under TLS, where
    /// nothing can be said before the handshake.
    pub last_words: Bytes,
}

impl Default for ListenConfig {
    fn default() -> Self {
        Self {
            socket: SocketOptions::default(),
            nodelay: true,
            urgent_in_place: true,
            connections: CONNECTIONS,
            connections_per_address: CONNECTIONS_PER_ADDRESS,
            handshakes: HANDSHAKES,
            handshake_timeout: HANDSHAKE_TIMEOUT,
            last_words: Bytes::new(),
        }
    }
}

/// Counts of one listener since it began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenStats {
    /// Connections that were let in.
    pub accepted: u64,
    /// Times that taking a connection failed (EMFILE, ECONNABORTED …).
    pub accept_errors: u64,
    /// Connections refused, by reason.
    pub refused: BTreeMap<Refusal, u64>,
    /// Connections now, handshakes included.
    pub connections: usize,
    /// Handshakes now.
    pub handshakes: usize,
}

/// What a listener and its connections share.
#[derive(Debug)]
struct House {
    config: ListenConfig,
    gate: Arc<Gate>,
    stats: Mutex<ListenStats>,
}

impl House {
    fn count(&self, change: impl FnOnce(&mut ListenStats)) {
        change(&mut self.stats.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn refused(&self, refusal: Refusal) {
        self.count(|stats| *stats.refused.entry(refusal).or_default() += 1);
    }
}

/// Takes TCP connections within limits; see the module's page.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    house: Arc<House>,
}

impl Listener {
    /// Listens on `address` (`host:port`; port 0 takes a free one).
    ///
    /// # Errors
    /// The address cannot be bound; the error names it.
    pub async fn bind(address: &str, config: ListenConfig) -> io::Result<Self> {
        let socket = bind(address, &config.socket).await?;
        // Connections inherit it, so that a byte that comes before we look is in its place too.
        socket2::SockRef::from(&socket).set_out_of_band_inline(config.urgent_in_place)?;
        let &ListenConfig { connections, connections_per_address, handshakes, .. } = &config;
        let gate = Gate::new(GateLimits { connections, connections_per_address, handshakes });
        Ok(Self { socket, house: Arc::new(House { config, gate, stats: Mutex::default() }) })
    }

    /// Where it listens, the port resolved.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The next connection that the limits let in; those that they do not are told the last words and cut. No error ends
    /// it: a process out of file handles goes on when there are some again.
    ///
    /// Cancel safe.
    pub async fn accept(&mut self) -> Incoming {
        loop {
            match self.socket.accept().await {
                Ok((stream, remote)) => match self.enter(stream, remote) {
                    Ok(incoming) => return incoming,
                    Err(refusal) => self.house.refused(refusal),
                },
                Err(error) => {
                    tracing::warn!(%error, "cannot take a connection");
                    self.house.count(|stats| stats.accept_errors += 1);
                    recover(&error).await;
                }
            }
        }
    }

    fn enter(&self, stream: TcpStream, remote: SocketAddr) -> Result<Incoming, Refusal> {
        let config = &self.house.config;
        match self.house.gate.enter(Some(remote.ip())) {
            Entry::Welcome(pass) => {
                // A socket that takes no options is about to fail anyway, and says so better when it is read.
                let _ = stream.set_nodelay(config.nodelay);
                self.house.count(|stats| stats.accepted += 1);
                Ok(Incoming::new(stream, remote, pass, self.house.clone()))
            }
            Entry::ToBeRefused(_, refusal) => {
                // The socket's buffer is empty, so that a short word fits; nobody waits for a peer that is refused.
                let _ = stream.try_write(&config.last_words);
                Err(refusal)
            }
            Entry::Dropped(refusal) => Err(refusal),
        }
    }

    /// What has happened so far.
    pub fn stats(&self) -> ListenStats {
        let (connections, handshakes) = self.house.gate.inside();
        let stats = self.house.stats.lock().unwrap_or_else(PoisonError::into_inner).clone();
        ListenStats { connections, handshakes, ..stats }
    }
}

/// Waits after an error of accepting, if another try at once would only fail again.
pub(crate) async fn recover(error: &io::Error) {
    if !concerns_one_connection(error) {
        sleep(EXHAUSTED_WAIT).await;
    }
}

/// The one that was about to come is gone; the next may be fine.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, NotConnected};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted | NotConnected)
}
