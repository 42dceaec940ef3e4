//! What a side answers.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use tokio::time::Instant;
use towline_proto::call::{Code, Status};

use super::CallItem;
use super::halves::{DirectItems, DirectSink};

/// A call as it comes to an [`Answer`].
pub struct Asked<In: CallItem, Out: CallItem> {
    /// Its first item.
    pub item: In,
    /// Further items, if the caller sends any.
    pub requests: DirectItems<In, Out>,
    /// Replies before the last.
    pub replies: DirectSink<In, Out>,
    /// When the caller stops waiting; the handler is dropped then.
    pub deadline: Option<Instant>,
}

impl<In: CallItem, Out: CallItem> fmt::Debug for Asked<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

/// Answers calls of every shape. An `async fn` will do, and so will a function from [`Asked`] to a future; for one item
/// there and one back there is [`each`].
pub trait Answer<In: CallItem, Out: CallItem>: Send + Sync + 'static {
    /// Answers one call: takes further items from `call.requests`, puts replies into `call.replies`, and returns the last
    /// reply if there is one more, or how it failed.
    ///
    /// The future is polled by the connection itself and only when there is room to send: long computing belongs
    /// elsewhere. It is dropped when the caller gives up, its time is over or the connection ends; a panic in it is told as
    /// `internal`.
    fn answer(
        self: Arc<Self>,
        call: Asked<In, Out>,
    ) -> impl Future<Output = Result<Option<Out>, Status>> + Send + 'static;
}

impl<In, Out, F, Work> Answer<In, Out> for F
where
    In: CallItem,
    Out: CallItem,
    F: Fn(Asked<In, Out>) -> Work + Send + Sync + 'static,
    Work: Future<Output = Result<Option<Out>, Status>> + Send + 'static,
{
    fn answer(self: Arc<Self>, call: Asked<In, Out>) -> impl Future<Output = Work::Output> + Send + 'static {
        self(call)
    }
}

/// For a side that only calls: what it is asked is `unimplemented`.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoAnswer;

impl<In: CallItem, Out: CallItem> Answer<In, Out> for NoAnswer {
    async fn answer(self: Arc<Self>, _: Asked<In, Out>) -> Result<Option<Out>, Status> {
        Err(Status::new(Code::Unimplemented, "this side answers no calls"))
    }
}

/// Answers each item with one; see [`each`].
#[derive(Clone, Copy, Debug)]
pub struct Each<F>(F);

/// Answers each call's first item with one, and hears no further.
pub fn each<In, Out, F, Work>(answer: F) -> Each<F>
where
    F: Fn(In) -> Work + Send + Sync + 'static,
    Work: Future<Output = Result<Out, Status>> + Send + 'static,
{
    Each(answer)
}

impl<In, Out, F, Work> Answer<In, Out> for Each<F>
where
    In: CallItem,
    Out: CallItem,
    F: Fn(In) -> Work + Send + Sync + 'static,
    Work: Future<Output = Result<Out, Status>> + Send + 'static,
{
    async fn answer(self: Arc<Self>, call: Asked<In, Out>) -> Result<Option<Out>, Status> {
        (self.0)(call.item).await.map(Some)
    }
}
