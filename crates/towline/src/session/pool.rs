//! The memory that sessions share: the pure pool behind a lock, and the sessions that it tells.
//!
//! The order of locks: a session's, then the pool's; under the pool's lock no session is touched. So whoever reports for
//! one session lets go of it before it cuts or wakes another ([`Member::settle`]).

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use towline_proto::limits::{DEFAULT_MAX_MESSAGE_BYTES, DEFAULT_POOL_BYTES};
use towline_proto::session::pool::{Ask, Bounds, Level, MemberId, Pool as Core, Refused, TooSmall, Usage, View};
use towline_proto::wire::close::{Close, CloseCode};
use towline_proto::wire::hello::Params;

use super::clock::Clock;
use super::shared::Shared;

/// The memory that sessions hold together: those of one server, of one client, or of all that are given the same pool.
///
/// Near the bound windows stop growing and are renewed only to their base (32 KiB a session), then no new streams are
/// opened, then no new sessions; above it the session that holds most is cut with `memory`. Clones are the same pool.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    bounds: Bounds,
    clock: Clock,
    state: Mutex<State>,
    /// What all hold and were promised, to be read without the lock.
    held: AtomicU64,
    promised: AtomicU64,
}

struct State {
    core: Core,
    sessions: HashMap<MemberId, Weak<Shared>>,
    /// The level that was last logged.
    level: Level,
    refused: u64,
    cut: u64,
}

/// Figures of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// The bound, in bytes.
    pub bound_bytes: u64,
    /// Bytes that sessions hold: what came and was not read, what is unsent or unconfirmed, and the streams' records.
    pub held_bytes: u64,
    /// Bytes of credit that peers may still use, or used and were not read.
    pub promised_bytes: u64,
    /// How near the bound it is.
    pub level: Level,
    /// Sessions that share it, those that are over and unread included.
    pub sessions: usize,
    /// Of these, such as wait for their turn with a message above the base.
    pub waiting: usize,
    /// Sessions refused since the start.
    pub refused: u64,
    /// Sessions cut since the start.
    pub cut: u64,
}

impl Default for Pool {
    /// A pool of 1 GiB for messages of up to 256 KiB.
    fn default() -> Self {
        Self::new(DEFAULT_POOL_BYTES, DEFAULT_MAX_MESSAGE_BYTES).expect("the defaults fit each other; a test says so")
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stats().fmt(f)
    }
}

impl Pool {
    /// A pool of `bound` bytes for sessions whose messages, delivered whole, have up to `max_message` bytes.
    ///
    /// # Errors
    /// It must be 32 times such a message, so that one of them always has room.
    pub fn new(bound: u64, max_message: u64) -> Result<Self, TooSmall> {
        let bounds = Bounds::new(bound, max_message)?;
        let state = State { core: Core::new(bounds), sessions: HashMap::new(), level: Level::Free, refused: 0, cut: 0 };
        let (held, promised) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(Self(Arc::new(Inner { bounds, clock: Clock::new(), state: Mutex::new(state), held, promised })))
    }

    /// Figures.
    pub fn stats(&self) -> PoolStats {
        let state = self.lock();
        let total = state.core.total();
        PoolStats {
            bound_bytes: self.0.bounds.bound(),
            held_bytes: total.held,
            promised_bytes: total.promised,
            level: self.0.bounds.level(total.held),
            sessions: state.core.sessions(),
            waiting: state.core.waiting(),
            refused: state.refused,
            cut: state.cut,
        }
    }

    /// The largest message, in bytes, that always finds its turn.
    pub(crate) fn max_message(&self) -> u64 {
        self.0.bounds.max_message()
    }

    /// What a session that begins now grants first.
    pub(crate) fn first_grants(&self, wished: Params) -> Params {
        self.view(false).first_grants(wished)
    }

    /// Takes a session in.
    pub(crate) fn admit(&self) -> Result<Member, Refused> {
        let mut state = self.lock();
        match state.core.admit() {
            Ok(id) => Ok(Member { pool: self.clone(), id, turn: AtomicBool::new(false) }),
            Err(refused) => {
                state.refused += 1;
                Err(refused)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn view(&self, turn: bool) -> View {
        self.0.bounds.view(self.0.held.load(Ordering::Relaxed), self.0.promised.load(Ordering::Relaxed), turn)
    }

    /// After a change under the lock: shows the sums to everybody and logs a step towards the bound or away from it.
    /// Says whether somebody is to be told or cut.
    fn publish(&self, state: &mut State) -> bool {
        let total = state.core.total();
        self.0.held.store(total.held, Ordering::Relaxed);
        self.0.promised.store(total.promised, Ordering::Relaxed);
        let level = self.0.bounds.level(total.held);
        let before = std::mem::replace(&mut state.level, level);
        if level != before && level.max(before) >= Level::Near {
            let (held, bound) = (total.held, self.0.bounds.bound());
            tracing::warn!(held, bound, level = level.word(), before = before.word(), "memory of sessions");
        }
        level == Level::Over || state.core.is_to_tell()
    }

    /// Cuts and wakes who is to be cut and woken. No session's lock may be held.
    fn settle(&self) {
        while let Some((session, word)) = self.next_word() {
            match word {
                Word::Look => session.look_at_pool(),
                Word::Cut(usage) => {
                    let (held, bound) = (usage.held, self.0.bounds.bound());
                    tracing::warn!(session = %session.id, peer = %session.peer_hash, held, bound, "session cut: memory");
                    let text = format!("it held {held} bytes, more than any other session, over a bound of {bound}");
                    session.cut_for_memory(Close::new(CloseCode::Memory).with_text(text));
                }
            }
        }
    }

    fn next_word(&self) -> Option<(Arc<Shared>, Word)> {
        let mut state = self.lock();
        while let Some(id) = state.core.poll_told() {
            if let Some(session) = state.sessions.get(&id).and_then(Weak::upgrade) {
                session.member.turn.store(state.core.has_turn(id), Ordering::Relaxed);
                return Some((session, Word::Look));
            }
        }
        while let Some((id, usage)) = state.core.victim() {
            // Over from here on, also if its memory is just being given back.
            state.core.ended(id);
            if let Some(session) = state.sessions.get(&id).and_then(Weak::upgrade) {
                state.cut += 1;
                return Some((session, Word::Cut(usage)));
            }
        }
        None
    }
}

/// What the pool has to say to a session.
enum Word {
    Look,
    Cut(Usage),
}

/// A session's place in its pool, given back when it is dropped.
pub(crate) struct Member {
    pool: Pool,
    id: MemberId,
    turn: AtomicBool,
}

impl Member {
    /// The pool will tell this session.
    pub(super) fn introduce(&self, session: &Arc<Shared>) {
        self.pool.lock().sessions.insert(self.id, Arc::downgrade(session));
    }

    /// What the session may take now.
    pub(super) fn view(&self) -> View {
        self.pool.view(self.turn.load(Ordering::Relaxed))
    }

    /// What the session takes now, and wants; under the session's lock, so that reports come in order. Says whether
    /// [`Member::settle`] has something to do.
    pub(super) fn report(&self, usage: Usage, ask: Ask, ended: bool) -> bool {
        let mut state = self.pool.lock();
        if ended {
            state.core.ended(self.id);
        }
        state.core.report(self.pool.0.clock.now(), self.id, usage, ask);
        self.turn.store(state.core.has_turn(self.id), Ordering::Relaxed);
        self.pool.publish(&mut state)
    }

    /// Does what follows for other sessions. No session's lock may be held.
    pub(super) fn settle(&self) {
        self.pool.settle();
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let to_settle = {
            let mut state = self.pool.lock();
            state.sessions.remove(&self.id);
            state.core.leave(self.pool.0.clock.now(), self.id);
            self.pool.publish(&mut state)
        };
        if to_settle {
            self.pool.settle();
        }
    }
}

#[cfg(test)]
mod tests;
