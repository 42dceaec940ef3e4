//! From a connection to a session's link: TLS, hello, admission.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;
use tokio::time::timeout;
use towline_proto::ids::SessionId;
use towline_proto::mail::keys::PublicKey;
use towline_proto::session::handshake::{
    self, Asked, AwaitClientHello, Claimant, Failure, Newcomer, Offer, SessionSecret,
};
use towline_proto::session::{Session as Core, Side};
use towline_proto::stream_link::LinkConfig;
use towline_proto::wire::close::{Close, CloseCode};

use super::counters::Tally;
use super::{Admit, Limits, Plugin};
use crate::hello::{HelloError, Secured};
use crate::listen::{Entry, Gate, Pass};
use crate::session::{Clock, FreshLink, JOINS_MAX, Join, Session, SessionTask, Shared, Supply};
use crate::tls::ServerTls;
use crate::tls::keys::{self, HmacSha256};
use crate::transport::Carried;

/// What all connections of one server share.
pub(super) struct House<P> {
    pub(super) tls: ServerTls,
    pub(super) limits: Limits,
    pub(super) admit: Admit,
    pub(super) plugin: P,
    pub(super) gate: Arc<Gate>,
    pub(super) tally: Tally,
    pub(super) sessions: Mutex<HashMap<SessionId, Resident>>,
}

/// A session as the table knows it.
pub(super) struct Resident {
    peer: PublicKey,
    secret: SessionSecret,
    joins: mpsc::Sender<Box<Join>>,
    pub(super) shared: Arc<Shared>,
}

impl<P: Plugin> House<P> {
    /// Takes a connection in, within the limits.
    pub(super) fn take(self: &Arc<Self>, carried: Carried) {
        self.tally.add(|counters| counters.accepted += 1);
        let address = carried.remote.map(|remote| remote.ip());
        let (pass, welcome) = match self.gate.enter(address) {
            Entry::Welcome(pass) => (pass, true),
            Entry::ToBeRefused(pass, _) => (pass, false),
            Entry::Dropped(_) => return self.tally.refused(CloseCode::TooManyConnections),
        };
        let house = self.clone();
        tokio::spawn(async move {
            let remote = carried.remote;
            let limit = house.limits.handshake_timeout;
            let code = match timeout(limit, house.greet(carried, pass, welcome)).await {
                Ok(Ok(())) => return,
                Ok(Err(code)) => code,
                Err(_) => CloseCode::HandshakeTimeout,
            };
            tracing::info!(?remote, reason = code.word(), "connection refused");
            house.tally.refused(code);
        });
    }

    /// TLS and hello; the caller bounds the time.
    async fn greet(self: &Arc<Self>, carried: Carried, pass: Pass, welcome: bool) -> Result<(), CloseCode> {
        let mut link = Secured::accept(carried, &self.tls).await.map_err(|error| {
            tracing::debug!(%error, "TLS failed");
            CloseCode::Tls
        })?;
        let state = AwaitClientHello::new(Offer { params: self.limits.params, ..Offer::default() });
        let mut out = Vec::new();
        let allowed = if welcome { (self.admit)(&link.peer()) } else { Err(Close::new(CloseCode::TooManyConnections)) };
        if let Err(close) = allowed {
            let failure = state.refuse(close, &mut out);
            link.say_and_close(&out).await;
            return Err(failure.close().code);
        }
        match link.listen(state, |state, input| state.handle(input, &mut out)).await {
            Ok(Asked::New(newcomer)) => self.begin(link, newcomer, pass).await,
            Ok(Asked::Join(claimant)) => self.join(link, claimant, pass).await,
            Err(HelloError::Io(_)) => Err(CloseCode::LinkLost),
            Err(HelloError::Failed(failure)) => Err(self.turn_away(link, failure, &out).await),
        }
    }

    async fn turn_away(&self, link: Secured, failure: Failure, out: &[u8]) -> CloseCode {
        link.say_and_close(out).await;
        failure.close().code
    }

    /// A new session: its task and its plug-in start.
    async fn begin(self: &Arc<Self>, link: Secured, newcomer: Newcomer, mut pass: Pass) -> Result<(), CloseCode> {
        let peer = link.peer();
        let secret = link.proven.exporter.export(handshake::SESSION_SECRET_LABEL).map_err(|_| CloseCode::Tls)?;
        let mut out = Vec::new();
        let mut id = SessionId([0; 16]);
        keys::random(&mut id.0);
        let (joins, joining) = mpsc::channel(JOINS_MAX);
        let params = newcomer.params();
        let member = match self.limits.pool.admit() {
            Ok(member) => member,
            Err(refused) => {
                newcomer.refuse(Close::new(CloseCode::Memory).with_text(refused.to_string()), &mut out);
                link.say_and_close(&out).await;
                return Err(CloseCode::Memory);
            }
        };
        let own = self.limits.pool.first_grants(self.limits.params);
        let core = Core::new(Side::Server, id, own, params);
        let shared = Shared::new(core, peer, Clock::new(), member);
        let resident = Resident { peer, secret: SessionSecret(secret), joins, shared: shared.clone() };
        let full = {
            let mut sessions = self.sessions.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let full = sessions.len() >= self.limits.sessions;
            if !full {
                sessions.insert(id, resident);
            }
            full
        };
        if full {
            newcomer.refuse(Close::new(CloseCode::TooManySessions), &mut out);
            link.say_and_close(&out).await;
            return Err(CloseCode::TooManySessions);
        }
        newcomer.admit(id, Some(own), &mut out);
        pass.handshake_done();
        let key_exchange = link.proven.key_exchange;
        self.tally.link(key_exchange, |counters| counters.opened += 1);
        tracing::info!(session = %id, peer = %shared.peer_hash, remote = ?link.remote(), %key_exchange, "session opened");
        let config = LinkConfig { probe_period: self.limits.probe_period };
        let first = FreshLink { pass: Some(pass), ..link.into_link() };
        let task = SessionTask::new(shared.clone(), first, &out, Supply::Joins(joining), config);
        tokio::spawn(task);
        tokio::spawn(self.clone().host(shared));
        Ok(())
    }

    /// Runs the plug-in, closes the session when it returns, and takes it off the table at its end.
    async fn host(self: Arc<Self>, shared: Arc<Shared>) {
        let session = Session::new(shared.clone());
        // In a task of its own, so that a plug-in that panics or hangs leaves no session on the table.
        let house = self.clone();
        let guest = session.clone();
        let plugin = tokio::spawn(async move { house.plugin.session(guest).await });
        tokio::select! {
            done = plugin => match done {
                Ok(()) => session.close(Close::new(CloseCode::Done)),
                Err(_) => session.close(Close::new(CloseCode::Internal).with_text("the plug-in failed")),
            },
            _ = session.closed() => {}
        }
        let ended = session.closed().await;
        tracing::debug!(session = %shared.id, reason = %ended, "session over");
        self.sessions.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).remove(&shared.id);
        self.tally.closed(ended.code());
    }

    /// A further link of a session that is here, if the same key proves that it belongs to it.
    async fn join(&self, link: Secured, claimant: Claimant, mut pass: Pass) -> Result<(), CloseCode> {
        let found = {
            let sessions = self.sessions.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let resident = sessions.get(&claimant.session()).filter(|resident| resident.peer == link.peer());
            resident.map(|resident| (resident.secret.clone(), resident.joins.clone()))
        };
        let mut out = Vec::new();
        let Some((secret, joins)) = found else {
            claimant.gone(&mut out);
            link.say_and_close(&out).await;
            return Err(CloseCode::Gone);
        };
        let exporter = link.proven.exporter.export(handshake::JOIN_EXPORTER_LABEL).map_err(|_| CloseCode::Tls)?;
        let joiner = match claimant.prove(&secret, &exporter, &HmacSha256, &mut out) {
            Ok(joiner) => joiner,
            Err(failure) => return Err(self.turn_away(link, failure, &out).await),
        };
        pass.handshake_done();
        let link = FreshLink { pass: Some(pass), ..link.into_link() };
        let key_exchange = link.key_exchange;
        // If the session ended meanwhile, dropping the link makes the peer ask again and hear `gone`.
        joins.send(Box::new(Join { link, joiner })).await.map_err(|_| CloseCode::Gone)?;
        self.tally.link(key_exchange, |counters| counters.resumed += 1);
        Ok(())
    }
}
