//! A connection: any byte stream, any wire format, one future, no lock between reading and answering.
//!
//! The low layer for protocols that want no session. A [`Connection`] is a future that owns a byte stream (anything that
//! is `AsyncRead + AsyncWrite`), a codec ([`crate::codec`]) and a [`Reactor`], and ends with a reason. Inbound: read,
//! decode, react, on one task, without a channel. Outbound: any number of [`Sender`]s, the reactor's replies and its own
//! work are encoded into one buffer and written together.
//!
//! A server:
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
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let codec = LengthPrefixed::u32(65_536);
//! # let address = listener.local_addr()?;
//! # let client = tokio::spawn(tokio::net::TcpStream::connect(address));
//! let (stream, _) = listener.accept().await?;
//! let task = tokio::spawn(Connection::answering(stream, codec, Echo, Default::default()));
//! # drop(client.await??);
//! println!("{}", task.await?); // "the peer closed", sooner or later
//! # Ok(()) }
//! ```
//!
//! A client:
//! ```
//! # use std::ops::ControlFlow;
//! # use bytes::Bytes;
//! # use towline::codec::LengthPrefixed;
//! # use towline::connection::{Connection, Reactor, Replies};
//! struct Print;
//! impl Reactor<LengthPrefixed> for Print {
//!     type Outbound = Bytes;
//!     fn message(&mut self, message: &[u8], _replies: &mut Replies<Bytes>) -> ControlFlow<()> {
//!         println!("{} bytes came back", message.len());
//!         ControlFlow::Break(()) // one answer is all it wants
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # struct Echo;
//! # impl Reactor<LengthPrefixed> for Echo {
//! #     type Outbound = Bytes;
//! #     fn message(&mut self, message: &[u8], replies: &mut Replies<Bytes>) -> ControlFlow<()> {
//! #         replies.push(Bytes::copy_from_slice(message));
//! #         ControlFlow::Continue(())
//! #     }
//! # }
//! # let (stream, far) = tokio::io::duplex(1024);
//! let codec = LengthPrefixed::u32(65_536);
//! # tokio::spawn(Connection::answering(far, codec.clone(), Echo, Default::default()));
//! let (sender, connection) = Connection::new(stream, codec, Print, Default::default());
//! let task = tokio::spawn(connection);
//! sender.send(Bytes::from_static(b"hello")).await?;
//! assert!(task.await?.is_done());
//! # Ok(()) }
//! ```
//!
//! **What is bounded.** What waits is bounded in messages and bytes ([`ConnectionConfig`]); beyond, a [`Sender`] waits, or
//! does what its [`WhenFull`] says. A [`Permit`] holds a place before the work is made. Encoded bytes that wait are
//! bounded by 64 KiB and the last message. A peer that does not read stops the reading, the reactor's own work and the
//! senders. A poll handles a bounded number of messages, then others have their turn.
//!
//! **Where it runs.** On a multi-thread runtime, a `LocalSet` or a `JoinSet` of tokio, with time enabled; it is `Send` if
//! its parts are. Dropping it cuts the stream and loses what was not written.
//!
//! **Its end.** [`ConnectionEnd`] says who ended it and why. When this side is done it writes all, ends its direction (over
//! TLS with the goodbye that the peer demands) and hears the peer out, so that nothing written last is lost to a reset.

mod alarm;
mod end;
mod maintain;
mod queue;
mod reactor;
mod sender;
mod stats;
#[cfg(test)]
mod tests;
mod turn;
pub(crate) mod waiters;
mod watch;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use crate::codec::{Decoder, Encoder};
use crate::filter::FilterError;
use crate::pump::{Pump, PumpEnd, Wire};
use alarm::Alarm;
pub use end::{ConnectionConfig, ConnectionEnd, Timeout};
pub use maintain::maintain;
pub use queue::WhenFull;
use queue::{Bounds, Outgoing, Parking, Queue};
pub use reactor::{Reactor, Replies};
pub use sender::{Gone, Permit, SendError, Sender};
pub use stats::Stats;
use turn::{Fault, Flow, Parts, Turn};
use watch::{Due, Sight, Watch};

/// How a connection with the codec `C` ends.
pub type EndOf<C> = ConnectionEnd<<C as Decoder>::Error, <C as Encoder>::Error>;

/// A byte stream, a codec and a reactor in one future; see the module's page.
#[must_use = "a connection does nothing unless it is polled"]
pub struct Connection<S, C: Decoder + Encoder, R: Reactor<C>> {
    wire: Wire<S>,
    parts: Parts<C, R>,
    phase: Phase<EndOf<C>>,
    watch: Watch,
    alarm: Alarm,
    goodbye_time: Duration,
    /// What is sent after the peer has ended its direction.
    after_peer: Flow,
}

/// Codec, reactor and queue are moved as plain values; only the stream is polled in place.
impl<S: Unpin, C: Decoder + Encoder, R: Reactor<C>> Unpin for Connection<S, C, R> {}

enum Phase<End> {
    Open,
    /// What waits is written until that time, then this direction is ended.
    Leaving(End, Instant),
    /// It is over, and said so.
    Over,
}

impl<S, C, R> Connection<S, C, R>
where
    S: AsyncRead + AsyncWrite + Unpin,
    C: Decoder + Encoder<Message = R::Outbound>,
    R: Reactor<C>,
{
    /// A connection over `io`, to be spawned or awaited, and the sender that feeds it. It lasts until the last sender is
    /// dropped and the reactor has no work of its own, the reactor breaks, or the peer ends it.
    pub fn new(io: S, codec: C, reactor: R, config: ConnectionConfig) -> (Sender<R::Outbound>, Self) {
        let queue = Queue::new(Bounds::of(&config), C::weight_bytes, 1);
        let sender = Sender::first(queue.clone());
        (sender, Self::over(io, codec, reactor, Outgoing::new(queue), config))
    }

    /// A connection that only answers: it has no sender, and lasts until the reactor breaks or the peer ends it.
    pub fn answering(io: S, codec: C, reactor: R, config: ConnectionConfig) -> Self {
        let queue = Queue::new(Bounds::of(&config), C::weight_bytes, 0);
        Self::over(io, codec, reactor, Outgoing::without_senders(queue), config)
    }

    fn over(io: S, codec: C, reactor: R, outgoing: Outgoing<R::Outbound>, config: ConnectionConfig) -> Self {
        let (replies, flow) = (Replies::default(), Flow::Both);
        Self {
            wire: Wire::new(io, Pump::new(config.partial_message_max_bytes)),
            parts: Parts { codec, reactor, replies, outgoing, reactor_next: false, flow, received: 0, encoded: 0 },
            phase: Phase::Open,
            watch: Watch::new(&config),
            alarm: Alarm::default(),
            goodbye_time: config.goodbye_time,
            after_peer: Flow::OutOnly,
        }
    }

    /// The reactor: with `(&mut connection).await` it is still there after the end.
    pub fn reactor(&self) -> &R {
        &self.parts.reactor
    }

    /// One turn of reading and writing; `Ready` when the connection is to end.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<EndOf<C>> {
        let waker = cx.waker();
        let (mut moving, mut making) = (Context::from_waker(waker), Context::from_waker(waker));
        let mut turn = Turn::new(&mut self.parts, &mut making);
        let over = self.wire.poll(&mut moving, &mut turn);
        let spent = turn.end();
        self.show();
        if let Poll::Ready(end) = over {
            return Poll::Ready(end_of(end));
        }
        if self.parts.flow == Flow::RepliesOnly {
            return Poll::Ready(ConnectionEnd::Done);
        }
        // With a full outbox nothing would be taken: what is written makes room, and wakes us.
        let room = !self.wire.pump().out().is_full();
        match self.parts.outgoing.park(waker, room) {
            Parking::Disconnect => return Poll::Ready(ConnectionEnd::TooSlow),
            Parking::Again => waker.wake_by_ref(),
            Parking::Rest if spent => waker.wake_by_ref(),
            Parking::Rest => {}
        }
        self.poll_times(cx)
    }

    /// Puts the counts where senders see them.
    fn show(&self) {
        let (moved, parts) = (self.wire.moved(), &self.parts);
        let moving = &parts.outgoing.queue.moving;
        moving.show(parts.received, parts.encoded, moved.read_bytes, moved.written_bytes);
    }

    fn sight(&mut self) -> Sight {
        let moved = self.wire.moved();
        let pump = self.wire.pump();
        let spare = pump.spare_bytes() + self.parts.outgoing.spare_bytes() + self.parts.replies.spare_bytes();
        Sight {
            read_bytes: moved.read_bytes,
            written_bytes: moved.written_bytes,
            received: self.parts.received,
            reads: self.parts.replies.is_empty(),
            inside_message: pump.is_inside_message(),
            writes: !pump.out().is_empty(),
            spare: spare > 0,
        }
    }

    /// Timeouts, and the giving back of memory.
    fn poll_times(&mut self, cx: &mut Context<'_>) -> Poll<EndOf<C>> {
        let sight = self.sight();
        if !self.watch.wants(&sight) {
            return Poll::Pending;
        }
        let mut now = Instant::now();
        self.watch.look(now, sight);
        while let Some((at, due)) = self.watch.next() {
            if now < at {
                ready!(self.alarm.poll(cx, at));
                now = Instant::now();
                continue;
            }
            match due {
                Due::Timeout(timeout) => return Poll::Ready(ConnectionEnd::Timeout(timeout)),
                Due::Rest => self.give_back(),
            }
        }
        Poll::Pending
    }

    fn give_back(&mut self) {
        self.wire.pump().give_back();
        self.parts.outgoing.give_back();
        self.parts.replies.give_back();
        self.watch.rested();
        if !self.watch.times_out() {
            self.alarm.stop();
        }
    }

    /// The last words: what waits is written and the stream ended in order, within the time for it. `Err` says what
    /// failed; hearing the peer out may take the rest of the time and never fails.
    fn poll_leave(&mut self, cx: &mut Context<'_>, hear_out: bool, until: Instant) -> Poll<Result<(), EndOf<C>>> {
        let written = self.poll_last_words(cx);
        self.show();
        if let Poll::Ready(Err(end)) = written {
            return Poll::Ready(Err(end));
        }
        if written.is_ready() && (!hear_out || self.wire.poll_hear_out(cx).is_ready()) {
            return Poll::Ready(Ok(()));
        }
        while Instant::now() < until {
            ready!(self.alarm.poll(cx, until));
        }
        Poll::Ready(if written.is_ready() { Ok(()) } else { Err(ConnectionEnd::Timeout(Timeout::Stall)) })
    }

    fn poll_last_words(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), EndOf<C>>> {
        let waker = cx.waker();
        let (mut moving, mut making) = (Context::from_waker(waker), Context::from_waker(waker));
        let mut turn = Turn::new(&mut self.parts, &mut making);
        let written = self.wire.poll_only_write(&mut moving, &mut turn);
        if turn.end() {
            waker.wake_by_ref();
            return Poll::Pending;
        }
        ready!(written).map_err(end_of)?;
        self.wire.poll_close(&mut moving).map_err(ConnectionEnd::Io)
    }
}

impl<S, C, R> Future for Connection<S, C, R>
where
    S: AsyncRead + AsyncWrite + Unpin,
    C: Decoder + Encoder<Message = R::Outbound>,
    R: Reactor<C>,
{
    type Output = EndOf<C>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if matches!(this.phase, Phase::Open) {
            let end = ready!(this.poll_open(cx));
            if !end.is_orderly() {
                this.phase = Phase::Over;
                return Poll::Ready(end);
            }
            let peer_ended = matches!(end, ConnectionEnd::PeerClosed);
            this.parts.flow = if peer_ended { this.after_peer } else { Flow::RepliesOnly };
            this.phase = Phase::Leaving(end, Instant::now() + this.goodbye_time);
        }
        let Phase::Leaving(end, until) = std::mem::replace(&mut this.phase, Phase::Over) else {
            panic!("a connection was polled after it was over")
        };
        match this.poll_leave(cx, end.is_done(), until) {
            Poll::Pending => {
                this.phase = Phase::Leaving(end, until);
                Poll::Pending
            }
            // That this side was done is only true if all was written; what the peer did stays true anyway.
            Poll::Ready(Err(failed)) if end.is_done() => Poll::Ready(failed),
            Poll::Ready(_) => Poll::Ready(end),
        }
    }
}

fn end_of<D, E>(end: PumpEnd<Fault<D, E>>) -> ConnectionEnd<D, E> {
    match end {
        PumpEnd::PeerClosed => ConnectionEnd::PeerClosed,
        PumpEnd::Cut => ConnectionEnd::Cut,
        PumpEnd::TooLarge { bytes, limit_bytes } => ConnectionEnd::TooLarge { bytes, limit_bytes },
        PumpEnd::Traffic(Fault::Decode(error)) => ConnectionEnd::Invalid(error),
        PumpEnd::Traffic(Fault::Encode(error)) => ConnectionEnd::NotEncodable(error),
        PumpEnd::Traffic(Fault::TooSlow) => ConnectionEnd::TooSlow,
        // A byte stream says so that it ended without its own goodbye: TLS cut short.
        PumpEnd::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => ConnectionEnd::Cut,
        PumpEnd::Io(error) => match error.downcast::<FilterError>() {
            Ok(refused) => ConnectionEnd::Filter(refused),
            Err(error) => ConnectionEnd::Io(error),
        },
    }
}
