//! What comes without having been asked for.

use crate::session::{Ended, RecvError, RecvHalf, Stream};
use bytes::Bytes;
use tokio::sync::mpsc;
use towline_proto::mail::message::{BodyHeader, ToDevice};

/// Something that the hub said or sent.
#[derive(Debug)]
pub enum Event {
    /// A word: `Update`, `Outcome`, `Progress`, `Presence`, `Deliver`, `Offer`, `Go`, …
    Said(Box<ToDevice>),
    /// A body that was asked for with `SendBody`.
    Body(IncomingBody),
}

/// A body on its way in. Dropping it tells the hub to stop.
pub struct IncomingBody {
    header: BodyHeader,
    bytes: RecvHalf,
    // The other half, kept so that the stream stays whole.
    stream: crate::session::SendHalf,
    over: bool,
}

impl IncomingBody {
    /// Takes the header off a stream; `None` if there is none.
    pub(super) async fn begin(stream: Stream) -> Option<Self> {
        let (stream, mut bytes) = stream.split();
        let header = BodyHeader::from_bytes(&bytes.recv().await.ok()??).ok()?;
        Some(Self { header, bytes, stream, over: false })
    }

    /// Whose body this is and at which offset it begins.
    pub fn header(&self) -> BodyHeader {
        self.header
    }

    /// The next bytes; `None` when the hub has sent all that it wanted to send on this stream.
    ///
    /// # Errors
    /// When the stream is given up; what came until then is good.
    pub async fn read(&mut self) -> Result<Option<Bytes>, RecvError> {
        let read = self.bytes.read().await;
        self.over |= !matches!(read, Ok(Some(_)));
        Ok(read?.map(|(_, bytes)| bytes))
    }
}

impl Drop for IncomingBody {
    fn drop(&mut self) {
        if !self.over {
            self.bytes.stop(0);
        }
        self.stream.reset(0);
    }
}

impl std::fmt::Debug for IncomingBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IncomingBody").field("header", &self.header).finish_non_exhaustive()
    }
}

/// The stream of events of one attached session, in the order in which they came.
///
/// Take them promptly: while 256 of them wait, nothing more is read from the session, answers included.
#[derive(Debug)]
pub struct Events {
    pub(super) events: mpsc::Receiver<Event>,
    pub(super) ended: tokio::sync::watch::Receiver<Option<Ended>>,
}

impl Events {
    /// The next event, or the session's end once every event was taken. Dropping the future loses nothing.
    ///
    /// # Errors
    /// The session's end.
    pub async fn next(&mut self) -> Result<Event, Ended> {
        match self.events.recv().await {
            Some(event) => Ok(event),
            None => Err(self.end().await),
        }
    }

    async fn end(&mut self) -> Ended {
        match self.ended.wait_for(Option::is_some).await.ok().and_then(|ended| (*ended).clone()) {
            Some(ended) => ended,
            // The device was dropped, and with it the tasks that read: there is nobody left to be told.
            None => std::future::pending().await,
        }
    }
}
