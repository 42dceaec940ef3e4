//! A sign of life every so often.

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Duration, Instant, Sleep, sleep_until};

use crate::codec::Decoder;
use crate::connection::{Reactor, Replies};

/// A reactor that sends what `beat` makes once a period, beside what the reactor inside sends.
///
/// That the *peer* is alive is watched by the connection:
/// [`silence_timeout`](crate::connection::ConnectionConfig::silence_timeout), set to two of the peer's periods or more,
/// ends it by name. While the peer takes nothing no beat is made; enough waits for it then.
pub struct Heartbeat<R, B> {
    inside: R,
    beat: B,
    period: Duration,
    /// Made with the first turn, on the connection's runtime.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<R, B> Heartbeat<R, B> {
    /// Around `inside`, a beat each `period`.
    pub fn new(inside: R, period: Duration, beat: B) -> Self {
        Self { inside, beat, period, timer: None }
    }
}

impl<D: Decoder, R: Reactor<D>, B: FnMut() -> R::Outbound> Reactor<D> for Heartbeat<R, B> {
    type Outbound = R::Outbound;

    fn message(&mut self, message: D::Message<'_>, replies: &mut Replies<Self::Outbound>) -> ControlFlow<()> {
        self.inside.message(message, replies)
    }

    fn poll_outbound(&mut self, cx: &mut Context<'_>) -> Poll<Option<Self::Outbound>> {
        let period = self.period;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + period)));
        if timer.as_mut().poll(cx).is_ready() {
            timer.as_mut().reset(Instant::now() + period);
            return Poll::Ready(Some((self.beat)()));
        }
        self.inside.poll_outbound(cx)
    }
}
