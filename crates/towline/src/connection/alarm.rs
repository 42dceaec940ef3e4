//! One timer for all that a connection waits for.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

/// A timer that is made when it is first needed. Deadlines mostly move away: it is left to ring too early rather than set
/// anew on every turn.
#[derive(Debug, Default)]
pub(super) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready when `at` is reached, or somewhat earlier; ask the clock.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if sleep.is_elapsed() || at < sleep.deadline() {
            sleep.as_mut().reset(at);
        }
        sleep.as_mut().poll(cx)
    }

    /// Nothing is waited for.
    pub(super) fn stop(&mut self) {
        self.0 = None;
    }
}
