//! The calling side.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::time::Instant;
use towline_proto::call::Status;
use towline_proto::call::exchange::CallId;

use super::CallItem;
use super::halves::{DirectItems, DirectSink, Hold};
use super::shared::{Beginning, Shared};
use crate::call::halves::in_time;

/// Makes calls over one connection; clones use the same one.
pub struct DirectCaller<Out: CallItem, In: CallItem>(Arc<Shared<In, Out>>);

/// A call from the caller's side. Dropped before its end it is cancelled.
#[derive(Debug)]
pub struct DirectCall<Out: CallItem, In: CallItem> {
    /// What goes; [`DirectSink::end`] says that there is no more.
    pub requests: DirectSink<In, Out>,
    /// What comes.
    pub replies: DirectItems<In, Out>,
}

impl<Out: CallItem, In: CallItem> DirectCaller<Out, In> {
    pub(super) fn first(shared: Arc<Shared<In, Out>>) -> Self {
        shared.with(|state, _| state.handles += 1);
        Self(shared)
    }

    /// One item there, one item back. It waits in line while as many calls are open as agreed, or too much is queued.
    /// Dropping the future gives the call up.
    ///
    /// # Errors
    /// The status with which the call ended; `unavailable` if the connection is over.
    pub async fn call(&self, item: Out) -> Result<In, Status> {
        self.unary(item, None).await
    }

    /// The same, to be over within `timeout`: it travels, and both sides hold to it.
    ///
    /// # Errors
    /// As [`DirectCaller::call`]; `deadline-exceeded` after that time.
    pub async fn call_within(&self, item: Out, timeout: Duration) -> Result<In, Status> {
        let deadline = Instant::now().checked_add(timeout);
        in_time(deadline, self.unary(item, deadline)).await
    }

    /// Begins a call of any shape with its first item. It waits as [`DirectCaller::call`] does.
    ///
    /// # Errors
    /// As [`DirectCaller::call`].
    pub async fn open(&self, item: Out) -> Result<DirectCall<Out, In>, Status> {
        self.streaming(item, None).await
    }

    /// The same, to be over within `timeout`.
    ///
    /// # Errors
    /// As [`DirectCaller::call_within`].
    pub async fn open_within(&self, item: Out, timeout: Duration) -> Result<DirectCall<Out, In>, Status> {
        let deadline = Instant::now().checked_add(timeout);
        in_time(deadline, self.streaming(item, deadline)).await
    }

    /// How many calls are open, both sides' together.
    pub fn open_calls(&self) -> usize {
        self.0.with(|state, _| state.exchange.open())
    }

    /// Why no call can be made any more: the connection is over, perhaps by a fault of the peer.
    pub fn closed(&self) -> Option<Status> {
        self.0.with(|state, _| state.closed.clone())
    }

    async fn unary(&self, item: Out, deadline: Option<Instant>) -> Result<In, Status> {
        let beginning = Beginning { item: Some(item), ends: true, deadline, ticket: None };
        let mut unary = Unary { turn: Turn { shared: &self.0, beginning }, id: None };
        // It begins and waits under one lock.
        poll_fn(|cx| {
            let Unary { turn: Turn { shared, beginning }, id } = &mut unary;
            shared.with(|state, wakes| {
                let begun = match *id {
                    Some(begun) => begun,
                    None => *id.insert(ready!(state.poll_begin(cx, beginning, wakes))?),
                };
                let answer = ready!(state.poll_one(cx, begun));
                if answer.is_ok() {
                    *id = None;
                }
                Poll::Ready(answer)
            })
        })
        .await
    }

    async fn streaming(&self, item: Out, deadline: Option<Instant>) -> Result<DirectCall<Out, In>, Status> {
        let hold = self.begin(item, false, deadline).await?;
        let requests = DirectSink::new(Hold { shared: hold.shared.clone(), ..hold });
        Ok(DirectCall { requests, replies: DirectItems::new(hold) })
    }

    async fn begin(&self, item: Out, ends: bool, deadline: Option<Instant>) -> Result<Hold<In, Out>, Status> {
        let beginning = Beginning { item: Some(item), ends, deadline, ticket: None };
        let mut turn = Turn { shared: &self.0, beginning };
        let id: CallId =
            poll_fn(|cx| turn.shared.with(|state, wakes| state.poll_begin(cx, &mut turn.beginning, wakes))).await?;
        Ok(Hold { shared: self.0.clone(), id, deadline, calls: true })
    }
}

/// A unary call, in line at first and then with an id until it is answered.
struct Unary<'a, In: CallItem, Out: CallItem> {
    turn: Turn<'a, In, Out>,
    id: Option<CallId>,
}

impl<In: CallItem, Out: CallItem> Drop for Unary<'_, In, Out> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.turn.shared.forget(id, self.turn.beginning.deadline);
        }
    }
}

/// A beginning that may stand in line; dropped, it leaves.
struct Turn<'a, In: CallItem, Out: CallItem> {
    shared: &'a Shared<In, Out>,
    beginning: Beginning<Out>,
}

impl<In: CallItem, Out: CallItem> Drop for Turn<'_, In, Out> {
    fn drop(&mut self) {
        if let Some(ticket) = self.beginning.ticket {
            self.shared.with(|state, wakes| state.leave_line(ticket, wakes));
        }
    }
}

impl<Out: CallItem, In: CallItem> Clone for DirectCaller<Out, In> {
    fn clone(&self) -> Self {
        Self::first(self.0.clone())
    }
}

impl<Out: CallItem, In: CallItem> Drop for DirectCaller<Out, In> {
    fn drop(&mut self) {
        self.0.with(|state, wakes| state.release(wakes));
    }
}

impl<Out: CallItem, In: CallItem> fmt::Debug for DirectCaller<Out, In> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectCaller").field("open_calls", &self.open_calls()).finish_non_exhaustive()
    }
}
