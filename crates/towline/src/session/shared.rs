//! What handles and the task share: the core behind a lock, and the bells that wake who waits.
//!
//! Who touches what: the **task** alone owns the links, feeds time and what came, and pulls what goes. **Handles** give
//! commands. Both hold the lock while they compute and never across a system call or an await, so a handle waits for
//! the task's decoding of at most 16 KiB, or its gathering of at most 64 KiB, and for no socket. After every change the
//! core's events are drained before the lock is let go (one change, then every output), and the pool hears what the
//! session takes now. `docs/decisions/003` says why this is a lock and no channel.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::task::Waker;

use tokio::sync::{Notify, watch};
use towline_proto::ids::{KeyHash, Lane, SessionId};
use towline_proto::limits::LANE_CREDIT_BYTES;
use towline_proto::mail::keys::PublicKey;
use towline_proto::session::pool::{Ask, Usage};
use towline_proto::session::{EndReason, Event, Mark, Session as Core, StreamKey};
use towline_proto::wire::close::{Close, CloseCode};

use super::bells::{Bells, Line, wait};
use super::clock::Clock;
use super::error::{Ended, EndedBy, Undecided};
use super::pool::Member;
use super::{LinkInfo, LinkState};

/// Up to so many bytes less may be promised than the pool was told, until the session's task works next: a lane's own
/// credit. What is held is told at once.
const UNREPORTED_MAX_BYTES: u64 = LANE_CREDIT_BYTES;

/// One opened stream as the shell knows it.
#[derive(Debug)]
pub(crate) struct StreamEntry {
    pub(crate) bells: Arc<Bells>,
    pub(crate) lane: Lane,
    /// Our end is in the peer's memory.
    pub(crate) finished: bool,
    /// The peer wants no more, with this code.
    pub(crate) stopped: Option<u32>,
    /// Halves that the application still holds.
    pub(crate) halves: u8,
}

/// What is behind the lock.
pub(crate) struct State {
    pub(crate) core: Core,
    pub(crate) streams: HashMap<StreamKey, StreamEntry>,
    /// Streams that the peer opened and nobody accepted yet; the core bounds how many.
    pub(crate) opened: VecDeque<(StreamKey, Lane)>,
    pub(crate) links: Vec<LinkInfo>,
    /// How often the last link was lost.
    pub(crate) losses: u64,
    pub(crate) ended: Option<Ended>,
    /// The task is gone: its last words have left, or the time for them is over.
    pub(crate) parted: bool,
    /// The close that an orderly end waits to send; nothing new is taken any more.
    pub(crate) closing: Option<Close>,
    /// What the peer must still be told about an end that did not wait for the core to say it.
    pub(crate) last_word: Option<Close>,
    pub(crate) undecided: Vec<Undecided>,
    /// What the pool was last told.
    reported: Option<(Usage, Ask, bool)>,
    /// Wakes the task.
    task: Option<Waker>,
    /// What the task sleeps with; `None` while it works or was woken.
    asleep: Option<Asleep>,
}

/// What a task that sleeps has seen.
#[derive(Clone, Copy, Debug)]
struct Asleep {
    /// A link has room: what there is to send can go.
    has_room: bool,
    /// It looks at the pool again by itself.
    waits_for_pool: bool,
}

/// A session, for its handles and its task.
pub(crate) struct Shared {
    pub(crate) id: SessionId,
    pub(crate) peer: PublicKey,
    pub(crate) peer_hash: KeyHash,
    pub(crate) clock: Clock,
    pub(super) member: Member,
    state: Mutex<State>,
    /// Of every lane's permanent stream; its bells are made for the first who uses it.
    pub(crate) lanes: [(StreamKey, OnceLock<Arc<Bells>>); Lane::COUNT],
    pub(crate) any_readable: Notify,
    pub(crate) openable: Line,
    pub(crate) acceptable: Notify,
    pub(crate) over: Notify,
    pub(crate) link_state: watch::Sender<LinkState>,
}

impl Shared {
    pub(crate) fn new(core: Core, peer: PublicKey, clock: Clock, member: Member) -> Arc<Self> {
        let id = core.id();
        let lanes = std::array::from_fn(|lane| (core.lane(Lane(lane as u8)), OnceLock::new()));
        let state = State {
            core,
            streams: HashMap::new(),
            opened: VecDeque::new(),
            links: Vec::new(),
            losses: 0,
            ended: None,
            parted: false,
            closing: None,
            last_word: None,
            undecided: Vec::new(),
            reported: None,
            task: None,
            asleep: None,
        };
        let shared = Arc::new(Self {
            id,
            peer,
            peer_hash: crate::identity::key_hash(&peer),
            clock,
            member,
            state: Mutex::new(state),
            lanes,
            any_readable: Notify::new(),
            openable: Line::default(),
            acceptable: Notify::new(),
            over: Notify::new(),
            link_state: watch::Sender::new(LinkState::Disconnected),
        });
        shared.member.introduce(&shared);
        shared.change(|_| ());
        shared
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock is a fault of ours in one session; its other users end with their next call.
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(crate) fn lane(&self, lane: Lane) -> (StreamKey, &Arc<Bells>) {
        let (key, bells) = &self.lanes[usize::from(lane.0).min(Lane::COUNT - 1)];
        (*key, bells.get_or_init(Arc::default))
    }

    /// Makes one change, with what the pool allows; drains the events, tells the pool, and does what follows from that
    /// for others.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        self.settle_after(self.change_alone(0, change))
    }

    /// Makes a change for a handle: the task is woken if that gave it something to do.
    #[inline]
    pub(crate) fn command<R>(&self, command: impl FnOnce(&mut State) -> R) -> R {
        let change = |state: &mut State| {
            let answer = command(state);
            state.rouse_task();
            answer
        };
        self.settle_after(self.change_alone(UNREPORTED_MAX_BYTES, change))
    }

    fn settle_after<R>(&self, (answer, to_settle): (R, bool)) -> R {
        if to_settle {
            self.member.settle();
        }
        answer
    }

    /// The same without what follows for others; says whether something does.
    #[inline]
    fn change_alone<R>(&self, unreported: u64, change: impl FnOnce(&mut State) -> R) -> (R, bool) {
        let mut state = self.lock();
        state.core.allow(self.member.view());
        let answer = change(&mut state);
        self.drain(&mut state);
        (answer, self.report(&mut state, unreported))
    }

    /// Tells the pool what is held and promised now, unless nothing changed but that up to `unreported` bytes less are
    /// promised.
    fn report(&self, state: &mut State, unreported: u64) -> bool {
        let now = (state.core.usage(), state.core.asks(), state.core.is_ended());
        let known = |(known, ask, ended): (Usage, Ask, bool)| {
            let less = known.promised.checked_sub(now.0.promised);
            known.held == now.0.held && less.is_some_and(|less| less <= unreported) && (ask, ended) == (now.1, now.2)
        };
        // Who waits says so each time: its turn may have been taken away meanwhile.
        if now.1 == Ask::Nothing && state.reported.is_some_and(known) {
            return false;
        }
        state.reported = Some(now);
        self.member.report(now.0, now.1, now.2)
    }

    /// The task has done all that it saw and would sleep. Says whether there is nothing more; it is woken by the first
    /// command that changes that.
    pub(crate) fn may_sleep(&self, has_room: bool) -> bool {
        let mut state = self.lock();
        state.asleep = Some(Asleep { has_room, waits_for_pool: state.core.waits_for_pool() });
        let sleeps = !state.is_work_for_task();
        if !sleeps {
            state.asleep = None;
        }
        sleeps
    }

    /// The pool allows something else now.
    pub(super) fn look_at_pool(&self) {
        self.change_alone(0, |state| state.wake_task());
    }

    /// Ends the session in order; see [`super::Session::close`].
    pub(crate) fn close(&self, close: Close) {
        self.change(|state| {
            state.core.close(close.clone());
            state.closing.get_or_insert(close);
            state.wake_task();
        });
    }

    /// Ends the session here and now and lets go of what was not read; the peer is told if a link still can.
    pub(crate) fn cut(&self, close: Close) {
        self.change(|state| state.cut(close));
    }

    /// The same at the pool's word, which goes on by itself.
    pub(super) fn cut_for_memory(&self, close: Close) {
        self.change_alone(0, |state| state.cut(close));
    }

    /// Waits for the session's end and says why.
    pub(crate) async fn until_over(&self) -> Ended {
        wait(&self.over, || self.lock().ended.clone()).await
    }

    /// Waits until the task is gone.
    pub(crate) async fn until_parted(&self) {
        wait(&self.over, || self.lock().parted.then_some(())).await;
    }

    /// The task goes.
    pub(crate) fn part(&self) {
        self.lock().parted = true;
        self.over.notify_waiters();
    }

    /// Takes every event out of the core and rings the bells.
    fn drain(&self, state: &mut State) {
        while let Some(event) = state.core.poll_event() {
            match event {
                Event::Opened(key, lane) => {
                    state.enter(key, lane);
                    state.opened.push_back((key, lane));
                    self.acceptable.notify_waiters();
                }
                Event::Readable(key) => {
                    if let Some(bells) = self.bells(state, key) {
                        bells.readable.notify_waiters();
                    }
                    if self.is_lane(key) {
                        self.any_readable.notify_waiters();
                    }
                }
                Event::Writable(key) => self.ring(state, key, |bells| bells.writable.ring()),
                Event::Confirmed(key, Mark(offset)) => {
                    if let Some(bells) = self.bells(state, key) {
                        bells.confirmed_to.fetch_max(offset, Ordering::Relaxed);
                        bells.confirmed.notify_waiters();
                    }
                }
                Event::Finished(key) => {
                    if let Some(entry) = state.streams.get_mut(&key) {
                        entry.finished = true;
                    }
                    self.ring(state, key, |bells| bells.confirmed.notify_waiters());
                }
                Event::Stopped(key, code) => {
                    if let Some(entry) = state.streams.get_mut(&key) {
                        entry.stopped = Some(code);
                    }
                    self.ring(state, key, Bells::ring_all);
                }
                Event::Openable => self.openable.ring(),
                Event::Ended(reason) => self.end(state, reason),
            }
        }
    }

    fn is_lane(&self, key: StreamKey) -> bool {
        self.lanes.iter().any(|(lane, _)| *lane == key)
    }

    fn bells(&self, state: &State, key: StreamKey) -> Option<Arc<Bells>> {
        match self.lanes.iter().find(|(lane, _)| *lane == key) {
            Some((_, bells)) => bells.get().cloned(),
            None => state.streams.get(&key).map(|entry| entry.bells.clone()),
        }
    }

    fn ring(&self, state: &State, key: StreamKey, ring: impl FnOnce(&Bells)) {
        if let Some(bells) = self.bells(state, key) {
            ring(&bells);
        }
    }

    fn end(&self, state: &mut State, reason: EndReason) {
        if state.ended.is_some() {
            return;
        }
        let lane_of = |key: StreamKey| {
            let permanent = self.lanes.iter().position(|(lane, _)| *lane == key).map(|lane| Lane(lane as u8));
            permanent.or_else(|| state.streams.get(&key).map(|entry| entry.lane)).unwrap_or(Lane::NORMAL)
        };
        let undecided = state.core.undecided().map(|(key, message)| Undecided { lane: lane_of(key), message });
        state.undecided = undecided.collect();
        state.core.drop_undecided();
        state.ended = Some(ended(reason));
        self.link_state.send_replace(LinkState::Ended);
        let streams = state.streams.values().map(|entry| &entry.bells);
        for bells in self.lanes.iter().filter_map(|(_, bells)| bells.get()).chain(streams) {
            bells.ring_all();
        }
        [&self.any_readable, &self.acceptable, &self.over].into_iter().for_each(Notify::notify_waiters);
        self.openable.ring();
    }
}

impl State {
    /// The task works, and is woken so later.
    pub(crate) fn wakes(&mut self, task: &Waker) {
        self.asleep = None;
        match &mut self.task {
            Some(known) => known.clone_from(task),
            none => *none = Some(task.clone()),
        }
    }

    fn wake_task(&mut self) {
        self.asleep = None;
        if let Some(task) = &self.task {
            task.wake_by_ref();
        }
    }

    /// Wakes the task if it sleeps and has something to do now.
    fn rouse_task(&mut self) {
        if self.is_work_for_task() {
            self.wake_task();
        }
    }

    fn is_work_for_task(&self) -> bool {
        self.asleep.is_some_and(|asleep| {
            let sends = asleep.has_room && self.core.wants_to_send();
            sends || self.core.waits_for_pool() && !asleep.waits_for_pool || self.core.is_ended()
        })
    }

    fn cut(&mut self, close: Close) {
        if !self.core.is_ended() {
            self.last_word = Some(close.clone());
            self.core.cut(close);
            self.wake_task();
        }
    }

    /// Notes a stream with both its halves in the application's hands (or on the way there).
    pub(crate) fn enter(&mut self, key: StreamKey, lane: Lane) -> Arc<Bells> {
        let bells = Arc::<Bells>::default();
        let entry = StreamEntry { bells: bells.clone(), lane, finished: false, stopped: None, halves: 2 };
        self.streams.insert(key, entry);
        bells
    }

    /// The session's end, or the one that is on its way. Only called where the core takes nothing any more.
    pub(crate) fn over(&self) -> Ended {
        let close = || self.closing.clone().unwrap_or(Close::new(CloseCode::Internal));
        self.ended.clone().unwrap_or_else(|| Ended { by: EndedBy::Us, close: close() })
    }
}

fn ended(reason: EndReason) -> Ended {
    let gone = |text: &str| Close::new(CloseCode::Gone).with_text(text);
    let (by, close) = match reason {
        EndReason::Closed(close) => (EndedBy::Us, close),
        EndReason::ClosedByPeer(close) => (EndedBy::Peer, close),
        EndReason::Gone => (EndedBy::Peer, gone("peer lost state")),
        EndReason::ResumeTimeOver => (EndedBy::Us, gone("no link for longer than the session is kept")),
        EndReason::Violated(violation) => (EndedBy::Us, violation.close()),
    };
    Ended { by, close }
}
