//! How those who wait for one stream hear of it, and in which order its senders are served.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::{Notify, Semaphore};
use tokio::task::coop;

/// Messages count against the budget that tokio gives a task between two yields, one unit for so many bytes. Counted
/// one by one, small ones would leave in records of four KiB.
const BYTES_PER_UNIT: u64 = 1_024;

/// The most units that one message or batch counts: a large one is one copy, and no reason to yield by itself.
const UNITS_MAX: u64 = 16;

/// What a message costs beside its bytes, in bytes of the same budget.
const BYTES_PER_MESSAGE: u64 = 32;

/// Wakes those who wait on one stream. All waiting is: look, get in line, look again under the lock, sleep.
#[derive(Debug, Default)]
pub(crate) struct Bells {
    pub(crate) readable: Notify,
    /// Senders take turns, so that a large message is not overtaken for ever by small ones.
    pub(crate) writable: Line,
    pub(crate) confirmed: Notify,
    /// How far the core told that the peer has it; it also answers for streams that are closed since.
    pub(crate) confirmed_to: AtomicU64,
    /// Bytes that the budget was not asked for yet.
    unpaid: AtomicU64,
}

impl Bells {
    /// A turn to send, to be kept by itself.
    pub(crate) async fn turn(self: &Arc<Self>) -> Turn {
        self.writable.turn().await.keep();
        Turn(self.clone())
    }

    /// Yields to other tasks when this one has moved enough. Called with everything given that was taken: it may be dropped.
    pub(crate) async fn pay(&self, bytes: usize) {
        let unpaid = self.unpaid.load(Ordering::Relaxed) + bytes as u64 + BYTES_PER_MESSAGE;
        self.unpaid.store(unpaid % BYTES_PER_UNIT, Ordering::Relaxed);
        for _ in 0..(unpaid / BYTES_PER_UNIT).min(UNITS_MAX) {
            coop::consume_budget().await;
        }
    }

    /// Wakes everybody: it is over.
    pub(crate) fn ring_all(&self) {
        self.readable.notify_waiters();
        self.writable.ring();
        self.confirmed.notify_waiters();
    }
}

/// Those who wait for the same thing, of which there is not enough for all: they get it in the order in which they came,
/// and only the first of them is woken to look.
#[derive(Debug)]
pub(crate) struct Line {
    bell: Notify,
    /// How many wait for their turn or have it.
    in_line: AtomicUsize,
    turn: Semaphore,
}

impl Default for Line {
    fn default() -> Self {
        Self { bell: Notify::new(), in_line: AtomicUsize::new(0), turn: Semaphore::new(1) }
    }
}

impl Line {
    /// Whether one may go without a turn: nobody was there before.
    pub(crate) fn is_empty(&self) -> bool {
        self.in_line.load(Ordering::Relaxed) == 0
    }

    /// There may be something now.
    pub(crate) fn ring(&self) {
        self.bell.notify_waiters();
    }

    /// What `look` finds: at once if nobody waits before and there is something, else in turn.
    pub(crate) async fn wait_in_turn<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
        if self.is_empty()
            && let Some(found) = look()
        {
            return found;
        }
        let _turn = self.turn().await;
        self.wait(look).await
    }

    /// What `look` finds, for who has the turn or needs none.
    pub(crate) async fn wait<T>(&self, look: impl FnMut() -> Option<T>) -> T {
        wait(&self.bell, look).await
    }

    async fn turn(&self) -> Place<'_> {
        self.in_line.fetch_add(1, Ordering::Relaxed);
        let mut place = Place { line: self, has_turn: false };
        // It is never closed.
        if let Ok(permit) = self.turn.acquire().await {
            permit.forget();
            place.has_turn = true;
        }
        place
    }

    fn leave(&self, has_turn: bool) {
        self.in_line.fetch_sub(1, Ordering::Relaxed);
        self.turn.add_permits(usize::from(has_turn));
    }
}

/// A place in line, given up when it is dropped.
#[derive(Debug)]
struct Place<'a> {
    line: &'a Line,
    has_turn: bool,
}

impl Place<'_> {
    /// Keeps the turn until [`Line::leave`].
    fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.line.leave(self.has_turn);
    }
}

/// The turn among a stream's senders, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn(Arc<Bells>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.writable.leave(true);
    }
}

/// Looks; if nothing is there, gets in line, looks again, sleeps: whoever rings after a look is heard.
pub(crate) async fn wait<T>(bell: &Notify, mut look: impl FnMut() -> Option<T>) -> T {
    if let Some(found) = look() {
        return found;
    }
    loop {
        let mut rung = pin!(bell.notified());
        rung.as_mut().enable();
        if let Some(found) = look() {
            return found;
        }
        rung.await;
    }
}
