//! Calls as `tower` services, so that its layers (timeout, retry, limits, balance) stand around either side.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use towline_proto::call::Status;

use super::caller::{Caller, Request};
use super::serve::{Incoming, Service};

/// A caller takes requests with one item and answers with one; it is always ready, and a call waits for its turn itself.
impl tower_service::Service<Request> for Caller {
    type Response = Bytes;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Bytes, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let caller = self.clone();
        Box::pin(async move { caller.unary(request).await })
    }
}

/// Answers unary calls with a `tower` service; each call has its own clone.
pub struct TowerService<S>(S);

impl<S> TowerService<S> {
    /// Answers with clones of `service`.
    pub fn new(service: S) -> Self {
        Self(service)
    }
}

impl<S> Service for TowerService<S>
where
    S: tower_service::Service<Request, Response = Bytes, Error: Into<Status>, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
{
    async fn call(&self, call: &mut Incoming) -> Result<(), Status> {
        let mut service = self.0.clone();
        let item = call.requests.one().await?;
        poll_fn(|cx| service.poll_ready(cx)).await.map_err(Into::into)?;
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
