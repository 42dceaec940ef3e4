//! A stream of its own order and credit inside a session.

use std::sync::Arc;

use bytes::Bytes;
use towline_proto::session::{SendError as CoreSendError, StreamKey};

use super::Session;
use super::bells::{Bells, wait};
use super::error::{RecvError, SendError};
use super::messages::{confirmed, end_of_receiving, receive, refusal, send_message};

/// The code of a reset or stop that nobody chose: a half was dropped before its end.
const DROPPED_CODE: u32 = 0;

/// The most raw bytes offered to the core at once. A larger offer would state a larger need, and be called when all of
/// it fits, which may be never.
const WRITE_AT_ONCE_BYTES: usize = 64 * 1024;

/// A stream: messages and raw bytes both ways, in order, with its own credit.
pub struct Stream {
    send: SendHalf,
    recv: RecvHalf,
}

/// The half that sends. Dropped before [`SendHalf::finish`] returned, it resets the stream, so that a piece of a body is
/// never taken for the whole.
pub struct SendHalf {
    half: Half,
    finishing: bool,
}

/// The half that receives. Dropped before the end, it tells the peer to stop.
pub struct RecvHalf {
    half: Half,
    /// How it ended, once that was told. The core forgets a stream then, and a reset told again as an end would make a
    /// piece look like the whole.
    end: Option<Result<(), RecvError>>,
}

struct Half {
    session: Session,
    key: StreamKey,
    bells: Arc<Bells>,
}

impl Drop for Half {
    /// The second half to go takes the entry with it.
    fn drop(&mut self) {
        self.session.shared.command(|state| {
            if let Some(entry) = state.streams.get_mut(&self.key) {
                entry.halves -= 1;
                if entry.halves == 0 {
                    state.streams.remove(&self.key);
                }
            }
        });
    }
}

impl Stream {
    pub(super) fn new(session: Session, key: StreamKey, bells: Arc<Bells>) -> Self {
        let half = Half { session: session.clone(), key, bells: bells.clone() };
        let send = SendHalf { half, finishing: false };
        let recv = RecvHalf { half: Half { session, key, bells }, end: None };
        Self { send, recv }
    }

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
    pub async fn send(&mut self, message: impl Into<Bytes>) -> Result<(), SendError> {
        let Half { session, key, bells } = &self.half;
        send_message(&session.shared, *key, bells, &message.into()).await.map(drop)
    }

    /// Sends a whole message; returns when it lies in the peer's memory.
    pub async fn send_confirmed(&mut self, message: impl Into<Bytes>) -> Result<(), SendError> {
        let Half { session, key, bells } = &self.half;
        let mark = send_message(&session.shared, *key, bells, &message.into()).await?;
        confirmed(&session.shared, *key, bells, mark).await
    }

    /// Takes as many raw bytes as there is credit for, at least one unless `bytes` is empty; returns how many.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<usize, SendError> {
        let Half { session, key, bells } = &self.half;
        let bytes = &bytes[..bytes.len().min(WRITE_AT_ONCE_BYTES)];
        let now = || {
            session.shared.command(|state| match state.core.write(*key, bytes) {
                Ok(count) => Some(Ok(count)),
                Err(CoreSendError::Full) => None,
                Err(error) => Some(Err(refusal(state, *key, error))),
            })
        };
        bells.writable.wait(now).await
    }

    /// Takes all of `bytes`. Dropped before it returns, it has taken some of them.
    pub async fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), SendError> {
        while !bytes.is_empty() {
            let count = self.write(bytes).await?;
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// Ends this direction after what was sent, and does not wait for the peer to have it.
    pub fn end(&mut self) -> Result<(), SendError> {
        if !self.finishing {
            let Half { session, key, .. } = &self.half;
            session.shared.command(|state| state.core.finish(*key).map_err(|error| refusal(state, *key, error)))?;
            self.finishing = true;
        }
        Ok(())
    }

    /// Ends this direction; returns when the peer has everything in its memory, the end included.
    pub async fn finish(&mut self) -> Result<(), SendError> {
        self.end()?;
        let Half { session, key, bells } = &self.half;
        let look = || {
            let state = session.shared.lock();
            let entry = state.streams.get(key)?;
            match (entry.finished, entry.stopped, &state.ended) {
                (true, _, _) => Some(Ok(())),
                (_, Some(code), _) => Some(Err(SendError::Stopped(code))),
                (_, _, Some(ended)) => Some(Err(ended.clone().into())),
                _ => None,
            }
        };
        wait(&bells.confirmed, look).await
    }

    /// Waits, apart from this half, until the peer wants no more of it (its code), or the session is over (`None`).
    /// It never ends if the peer takes everything.
    pub fn stopped(&self) -> impl Future<Output = Option<u32>> + Send + use<> {
        let (shared, key, bells) = (self.half.session.shared.clone(), self.half.key, self.half.bells.clone());
        async move {
            let look = || {
                let state = shared.lock();
                let stopped = state.streams.get(&key).and_then(|entry| entry.stopped);
                stopped.map(Some).or_else(|| state.ended.as_ref().map(|_| None))
            };
            wait(&bells.confirmed, look).await
        }
    }

    /// Gives this direction up: what is not yet sent is dropped, the peer is told `code`.
    pub fn reset(&mut self, code: u32) {
        self.finishing = true;
        let Half { session, key, .. } = &self.half;
        session.shared.command(|state| state.core.reset(*key, code));
    }
}

impl Drop for SendHalf {
    fn drop(&mut self) {
        if !self.finishing {
            self.reset(DROPPED_CODE);
        }
    }
}

impl RecvHalf {
    /// The next whole message; `None` after the peer's end. An end or a reset is told again to whoever asks again.
    pub async fn recv(&mut self) -> Result<Option<Bytes>, RecvError> {
        if let Some(end) = &self.end {
            return end.clone().map(|()| None);
        }
        let Half { session, key, bells } = &self.half;
        let now = || session.shared.command(|state| receive(state, *key));
        let got = wait(&bells.readable, now).await;
        self.note_end(&got);
        got
    }

    fn note_end<T>(&mut self, got: &Result<Option<T>, RecvError>) {
        match got {
            // Raw bytes stand there, to be read as such.
            Ok(Some(_)) | Err(RecvError::NotAMessage) => {}
            Ok(None) => self.end = Some(Ok(())),
            Err(error) => self.end = Some(Err(error.clone())),
        }
    }

    /// The next raw bytes with their offset in the stream; `None` after the peer's end. An end or a reset is told again
    /// to whoever asks again.
    pub async fn read(&mut self) -> Result<Option<(u64, Bytes)>, RecvError> {
        if let Some(end) = &self.end {
            return end.clone().map(|()| None);
        }
        let Half { session, key, bells } = &self.half;
        let now = || {
            session.shared.command(|state| match state.core.read(*key) {
                Ok(Some(bytes)) => Some(Ok(Some(bytes))),
                Ok(None) => state.ended.clone().map(|ended| Err(ended.into())),
                Err(error) => Some(end_of_receiving(state, error).map(|()| None)),
            })
        };
        let got = wait(&bells.readable, now).await;
        self.note_end(&got);
        got
    }

    /// Asks the peer to send no more, telling it `code`.
    pub fn stop(&mut self, code: u32) {
        self.end.get_or_insert(Ok(()));
        let Half { session, key, .. } = &self.half;
        session.shared.command(|state| state.core.stop(*key, code));
    }
}

impl Drop for RecvHalf {
    fn drop(&mut self) {
        if self.end.is_none() {
            self.stop(DROPPED_CODE);
        }
    }
}
