//! Ours: `towline::Connection` with a codec whose buffers come back.

use std::fmt::Display;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::net::TcpListener;
use towline::Identity;
use towline::codec::{Decoder, Encoder, FrameError, Framing, LengthPrefixed, Verdict};
use towline::connection::{Connection, ConnectionEnd, Reactor, Replies};
use towline::pump::Outbox;
use towline::tls::{Acceptor, Connector};

use super::payload;
use super::stream::{self, Stream};
use crate::job::{Job, Load, MESSAGE_MAX_BYTES, Peer};
use crate::meter::{Meter, Pace, Tally, Until};
use crate::roles::{Fault, Greeting};

fn codec() -> LengthPrefixed {
    LengthPrefixed::u32(MESSAGE_MAX_BYTES)
}

/// Counts what comes.
struct Count(Meter);

impl Reactor<LengthPrefixed> for Count {
    type Outbound = Bytes;

    fn message(&mut self, message: &[u8], _: &mut Replies<Bytes>) -> ControlFlow<()> {
        self.0.message();
        std::hint::black_box(message);
        ControlFlow::Continue(())
    }
}

/// Buffers that are used again.
#[derive(Clone, Default)]
struct Pool(Arc<Mutex<Vec<Vec<u8>>>>);

impl Pool {
    fn copy(&self, bytes: &[u8]) -> Vec<u8> {
        let mut buffer = self.0.lock().expect("nobody panics with it").pop().unwrap_or_default();
        buffer.extend_from_slice(bytes);
        buffer
    }

    fn take_back(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        self.0.lock().expect("nobody panics with it").push(buffer);
    }
}

/// Lengths before messages, and messages that come back to the pool when they are written.
struct Pooled(LengthPrefixed, Pool);

impl Decoder for Pooled {
    type Message<'a> = &'a [u8];
    type Error = FrameError;

    fn decode<'a>(&mut self, bytes: &'a [u8]) -> Result<Verdict<&'a [u8]>, FrameError> {
        self.0.decode(bytes)
    }
}

impl Encoder for Pooled {
    type Message = Vec<u8>;
    type Error = FrameError;

    fn encode(&mut self, message: Vec<u8>, out: &mut Outbox) -> Result<(), FrameError> {
        self.0.put(&message, out)?;
        self.1.take_back(message);
        Ok(())
    }
}

struct Echo(Pool, Meter);

impl Reactor<Pooled> for Echo {
    type Outbound = Vec<u8>;

    fn message(&mut self, message: &[u8], replies: &mut Replies<Vec<u8>>) -> ControlFlow<()> {
        self.1.message();
        replies.push(self.0.copy(message));
        ControlFlow::Continue(())
    }
}

pub fn serve(job: Job, io: impl Stream, meter: Meter) {
    if job.load == Load::OneWay {
        tokio::spawn(Connection::answering(io, codec(), Count(meter), Default::default()));
    } else {
        let pool = Pool::default();
        let codec = Pooled(codec(), pool.clone());
        tokio::spawn(Connection::answering(io, codec, Echo(pool, meter), Default::default()));
    }
}

/// The protocol that both sides name in the handshake.
const ALPN: &[u8] = b"bench/1";

/// Serves over our own TLS, with keys of both sides.
pub fn serve_sealed(job: Job, listener: TcpListener, tally: &Arc<Tally>) -> Result<Greeting, Fault> {
    let identity = Identity::generate();
    let acceptor = Acceptor::with_identity(&identity, ALPN)?;
    let greeting = Greeting { address: listener.local_addr()?, trust: identity.key_hash().to_string() };
    let tally = tally.clone();
    tokio::spawn(async move {
        while let Ok((io, _)) = listener.accept().await {
            let (acceptor, tally) = (acceptor.clone(), tally.clone());
            let _ = io.set_nodelay(true);
            tokio::spawn(async move {
                match acceptor.accept(io).await {
                    Ok(io) => stream::serve_one(job, io, Meter::new(&tally)),
                    Err(error) => eprintln!("handshake: {error}"),
                }
            });
        }
    });
    Ok(greeting)
}

/// The client's side, for a server that has the key of that name.
pub fn connector(key: &str) -> Result<Connector, Fault> {
    let key = key.parse().map_err(|_| "the greeting names no key")?;
    Ok(Connector::to_key(&Identity::generate(), key, ALPN)?)
}

/// Sends the next request with each answer.
struct Ask(Pace, Bytes);

impl Reactor<LengthPrefixed> for Ask {
    type Outbound = Bytes;

    fn message(&mut self, _: &[u8], replies: &mut Replies<Bytes>) -> ControlFlow<()> {
        if self.0.answer() {
            replies.push(self.1.clone());
        }
        if self.0.is_over() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Takes nothing; makes messages when there is room.
struct Flood(Option<Until>, Bytes);

impl Reactor<LengthPrefixed> for Flood {
    type Outbound = Bytes;

    fn message(&mut self, _: &[u8], _: &mut Replies<Bytes>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn poll_outbound(&mut self, _: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let goes_on = self.0.as_mut().is_some_and(Until::goes_on);
        Poll::Ready(goes_on.then(|| self.1.clone()))
    }
}

pub async fn drive(job: Job, io: impl Stream, tally: &Arc<Tally>) -> Result<(), Fault> {
    let message = payload(&job);
    if let Load::RoundTrips { in_flight } = job.load {
        let mut pace = Pace::new(&job, tally);
        (0..in_flight).for_each(|_| pace.request());
        let (sender, connection) = Connection::new(io, codec(), Ask(pace, message.clone()), Default::default());
        let first = async {
            for _ in 0..in_flight {
                sender.send(message.clone()).await.map_err(|_| "the connection ended")?;
            }
            Ok::<_, Fault>(())
        };
        let (first, end) = tokio::join!(first, connection);
        first?;
        return done(end);
    }
    let reactor_sends = job.peer == Peer::Connection;
    let flood = Flood(reactor_sends.then(|| Until::new(&job)), message.clone());
    let (sender, connection) = Connection::new(io, codec(), flood, Default::default());
    let task = tokio::spawn(connection);
    if !reactor_sends {
        let mut until = Until::new(&job);
        while until.goes_on() {
            sender.send(message.clone()).await.map_err(|_| "the connection ended")?;
        }
    }
    drop(sender);
    done(task.await?)
}

fn done<D: Display, E: Display>(end: ConnectionEnd<D, E>) -> Result<(), Fault> {
    if end.is_done() { Ok(()) } else { Err(end.to_string().into()) }
}
