//! Taking a body: a sender's stream into the spool, then verified, synced and kept.

use super::event::{Event, Events, Seat, Takes};
use crate::bodies::{Arrival, Bodies, Wrote, may_block};
use bytes::Bytes;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use towline::{RecvError, RecvHalf};
use towline_proto::ids::MessageId;
use towline_proto::mail::code::Code;
use towline_proto::mail::hub::io::Input;
use towline_proto::mail::message::BodyHeader;

/// The code with which a stream that nobody asked for is stopped.
const NOT_WANTED: u32 = 1;
/// Bytes written to disk at once: large enough that the change of threads does not count.
const WRITE_BYTES: usize = 1024 * 1024;

/// A session's stream of a body.
pub(crate) async fn take(seat: Arc<Seat>, events: Events, mut stream: RecvHalf) {
    let Ok(Some(first)) = stream.recv().await else { return };
    let header = BodyHeader::from_bytes(&first).ok();
    let wanted = header.filter(|header| seat.takes.is_expected(header.id, seat.key));
    let Some((header, arrival)) = wanted.and_then(|header| Some((header, seat.bodies.arriving(header.id)?))) else {
        return stream.stop(NOT_WANTED);
    };
    match fill(&arrival, header.offset, &mut stream).await {
        Filled::Whole => {
            settle(seat.bodies.clone(), seat.takes.clone(), events, header.id, arrival).await;
            // The end, so that the sender's is confirmed; anything else is not wanted, and dropping the stream says so.
            let _ = stream.read().await;
        }
        // The sender goes on over another stream, or asks again.
        Filled::Broken => {}
        Filled::Wrong(code) => {
            stream.stop(NOT_WANTED);
            fail(&seat.bodies, &seat.takes, &events, header.id, code).await;
        }
    }
}

enum Filled {
    Whole,
    Broken,
    Wrong(Code),
}

async fn fill(arrival: &Arrival, offset: u64, stream: &mut RecvHalf) -> Filled {
    let turn = arrival.turn();
    let mut at = offset;
    while !arrival.is_full() {
        let pieces = match gather(stream).await {
            Ok(Some(pieces)) => pieces,
            // Too short is no more than interrupted: what is there is kept, and the sender goes on from it.
            Ok(None) | Err(_) => return Filled::Broken,
        };
        let length: u64 = pieces.iter().map(|piece| piece.len() as u64).sum();
        match turn.write(at, pieces).await {
            Ok(Wrote::Taken) => at += length,
            Ok(Wrote::NotItsTurn) => return Filled::Broken,
            Ok(Wrote::Misplaced) => return Filled::Wrong(Code::Integrity),
            Err(error) => {
                tracing::error!(%error, "a body cannot be written");
                return Filled::Wrong(Code::HubStorage);
            }
        }
    }
    Filled::Whole
}

/// The next bytes, with all that has arrived behind them. They follow each other without a gap, header first.
async fn gather(stream: &mut RecvHalf) -> Result<Option<Vec<Bytes>>, RecvError> {
    let Some((_, first)) = stream.read().await? else { return Ok(None) };
    let (mut length, mut pieces) = (first.len(), vec![first]);
    while length < WRITE_BYTES {
        match if_ready(stream.read()).await {
            Some(Ok(Some((_, piece)))) => {
                length += piece.len();
                pieces.push(piece);
            }
            // An end or an error is met again by the next read.
            Some(Ok(None) | Err(_)) | None => break,
        }
    }
    Ok(Some(pieces))
}

/// The future's value if it is there without waiting. Dropping `read` loses nothing.
async fn if_ready<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|context| {
        Poll::Ready(match future.as_mut().poll(context) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        })
    })
    .await
}

/// Verifies a full spool, puts it in its place and tells the core.
pub(crate) async fn settle(bodies: Arc<Bodies>, takes: Takes, events: Events, id: MessageId, arrival: Arc<Arrival>) {
    if !arrival.begin_settling() {
        return;
    }
    let code = match arrival.verify().await {
        Ok(true) => {
            let (keeper, kept) = (bodies.clone(), arrival.clone());
            match may_block(move |here| keeper.keep(here, id, &kept)).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => {
                    tracing::error!(%id, %error, "a body cannot be kept");
                    Some(Code::HubStorage)
                }
                Err(_) => Some(Code::HubStorage),
            }
        }
        Ok(false) => Some(Code::Integrity),
        Err(error) => {
            tracing::error!(%id, %error, "a body cannot be synced");
            Some(Code::HubStorage)
        }
    };
    match code {
        None => {
            takes.forget(id);
            let _ = events.send(Event::Input(Input::BodyArrived { id })).await;
        }
        Some(code) => fail(&bodies, &takes, &events, id, code).await,
    }
}

pub(crate) async fn fail(bodies: &Arc<Bodies>, takes: &Takes, events: &Events, id: MessageId, code: Code) {
    takes.forget(id);
    bodies.drop_spool(id);
    let _ = events.send(Event::Input(Input::BodyFailed { id, code })).await;
}
