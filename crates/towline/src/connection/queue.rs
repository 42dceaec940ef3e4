//! What waits to be encoded: many senders, one connection.
//!
//! One lock guards everything. A sender takes it for each message, the connection once for a whole batch, which it moves
//! or swaps out, never larger than what it encodes at once: what waits is here and counted, what is encoded is bounded
//! by the outbox, and nothing lies in between. The two deques change places for ever, so nothing is allocated.
//!
//! Places are promised (to permits and to senders whose turn has come) before they are filled, so a promise is kept even
//! if the queue is full of others meanwhile. Nobody is woken and no message dropped while the lock is held.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::end::ConnectionConfig;
use super::stats::{Moving, Stats};
use super::waiters::Waiters;

/// What an idle queue keeps room for, in messages.
const KEPT_WHEN_IDLE_MESSAGES: usize = 4;

/// What is done with a message for which there is no room; each sender has its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// The sender waits until there is room.
    #[default]
    Wait,
    /// The sender gets the message back as [`SendError::Full`](super::SendError::Full).
    Refuse,
    /// The oldest waiting message of any sender with this policy is dropped; when there is none, the new one. Messages
    /// of senders with another policy are never dropped for it.
    DropOldest,
    /// The new message is dropped.
    DropNewest,
    /// The connection ends with [`TooSlow`](super::ConnectionEnd::TooSlow).
    Disconnect,
}

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) messages: usize,
    pub(super) bytes: usize,
    pub(super) urgent_messages: usize,
}

impl Bounds {
    pub(super) fn of(config: &ConnectionConfig) -> Self {
        let &ConnectionConfig { queue_messages, queue_bytes, urgent_messages, .. } = config;
        Self { messages: queue_messages, bytes: queue_bytes, urgent_messages }
    }
}

/// Some messages and what they weigh together.
struct Load {
    messages: usize,
    bytes: usize,
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Full,
    Gone,
}

struct Entry<M> {
    message: M,
    /// Whether its sender's policy allows to drop it.
    droppable: bool,
}

/// The queue as its two ends share it.
pub(super) struct Queue<M> {
    /// How many bytes a message counts.
    pub(super) weigh: fn(&M) -> usize,
    bounds: Bounds,
    senders: AtomicUsize,
    pub(super) moving: Moving,
    /// Whether there may be something to take out; set under the lock. Who looks without it looks again when it parks.
    has_news: AtomicBool,
    state: Mutex<State<M>>,
}

struct State<M> {
    normal: VecDeque<Entry<M>>,
    urgent: VecDeque<M>,
    /// What the messages in `normal` weigh.
    bytes: usize,
    promised_messages: usize,
    promised_bytes: usize,
    waiters: Waiters,
    /// The connection's task, while it does not run.
    task: Option<Waker>,
    /// Whether the task wants to be woken by a message.
    hungry: bool,
    /// A sender's policy asks for the end.
    disconnect: bool,
    /// The connection is over.
    closed: bool,
    stats: Stats,
}

impl<M> State<M> {
    fn has_room(&self, bounds: &Bounds, bytes: usize) -> bool {
        let messages = self.normal.len() + self.promised_messages;
        // One message alone may be larger than the bound: refusing it would be refusing it for ever.
        messages == 0 || messages < bounds.messages && self.bytes + self.promised_bytes + bytes <= bounds.bytes
    }

    fn wake_if_hungry(&mut self) -> Option<Waker> {
        if std::mem::take(&mut self.hungry) { self.task.take() } else { None }
    }

    fn promise(&mut self, bytes: usize) {
        self.promised_messages += 1;
        self.promised_bytes += bytes;
    }

    fn take_promise_back(&mut self, bytes: usize) {
        self.promised_messages -= 1;
        self.promised_bytes -= bytes;
    }

    /// Promises places to those who wait, in their order; says whom to wake.
    fn admit(&mut self, bounds: &Bounds, woken: &mut Vec<Waker>) {
        while let Some(bytes) = self.waiters.first_bytes()
            && self.has_room(bounds, bytes)
        {
            self.promise(bytes);
            woken.extend(self.waiters.take_first());
        }
    }

    /// Drops the oldest messages that may be dropped until there is room. They are handed out, to be dropped later.
    fn make_room(&mut self, bounds: &Bounds, bytes: usize, weigh: fn(&M) -> usize) -> Vec<M> {
        let mut dropped = Vec::new();
        let mut at = 0;
        while at < self.normal.len() && !self.has_room(bounds, bytes) {
            if !self.normal[at].droppable {
                at += 1;
                continue;
            }
            let Some(entry) = self.normal.remove(at) else { break };
            self.bytes = self.bytes.saturating_sub(weigh(&entry.message));
            self.stats.dropped_oldest += 1;
            dropped.push(entry.message);
        }
        dropped
    }
}

impl<M> Queue<M> {
    pub(super) fn new(bounds: Bounds, weigh: fn(&M) -> usize, senders: usize) -> Arc<Self> {
        let state = State {
            normal: VecDeque::new(),
            urgent: VecDeque::new(),
            bytes: 0,
            promised_messages: 0,
            promised_bytes: 0,
            waiters: Waiters::default(),
            task: None,
            hungry: false,
            disconnect: false,
            closed: false,
            stats: Stats::default(),
        };
        let (senders, moving) = (AtomicUsize::new(senders), Moving::default());
        Arc::new(Self { weigh, bounds, senders, moving, has_news: AtomicBool::new(false), state: Mutex::new(state) })
    }

    fn lock(&self) -> MutexGuard<'_, State<M>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a message in; says whom to wake.
    fn push(&self, state: &mut State<M>, message: M, bytes: usize, droppable: bool) -> Option<Waker> {
        self.has_news.store(true, Ordering::Relaxed);
        state.bytes += bytes;
        state.stats.accepted += 1;
        state.normal.push_back(Entry { message, droppable });
        state.wake_if_hungry()
    }

    // ask

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    pub(super) fn stats(&self) -> Stats {
        let state = self.lock();
        let (waiting, waiting_bytes) = (state.normal.len() + state.urgent.len(), state.bytes);
        Stats { waiting, waiting_bytes, ..self.moving.read(state.stats) }
    }

    // senders

    pub(super) fn add_sender(&self) {
        self.senders.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn remove_sender(&self) {
        // The lock orders what this sender sent before its absence.
        if self.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            let task = self.lock().task.take();
            task.inspect(Waker::wake_by_ref);
        }
    }

    /// Takes a message in, or does what the policy says; only [`WhenFull::Wait`] and [`WhenFull::Refuse`] give `Full`.
    pub(super) fn offer(&self, message: M, policy: WhenFull) -> Result<(), (Refusal, M)> {
        let bytes = (self.weigh)(&message);
        let mut state = self.lock();
        if state.closed || state.disconnect {
            return Err((Refusal::Gone, message));
        }
        let mut dropped = Vec::new();
        // Who comes later does not overtake who waits.
        if !state.waiters.is_empty() || !state.has_room(&self.bounds, bytes) {
            match policy {
                WhenFull::Wait => return Err((Refusal::Full, message)),
                WhenFull::Refuse => {
                    state.stats.refused += 1;
                    return Err((Refusal::Full, message));
                }
                WhenFull::Disconnect => {
                    state.disconnect = true;
                    self.has_news.store(true, Ordering::Relaxed);
                    let task = state.task.take();
                    drop(state);
                    task.inspect(Waker::wake_by_ref);
                    return Err((Refusal::Gone, message));
                }
                WhenFull::DropOldest => dropped = state.make_room(&self.bounds, bytes, self.weigh),
                WhenFull::DropNewest => {}
            }
            if policy == WhenFull::DropNewest || !state.has_room(&self.bounds, bytes) {
                state.stats.dropped_newest += 1;
                drop(state);
                return Ok(());
            }
        }
        let task = self.push(&mut state, message, bytes, policy == WhenFull::DropOldest);
        drop(state);
        task.inspect(Waker::wake_by_ref);
        drop(dropped);
        Ok(())
    }

    /// Takes as many of `messages` as there is room for, for one lock; what is left found none.
    pub(super) fn offer_all(&self, messages: &mut VecDeque<M>, policy: WhenFull) -> Result<(), Refusal> {
        let mut state = self.lock();
        if state.closed || state.disconnect {
            return Err(Refusal::Gone);
        }
        let mut task = None;
        while let Some(message) = messages.front() {
            let bytes = (self.weigh)(message);
            if !state.waiters.is_empty() || !state.has_room(&self.bounds, bytes) {
                break;
            }
            if let Some(message) = messages.pop_front() {
                task = task.or(self.push(&mut state, message, bytes, policy == WhenFull::DropOldest));
            }
        }
        drop(state);
        task.inspect(Waker::wake_by_ref);
        Ok(())
    }

    /// Takes a message into the urgent side.
    pub(super) fn offer_urgent(&self, message: M) -> Result<(), (Refusal, M)> {
        let mut state = self.lock();
        if state.closed {
            return Err((Refusal::Gone, message));
        }
        if state.urgent.len() >= self.bounds.urgent_messages {
            state.stats.refused += 1;
            return Err((Refusal::Full, message));
        }
        state.stats.accepted += 1;
        state.stats.urgent += 1;
        state.urgent.push_back(message);
        self.has_news.store(true, Ordering::Relaxed);
        let task = state.wake_if_hungry();
        drop(state);
        task.inspect(Waker::wake_by_ref);
        Ok(())
    }

    /// A place for `bytes`, in turn: `ticket` is the caller's place in line, to be kept until this is ready and to be
    /// given to [`Queue::give_up`] if it is not waited for.
    pub(super) fn poll_promise(
        &self,
        cx: &mut Context<'_>,
        bytes: usize,
        ticket: &mut Option<u64>,
    ) -> Poll<Result<(), Refusal>> {
        let mut state = self.lock();
        if state.closed || state.disconnect {
            *ticket = None;
            return Poll::Ready(Err(Refusal::Gone));
        }
        match *ticket {
            Some(place) if state.waiters.is_waiting(place, cx.waker()) => Poll::Pending,
            Some(_) => {
                *ticket = None;
                Poll::Ready(Ok(()))
            }
            None if state.waiters.is_empty() && state.has_room(&self.bounds, bytes) => {
                state.promise(bytes);
                Poll::Ready(Ok(()))
            }
            None => {
                *ticket = Some(state.waiters.join(bytes, cx.waker().clone()));
                Poll::Pending
            }
        }
    }

    /// Leaves the line; a place that was promised meanwhile goes to the next.
    pub(super) fn give_up(&self, bytes: usize, ticket: u64) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        if !state.waiters.leave(ticket) {
            state.take_promise_back(bytes);
        }
        self.admit_and_unlock(state);
    }

    /// A promised place is not needed.
    pub(super) fn release(&self, bytes: usize) {
        let mut state = self.lock();
        state.take_promise_back(bytes);
        self.admit_and_unlock(state);
    }

    /// How many of the oldest messages fit `bytes` and `messages`, at least one, and what they weigh.
    fn measure(&self, state: &State<M>, bytes: usize, messages: usize) -> Load {
        let mut taken = Load { messages: 0, bytes: 0 };
        for entry in &state.normal {
            let weight = (self.weigh)(&entry.message);
            if taken.messages > 0 && (taken.messages >= messages || taken.bytes + weight > bytes) {
                break;
            }
            taken = Load { messages: taken.messages + 1, bytes: taken.bytes + weight };
        }
        taken
    }

    fn admit_and_unlock(&self, mut state: MutexGuard<'_, State<M>>) {
        let mut woken = Vec::new();
        state.admit(&self.bounds, &mut woken);
        drop(state);
        woken.iter().for_each(Waker::wake_by_ref);
    }

    /// Fills a place that was promised for `promised` bytes.
    pub(super) fn fill(&self, message: M, promised: usize, policy: WhenFull) -> Result<(), (Refusal, M)> {
        let bytes = (self.weigh)(&message);
        let mut state = self.lock();
        state.take_promise_back(promised);
        if state.closed {
            return Err((Refusal::Gone, message));
        }
        let task = self.push(&mut state, message, bytes, policy == WhenFull::DropOldest);
        if bytes < promised {
            self.admit_and_unlock(state);
        } else {
            drop(state);
        }
        task.inspect(Waker::wake_by_ref);
        Ok(())
    }
}

/// The connection's end of the queue.
pub(super) struct Outgoing<M> {
    pub(super) queue: Arc<Queue<M>>,
    urgent: VecDeque<M>,
    normal: VecDeque<Entry<M>>,
    /// Whom a refill wakes; empty between refills.
    woken: Vec<Waker>,
    senders: Senders,
}

/// What is known of the senders.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Senders {
    /// There are some.
    Some,
    /// The last is gone, and all that they sent is taken.
    Gone,
    /// There are none by design.
    Never,
}

/// What the queue says beside its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Supply {
    /// More may come.
    Open,
    /// All is taken, and no sender is left.
    Finished,
    /// A sender's policy asks for the end.
    Disconnect,
}

/// What a task that wants to rest is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parking {
    /// It will be woken.
    Rest,
    /// There is something to do.
    Again,
    /// A sender's policy asks for the end.
    Disconnect,
}

impl<M> Outgoing<M> {
    /// The end of a queue that has senders.
    pub(super) fn new(queue: Arc<Queue<M>>) -> Self {
        Self { queue, urgent: VecDeque::new(), normal: VecDeque::new(), woken: Vec::new(), senders: Senders::Some }
    }

    /// The end of a queue that never has a sender.
    pub(super) fn without_senders(queue: Arc<Queue<M>>) -> Self {
        let mut end = Self::new(queue);
        end.senders = Senders::Never;
        end
    }

    /// Whether the last sender went since this was last known. All it sent is in the queue then.
    fn lost_last_sender(&self) -> bool {
        self.senders == Senders::Some && self.queue.senders.load(Ordering::Acquire) == 0
    }

    /// Takes out everything urgent, and of the rest what fits `bytes` and `messages`, or one.
    pub(super) fn refill(&mut self, bytes: usize, messages: usize) -> Supply {
        let no_sender = self.lost_last_sender();
        if !self.queue.has_news.load(Ordering::Relaxed) {
            return self.supply(no_sender);
        }
        let mut state = self.queue.lock();
        if state.disconnect {
            return Supply::Disconnect;
        }
        if self.urgent.is_empty() {
            std::mem::swap(&mut self.urgent, &mut state.urgent);
        }
        if self.normal.is_empty() && !state.normal.is_empty() {
            if state.bytes <= bytes && state.normal.len() <= messages {
                std::mem::swap(&mut self.normal, &mut state.normal);
                state.bytes = 0;
            } else {
                let taken = self.queue.measure(&state, bytes, messages);
                self.normal.extend(state.normal.drain(..taken.messages));
                state.bytes = state.bytes.saturating_sub(taken.bytes);
            }
            if !state.waiters.is_empty() {
                state.admit(&self.queue.bounds, &mut self.woken);
            }
        }
        self.queue.has_news.store(!state.normal.is_empty() || !state.urgent.is_empty(), Ordering::Relaxed);
        drop(state);
        self.woken.drain(..).for_each(Waker::wake);
        self.supply(no_sender)
    }

    fn supply(&mut self, no_sender: bool) -> Supply {
        if no_sender && self.normal.is_empty() && self.urgent.is_empty() {
            self.senders = Senders::Gone;
        }
        if self.senders == Senders::Gone { Supply::Finished } else { Supply::Open }
    }

    /// The next message of the urgent side.
    pub(super) fn next_urgent(&mut self) -> Option<M> {
        self.urgent.pop_front()
    }

    /// The next of the others.
    pub(super) fn next(&mut self) -> Option<M> {
        self.normal.pop_front().map(|entry| entry.message)
    }

    /// Leaves the task's waker; with `hungry`, messages wake it.
    pub(super) fn park(&mut self, waker: &Waker, hungry: bool) -> Parking {
        if self.senders == Senders::Never {
            return Parking::Rest;
        }
        let no_sender = self.lost_last_sender();
        let mut state = self.queue.lock();
        if state.disconnect {
            return Parking::Disconnect;
        }
        if hungry && (no_sender || !state.normal.is_empty() || !state.urgent.is_empty()) {
            return Parking::Again;
        }
        state.hungry = hungry;
        if !state.task.as_ref().is_some_and(|task| task.will_wake(waker)) {
            state.task = Some(waker.clone());
        }
        Parking::Rest
    }

    /// Whether every sender is gone and nothing waits; else `waker` is woken when the last one goes.
    pub(super) fn is_given_up(&mut self, waker: &Waker) -> bool {
        let nothing_taken = self.normal.is_empty() && self.urgent.is_empty();
        let mut state = self.queue.lock();
        state.hungry = false;
        state.task = Some(waker.clone());
        let no_sender = self.senders == Senders::Gone || self.queue.senders.load(Ordering::Acquire) == 0;
        no_sender && nothing_taken && state.normal.is_empty() && state.urgent.is_empty()
    }

    /// Bytes of memory held beyond what an idle queue keeps.
    pub(super) fn spare_bytes(&self) -> usize {
        self.normal.capacity().saturating_sub(KEPT_WHEN_IDLE_MESSAGES) * size_of::<Entry<M>>()
    }

    /// Gives memory back that nothing needs now.
    pub(super) fn give_back(&mut self) {
        self.normal.shrink_to(KEPT_WHEN_IDLE_MESSAGES);
        self.urgent.shrink_to(0);
        let mut state = self.queue.lock();
        state.normal.shrink_to(KEPT_WHEN_IDLE_MESSAGES);
        state.urgent.shrink_to(0);
        state.waiters.give_back();
    }
}

impl<M> Drop for Outgoing<M> {
    /// The connection is over: who waits hears it, and what waits is counted as unsent.
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        state.closed = true;
        state.task = None;
        let left = (std::mem::take(&mut state.normal), std::mem::take(&mut state.urgent));
        let unsent = left.0.len() + left.1.len() + self.normal.len() + self.urgent.len();
        state.stats.unsent += unsent as u64;
        state.bytes = 0;
        let woken = state.waiters.dismiss();
        drop(state);
        woken.iter().for_each(Waker::wake_by_ref);
    }
}
