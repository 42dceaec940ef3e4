//! The side of a connection that any number of tasks hold.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;

use super::queue::{Queue, Refusal, WhenFull};
use super::stats::Stats;

/// Puts messages into a connection; clones go to the same one. When the last is dropped, what waits is written and the
/// connection ends.
///
/// How much may wait is bounded in messages and bytes by the [`ConnectionConfig`](super::ConnectionConfig); what happens
/// beyond is the sender's [`WhenFull`], [`Wait`](WhenFull::Wait) unless told otherwise. Order is kept per sender, and
/// those who wait get their places in the order in which they began to wait.
pub struct Sender<M> {
    queue: Arc<Queue<M>>,
    when_full: WhenFull,
}

impl<M> Clone for Sender<M> {
    fn clone(&self) -> Self {
        self.queue.add_sender();
        Self { queue: self.queue.clone(), when_full: self.when_full }
    }
}

impl<M> Drop for Sender<M> {
    fn drop(&mut self) {
        self.queue.remove_sender();
    }
}

/// Why a message was not taken; it comes back.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError<M> {
    /// There is no room for it now.
    #[error("the connection's queue is full")]
    Full(M),
    /// The connection is over.
    #[error("the connection is over")]
    Gone(M),
}

impl<M> SendError<M> {
    /// The message.
    pub fn into_message(self) -> M {
        match self {
            Self::Full(message) | Self::Gone(message) => message,
        }
    }

    /// Whether the connection is over, so that trying again is of no use.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Gone(_))
    }
}

impl<M> fmt::Debug for SendError<M> {
    /// Without the message: what is sent is nobody's business in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_gone() { "Gone" } else { "Full" })
    }
}

impl<M> From<(Refusal, M)> for SendError<M> {
    fn from((refusal, message): (Refusal, M)) -> Self {
        match refusal {
            Refusal::Full => Self::Full(message),
            Refusal::Gone => Self::Gone(message),
        }
    }
}

impl<M> Sender<M> {
    /// The first sender of a queue that was made for one.
    pub(super) fn first(queue: Arc<Queue<M>>) -> Self {
        Self { queue, when_full: WhenFull::default() }
    }

    /// A further sender with another policy.
    pub fn when_full(&self, when_full: WhenFull) -> Self {
        let mut other = self.clone();
        other.when_full = when_full;
        other
    }

    /// Puts a message into the queue. When there is no room, it waits for it in turn or does what the sender's policy
    /// says; `Ok` under a dropping policy means that the message was taken or counted as dropped.
    ///
    /// Cancel safe: a future that is dropped before it is ready has put nothing in, and its place in line is given up.
    ///
    /// # Errors
    /// The connection is over, or the policy is [`WhenFull::Refuse`].
    pub async fn send(&self, message: M) -> Result<(), SendError<M>> {
        match self.queue.offer(message, self.when_full) {
            Ok(()) => Ok(()),
            Err((Refusal::Full, message)) if self.when_full == WhenFull::Wait => {
                match self.reserve((self.queue.weigh)(&message)).await {
                    Ok(permit) => permit.send(message),
                    Err(Gone) => Err(SendError::Gone(message)),
                }
            }
            Err(refused) => Err(refused.into()),
        }
    }

    /// Puts all of `messages` into the queue in their order, each time as many as there is room for, and waits for more
    /// whatever the sender's policy. Cheaper than one by one when there are many small ones.
    ///
    /// Cancel safe: what was not put in is still in `messages`.
    ///
    /// # Errors
    /// The connection is over; what was not put in is still in `messages`.
    pub async fn send_all(&self, messages: &mut VecDeque<M>) -> Result<(), Gone> {
        loop {
            self.queue.offer_all(messages, self.when_full).map_err(|_| Gone)?;
            let Some(next) = messages.front() else { return Ok(()) };
            let permit = self.reserve((self.queue.weigh)(next)).await?;
            if let Some(message) = messages.pop_front()
                && let Err(refused) = permit.send(message)
            {
                messages.push_front(refused.into_message());
                return Err(Gone);
            }
        }
    }

    /// Puts a message into the queue if there is room and nobody waits for it; never waits.
    ///
    /// # Errors
    /// No room (with the dropping policies and [`WhenFull::Disconnect`], what these say happens instead), or the
    /// connection is over.
    pub fn try_send(&self, message: M) -> Result<(), SendError<M>> {
        self.queue.offer(message, self.when_full).map_err(SendError::from)
    }

    /// Puts a message ahead of all that waits; it is encoded next, never inside another message. The urgent side is a
    /// small queue of its own: it has room when the other has none.
    ///
    /// # Errors
    /// The urgent side is full, whatever the sender's policy, or the connection is over.
    pub fn send_urgent(&self, message: M) -> Result<(), SendError<M>> {
        self.queue.offer_urgent(message).map_err(SendError::from)
    }

    /// Waits, whatever the sender's policy, for a place for one message of about `bytes` bytes, so that the work of
    /// making it begins only when it can be sent.
    ///
    /// Cancel safe: a future that is dropped gives up its place in line.
    ///
    /// # Errors
    /// The connection is over.
    pub async fn reserve(&self, bytes: usize) -> Result<Permit<'_, M>, Gone> {
        let mut turn = Turn { sender: self, bytes, ticket: None };
        match poll_fn(|cx| self.queue.poll_promise(cx, bytes, &mut turn.ticket)).await {
            Ok(()) => Ok(Permit { sender: self, bytes }),
            Err(_) => Err(Gone),
        }
    }

    /// Whether the connection is over.
    pub fn is_gone(&self) -> bool {
        self.queue.is_closed()
    }

    /// What the connection has done so far; also after its end.
    pub fn stats(&self) -> Stats {
        self.queue.stats()
    }
}

impl<M> fmt::Debug for Sender<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("when_full", &self.when_full).finish_non_exhaustive()
    }
}

/// The connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection is over")]
pub struct Gone;

/// A place in line; given up when it is dropped before its turn was used.
struct Turn<'a, M> {
    sender: &'a Sender<M>,
    bytes: usize,
    ticket: Option<u64>,
}

impl<M> Drop for Turn<'_, M> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.sender.queue.give_up(self.bytes, ticket);
        }
    }
}

/// A place in the queue for one message; dropped unused, it goes to the next who waits.
#[must_use = "a permit that is dropped gives its place back"]
pub struct Permit<'a, M> {
    sender: &'a Sender<M>,
    bytes: usize,
}

impl<M> Permit<'_, M> {
    /// Fills the place; never waits. A message larger than was reserved is taken all the same, and counted as it is.
    ///
    /// # Errors
    /// The connection is over.
    pub fn send(self, message: M) -> Result<(), SendError<M>> {
        let (sender, bytes) = (self.sender, self.bytes);
        // It holds nothing but its place, which is filled now instead of given back.
        std::mem::forget(self);
        sender.queue.fill(message, bytes, sender.when_full).map_err(SendError::from)
    }
}

impl<M> Drop for Permit<'_, M> {
    fn drop(&mut self) {
        self.sender.queue.release(self.bytes);
    }
}

impl<M> fmt::Debug for Permit<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}
