//! The two directions of a call: items that come, items that go.

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};
use towline_proto::call::{Begin, Code, Metadata, Status, Word};

use crate::session::{RecvError, RecvHalf, SendError, SendHalf};

/// Why a stream's reset or stop gives a call up.
fn given_up(code: u32) -> Status {
    // A half that was dropped without a word says 0.
    let code = if code == 0 { Code::Cancelled } else { Code::from_number(code.into()) };
    Status::new(code, "the other side gave the call up")
}

fn not_sent(error: SendError) -> Status {
    match error {
        SendError::Stopped(code) => given_up(code),
        SendError::TooLarge { max_bytes } => {
            let text =
                format!("an item is larger than the {max_bytes} bytes that the other side takes; send it in parts");
            Status::new(Code::ResourceExhausted, text)
        }
        SendError::Ended(ended) => Status::new(Code::Unavailable, ended.to_string()),
        SendError::Full | SendError::Finished => Status::new(Code::FailedPrecondition, error.to_string()),
    }
}

fn not_received(error: RecvError) -> Status {
    match error {
        RecvError::Reset(code) => given_up(code),
        RecvError::Ended(ended) => Status::new(Code::Unavailable, ended.to_string()),
        RecvError::NotAMessage => Status::new(Code::Internal, "the other side sent bytes that are no call"),
    }
}

pub(super) fn too_late() -> Status {
    Status::new(Code::DeadlineExceeded, "the call's time is over")
}

/// Runs `work` no longer than until `deadline`.
pub(super) async fn in_time<T>(
    deadline: Option<Instant>,
    work: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    match deadline {
        Some(at) => timeout_at(at, work).await.unwrap_or_else(|_| Err(too_late())),
        None => work.await,
    }
}

/// Items that go. Dropped before its end it gives the call up.
pub struct Sink {
    stream: SendHalf,
    deadline: Option<Instant>,
    scratch: Vec<u8>,
    ended: bool,
}

impl Sink {
    pub(super) fn new(stream: SendHalf, deadline: Option<Instant>) -> Self {
        Self { stream, deadline, scratch: Vec::new(), ended: false }
    }

    pub(super) fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
    }

    pub(super) fn stopped(&self) -> impl Future<Output = Option<u32>> + Send + use<> {
        self.stream.stopped()
    }

    pub(super) async fn word(&mut self, word: Word<'_>) -> Result<(), Status> {
        self.scratch.clear();
        word.encode(&mut self.scratch);
        let message = Bytes::copy_from_slice(&self.scratch);
        let stream = &mut self.stream;
        in_time(self.deadline, async { stream.send(message).await.map_err(not_sent) }).await
    }

    /// Says how the call begins.
    pub(super) async fn begin(&mut self, begin: Begin<'_>, item: Option<&[u8]>) -> Result<(), Status> {
        begin.check().map_err(|error| Status::new(Code::InvalidArgument, error.to_string()))?;
        self.word(Word::Begin(begin, item)).await
    }

    /// Sends an item; returns when it is taken into credit. Dropping the future before sends nothing.
    ///
    /// # Errors
    /// The other side gave the call up, the item is larger than it takes, the time or the session is over.
    pub async fn send(&mut self, item: impl AsRef<[u8]>) -> Result<(), Status> {
        self.word(Word::Item(item.as_ref())).await
    }

    /// There are no more items.
    ///
    /// # Errors
    /// As [`Sink::send`].
    pub fn end(&mut self) -> Result<(), Status> {
        self.ended = true;
        self.stream.end().map_err(not_sent)
    }

    /// Gives the call up, with this code.
    pub(super) fn give_up(&mut self, code: Code) {
        self.ended = true;
        self.stream.reset(code.number());
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if !self.ended {
            self.give_up(Code::Cancelled);
        }
    }
}

/// Replies that go: items, metadata, and at the end a status.
pub struct Replies {
    sink: Sink,
    /// Goes with the status.
    pub metadata: Metadata,
}

impl Replies {
    pub(super) fn new(sink: Sink) -> Self {
        Self { sink, metadata: Metadata::default() }
    }

    /// Sends a reply; waits while the caller reads slowly. Dropping the future before sends nothing.
    ///
    /// # Errors
    /// As [`Sink::send`].
    pub async fn send(&mut self, item: impl AsRef<[u8]>) -> Result<(), Status> {
        self.sink.send(item).await
    }

    /// Sends the last reply and the status `ok` in one word.
    ///
    /// # Errors
    /// As [`Sink::send`].
    pub async fn last(&mut self, item: impl AsRef<[u8]>) -> Result<(), Status> {
        if !self.metadata.0.is_empty() {
            return self.send(item).await;
        }
        self.sink.word(Word::Last(item.as_ref())).await?;
        self.sink.end()
    }

    /// Says how it ended, unless [`Replies::last`] did.
    pub(super) async fn close(&mut self, status: Status) {
        if self.sink.ended {
            return;
        }
        let metadata = std::mem::take(&mut self.metadata);
        let (status, metadata) = match metadata.check() {
            Ok(()) => (status, metadata),
            Err(error) => (Status::new(Code::Internal, error.to_string()), Metadata::default()),
        };
        // The status is owed after the deadline, too. If it cannot be sent nobody is there to hear why.
        self.sink.set_deadline(None);
        let _ = self.sink.word(Word::Status(status, metadata)).await;
        let _ = self.sink.end();
    }
}

/// Items that come. Dropped before their end it gives the call up.
pub struct Items {
    stream: RecvHalf,
    deadline: Option<Instant>,
    /// An item that came with the word before it.
    early: Option<Bytes>,
    /// Whether a status ends them (replies), or the stream's end (requests).
    are_replies: bool,
    end: Option<Result<(), Status>>,
    metadata: Metadata,
}

impl Items {
    pub(super) fn replies(stream: RecvHalf, deadline: Option<Instant>) -> Self {
        Self { stream, deadline, early: None, are_replies: true, end: None, metadata: Metadata::default() }
    }

    pub(super) fn requests(stream: RecvHalf, deadline: Option<Instant>, early: Option<Bytes>) -> Self {
        Self { stream, deadline, early, are_replies: false, end: None, metadata: Metadata::default() }
    }

    /// The next item; `None` at the end. An end or an error is told again to whoever asks again.
    ///
    /// # Errors
    /// The status with which the call ended, if that is not `ok`.
    pub async fn recv(&mut self) -> Result<Option<Bytes>, Status> {
        if let Some(early) = self.early.take() {
            return Ok(Some(early));
        }
        if let Some(end) = &self.end {
            return end.clone().map(|()| None);
        }
        let stream = &mut self.stream;
        let message = in_time(self.deadline, async { stream.recv().await.map_err(not_received) }).await;
        match message.and_then(|message| self.understand(message)) {
            Ok(Some(item)) => Ok(Some(item)),
            Ok(None) => {
                self.end.get_or_insert(Ok(()));
                Ok(None)
            }
            Err(status) => {
                self.end = Some(Err(status.clone()));
                self.stream.stop(status.code.number());
                Err(status)
            }
        }
    }

    fn understand(&mut self, message: Option<Bytes>) -> Result<Option<Bytes>, Status> {
        let Some(message) = message else {
            let without_status = || Status::new(Code::Internal, "the other side ended the call without a status");
            return if self.are_replies { Err(without_status()) } else { Ok(None) };
        };
        let word = Word::decode(&message).map_err(|error| Status::new(Code::Internal, error.to_string()))?;
        match word {
            Word::Item(item) => Ok(Some(message.slice_ref(item))),
            Word::Last(item) if self.are_replies => {
                self.end = Some(Ok(()));
                Ok(Some(message.slice_ref(item)))
            }
            Word::Status(status, metadata) if self.are_replies => {
                self.metadata = metadata;
                if status.code == Code::Ok { Ok(None) } else { Err(status) }
            }
            _ => Err(Status::new(Code::Internal, "the other side said a word that has no place here")),
        }
    }

    /// The only item.
    ///
    /// # Errors
    /// As [`Items::recv`]; or there is none, or more than one (`invalid-argument` of a caller, `internal` of a server).
    pub async fn one(&mut self) -> Result<Bytes, Status> {
        let wrong = |text| Status::new(if self.are_replies { Code::Internal } else { Code::InvalidArgument }, text);
        let (none, more) =
            (wrong("one item was expected, and none came"), wrong("one item was expected, and more came"));
        let item = self.recv().await?.ok_or(none)?;
        self.recv().await?.map_or(Ok(item), |_| Err(more))
    }

    /// What the answering side said beside its items; there once these have ended.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    pub(super) fn give_up(&mut self, code: Code) {
        if self.end.is_none() {
            self.end = Some(Err(code.into()));
            self.stream.stop(code.number());
        }
    }
}

impl Drop for Items {
    fn drop(&mut self) {
        self.give_up(Code::Cancelled);
    }
}
