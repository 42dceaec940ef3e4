//! A session: the lasting, authenticated relation with one peer.

mod error;
mod stream;

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use towline_proto::ids::{KeyHash, Lane, SessionId};
use towline_proto::mail::keys::PublicKey;
use towline_proto::wire::close::Close;

pub use error::{Ended, EndedBy, OpenError, RecvError, SendError, Undecided};
pub use stream::{RecvHalf, SendHalf, Stream};

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
    /// The round-trip time last measured by a probe.
    pub rtt: Option<Duration>,
}

/// A cheap handle; clones mean the same session.
#[derive(Clone)]
pub struct Session {
    link_state: watch::Receiver<LinkState>,
}

/// A turn on a lane with room for one message.
pub struct Permit {
    session: Session,
}

impl Permit {
    /// Sends the message; it is taken into credit at once.
    pub fn send(self, _message: impl Into<Bytes>) -> Result<(), SendError> {
        drop(self.session);
        Err(SendError::Full)
    }
}

impl Session {
    /// The session's name.
    pub fn id(&self) -> SessionId {
        SessionId([0; 16])
    }

    /// The peer's key, proven by TLS.
    pub fn peer(&self) -> PublicKey {
        PublicKey([0; 32])
    }

    /// The name of the peer's key.
    pub fn peer_hash(&self) -> KeyHash {
        KeyHash([0; 32])
    }

    /// The links it has now.
    pub fn links(&self) -> Vec<LinkInfo> {
        Vec::new()
    }

    /// Whether it has a link, to be watched.
    pub fn link_state(&self) -> watch::Receiver<LinkState> {
        self.link_state.clone()
    }

    /// Sends a message on the lane's permanent stream; returns when it is taken into credit.
    pub async fn send(&self, _lane: Lane, _message: impl Into<Bytes>) -> Result<(), SendError> {
        Err(self.closed().await.into())
    }

    /// Sends a message; returns when it lies in the peer's memory.
    pub async fn send_confirmed(&self, lane: Lane, message: impl Into<Bytes>) -> Result<(), SendError> {
        self.send(lane, message).await
    }

    /// Sends a message if there is credit for it now.
    pub fn try_send(&self, _lane: Lane, _message: impl Into<Bytes>) -> Result<(), SendError> {
        Err(SendError::Full)
    }

    /// Waits for a turn with room for a message of `bytes`.
    pub async fn reserve(&self, _lane: Lane, _bytes: usize) -> Result<Permit, SendError> {
        Err(self.closed().await.into())
    }

    /// The next message of a lane.
    pub async fn recv(&self, _lane: Lane) -> Result<Bytes, RecvError> {
        Err(self.closed().await.into())
    }

    /// The next message of any lane, urgent ones first.
    pub async fn recv_any(&self) -> Result<(Lane, Bytes), Ended> {
        Err(self.closed().await)
    }

    /// Opens a stream.
    pub async fn open(&self, _lane: Lane) -> Result<Stream, OpenError> {
        Err(self.closed().await.into())
    }

    /// The next stream that the peer opened.
    pub async fn accept(&self) -> Result<(Lane, Stream), Ended> {
        Err(self.closed().await)
    }

    /// Ends the session, telling the peer why.
    pub fn close(&self, _close: Close) {}

    /// Waits for the end.
    pub async fn closed(&self) -> Ended {
        std::future::pending().await
    }

    /// After the end: the messages taken that the peer may or may not have got.
    pub fn undecided(&self) -> Vec<Undecided> {
        Vec::new()
    }
}
