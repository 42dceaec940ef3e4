//! What has happened at a server, counted by reason.

use std::collections::BTreeMap;
use std::sync::Mutex;

use towline_proto::wire::close::CloseCode;

use crate::session::PoolStats;
use crate::tls::KeyExchange;

/// Counts since the start, for `/metrics`. Reasons are the words of the close codes.
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
    /// Links of sessions, first ones and later ones, whose key exchange was not post-quantum.
    pub not_post_quantum: u64,
    /// Connections refused, or given up before they were a session's link.
    pub refused: BTreeMap<&'static str, u64>,
    /// Sessions ended.
    pub closed: BTreeMap<&'static str, u64>,
    /// Sessions alive now.
    pub sessions: usize,
    /// Connections now in their handshake or just before it.
    pub handshakes: usize,
    /// Connections now, handshakes included.
    pub connections: usize,
    /// The memory that sessions share.
    pub memory: PoolStats,
}

/// The counts, as the server's tasks add to them.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<Counters>);

impl Tally {
    pub(super) fn add(&self, change: impl FnOnce(&mut Counters)) {
        change(&mut self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
    }

    /// A link that a session takes, by this key exchange, and what else it counts as.
    pub(super) fn link(&self, key_exchange: KeyExchange, counts: impl FnOnce(&mut Counters)) {
        self.add(|counters| {
            counts(counters);
            counters.not_post_quantum += u64::from(!key_exchange.is_post_quantum());
        });
    }

    pub(super) fn refused(&self, code: CloseCode) {
        self.add(|counters| *counters.refused.entry(code.word()).or_default() += 1);
    }

    pub(super) fn closed(&self, code: CloseCode) {
        self.add(|counters| *counters.closed.entry(code.word()).or_default() += 1);
    }

    pub(super) fn read(&self) -> Counters {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }
}
