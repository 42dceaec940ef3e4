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
#[derive(Debug)]
pub(crate) struct Bells {
    pub(crate) readable: Notify,
    pub(crate) writable: Notify,
    pub(crate) confirmed: Notify,
    /// How far the core told that the peer has it; it also answers for streams that are closed since.
    pub(crate) confirmed_to: AtomicU64,
    /// Senders that wait for their turn or have it.
    in_line: AtomicUsize,
    turn: Semaphore,
    /// Bytes that the budget was not asked for yet.
    unpaid: AtomicU64,
}

impl Default for Bells {
    fn default() -> Self {
        let [readable, writable, confirmed] = std::array::from_fn(|_| Notify::new());
        let (confirmed_to, in_line, unpaid) = (AtomicU64::new(0), AtomicUsize::new(0), AtomicU64::new(0));
        Self { readable, writable, confirmed, confirmed_to, in_line, turn: Semaphore::new(1), unpaid }
    }
}

impl Bells {
    /// Whether a sender may go without a turn: nobody was there before it.
    pub(crate) fn is_line_empty(&self) -> bool {
        self.in_line.load(Ordering::Relaxed) == 0
    }

    /// Waits for the turn among this stream's senders, so that a large message is not overtaken for ever by small ones.
    pub(crate) async fn turn(self: &Arc<Self>) -> Turn {
        let place = Place::new(self.clone());
        // It is never closed.
        if let Ok(permit) = self.turn.acquire().await {
            permit.forget();
        }
        Turn(place)
    }

    /// Yields to other tasks when this one has moved enough. Called with everything given that was taken: it may be dropped.
    pub(crate) async fn pay(&self, bytes: usize) {
        let unpaid = self.unpaid.load(Ordering::Relaxed) + bytes as u64 + BYTES_PER_MESSAGE;
        self.unpaid.store(unpaid % BYTES_PER_UNIT, Ordering::Relaxed);
        for _ in 0..(unpaid / BYTES_PER_UNIT).min(UNITS_MAX) {
            coop::consume_budget().await;
        }
    }
}

/// A place in line, given up when it is dropped.
#[derive(Debug)]
struct Place(Arc<Bells>);

impl Place {
    fn new(bells: Arc<Bells>) -> Self {
        bells.in_line.fetch_add(1, Ordering::Relaxed);
        Self(bells)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.in_line.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The turn among a stream's senders, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn(Place);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.0.turn.add_permits(1);
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
