//! Calls as `tower` services, so that its layers (timeout, retry, limits, balance) stand around either side.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tower_service::Service as Tower;
use towline_proto::call::{Code, Status};

use super::caller::{Caller, Request};
use super::direct::{Answer, Asked, CallItem, DirectCaller};
use super::pool::Pooled;
use super::serve::{Incoming, Service};

/// A unary call under way.
type Calling<T> = Pin<Box<dyn Future<Output = Result<T, Status>> + Send>>;

/// Takes requests with one item and answers with one. It is ready as long as the session lasts, for a call waits for its
/// turn itself; after that it fails, so that a balancer lets go of it.
impl Tower<Request> for Caller {
    type Response = Bytes;
    type Error = Status;
    type Future = Calling<Bytes>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        let over = || Err(Status::new(Code::Unavailable, "the session is over"));
        Poll::Ready(if self.is_over() { over() } else { Ok(()) })
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let caller = self.clone();
        Box::pin(async move { caller.unary(request).await })
    }
}

/// Takes an item and answers with one. It is ready as long as the connection lasts, for a call waits for its turn itself;
/// after that it fails, so that a balancer lets go of it.
impl<Out: CallItem, In: CallItem> Tower<Out> for DirectCaller<Out, In> {
    type Response = In;
    type Error = Status;
    type Future = Calling<In>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(self.closed().map_or(Ok(()), Err))
    }

    fn call(&mut self, item: Out) -> Self::Future {
        let caller = self.clone();
        Box::pin(async move { DirectCaller::call(&caller, item).await })
    }
}

/// Answers unary calls with a `tower` service, over sessions as a [`Service`] (from [`Request`] to `Bytes`) and over a bare
/// connection as an [`Answer`] (from item to item, and further items of the call are not heard); each call has its own
/// clone.
///
/// The error of a layer goes to the caller: a [`Status`] as it is, a boxed one, too; anything else in a box is `unknown`
/// with its text, so map what callers are to tell apart.
pub struct TowerService<S>(S);

impl<S> TowerService<S> {
    /// Answers with clones of `service`.
    pub fn new(service: S) -> Self {
        Self(service)
    }

    /// A clone that is ready for one call.
    async fn ready<R>(&self) -> Result<S, Status>
    where
        S: Tower<R, Error: Into<Status>> + Clone,
    {
        let mut service = self.0.clone();
        poll_fn(|cx| service.poll_ready(cx)).await.map_err(Into::into)?;
        Ok(service)
    }
}

impl<S> Service for TowerService<S>
where
    S: Tower<Request, Response = Bytes, Error: Into<Status>, Future: Send> + Clone + Send + Sync + 'static,
{
    async fn call(&self, call: &mut Incoming) -> Result<(), Status> {
        let item = call.requests.one().await?;
        let mut service = self.ready().await?;
        let request = Request {
            method: call.info.method.clone().into(),
            item: Some(item),
            timeout: call.info.deadline.map(|at| at.saturating_duration_since(tokio::time::Instant::now())),
            metadata: call.info.metadata.clone(),
        };
        let reply = service.call(request).await.map_err(Into::into)?;
        call.replies.last(reply).await
    }
}

impl<S, In: CallItem, Out: CallItem> Answer<In, Out> for TowerService<S>
where
    S: Tower<In, Response = Out, Error: Into<Status>, Future: Send> + Clone + Send + Sync + 'static,
{
    async fn answer(self: Arc<Self>, call: Asked<In, Out>) -> Result<Option<Out>, Status> {
        let mut service = self.ready().await?;
        service.call(call.item).await.map(Some).map_err(Into::into)
    }
}
