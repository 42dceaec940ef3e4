//! A connection: any byte stream, any wire format, one future, no lock.
//!
//! The low layer for protocols that want no session. The future owns stream, codec and reactor, and ends with a reason.
//!
//! ```
//! use std::ops::ControlFlow;
//! use bytes::Bytes;
//! use towline::codec::LengthPrefixed;
//! use towline::connection::{Connection, Reactor, Replies};
//!
//! struct Echo;
//! impl Reactor<LengthPrefixed> for Echo {
//!     type Outbound = Bytes;
//!     fn message(&mut self, message: &[u8], replies: &mut Replies<Bytes>) -> ControlFlow<()> {
//!         replies.push(Bytes::copy_from_slice(message));
//!         ControlFlow::Continue(())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let (near, _far) = tokio::io::duplex(1024);
//! let codec = LengthPrefixed { max_bytes: 65_536 };
//! let (sender, connection) = Connection::new(near, codec, Echo, Default::default());
//! let task = tokio::spawn(connection);
//! sender.send(Bytes::from_static(b"hello")).await.unwrap();
//! drop(sender); // no sender is left: what waits is written, then the connection ends
//! assert!(task.await.unwrap().is_done());
//! # }
//! ```

use std::collections::VecDeque;
use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use crate::codec::{Decoder, Encoder, Verdict};
use crate::pump::{Inbound, Outbox, Pump, PumpEnd, Traffic, Wire};

/// Named limits of a connection.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ConnectionConfig {
    /// The most bytes kept of a message that is not whole.
    pub partial_message_max_bytes: usize,
    /// Messages that may wait for their turn to be encoded; then `send` waits. What is encoded is bounded in bytes.
    pub queue_messages: usize,
}

impl Default for ConnectionConfig {
    fn default() -> Self {
        Self { partial_message_max_bytes: 4 * 1024 * 1024, queue_messages: 128 }
    }
}

/// What becomes of the messages that the decoder `D` reads.
pub trait Reactor<D: Decoder> {
    /// What the encoder writes.
    type Outbound;

    /// Takes one message. `Break` ends the connection after the replies are written.
    fn message(&mut self, message: D::Message<'_>, replies: &mut Replies<Self::Outbound>) -> ControlFlow<()>;
}

/// Answers to messages. Nothing more is read before they are encoded, so a peer cannot pile them up.
#[derive(Debug)]
pub struct Replies<M>(VecDeque<M>);

impl<M> Replies<M> {
    /// Answers with this.
    pub fn push(&mut self, message: M) {
        self.0.push_back(message);
    }
}

/// How a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionEnd<D, E> {
    /// This side had nothing more to say: every sender is dropped, or the reactor ended it. All was written.
    #[error("done")]
    Done,
    /// The peer ended the stream between two messages.
    #[error("the peer closed")]
    PeerClosed,
    /// The stream ended inside a message.
    #[error("the stream was cut inside a message")]
    Cut,
    /// The peer's message is larger than this side takes.
    #[error("a message needs {bytes} bytes, more than the limit of {limit_bytes}")]
    TooLarge {
        /// What it would need.
        bytes: usize,
        /// The named limit.
        limit_bytes: usize,
    },
    /// The peer's bytes are invalid.
    #[error("invalid bytes: {0}")]
    Invalid(D),
    /// A message of this side has no form on the wire.
    #[error("not encodable: {0}")]
    NotEncodable(E),
    /// The byte stream failed.
    #[error(transparent)]
    Io(std::io::Error),
}

impl<D, E> ConnectionEnd<D, E> {
    /// Whether it ended because this side was done.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }
}

/// Puts messages into a connection; clones go to the same one.
#[derive(Debug)]
pub struct Sender<M>(mpsc::Sender<M>);

impl<M> Clone for Sender<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// The connection is over; the message comes back.
#[derive(Debug)]
pub struct Gone<M>(pub M);

impl<M> Sender<M> {
    /// Puts a message into the queue, waiting for a place in it. Dropping the future before puts nothing in.
    pub async fn send(&self, message: M) -> Result<(), Gone<M>> {
        self.0.send(message).await.map_err(|gone| Gone(gone.0))
    }
}

/// A byte stream, a codec and a reactor in one future; see the module's page.
#[must_use = "a connection does nothing unless it is polled"]
pub struct Connection<S, C: Decoder, R: Reactor<C>> {
    wire: Wire<S>,
    parts: Parts<C, R>,
}

/// What stands above the wire.
struct Parts<C: Decoder, R: Reactor<C>> {
    codec: C,
    reactor: R,
    replies: Replies<R::Outbound>,
    queue: mpsc::Receiver<R::Outbound>,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Nothing more is read or taken; what waits is written.
    Closing,
}

enum Fault<D, E> {
    Decode(D),
    Encode(E),
}

impl<S, C, R> Connection<S, C, R>
where
    S: AsyncRead + AsyncWrite + Unpin,
    C: Decoder + Encoder<Message = R::Outbound>,
    R: Reactor<C>,
{
    /// A connection over `io`, to be spawned or awaited, and the sender that feeds it.
    pub fn new(io: S, codec: C, reactor: R, config: ConnectionConfig) -> (Sender<R::Outbound>, Self) {
        let (sender, queue) = mpsc::channel(config.queue_messages);
        let wire = Wire::new(io, Pump::new(config.partial_message_max_bytes));
        let parts = Parts { codec, reactor, replies: Replies(VecDeque::new()), queue, phase: Phase::Open };
        (Sender(sender), Self { wire, parts })
    }
}

/// The parts as traffic during one poll.
struct Turn<'a, 'b, C: Decoder, R: Reactor<C>> {
    parts: &'a mut Parts<C, R>,
    cx: &'a mut Context<'b>,
}

impl<C, R> Traffic for Turn<'_, '_, C, R>
where
    C: Decoder + Encoder<Message = R::Outbound>,
    R: Reactor<C>,
{
    type Error = Fault<<C as Decoder>::Error, <C as Encoder>::Error>;

    fn inbound(&mut self, input: &[u8]) -> Result<Inbound, Self::Error> {
        let parts = &mut *self.parts;
        if parts.phase == Phase::Closing {
            return Ok(Inbound::Used(input.len()));
        }
        match parts.codec.decode(input).map_err(Fault::Decode)? {
            Verdict::Need(more) => Ok(Inbound::Need(more)),
            Verdict::Skip(count) => Ok(Inbound::Skip(count)),
            Verdict::Message(message, used) => {
                if parts.reactor.message(message, &mut parts.replies).is_break() {
                    parts.phase = Phase::Closing;
                }
                Ok(Inbound::Used(used))
            }
        }
    }

    fn outbound(&mut self, out: &mut Outbox) -> Result<(), Self::Error> {
        let parts = &mut *self.parts;
        while !out.is_full() {
            let next = match parts.replies.0.pop_front() {
                Some(reply) => reply,
                None if parts.phase == Phase::Closing => break,
                None => match parts.queue.poll_recv(self.cx) {
                    Poll::Ready(Some(message)) => message,
                    Poll::Ready(None) => {
                        parts.phase = Phase::Closing;
                        break;
                    }
                    Poll::Pending => break,
                },
            };
            parts.codec.encode(next, out).map_err(Fault::Encode)?;
        }
        Ok(())
    }

    fn wants_input(&self) -> bool {
        self.parts.phase == Phase::Open && self.parts.replies.0.is_empty()
    }
}

impl<S, C, R> Future for Connection<S, C, R>
where
    S: AsyncRead + AsyncWrite + Unpin,
    C: Decoder + Encoder<Message = R::Outbound> + Unpin,
    R: Reactor<C> + Unpin,
    R::Outbound: Unpin,
{
    type Output = ConnectionEnd<<C as Decoder>::Error, <C as Encoder>::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { wire, parts } = self.get_mut();
        let waker = cx.waker().clone();
        let mut own = Context::from_waker(&waker);
        if let Poll::Ready(end) = wire.poll(cx, &mut Turn { parts, cx: &mut own }) {
            return Poll::Ready(match end {
                PumpEnd::PeerClosed => ConnectionEnd::PeerClosed,
                PumpEnd::Cut => ConnectionEnd::Cut,
                PumpEnd::TooLarge { bytes, limit_bytes } => ConnectionEnd::TooLarge { bytes, limit_bytes },
                PumpEnd::Traffic(Fault::Decode(error)) => ConnectionEnd::Invalid(error),
                PumpEnd::Traffic(Fault::Encode(error)) => ConnectionEnd::NotEncodable(error),
                PumpEnd::Io(error) => ConnectionEnd::Io(error),
            });
        }
        if parts.phase == Phase::Closing && parts.replies.0.is_empty() {
            let closed = ready!(wire.poll_close(cx));
            return Poll::Ready(closed.map_or_else(ConnectionEnd::Io, |()| ConnectionEnd::Done));
        }
        Poll::Pending
    }
}
