//! Messages on their way between a handle and the core: sent in turn, received as they come, errors in the application's
//! words.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use towline_proto::session::{Mark, RecvError as CoreRecvError, SendError as CoreSendError, StreamKey};

use super::bells::{Bells, wait};
use super::error::{RecvError, SendError};
use super::shared::{Shared, State};

/// The most that is taken or handed out under one lock, in bytes, unless one message has more: what the task gathers at
/// once.
const AT_ONCE_BYTES: usize = 64 * 1024;

/// Sends a whole message: at once if nobody waits before it and there is room, else in its turn.
pub(super) async fn send_message(
    shared: &Shared,
    key: StreamKey,
    bells: &Arc<Bells>,
    message: &[u8],
) -> Result<Mark, SendError> {
    bells.pay(message.len()).await;
    let now = || match shared.command(|state| take(state, key, message)) {
        Err(SendError::Full) => None,
        other => Some(other),
    };
    bells.writable.wait_in_turn(now).await
}

/// Sends at least one of `messages`, which are not none, in their turn.
pub(super) async fn send_many(
    shared: &Shared,
    key: StreamKey,
    bells: &Arc<Bells>,
    messages: &mut VecDeque<Bytes>,
) -> Result<(), SendError> {
    let now = || match shared.command(|state| take_many(state, key, messages)) {
        Err(SendError::Full) => None,
        other => Some(other),
    };
    let taken = bells.writable.wait_in_turn(now).await;
    bells.pay(taken?).await;
    Ok(())
}

pub(super) fn take(state: &mut State, key: StreamKey, message: &[u8]) -> Result<Mark, SendError> {
    state.core.send(key, message).map_err(|error| refusal(state, key, error))
}

fn take_many(state: &mut State, key: StreamKey, messages: &mut VecDeque<Bytes>) -> Result<usize, SendError> {
    let taken = state.core.send_many(key, messages, AT_ONCE_BYTES as u64);
    taken.map(|bytes| bytes as usize).map_err(|error| refusal(state, key, error))
}

/// Whether a message of `bytes` would be taken now; asks the peer for credit if not.
pub(super) fn fits(state: &mut State, key: StreamKey, bytes: usize) -> Option<Result<(), SendError>> {
    match state.core.fits(key, bytes) {
        Ok(()) => Some(Ok(())),
        Err(CoreSendError::Full) => None,
        Err(error) => Some(Err(refusal(state, key, error))),
    }
}

/// What the core's refusal means to the application.
pub(super) fn refusal(state: &State, key: StreamKey, error: CoreSendError) -> SendError {
    let stopped = state.streams.get(&key).and_then(|entry| entry.stopped);
    match error {
        CoreSendError::Full => SendError::Full,
        CoreSendError::TooLarge { max } => {
            SendError::TooLarge { max_bytes: usize::try_from(max).unwrap_or(usize::MAX) }
        }
        _ if state.ended.is_some() => SendError::Ended(state.over()),
        CoreSendError::Reset | CoreSendError::Finished | CoreSendError::Closed if stopped.is_some() => {
            SendError::Stopped(stopped.unwrap_or_default())
        }
        CoreSendError::Closed if state.closing.is_some() => SendError::Ended(state.over()),
        CoreSendError::Reset | CoreSendError::Finished | CoreSendError::Closed => SendError::Finished,
    }
}

/// Waits until everything up to `mark` is in the peer's memory.
pub(super) async fn confirmed(shared: &Shared, key: StreamKey, bells: &Bells, mark: Mark) -> Result<(), SendError> {
    shared.command(|state| state.core.watch(key, mark));
    let look = || {
        if bells.confirmed_to.load(Ordering::Relaxed) >= mark.0 {
            return Some(Ok(()));
        }
        let state = shared.lock();
        if state.core.is_confirmed(key, mark) {
            return Some(Ok(()));
        }
        let stopped = state.streams.get(&key).and_then(|entry| entry.stopped);
        state.ended.clone().map(|ended| Err(ended.into())).or(stopped.map(|code| Err(SendError::Stopped(code))))
    };
    wait(&bells.confirmed, look).await
}

/// The next message, the end (`Ok(None)`), or nothing yet (`None`).
pub(super) fn receive(state: &mut State, key: StreamKey) -> Option<Result<Option<Bytes>, RecvError>> {
    match state.core.recv(key) {
        Ok(Some(message)) => Some(Ok(Some(message))),
        Ok(None) => state.ended.clone().map(|ended| Err(ended.into())),
        Err(error) => Some(end_of_receiving(state, error).map(|()| None)),
    }
}

/// Appends messages that are there and says how many, the end, or nothing yet (`None`).
pub(super) fn receive_many(
    state: &mut State,
    key: StreamKey,
    messages: &mut Vec<Bytes>,
    max: usize,
) -> Option<Result<usize, RecvError>> {
    match state.core.recv_many(key, messages, max, AT_ONCE_BYTES) {
        Ok(0) => state.ended.clone().map(|ended| Err(ended.into())),
        Ok(count) => Some(Ok(count)),
        Err(error) => Some(Err(match end_of_receiving(state, error) {
            Err(error) => error,
            Ok(()) => RecvError::Ended(state.over()),
        })),
    }
}

pub(super) fn end_of_receiving(state: &State, error: CoreRecvError) -> Result<(), RecvError> {
    match error {
        CoreRecvError::Ended => Ok(()),
        CoreRecvError::Reset(code) => Err(RecvError::Reset(code)),
        CoreRecvError::NotAMessage => Err(RecvError::NotAMessage),
        CoreRecvError::Closed => state.ended.clone().map_or(Ok(()), |ended| Err(ended.into())),
    }
}
