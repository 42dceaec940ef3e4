//! The connection's side: packets in, handlers, packets out.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::{AbortHandle, Abortable, FutureExt};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;
use towline_proto::call::exchange::{CallId, Fault};
use towline_proto::call::{Code, Packet, Part, Status};

use super::CallItem;
use super::answer::{Answer, Asked};
use super::halves::{DirectItems, DirectSink, Hold};
use super::shared::{Received, Shared};
use crate::call::halves::{in_time, too_late};
use crate::call::serve::panicked;
use crate::codec::Decoder;
use crate::connection::{Reactor, Replies};

/// How many handlers may be done before what they answer is taken out: they run no further ahead of the room to send.
const HANDLERS_AHEAD: usize = 32;

/// Calls over the connection that it is given to; made by [`exchange`](super::exchange).
pub struct CallReactor<In: CallItem, Out: CallItem, A> {
    shared: Arc<Shared<In, Out>>,
    answer: Arc<A>,
    /// Calls that have no handler yet, in the order of their ids.
    fresh: VecDeque<Fresh<In>>,
    /// Handlers that were not ready at once.
    running: FuturesUnordered<Abortable<Job<Out>>>,
    /// How each of them is dropped.
    aborts: HashMap<CallId, AbortHandle>,
    done: Vec<Done<Out>>,
    /// Packets taken out of what is shared.
    batch: VecDeque<Packet<Out>>,
    fault: Option<Fault>,
}

struct Fresh<In> {
    id: CallId,
    item: In,
    deadline: Option<Instant>,
}

type Job<Out> = Pin<Box<dyn Future<Output = Done<Out>> + Send>>;

/// What became of a handler.
struct Done<Out> {
    id: CallId,
    deadline: Option<Instant>,
    outcome: Result<Option<Out>, Status>,
}

impl<In: CallItem, Out: CallItem, A: Answer<In, Out>> CallReactor<In, Out, A> {
    pub(super) fn new(shared: Arc<Shared<In, Out>>, answer: A) -> Self {
        Self {
            shared,
            answer: Arc::new(answer),
            fresh: VecDeque::new(),
            running: FuturesUnordered::new(),
            aborts: HashMap::new(),
            done: Vec::new(),
            batch: VecDeque::new(),
            fault: None,
        }
    }

    fn receive(&mut self, packet: Packet<In>, replies: &mut Replies<Packet<Out>>) -> Result<(), Fault> {
        let id = packet.call;
        match self.shared.with(|state, wakes| state.received(packet, wakes))? {
            Received::New { item, time_left } => {
                let deadline = time_left.and_then(|left| Instant::now().checked_add(left));
                self.fresh.push_back(Fresh { id, item, deadline });
            }
            Received::GivenUp => self.let_go(id),
            Received::Refused(code) => {
                let status = Status::new(code, "more calls are open than were agreed on");
                replies.push(Packet { call: id, part: Part::Status(status) });
            }
            Received::Nothing => {}
        }
        Ok(())
    }

    /// The caller gave the call up: its handler is dropped.
    fn let_go(&mut self, id: CallId) {
        if let Ok(at) = self.fresh.binary_search_by_key(&id, |fresh| fresh.id) {
            self.fresh.remove(at);
        } else if let Some(abort) = self.aborts.remove(&id) {
            abort.abort();
        } else {
            return; // a call of this side, which its handle forgets
        }
        drop(self.shared.with(|state, _| state.exchange.forget(id)));
    }

    fn start(&self, fresh: Fresh<In>) -> Job<Out> {
        let Fresh { id, item, deadline } = fresh;
        let (answer, shared) = (self.answer.clone(), self.shared.clone());
        // Made when it is polled, so that a panic before the first await is caught, too.
        let handler = async move {
            let hold = Hold { shared: shared.clone(), id, deadline, calls: false };
            let requests = DirectItems::new(Hold { shared, ..hold });
            answer.answer(Asked { item, requests, replies: DirectSink::new(hold), deadline }).await
        };
        // Of combinators, which lie around the handler; an `async` block around it would hold it twice, and what a call
        // costs is the memory of this future.
        let outcome = AssertUnwindSafe(handler).catch_unwind().map(|caught| caught.unwrap_or_else(|_| Err(panicked())));
        match deadline {
            None => Box::pin(outcome.map(move |outcome| Done { id, deadline, outcome })),
            Some(at) => Box::pin(async move {
                let late = at <= Instant::now();
                let outcome = if late { Err(too_late()) } else { in_time(deadline, outcome).await };
                Done { id, deadline, outcome }
            }),
        }
    }

    fn keep(&mut self, id: CallId, job: Job<Out>) {
        let (abort, registration) = AbortHandle::new_pair();
        self.aborts.insert(id, abort);
        self.running.push(Abortable::new(job, registration));
    }

    /// Runs handlers until none can go on, or enough are done; says whether more may be.
    fn work(&mut self, cx: &mut Context<'_>) -> bool {
        while self.done.len() < HANDLERS_AHEAD {
            if let Some(fresh) = self.fresh.pop_front() {
                let id = fresh.id;
                let mut job = self.start(fresh);
                match job.as_mut().poll(cx) {
                    Poll::Ready(done) => self.done.push(done),
                    Poll::Pending => self.keep(id, job),
                }
                continue;
            }
            match self.running.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(done))) => {
                    self.aborts.remove(&done.id);
                    self.done.push(done);
                }
                Poll::Ready(Some(Err(_aborted))) => {}
                Poll::Ready(None) | Poll::Pending => return false,
            }
        }
        true
    }

    /// Takes what is to be sent into the batch; says whether handlers were kept that are to be polled.
    fn gather(&mut self, cx: &Context<'_>) -> bool {
        let (done, batch) = (&mut self.done, &mut self.batch);
        let (later, unread) = self.shared.with(|state, wakes| {
            let (mut later, mut unread) = (Vec::new(), Vec::new());
            state.unpark();
            for Done { id, deadline, outcome } in done.drain(..) {
                match state.answered(id, outcome, wakes) {
                    Ok(slot) => unread.extend(slot.filter(|slot| !slot.is_empty())),
                    Err(item) => later.push((id, deadline, item)),
                }
            }
            state.take(batch, wakes);
            if batch.is_empty() {
                state.park(cx);
            }
            (later, unread)
        });
        drop(unread);
        let kept = !later.is_empty();
        for (id, deadline, item) in later {
            self.keep(id, self.send_later(id, deadline, item));
        }
        kept
    }

    /// Sends an answer when there is credit for it.
    fn send_later(&self, id: CallId, deadline: Option<Instant>, item: Out) -> Job<Out> {
        let shared = self.shared.clone();
        Box::pin(async move {
            let mut item = Some(item);
            let sent = poll_fn(|cx| shared.with(|state, wakes| state.poll_send(cx, id, &mut item, wakes)));
            Done { id, deadline, outcome: in_time(deadline, sent).await.map(|()| None) }
        })
    }
}

impl<In: CallItem, Out: CallItem, A> CallReactor<In, Out, A> {
    /// What the peer did against the rules of calls, which ended the connection.
    pub fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// No call goes any more.
    fn close(&mut self, why: &Status) {
        drop(self.shared.with(|state, wakes| state.close(why, wakes)));
        self.fresh.clear();
        self.running.clear();
        self.aborts.clear();
    }
}

impl<D, In, Out, A> Reactor<D> for CallReactor<In, Out, A>
where
    D: for<'a> Decoder<Message<'a> = Packet<In>>,
    In: CallItem,
    Out: CallItem,
    A: Answer<In, Out>,
{
    type Outbound = Packet<Out>;

    fn message(&mut self, message: Packet<In>, replies: &mut Replies<Packet<Out>>) -> ControlFlow<()> {
        let Err(fault) = self.receive(message, replies) else { return ControlFlow::Continue(()) };
        self.fault = Some(fault);
        self.close(&Status::new(Code::Unavailable, format!("the peer broke the rules of calls: {fault}")));
        ControlFlow::Break(())
    }

    fn poll_outbound(&mut self, cx: &mut Context<'_>) -> Poll<Option<Packet<Out>>> {
        loop {
            if let Some(packet) = self.batch.pop_front() {
                return Poll::Ready(Some(packet));
            }
            let more = self.work(cx);
            let kept = self.gather(cx);
            if self.batch.is_empty() && !more && !kept {
                let done = self.shared.with(|state, _| state.is_done());
                return if done && self.running.is_empty() { Poll::Ready(None) } else { Poll::Pending };
            }
        }
    }
}

impl<In: CallItem, Out: CallItem, A> Drop for CallReactor<In, Out, A> {
    fn drop(&mut self) {
        self.close(&Status::new(Code::Unavailable, "the connection is over"));
    }
}

impl<In: CallItem, Out: CallItem, A> fmt::Debug for CallReactor<In, Out, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallReactor").field("running", &self.running.len()).finish_non_exhaustive()
    }
}
