//! The answering side.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use towline_proto::call::{Code, Metadata, Status, Word};

use super::halves::{Items, Replies, Sink, too_late};
use crate::server::Plugin;
use crate::session::{Ended, RecvHalf, Session, Stream};

/// What is known of a call beside its items.
#[derive(Clone, Debug)]
pub struct CallInfo {
    /// The method's name.
    pub method: String,
    /// What else the caller said.
    pub metadata: Metadata,
    /// When the caller stops waiting. The handler is dropped then, and the caller told `deadline-exceeded`.
    pub deadline: Option<Instant>,
    /// The session it came over: who calls, and a way back.
    pub session: Session,
}

/// A call as it comes to a [`Service`].
pub struct Incoming {
    /// What is known of it.
    pub info: CallInfo,
    /// What comes.
    pub requests: Items,
    /// What goes.
    pub replies: Replies,
}

/// Answers calls of every shape and method.
pub trait Service: Send + Sync + 'static {
    /// Answers one call: takes what it wants from `call.requests`, puts replies into `call.replies`, and returns how it
    /// ended. The future is dropped when the caller gives up or its time is over; a panic in it is told as `internal`.
    fn call(&self, call: &mut Incoming) -> impl Future<Output = Result<(), Status>> + Send;
}

/// A service as a server's plug-in: every stream of every session is a call.
pub struct Calls<S>(Arc<S>);

impl<S: Service> Calls<S> {
    /// Answers with `service`.
    pub fn new(service: S) -> Self {
        Self(Arc::new(service))
    }
}

impl<S: Service> Plugin for Calls<S> {
    async fn session(&self, session: Session) {
        serve(session, self.0.clone()).await;
    }
}

/// Answers every call that comes over a session, each in a task of its own, until the session's end. Dropping the future
/// gives the calls up that are running. Either side of a session may serve, a client too.
pub async fn serve<S: Service>(session: Session, service: Arc<S>) -> Ended {
    let mut running = JoinSet::new();
    loop {
        match session.accept().await {
            Ok((_lane, stream)) => running.spawn(answer(session.clone(), stream, service.clone())),
            Err(ended) => return ended,
        };
        while running.try_join_next().is_some() {}
    }
}

/// Answers one call.
async fn answer<S: Service>(session: Session, stream: Stream, service: Arc<S>) {
    let (sending, receiving) = stream.split();
    let sink = Sink::new(sending, None);
    let stopped = sink.stopped();
    let Some(mut call) = begin(session, sink, receiving).await else { return };
    let deadline = call.info.deadline;
    let late = async {
        match deadline {
            Some(at) => sleep_until(at).await,
            None => std::future::pending().await,
        }
    };
    let outcome = tokio::select! {
        outcome = guarded(service.call(&mut call)) => outcome,
        () = late => Err(too_late()),
        _ = stopped => return,
    };
    call.replies.close(outcome.err().unwrap_or(Code::Ok.into())).await;
}

/// Reads how the call begins. What is no call is given up by name.
async fn begin(session: Session, mut sink: Sink, mut receiving: RecvHalf) -> Option<Incoming> {
    let message = receiving.recv().await.ok()??;
    let Ok(Word::Begin(begin, item)) = Word::decode(&message) else {
        sink.give_up(Code::Internal);
        receiving.stop(Code::Internal.number());
        return None;
    };
    let deadline = begin.time_left.and_then(|left| Instant::now().checked_add(left));
    sink.set_deadline(deadline);
    let early = item.map(|item| message.slice_ref(item));
    Some(Incoming {
        info: CallInfo { method: begin.method.to_owned(), metadata: begin.metadata, deadline, session },
        requests: Items::requests(receiving, deadline, early),
        replies: Replies::new(sink),
    })
}

/// Runs a handler; a panic in it becomes its status.
async fn guarded<T>(handler: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    let mut handler = pin!(handler);
    std::future::poll_fn(|cx| {
        // The handler is dropped after a panic and never polled again, so nothing broken is seen.
        catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(cx))).unwrap_or_else(|_| Poll::Ready(Err(panicked())))
    })
    .await
}

/// What a caller hears of a handler's panic.
pub(super) fn panicked() -> Status {
    Status::new(Code::Internal, "the handler panicked")
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Incoming({:?})", self.info)
    }
}
