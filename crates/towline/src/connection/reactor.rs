//! What a connection does with messages.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::task::{Context, Poll};

use crate::codec::Decoder;

/// What becomes of the messages that the decoder `D` reads. It is called by one task, so it needs no lock.
pub trait Reactor<D: Decoder> {
    /// What the encoder writes.
    type Outbound;

    /// Takes one message. `Break` ends the connection after the replies are written.
    fn message(&mut self, message: D::Message<'_>, replies: &mut Replies<Self::Outbound>) -> ControlFlow<()>;

    /// The next message of the reactor's own work: an answer that was not ready at once, a subscription. Asked only when
    /// there is room to send it, so that work stops when the peer stops reading; never asked again in the same turn after
    /// it had none. `Ready(None)`: nothing, and none on the way: the connection may end when no sender is left.
    fn poll_outbound(&mut self, _cx: &mut Context<'_>) -> Poll<Option<Self::Outbound>> {
        Poll::Ready(None)
    }
}

impl<D: Decoder, R: Reactor<D> + ?Sized> Reactor<D> for Box<R> {
    type Outbound = R::Outbound;

    fn message(&mut self, message: D::Message<'_>, replies: &mut Replies<Self::Outbound>) -> ControlFlow<()> {
        (**self).message(message, replies)
    }

    fn poll_outbound(&mut self, cx: &mut Context<'_>) -> Poll<Option<Self::Outbound>> {
        (**self).poll_outbound(cx)
    }
}

/// Answers to one message.
///
/// They are encoded before the next message is looked at. When the encoded bytes that wait are too many they wait here, and
/// nothing more is read: a peer that asks and does not read piles up one message's answers, no more.
#[derive(Debug)]
pub struct Replies<M>(VecDeque<M>);

impl<M> Default for Replies<M> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<M> Replies<M> {
    /// Answers with this.
    pub fn push(&mut self, message: M) {
        self.0.push_back(message);
    }

    /// Takes out the oldest, as a connection does; for tests of a reactor without one.
    pub fn pop(&mut self) -> Option<M> {
        self.0.pop_front()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes of memory held beyond what an idle connection keeps.
    pub(super) fn spare_bytes(&self) -> usize {
        self.0.capacity().saturating_sub(KEPT_WHEN_IDLE) * size_of::<M>()
    }

    /// Gives memory back that nothing needs now.
    pub(super) fn give_back(&mut self) {
        self.0.shrink_to(KEPT_WHEN_IDLE);
    }
}

/// What idle replies keep room for, in messages.
const KEPT_WHEN_IDLE: usize = 4;
