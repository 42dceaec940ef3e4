//! A session: the lasting, authenticated relation with one peer.

mod bells;
mod clock;
mod error;
mod link;
mod link_stream;
mod messages;
#[cfg(feature = "plain-test-links")]
mod plain;
mod pool;
mod shared;
mod stream;
mod task;

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use towline_proto::ids::{KeyHash, Lane, SessionId};
use towline_proto::mail::keys::PublicKey;
use towline_proto::session::{OpenError as CoreOpenError, Order};
use towline_proto::wire::close::{Close, CloseCode};

use crate::tls::KeyExchange;
use bells::{Turn, wait};
pub(crate) use clock::Clock;
pub use error::{Ended, EndedBy, OpenError, RecvError, SendError, Undecided};
pub(crate) use link::FreshLink;
pub(crate) use link_stream::LinkStream;
use messages::{confirmed, fits, receive, receive_many, send_many, send_message, take};
#[cfg(feature = "plain-test-links")]
pub use plain::over_plain_link;
pub use pool::{Pool, PoolStats};
pub(crate) use shared::Shared;
use shared::State;
pub use stream::{RecvHalf, SendHalf, Stream};
pub(crate) use task::{JOINS_MAX, Join, Moved, Reconnect, Rejoin, Rejoined, SessionTask, Supply};
pub use towline_proto::session::Stats;
pub use towline_proto::session::pool::{Level, Refused, TooSmall};

/// Whether a session has a link right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// At least one link carries it.
    Connected,
    /// No link does; what is sent waits for the next one.
    Disconnected,
    /// The session is over.
    Ended,
}

/// One link of a session, as `ping` and `doctor` show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkInfo {
    /// The peer's address; `None` for links in memory.
    pub remote: Option<SocketAddr>,
    /// `tcp` or `memory`.
    pub transport: &'static str,
    /// How its two ends came to their secrets.
    pub key_exchange: KeyExchange,
    /// The round-trip time last measured by a probe.
    pub rtt: Option<Duration>,
}

/// A cheap handle; clones mean the same session.
///
/// **When does a send return?** `send` when the message is *taken into credit*: it lies in this side's memory, the peer
/// has room for it, and it goes as soon as a link can carry it. `send_confirmed` when it lies in the peer's memory.
/// Neither says that the peer's application saw it, nor that it is on a disk: that is the mailbox's word.
///
/// Every async function here may be dropped at any time: what has not returned has taken and given nothing, except
/// that a dropped `send_confirmed` may have sent. When the last handle is dropped (streams count too), the session is
/// closed with `done` after everything sent is confirmed.
#[derive(Clone)]
pub struct Session {
    shared: Arc<Shared>,
    _handles: Arc<CloseOnDrop>,
}

/// Closes the session when the last handle goes.
struct CloseOnDrop(Arc<Shared>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close(Close::new(CloseCode::Done));
    }
}

/// A turn on a lane with room for one message; see [`Session::reserve`].
pub struct Permit {
    session: Session,
    lane: Lane,
    room: usize,
    _turn: Turn,
}

impl Permit {
    /// Sends a message of at most the reserved size; it is taken into credit at once.
    ///
    /// # Errors
    /// [`SendError::TooLarge`] for a larger one, or the session's end.
    pub fn send(self, message: impl Into<Bytes>) -> Result<(), SendError> {
        let message = message.into();
        if message.len() > self.room {
            return Err(SendError::TooLarge { max_bytes: self.room });
        }
        let (key, _) = self.session.shared.lane(self.lane);
        self.session.shared.command(|state| take(state, key, &message)).map(drop)
    }
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let _handles = Arc::new(CloseOnDrop(shared.clone()));
        Self { shared, _handles }
    }

    /// The session's name.
    pub fn id(&self) -> SessionId {
        self.shared.id
    }

    /// The peer's key, proven by TLS.
    pub fn peer(&self) -> PublicKey {
        self.shared.peer
    }

    /// The name of the peer's key.
    pub fn peer_hash(&self) -> KeyHash {
        self.shared.peer_hash
    }

    /// The links it has now.
    pub fn links(&self) -> Vec<LinkInfo> {
        self.shared.lock().links.clone()
    }

    /// How often its last link was lost, since it began. Who looks at [`Session::link_state`] now and then misses a
    /// loss that was made good in between; this number tells of it.
    pub fn link_losses(&self) -> u64 {
        self.shared.lock().losses
    }

    /// Whether it has a link, to be watched.
    pub fn link_state(&self) -> watch::Receiver<LinkState> {
        self.shared.link_state.subscribe()
    }

    /// Figures: memory held, bytes sent and sent again, streams.
    pub fn stats(&self) -> Stats {
        self.shared.lock().core.stats()
    }

    /// Sends a message on the lane's permanent stream; returns when it is taken into credit.
    ///
    /// Senders on one lane are served in the order in which they came.
    pub async fn send(&self, lane: Lane, message: impl Into<Bytes>) -> Result<(), SendError> {
        let (key, bells) = self.shared.lane(lane);
        send_message(&self.shared, key, bells, &message.into()).await.map(drop)
    }

    /// Sends a message; returns when it lies in the peer's memory.
    pub async fn send_confirmed(&self, lane: Lane, message: impl Into<Bytes>) -> Result<(), SendError> {
        let (key, bells) = self.shared.lane(lane);
        let mark = send_message(&self.shared, key, bells, &message.into()).await?;
        confirmed(&self.shared, key, bells, mark).await
    }

    /// Sends a message if there is credit for it now and nobody waits before it.
    pub fn try_send(&self, lane: Lane, message: impl Into<Bytes>) -> Result<(), SendError> {
        let (key, bells) = self.shared.lane(lane);
        if !bells.writable.is_empty() {
            return Err(SendError::Full);
        }
        let message = message.into();
        self.shared.command(|state| take(state, key, &message)).map(drop)
    }

    /// Sends all of `messages` in their order, each time as many as there is credit for, and waits for more. Cheaper than
    /// one by one when there are many small ones.
    ///
    /// Cancel safe: what was not taken into credit is still in `messages`.
    ///
    /// # Errors
    /// [`SendError::TooLarge`] of the first that is left in `messages`, or the session's end.
    pub async fn send_all(&self, lane: Lane, messages: &mut VecDeque<Bytes>) -> Result<(), SendError> {
        let (key, bells) = self.shared.lane(lane);
        while !messages.is_empty() {
            send_many(&self.shared, key, bells, messages).await?;
        }
        Ok(())
    }

    /// Waits for a turn with room for a message of up to `bytes`, which is then held: make the message after this, not
    /// before. Other senders of this lane wait as long as the permit lives.
    pub async fn reserve(&self, lane: Lane, bytes: usize) -> Result<Permit, SendError> {
        let (key, bells) = self.shared.lane(lane);
        let turn = bells.turn().await;
        bells.writable.wait(|| self.shared.command(|state| fits(state, key, bytes))).await?;
        Ok(Permit { session: self.clone(), lane, room: bytes, _turn: turn })
    }

    /// The next message of a lane.
    pub async fn recv(&self, lane: Lane) -> Result<Bytes, RecvError> {
        let (key, bells) = self.shared.lane(lane);
        wait(&bells.readable, || self.shared.command(|state| receive(state, key)))
            .await
            .and_then(|message| message.ok_or_else(|| RecvError::Ended(self.shared.lock().over())))
    }

    /// Waits for messages of a lane and appends those that are there to `messages`, at most `max`; returns how many, which
    /// is none only if `max` is 0. Cheaper than one by one when there are many small ones, which then share memory (4 KiB
    /// at most), kept until the last of them is dropped.
    ///
    /// Cancel safe: a future that is dropped before it is ready has appended nothing.
    pub async fn recv_many(&self, lane: Lane, messages: &mut Vec<Bytes>, max: usize) -> Result<usize, RecvError> {
        if max == 0 {
            return Ok(0);
        }
        let (key, bells) = self.shared.lane(lane);
        wait(&bells.readable, || self.shared.command(|state| receive_many(state, key, messages, max))).await
    }

    /// The next message of any lane, urgent ones first.
    pub async fn recv_any(&self) -> Result<(Lane, Bytes), Ended> {
        let next = || self.shared.command(|state| self.next_of_any(state));
        wait(&self.shared.any_readable, next).await
    }

    fn next_of_any(&self, state: &mut State) -> Option<Result<(Lane, Bytes), Ended>> {
        for (lane, (key, _)) in self.shared.lanes.iter().enumerate() {
            if let Some(Ok(Some(message))) = receive(state, *key) {
                return Some(Ok((Lane(lane as u8), message)));
            }
        }
        state.ended.clone().map(Err)
    }

    /// Opens a stream; waits in turn while as many are open as the peer allows. The peer sees it with its first bytes.
    ///
    /// # Errors
    /// [`OpenError::Memory`] near the bound of the pool; or the session's end.
    pub async fn open(&self, lane: Lane) -> Result<Stream, OpenError> {
        self.shared.openable.wait_in_turn(|| self.shared.command(|state| self.open_now(state, lane))).await
    }

    fn open_now(&self, state: &mut State, lane: Lane) -> Option<Result<Stream, OpenError>> {
        match state.core.open(lane, Order::Sequence) {
            Ok(key) => {
                let bells = state.enter(key, lane);
                Some(Ok(Stream::new(self.clone(), key, bells)))
            }
            Err(CoreOpenError::TooMany) => None,
            Err(CoreOpenError::Memory) => Some(Err(OpenError::Memory)),
            Err(CoreOpenError::Closed) => Some(Err(state.over().into())),
        }
    }

    /// The next stream that the peer opened, and its lane.
    pub async fn accept(&self) -> Result<(Lane, Stream), Ended> {
        let next = || self.shared.command(|state| self.next_opened(state));
        wait(&self.shared.acceptable, next).await
    }

    fn next_opened(&self, state: &mut State) -> Option<Result<(Lane, Stream), Ended>> {
        while let Some((key, lane)) = state.opened.pop_front() {
            if let Some(entry) = state.streams.get(&key) {
                let stream = Stream::new(self.clone(), key, entry.bells.clone());
                return Some(Ok((lane, stream)));
            }
        }
        state.ended.clone().map(Err)
    }

    /// Ends the session. With `done` or `draining` nothing new is taken, what was sent is confirmed first, then the peer
    /// is told; with any other reason the peer is told at once. [`Session::closed`] waits for it.
    pub fn close(&self, reason: Close) {
        self.shared.close(reason);
    }

    /// Waits for the session's end and says why.
    pub async fn closed(&self) -> Ended {
        self.shared.until_over().await
    }

    /// Waits until the session is over and its last words have left (for at most 2 s after its end). A program that
    /// exits earlier may leave its peer waiting for this session to come back.
    pub async fn parted(&self) {
        self.shared.until_parted().await;
    }

    /// After the end: the messages that were taken and of which nobody knows whether the peer has them.
    pub fn undecided(&self) -> Vec<Undecided> {
        self.shared.lock().undecided.clone()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({}, peer {})", self.shared.id, self.shared.peer_hash)
    }
}
