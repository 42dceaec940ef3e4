//! A connection that comes back.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::sleep;

use super::queue::{Bounds, Outgoing, Queue};
use super::turn::Flow;
use super::{Connection, ConnectionConfig, ConnectionEnd, EndOf, Reactor, Sender};
use crate::backoff::Backoff;
use crate::codec::{Decoder, Encoder};
use crate::tls::keys;

/// A connection that is made by `dial` and made anew when it is lost, and the sender that feeds it across all of them.
///
/// The queue outlives connections: what waits in it is sent over the next. The reactor stays too; what it answered and what
/// was encoded when a connection was lost may have arrived or not, and nobody is told: where that matters, use a
/// [`Session`](crate::Session). Tries to dial follow each other with growing, jittered waits of up to 30 s; a connection
/// over which something came sets them back. The future ends as a [`Connection`] does, except when the peer closed, the
/// stream was cut or failed, or a timeout ended it: these are what it is for.
///
/// The counts of [`Sender::stats`] that the connection moves (received, encoded, bytes) are those of the present one.
pub fn maintain<S, C, R, Dialing>(
    dial: impl FnMut() -> Dialing,
    codec: C,
    reactor: R,
    config: ConnectionConfig,
) -> (Sender<R::Outbound>, impl Future<Output = EndOf<C>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    C: Decoder + Encoder<Message = R::Outbound> + Clone,
    R: Reactor<C>,
    Dialing: Future<Output = io::Result<S>>,
{
    let queue = Queue::new(Bounds::of(&config), C::weight_bytes, 1);
    let sender = Sender::first(queue.clone());
    (sender, run(dial, codec, reactor, Outgoing::new(queue), config))
}

async fn run<S, C, R, Dialing>(
    mut dial: impl FnMut() -> Dialing,
    codec: C,
    mut reactor: R,
    mut outgoing: Outgoing<R::Outbound>,
    config: ConnectionConfig,
) -> EndOf<C>
where
    S: AsyncRead + AsyncWrite + Unpin,
    C: Decoder + Encoder<Message = R::Outbound> + Clone,
    R: Reactor<C>,
    Dialing: Future<Output = io::Result<S>>,
{
    let mut backoff = Backoff::new();
    loop {
        let dialled = match unless_given_up(&mut outgoing, dial()).await {
            None => return ConnectionEnd::Done,
            Some(dialled) => dialled,
        };
        match dialled {
            Ok(io) => {
                let mut connection = Connection::over(io, codec.clone(), reactor, outgoing, config);
                // What waits is for the next connection, not for a peer that may be gone.
                connection.after_peer = Flow::RepliesOnly;
                let end = (&mut connection).await;
                if !is_worth_another(&end) {
                    return end;
                }
                tracing::debug!(reason = %Reason(&end), "connection lost, coming back");
                if connection.wire.moved().read_bytes > 0 {
                    backoff = Backoff::new();
                }
                (reactor, outgoing) = (connection.parts.reactor, connection.parts.outgoing);
            }
            Err(error) => tracing::debug!(%error, "cannot connect, trying again"),
        }
        if unless_given_up(&mut outgoing, sleep(backoff.wait(keys::random_number()))).await.is_none() {
            return ConnectionEnd::Done;
        }
    }
}

/// What `work` gives; `None` when every sender is gone and nothing waits to be sent.
async fn unless_given_up<M, T>(outgoing: &mut Outgoing<M>, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|cx| {
        if outgoing.is_given_up(cx.waker()) {
            return Poll::Ready(None);
        }
        work.as_mut().poll(cx).map(Some)
    })
    .await
}

fn is_worth_another<D, E>(end: &ConnectionEnd<D, E>) -> bool {
    use ConnectionEnd::{Cut, Io, PeerClosed, Timeout};
    matches!(end, PeerClosed | Cut | Io(_) | Timeout(_))
}

/// The reason in a word, whatever the codec's errors are.
struct Reason<'a, D, E>(&'a ConnectionEnd<D, E>);

impl<D, E> std::fmt::Display for Reason<'_, D, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            ConnectionEnd::PeerClosed => f.write_str("the peer closed"),
            ConnectionEnd::Cut => f.write_str("the stream was cut"),
            ConnectionEnd::Timeout(timeout) => timeout.fmt(f),
            ConnectionEnd::Io(error) => error.fmt(f),
            _ => f.write_str("ended"),
        }
    }
}
