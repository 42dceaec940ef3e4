//! The side that connects.

mod dial;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use towline_proto::ids::{KeyHash, SessionId};
use towline_proto::limits::HANDSHAKE_TIMEOUT;
use towline_proto::session::handshake::{self, Admission, Failure, Offer, SessionSecret};
use towline_proto::session::{ReceiveState, Session as Core, Side};
use towline_proto::stream_link::LinkConfig;
use towline_proto::wire::close::{Close, CloseCode, Retry};
use towline_proto::wire::hello::Params;

use crate::backoff::Backoff;
use crate::hello::{HelloError, Secured};
use crate::identity::Identity;
use crate::session::{Clock, Rejoin, Rejoined, Session, SessionTask, Shared, Supply};
use crate::tls::keys::{self, HmacSha256};
use crate::tls::{ClientTls, TlsError};
use crate::transport::MemoryDialer;
use dial::Place;
pub use dial::Tried;

/// How long one address may take until TCP is connected: three lost SYNs. Then the next address is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(7);

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
    /// This side's limits and first grants.
    pub params: Params,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            connect_timeout: CONNECT_TIMEOUT,
            handshake_timeout: HANDSHAKE_TIMEOUT,
            probe_period: LinkConfig::default().probe_period,
            params: Params::default(),
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
    /// TLS or the hello took too long.
    #[error("the hub did not finish the handshake in {} s", .0.as_secs())]
    Timeout(Duration),
}

impl ConnectError {
    /// Whether trying again without changing anything may help.
    pub fn may_retry(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Broken(_) | Self::Timeout(_) => true,
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
        let tls = ClientTls::new(&self.identity, self.hub).map_err(|error| ConnectError::Tls(error.to_string()))?;
        let road = Arc::new(Road { tls, place: self.place.clone(), config: self.config.clone() });
        let (link, admission) = road.walk(|_, out| handshake::begin(road.offer(), out)).await?;
        let Admission::New { session, params, .. } = admission else {
            return Err(ConnectError::Protocol(Close::new(CloseCode::Protocol)));
        };
        let secret = link.exporter.export(handshake::SESSION_SECRET_LABEL).map_err(tls_error)?;
        let core = Core::new(Side::Client, session, road.config.params, params);
        let shared = Shared::new(core, session, link.peer(), Clock::new());
        let config = LinkConfig { probe_period: road.config.probe_period };
        let supply = Supply::Rejoin(rejoiner(road, session, SessionSecret(secret)));
        let task = SessionTask::new(shared.clone(), link.into_link(), &[], supply, config);
        tokio::spawn(task);
        Ok(Session::new(shared))
    }
}

/// The way to the hub, for the first link and every later one.
struct Road {
    tls: ClientTls,
    place: Place,
    config: ClientConfig,
}

impl Road {
    fn offer(&self) -> Offer {
        Offer { params: self.config.params, ..Offer::default() }
    }

    /// Connects, and says what `begin` writes.
    async fn walk(
        &self,
        begin: impl FnOnce(&Secured, &mut Vec<u8>) -> handshake::AwaitServerHello,
    ) -> Result<(Secured, Admission), ConnectError> {
        let carried = self.place.dial(self.config.connect_timeout).await.map_err(ConnectError::Unreachable)?;
        let limit = self.config.handshake_timeout;
        let handshake = async {
            let mut link = Secured::connect(carried, &self.tls).await.map_err(tls_error)?;
            let mut out = Vec::new();
            let state = begin(&link, &mut out);
            link.say(&out).await.map_err(|error| ConnectError::Broken(error.to_string()))?;
            let admission = link.listen(state, |state, input| state.handle(input)).await.map_err(hello_error)?;
            Ok((link, admission))
        };
        timeout(limit, handshake).await.unwrap_or(Err(ConnectError::Timeout(limit)))
    }

    async fn rejoin(
        &self,
        session: SessionId,
        secret: &SessionSecret,
        received: ReceiveState,
    ) -> Result<Rejoined, ConnectError> {
        let begin = |link: &Secured, out: &mut Vec<u8>| {
            // Without an exporter the proof is wrong and the server refuses; it cannot be missing after a handshake.
            let exporter = link.exporter.export(handshake::JOIN_EXPORTER_LABEL).unwrap_or_default();
            handshake::begin_join(self.offer(), session, received, secret, &exporter, &HmacSha256, out)
        };
        let (link, admission) = self.walk(begin).await?;
        match admission {
            Admission::Joined { received, .. } => Ok(Rejoined::Link(Box::new(link.into_link()), received)),
            Admission::Gone => Ok(Rejoined::Gone),
            Admission::New { .. } => Err(ConnectError::Protocol(Close::new(CloseCode::Protocol))),
        }
    }
}

/// Comes back until there is an answer that counts; the session's own time ends it otherwise.
fn rejoiner(
    road: Arc<Road>,
    session: SessionId,
    secret: SessionSecret,
) -> Box<dyn FnMut(ReceiveState) -> Rejoin + Send> {
    Box::new(move |received| {
        let (road, secret) = (road.clone(), secret.clone());
        Box::pin(async move {
            let mut backoff = Backoff::new();
            loop {
                let error = match road.rejoin(session, &secret, received.clone()).await {
                    Ok(answer) => return answer,
                    Err(error) => error,
                };
                tracing::info!(%session, %error, "not back yet");
                if !error.may_retry() {
                    return Rejoined::Refused(close_of(error));
                }
                sleep(wait_after(&error, &mut backoff)).await;
            }
        })
    })
}

fn wait_after(error: &ConnectError, backoff: &mut Backoff) -> Duration {
    let mut random = [0; 4];
    keys::random(&mut random);
    let wait = backoff.wait(u32::from_le_bytes(random));
    match error {
        ConnectError::Refused(Close { retry: Retry::After(asked), .. }) => wait.max(*asked),
        _ => wait,
    }
}

fn close_of(error: ConnectError) -> Close {
    match error {
        ConnectError::Refused(close) | ConnectError::Protocol(close) => close,
        other => Close::new(other.code()).with_text(other.to_string()),
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
