//! The two directions of a call: items that come, items that go.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;

use tokio::time::Instant;
use towline_proto::call::exchange::CallId;
use towline_proto::call::{Code, Status};

use super::CallItem;
use super::shared::Shared;
use crate::call::halves::{in_time, too_late};

/// One side's hold on a call.
pub(super) struct Hold<In: CallItem, Out: CallItem> {
    pub(super) shared: Arc<Shared<In, Out>>,
    pub(super) id: CallId,
    pub(super) deadline: Option<Instant>,
    /// Whether dropping it gives the call up: for the caller. What is answered ends with its handler.
    pub(super) calls: bool,
}

impl<In: CallItem, Out: CallItem> Hold<In, Out> {
    /// Runs `work` in the call's time; the caller gives the call up when it takes longer.
    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
        let done = in_time(self.deadline, work).await;
        if self.calls
            && let Err(status) = &done
            && status.code == Code::DeadlineExceeded
        {
            self.give_up(status.clone());
        }
        done
    }

    fn give_up(&self, status: Status) {
        self.shared.with(|state, wakes| state.give_up(self.id, status, wakes));
    }
}

/// Why a call with that deadline is given up, if it is given up now.
fn reason(deadline: Option<Instant>) -> Status {
    if deadline.is_some_and(|at| at <= Instant::now()) { too_late() } else { Code::Cancelled.into() }
}

impl<In: CallItem, Out: CallItem> Shared<In, Out> {
    /// Nobody reads the call any more.
    pub(super) fn forget(&self, id: CallId, deadline: Option<Instant>) {
        let code = reason(deadline).code;
        drop(self.with(|state, wakes| state.forget(id, code, wakes)));
    }
}

/// Items that go. A caller's, dropped before its end, gives the call up.
pub struct DirectSink<In: CallItem, Out: CallItem> {
    hold: Hold<In, Out>,
    ended: bool,
}

impl<In: CallItem, Out: CallItem> DirectSink<In, Out> {
    pub(super) fn new(hold: Hold<In, Out>) -> Self {
        Self { hold, ended: false }
    }

    /// Sends an item; waits while the other side reads slowly. Dropping the future before sends nothing.
    ///
    /// # Errors
    /// The status with which the call ended; `cancelled` if the other side gave it up or has answered; its time or the
    /// connection is over.
    pub async fn send(&mut self, item: Out) -> Result<(), Status> {
        let mut item = Some(item);
        let shared = &self.hold.shared;
        let sent = poll_fn(|cx| shared.with(|state, wakes| state.poll_send(cx, self.hold.id, &mut item, wakes)));
        self.hold.in_time(sent).await
    }

    /// There are no more items of the caller. An answering side ends with its handler.
    ///
    /// # Errors
    /// As [`DirectSink::send`].
    pub fn end(&mut self) -> Result<(), Status> {
        self.ended = true;
        if !self.hold.calls {
            return Ok(());
        }
        self.hold.shared.with(|state, wakes| state.end(self.hold.id, wakes))
    }
}

impl<In: CallItem, Out: CallItem> Drop for DirectSink<In, Out> {
    fn drop(&mut self) {
        if self.hold.calls && !self.ended {
            self.hold.give_up(reason(self.hold.deadline));
        }
    }
}

impl<In: CallItem, Out: CallItem> fmt::Debug for DirectSink<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectSink").field("call", &self.hold.id.0).finish_non_exhaustive()
    }
}

/// Items that come. A caller's, dropped before their end, give the call up.
pub struct DirectItems<In: CallItem, Out: CallItem>(Hold<In, Out>);

impl<In: CallItem, Out: CallItem> DirectItems<In, Out> {
    pub(super) fn new(hold: Hold<In, Out>) -> Self {
        Self(hold)
    }

    /// The next item; `None` at the end. An end or an error is told again to whoever asks again. Cancel safe.
    ///
    /// # Errors
    /// The status with which the call ended, if that is not `ok`.
    pub async fn recv(&mut self) -> Result<Option<In>, Status> {
        let hold = &self.0;
        hold.in_time(poll_fn(|cx| hold.shared.with(|state, wakes| state.poll_recv(cx, hold.id, wakes)))).await
    }

    /// The only item.
    ///
    /// # Errors
    /// As [`DirectItems::recv`]; or there is none, or more than one (`invalid-argument` of a caller, `internal` of the
    /// answering side).
    pub async fn one(&mut self) -> Result<In, Status> {
        let wrong = |text| Status::new(if self.0.calls { Code::Internal } else { Code::InvalidArgument }, text);
        let (none, more) =
            (wrong("one item was expected, and none came"), wrong("one item was expected, and more came"));
        let item = self.recv().await?.ok_or(none)?;
        self.recv().await?.map_or(Ok(item), |_| Err(more))
    }
}

impl<In: CallItem, Out: CallItem> Drop for DirectItems<In, Out> {
    fn drop(&mut self) {
        if self.0.calls {
            self.0.shared.forget(self.0.id, self.0.deadline);
        }
    }
}

impl<In: CallItem, Out: CallItem> fmt::Debug for DirectItems<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectItems").field("call", &self.0.id.0).finish_non_exhaustive()
    }
}
