//! A stream of its own order and credit inside a session.

use bytes::Bytes;

use super::Session;
use super::error::{RecvError, SendError};

/// A stream: messages and raw bytes both ways, in order, with its own credit.
pub struct Stream {
    send: SendHalf,
    recv: RecvHalf,
}

/// The half that sends.
pub struct SendHalf {
    session: Session,
}

/// The half that receives.
pub struct RecvHalf {
    session: Session,
}

impl Stream {
    /// Both halves, to be used by two tasks.
    pub fn split(self) -> (SendHalf, RecvHalf) {
        (self.send, self.recv)
    }

    /// The half that sends.
    pub fn sending(&mut self) -> &mut SendHalf {
        &mut self.send
    }

    /// The half that receives.
    pub fn receiving(&mut self) -> &mut RecvHalf {
        &mut self.recv
    }
}

impl SendHalf {
    /// Sends a whole message; returns when it is taken into credit. Dropping the future before takes nothing.
    pub async fn send(&mut self, _message: impl Into<Bytes>) -> Result<(), SendError> {
        Err(self.session.closed().await.into())
    }

    /// Sends a whole message; returns when it lies in the peer's memory.
    pub async fn send_confirmed(&mut self, message: impl Into<Bytes>) -> Result<(), SendError> {
        self.send(message).await
    }

    /// Takes as many raw bytes as there is credit for, at least one; returns how many.
    pub async fn write(&mut self, _bytes: &[u8]) -> Result<usize, SendError> {
        Err(self.session.closed().await.into())
    }

    /// Takes all of `bytes`.
    pub async fn write_all(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        self.write(bytes).await.map(drop)
    }

    /// Ends this direction; returns when the peer has confirmed everything, the end included.
    pub async fn finish(&mut self) -> Result<(), SendError> {
        Err(self.session.closed().await.into())
    }

    /// Gives this direction up: what is not yet sent is dropped, the peer is told `code`.
    pub fn reset(&mut self, _code: u32) {}
}

impl RecvHalf {
    /// The next whole message; `None` after the peer's end.
    pub async fn recv(&mut self) -> Result<Option<Bytes>, RecvError> {
        Err(self.session.closed().await.into())
    }

    /// The next raw bytes with their offset from the first raw byte; `None` after the peer's end.
    pub async fn read(&mut self) -> Result<Option<(u64, Bytes)>, RecvError> {
        Err(self.session.closed().await.into())
    }

    /// Asks the peer to send no more, telling it `code`.
    pub fn stop(&mut self, _code: u32) {}
}
