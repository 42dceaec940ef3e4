//! What reaches the core's task.

use super::port::Backlog;
use crate::admin::{Answer, Command};
use crate::bodies::{Arrival, Bodies};
use crate::store::StoreError;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};
use towline::{Lane, Session};
use towline_proto::ids::MessageId;
use towline_proto::mail::hub::io::{Input, SessionKey};

/// Events that may wait for the core; then sessions wait, and with them their peers.
pub(crate) const EVENTS: usize = 1_024;

/// Where events go.
pub(crate) type Events = mpsc::Sender<Event>;

/// One thing for the core's task.
pub(crate) enum Event {
    /// A session began. The seat comes back, unless the hub cannot take sessions now.
    Opened { session: Session, seat: oneshot::Sender<Seat> },
    /// Something for the core itself.
    Input(Input),
    /// A body's spool is open, and hashed as far as it goes.
    SpoolOpen { session: SessionKey, id: MessageId, lane: Lane, opened: Result<Arc<Arrival>, StoreError> },
    /// An operator asks.
    Admin { command: Command, reply: oneshot::Sender<Answer> },
    /// The hub is about to end: accept nothing new.
    Drain,
    /// End: commit what was handed in, then answer.
    Stop(oneshot::Sender<()>),
}

/// What a session's tasks need of the hub.
pub(crate) struct Seat {
    pub(crate) key: SessionKey,
    pub(crate) bodies: Arc<Bodies>,
    pub(crate) takes: Takes,
    pub(crate) backlog: Backlog,
}

/// Which session was asked for which body: no other may bring it.
#[derive(Clone, Default)]
pub(crate) struct Takes(Arc<Mutex<HashMap<MessageId, SessionKey>>>);

impl Takes {
    pub(crate) fn expect(&self, id: MessageId, session: SessionKey) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, session);
    }

    pub(crate) fn forget(&self, id: MessageId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    /// Whether anybody is expected to bring it.
    pub(crate) fn is_wanted(&self, id: MessageId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&id)
    }

    pub(crate) fn is_expected(&self, id: MessageId, session: SessionKey) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&id) == Some(&session)
    }
}
