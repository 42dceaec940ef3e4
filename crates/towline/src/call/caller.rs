//! The calling side.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use towline_proto::call::{Begin, Code, Metadata, Status};
use towline_proto::ids::Lane;

use super::halves::{Items, Sink, in_time};
use crate::session::Session;

/// What a caller asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The method's name.
    pub method: Cow<'static, str>,
    /// The first item; it travels with the beginning.
    pub item: Option<Bytes>,
    /// How long the whole call may take. It travels, and both sides hold to it.
    pub timeout: Option<Duration>,
    /// What else the caller says.
    pub metadata: Metadata,
}

impl Request {
    /// A request with an item.
    pub fn new(method: impl Into<Cow<'static, str>>, item: impl Into<Bytes>) -> Self {
        Self { item: Some(item.into()), ..Self::begin(method) }
    }

    /// A request whose items follow.
    pub fn begin(method: impl Into<Cow<'static, str>>) -> Self {
        Self { method: method.into(), ..Self::default() }
    }

    /// The same, to be over within `timeout`.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The same with a named value beside it.
    #[must_use]
    pub fn with_metadata(mut self, key: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.metadata.push(key, value);
        self
    }
}

/// Makes calls over a session; clones use the same one.
#[derive(Clone, Debug)]
pub struct Caller {
    session: Session,
    lane: Lane,
    timeout: Option<Duration>,
    metadata: Metadata,
}

impl Caller {
    /// Calls over this session, in the lane `normal`.
    pub fn new(session: Session) -> Self {
        Self { session, lane: Lane::NORMAL, timeout: None, metadata: Metadata::default() }
    }

    /// The same, in another lane.
    #[must_use]
    pub fn in_lane(self, lane: Lane) -> Self {
        Self { lane, ..self }
    }

    /// The same; calls that state no time of their own are to be over within `timeout`.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// The same with a named value beside every call.
    #[must_use]
    pub fn with_metadata(mut self, key: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.metadata.push(key, value);
        self
    }

    /// The session it calls over.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// One item there, one item back. Dropping the future cancels the call.
    ///
    /// # Errors
    /// The status with which the call ended; `unavailable` if the session is over, `deadline-exceeded` after its time.
    pub async fn unary(&self, request: Request) -> Result<Bytes, Status> {
        let mut call = self.open(request).await?;
        call.requests.end()?;
        call.replies.one().await
    }

    /// Begins a call of any shape. It waits while as many calls are open as the other side allows. Dropping the future
    /// cancels the call.
    ///
    /// # Errors
    /// As [`Caller::unary`]; `invalid-argument` if method or metadata are larger than the wire takes.
    pub async fn open(&self, request: Request) -> Result<Call, Status> {
        let deadline = request.timeout.or(self.timeout).map(|timeout| Instant::now() + timeout);
        let opened = async {
            let over = |error: crate::OpenError| Status::new(Code::Unavailable, error.to_string());
            self.session.open(self.lane).await.map_err(over)
        };
        let (sending, receiving) = in_time(deadline, opened).await?.split();
        let mut requests = Sink::new(sending, deadline);
        let replies = Items::replies(receiving, deadline);
        let begin = Begin {
            method: &request.method,
            time_left: deadline.map(|at| at.saturating_duration_since(Instant::now())),
            metadata: Metadata(self.metadata.0.iter().cloned().chain(request.metadata.0).collect()),
        };
        requests.begin(begin, request.item.as_deref()).await?;
        Ok(Call { requests, replies })
    }
}

/// A call from the caller's side. Dropped before its end it is cancelled.
pub struct Call {
    /// What goes; [`Sink::end`] says that there is no more.
    pub requests: Sink,
    /// What comes.
    pub replies: Items,
}
