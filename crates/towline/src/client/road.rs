//! The way from a client to its hub: for a session's first link and for every later one.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use towline_proto::ids::SessionId;
use towline_proto::session::ReceiveState;
use towline_proto::session::handshake::{self, Admission, Offer, SessionSecret};
use towline_proto::wire::close::{Close, CloseCode, Retry};

use super::dial::Place;
use super::roam::Outlook;
use super::{ClientConfig, ConnectError, hello_error, tls_error};
use crate::backoff::Backoff;
use crate::hello::Secured;
use crate::session::{Moved, Reconnect, Rejoin, Rejoined};
use crate::tls::ClientTls;
use crate::tls::keys::{self, HmacSha256};

/// Connects to the hub, again and again.
pub(super) struct Road {
    tls: ClientTls,
    place: Place,
    config: ClientConfig,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Both ends of the newest link.
    ends: Option<Ends>,
    /// A way that is open already, for the next link.
    ready: Option<Opened>,
}

/// Both ends of a TCP connection.
#[derive(Clone, Copy, Debug)]
struct Ends {
    local: SocketAddr,
    hub: SocketAddr,
}

/// A connection on which the hub has proved its key and nothing was said yet.
struct Opened {
    link: Secured,
    ends: Option<Ends>,
    /// When the hub's patience for the hello is over.
    until: Instant,
}

impl Road {
    pub(super) fn new(tls: ClientTls, place: Place, config: ClientConfig) -> Self {
        Self { tls, place, config, state: Mutex::default() }
    }

    pub(super) fn offer(&self) -> Offer {
        Offer { params: self.config.params, ..Offer::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held, and each field is whole at every moment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn open(&self) -> Result<Opened, ConnectError> {
        let carried = self.place.dial(self.config.connect_timeout).await.map_err(ConnectError::Unreachable)?;
        let ends = carried.local.zip(carried.remote).map(|(local, hub)| Ends { local, hub });
        let until = Instant::now() + self.config.handshake_timeout;
        let secured = timeout_at(until, Secured::connect(carried, &self.tls)).await;
        let link = secured.map_err(|_| self.too_slow())?.map_err(tls_error)?;
        Ok(Opened { link, ends, until })
    }

    fn too_slow(&self) -> ConnectError {
        ConnectError::Timeout(self.config.handshake_timeout)
    }

    /// Connects, and says what `begin` writes.
    pub(super) async fn walk(
        &self,
        begin: impl FnOnce(&Secured, &mut Vec<u8>) -> handshake::AwaitServerHello,
    ) -> Result<(Secured, Admission), ConnectError> {
        let ready = self.state().ready.take();
        let Opened { mut link, ends, until } = match ready {
            Some(opened) => opened,
            None => self.open().await?,
        };
        let hello = async {
            let mut out = Vec::new();
            let state = begin(&link, &mut out);
            link.say(&out).await.map_err(|error| ConnectError::Broken(error.to_string()))?;
            link.listen(state, |state, input| state.handle(input)).await.map_err(hello_error)
        };
        let admission = timeout_at(until, hello).await.map_err(|_| self.too_slow())??;
        self.state().ends = ends;
        Ok((link, admission))
    }

    async fn rejoin(
        &self,
        session: SessionId,
        secret: &SessionSecret,
        received: ReceiveState,
    ) -> Result<Rejoined, ConnectError> {
        let begin = |link: &Secured, out: &mut Vec<u8>| {
            // Without an exporter the proof is wrong and the server refuses; it cannot be missing after a handshake.
            let exporter = link.proven.exporter.export(handshake::JOIN_EXPORTER_LABEL).unwrap_or_default();
            handshake::begin_join(self.offer(), session, received, secret, &exporter, &HmacSha256, out)
        };
        let (link, admission) = self.walk(begin).await?;
        match admission {
            Admission::Joined { received, .. } => Ok(Rejoined::Link(Box::new(link.into_link()), received)),
            Admission::Gone => Ok(Rejoined::Gone),
            Admission::New { .. } => Err(ConnectError::Protocol(Close::new(CloseCode::Protocol))),
        }
    }

    /// Where to look for changes of this machine's address, if that is wanted and links have addresses.
    fn outlook(&self) -> Option<(Outlook, Ends)> {
        let every = self.config.address_check;
        let ends = self.state().ends.filter(|_| !every.is_zero())?;
        Some((Outlook { hub: ends.hub, every }, ends))
    }

    /// Waits after a failed try, but no longer than until this machine has another address: then the network is back.
    async fn pause(&self, wait: Duration) {
        let Some((outlook, _)) = self.outlook() else { return sleep(wait).await };
        tokio::select! {
            () = sleep(wait) => {}
            _ = outlook.changed(outlook.source()) => {}
        }
    }

    /// Ends when this machine has another address towards the hub than the link that lives, and a way from there is
    /// open: the old link is worth more than a new address from which the hub does not answer.
    async fn moved(&self) {
        let Some((outlook, ends)) = self.outlook() else { return std::future::pending().await };
        let old = ends.local.ip();
        let (mut known, mut backoff) = (old, Backoff::new());
        loop {
            let source = outlook.changed(Some(known)).await;
            match self.open().await {
                // Only what is no TCP goes from there: a rule of the routes, not a new network.
                Ok(opened) if opened.ends.is_some_and(|ends| ends.local.ip() == old) => known = source,
                Ok(opened) => {
                    tracing::info!(from = %old, to = %source, "this machine has another address; the session moves");
                    self.state().ready = Some(opened);
                    return;
                }
                Err(error) => {
                    tracing::debug!(%source, %error, "another address, and the hub does not answer there yet");
                    sleep(wait_after(&error, &mut backoff)).await;
                }
            }
        }
    }
}

/// A session's way back.
pub(super) struct WayBack {
    pub(super) road: Arc<Road>,
    pub(super) session: SessionId,
    pub(super) secret: SessionSecret,
}

impl Reconnect for WayBack {
    /// Tries until there is an answer that counts; the session's own time ends it otherwise.
    fn rejoin(&mut self, received: ReceiveState) -> Rejoin {
        let (road, session, secret) = (self.road.clone(), self.session, self.secret.clone());
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
                let wait = wait_after(&error, &mut backoff);
                match error {
                    ConnectError::Refused(_) => sleep(wait).await,
                    _ => road.pause(wait).await,
                }
            }
        })
    }

    fn moved(&mut self) -> Moved {
        let road = self.road.clone();
        Box::pin(async move { road.moved().await })
    }
}

fn wait_after(error: &ConnectError, backoff: &mut Backoff) -> Duration {
    let wait = backoff.wait(keys::random_number());
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
