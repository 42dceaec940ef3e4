//! Callers that connect when they are wanted, and again when they are over.

use std::fmt::Display;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

use super::caller::Caller;
use super::direct::{CallItem, DirectCaller};
use crate::backoff::Backoff;
use crate::session::LinkState;
use crate::tls::keys;

/// What a [`Pool`] keeps: a handle that calls, as long as it lasts.
pub trait Pooled: Clone + Send + 'static {
    /// Whether no call goes over it any more, so that it is to be replaced.
    fn is_over(&self) -> bool;
}

impl Pooled for Caller {
    fn is_over(&self) -> bool {
        matches!(*self.session().link_state().borrow(), LinkState::Ended)
    }
}

impl<Out: CallItem, In: CallItem> Pooled for DirectCaller<Out, In> {
    fn is_over(&self) -> bool {
        self.closed().is_some()
    }
}

/// A bounded number of connections or sessions, made on demand.
///
/// Each slot connects when it is first wanted, and again when what it has is over; all who want it wait for the same
/// connect, and after a failed one for the same growing pause (100 ms to 30 s, jittered).
pub struct Pool<T, F> {
    slots: Box<[Mutex<Slot<T>>]>,
    next: AtomicUsize,
    connect: F,
}

/// One place; who holds its lock drives its connect, and whoever comes next goes on with the same.
struct Slot<T> {
    ready: Option<T>,
    connecting: Option<Connecting<T>>,
    backoff: Backoff,
    /// When the next connect may begin.
    not_before: Option<Instant>,
}

type Connecting<T> = Pin<Box<dyn Future<Output = Option<T>> + Send>>;

impl<T, F, Work, E> Pool<T, F>
where
    T: Pooled,
    F: Fn() -> Work + Send + Sync,
    Work: Future<Output = Result<T, E>> + Send + 'static,
    E: Display,
{
    /// `slots` places (at least one), each filled by `connect`, which has its own timeout. Why it failed is traced.
    pub fn new(slots: usize, connect: F) -> Self {
        let slot = || Slot { ready: None, connecting: None, backoff: Backoff::new(), not_before: None };
        let slots = (0..slots.max(1)).map(|_| Mutex::new(slot())).collect();
        Self { slots, next: AtomicUsize::new(0), connect }
    }

    /// The next in turn. It waits until there is one, over any number of failed connects: how long is the caller's to
    /// say. Cancel safe: a connect that is under way goes on for who else waits, or who comes next.
    pub async fn get(&self) -> T {
        self.at(self.next.fetch_add(1, Ordering::Relaxed)).await
    }

    /// That of a key, always the same one as long as it lasts; it waits as [`Pool::get`] does.
    pub async fn get_for(&self, key: u64) -> T {
        self.at((key % self.slots.len() as u64) as usize).await
    }

    async fn at(&self, number: usize) -> T {
        let mut slot = self.slots[number % self.slots.len()].lock().await;
        loop {
            match &slot.ready {
                Some(ready) if !ready.is_over() => return ready.clone(),
                _ => slot.ready = None,
            }
            slot.fill(&self.connect).await;
        }
    }
}

impl<T: Pooled> Slot<T> {
    /// Connects once, when it is time.
    async fn fill<Work, E>(&mut self, connect: impl Fn() -> Work)
    where
        Work: Future<Output = Result<T, E>> + Send + 'static,
        E: Display,
    {
        if let Some(at) = self.not_before {
            sleep_until(at).await;
            self.not_before = None;
        }
        let connecting = self.connecting.get_or_insert_with(|| {
            let work = connect();
            Box::pin(async { work.await.inspect_err(|error| tracing::info!("a pool could not connect: {error}")).ok() })
        });
        self.ready = poll_fn(|cx| connecting.as_mut().poll(cx)).await;
        self.connecting = None;
        if self.ready.is_some() {
            self.backoff = Backoff::new();
        }
        // After a connect that succeeded, too: one that is over at once is not tried without a pause.
        self.not_before = Some(Instant::now() + self.backoff.wait(keys::random_number()));
    }
}

impl<T, F> std::fmt::Debug for Pool<T, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("slots", &self.slots.len()).finish_non_exhaustive()
    }
}
