//! The side that connects.

mod dial;
mod road;
mod roam;

use std::sync::Arc;
use std::time::Duration;

use towline_proto::ids::KeyHash;
use towline_proto::limits::HANDSHAKE_TIMEOUT;
use towline_proto::session::handshake::{self, Admission, Failure, SessionSecret};
use towline_proto::session::{Session as Core, Side};
use towline_proto::stream_link::LinkConfig;
use towline_proto::wire::close::{Close, CloseCode, Retry};
use towline_proto::wire::hello::Params;

use crate::hello::HelloError;
use crate::identity::Identity;
use crate::session::{Clock, Pool, Refused, Session, SessionTask, Shared, Supply};
use crate::tls::{ClientTls, PostQuantum, TlsError};
use crate::transport::MemoryDialer;
use dial::Place;
pub use dial::Tried;
use road::{Road, WayBack};

/// How long one address may take until TCP is connected: three lost SYNs. Then the next address is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(7);

/// How often the own address is looked at: four system calls a second, and a device that changed networks is back in two.
const ADDRESS_CHECK: Duration = Duration::from_secs(1);

/// Named limits of a client.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientConfig {
    /// How long one address may take until TCP is connected.
    pub connect_timeout: Duration,
    /// How long TLS and the hello may take together.
    pub handshake_timeout: Duration,
    /// A silent link is probed this often, and given up after two silent periods.
    pub probe_period: Duration,
    /// How often to look whether this machine has another address towards the hub: then the session moves to a link from
    /// there, once the hub has answered on it, and need not wait until probes find the old link dead. Zero: never.
    pub address_check: Duration,
    /// This side's limits and first grants.
    pub params: Params,
    /// The memory that this client's sessions share; several clients, or servers, may be given the same.
    pub pool: Pool,
    /// Whether the hub must have post-quantum key exchange.
    pub post_quantum: PostQuantum,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            connect_timeout: CONNECT_TIMEOUT,
            handshake_timeout: HANDSHAKE_TIMEOUT,
            probe_period: LinkConfig::default().probe_period,
            address_check: ADDRESS_CHECK,
            params: Params::default(),
            pool: Pool::default(),
            post_quantum: PostQuantum::default(),
        }
    }
}

/// Why no session came to be.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No address answered.
    #[error("no address of the hub answered: {}", tried(.0))]
    Unreachable(Vec<Tried>),
    /// Who answered showed another key than the one this client was given. No word was exchanged.
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
    /// The link broke during TLS or the hello.
    #[error("the link to the hub broke during the handshake: {0}")]
    Broken(String),
    /// TLS failed.
    #[error("TLS with the hub failed: {0}")]
    Tls(String),
    /// The hub's hello was no hello that this program understands.
    #[error("the hub does not speak as this program does: {0}")]
    Protocol(Close),
    /// This side's sessions hold so much that no new one begins.
    #[error("out of memory for sessions: {0}")]
    Memory(#[from] Refused),
    /// TLS or the hello took too long.
    #[error("the hub did not finish the handshake in {} s", .0.as_secs())]
    Timeout(Duration),
}

impl ConnectError {
    /// Whether trying again without changing anything may help.
    pub fn may_retry(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Broken(_) | Self::Timeout(_) | Self::Memory(_) => true,
            Self::Refused(close) => close.retry != Retry::No,
            Self::WrongKey { .. } | Self::Tls(_) | Self::Protocol(_) => false,
        }
    }

    /// The same as a close code, for exit codes and `explain`.
    pub fn code(&self) -> CloseCode {
        match self {
            Self::Unreachable(_) | Self::Broken(_) => CloseCode::LinkLost,
            Self::WrongKey { .. } => CloseCode::WrongKey,
            Self::Refused(close) | Self::Protocol(close) => close.code,
            Self::Tls(_) => CloseCode::Tls,
            Self::Memory(_) => CloseCode::Memory,
            Self::Timeout(_) => CloseCode::HandshakeTimeout,
        }
    }
}

fn tried(list: &[Tried]) -> String {
    let one = |(host, address, error): &Tried| match address {
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
    place: Place,
    config: ClientConfig,
}

impl Client {
    /// A client of the hub with the key `hub`, to be found at `hosts` (each `host:port`, best first).
    pub fn new(identity: Arc<Identity>, hub: KeyHash, hosts: Vec<String>, config: ClientConfig) -> Self {
        Self { identity, hub, place: Place::Hosts(hosts), config }
    }

    /// A client of a server in the same process; see [`crate::transport::memory`].
    pub fn in_memory(identity: Arc<Identity>, hub: KeyHash, dialer: MemoryDialer, config: ClientConfig) -> Self {
        Self { identity, hub, place: Place::Memory(dialer), config }
    }

    /// Makes a session: one try over every address, bounded in time. The session reconnects and resumes by itself until
    /// it is closed, or the hub has lost its state or refuses.
    pub async fn connect(&self) -> Result<Session, ConnectError> {
        let tls = ClientTls::new(&self.identity, self.hub, self.config.post_quantum);
        let tls = tls.map_err(|error| ConnectError::Tls(error.to_string()))?;
        let member = self.config.pool.admit()?;
        let own = self.config.pool.first_grants(self.config.params);
        let config = ClientConfig { params: own, ..self.config.clone() };
        let road = Arc::new(Road::new(tls, self.place.clone(), config));
        let (link, admission) = road.walk(|_, out| handshake::begin(road.offer(), out)).await?;
        let Admission::New { session, params, .. } = admission else {
            return Err(ConnectError::Protocol(Close::new(CloseCode::Protocol)));
        };
        let secret = link.proven.exporter.export(handshake::SESSION_SECRET_LABEL).map_err(tls_error)?;
        let core = Core::new(Side::Client, session, own, params);
        let shared = Shared::new(core, link.peer(), Clock::new(), member);
        let config = LinkConfig { probe_period: self.config.probe_period };
        let supply = Supply::Reconnect(Box::new(WayBack { road, session, secret: SessionSecret(secret) }));
        let task = SessionTask::new(shared.clone(), link.into_link(), &[], supply, config);
        tokio::spawn(task);
        Ok(Session::new(shared))
    }
}

fn tls_error(error: TlsError) -> ConnectError {
    match error {
        TlsError::WrongKey(wrong) => ConnectError::WrongKey { wanted: wrong.wanted, shown: wrong.shown },
        TlsError::Io(_) | TlsError::Truncated => ConnectError::Broken(error.to_string()),
        other => ConnectError::Tls(other.to_string()),
    }
}

fn hello_error(error: HelloError) -> ConnectError {
    match error {
        HelloError::Io(error) => ConnectError::Broken(error.to_string()),
        HelloError::Failed(Failure::TheySaid(close)) => ConnectError::Refused(close),
        HelloError::Failed(Failure::WeSay(close)) => ConnectError::Protocol(close),
    }
}
