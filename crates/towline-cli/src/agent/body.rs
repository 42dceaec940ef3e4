//! A body from the hub into the store.

use super::store::{Expected, Incoming, Store, StoreError};
use std::time::{Duration, Instant};
use tokio::task::spawn_blocking;
use towline::mail::{Device, IncomingBody};
use towline_proto::ids::{Lane, MessageId};
use towline_proto::mail::code::Code;
use towline_proto::mail::message::ToHub;

/// How much is gathered before it is written, in bytes: a write costs a turn of a thread.
const WRITE_BYTES: usize = 256 * 1024;

/// How often the sender's progress bar moves.
const TELL_EVERY: Duration = Duration::from_millis(250);

/// How a transfer ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fetched {
    /// The body is whole, verified and synced.
    Ready,
    /// It will never be.
    Failed(Code),
    /// The stream ended before the body did: ask for the rest.
    Cut,
    /// The pause after a cut is over.
    Again,
}

/// Takes one stream into the store.
pub(crate) async fn take(store: Store, expected: Expected, mut body: IncomingBody, device: Device) -> Fetched {
    let header = body.header();
    let begun = spawn_blocking(move || store.begin(header.id, header.offset, expected)).await;
    let mut incoming = match begun {
        Ok(Ok(incoming)) => incoming,
        Ok(Err(error)) => return failed(header.id, &error),
        Err(_) => return Fetched::Cut,
    };
    let mut told = Instant::now();
    loop {
        let (part, more) = gather(&mut body).await;
        incoming = match write(incoming, part).await {
            Ok(incoming) => incoming,
            Err(fetched) => return fetched,
        };
        let whole = incoming.written() == expected.size;
        if told.elapsed() >= TELL_EVERY || whole {
            told = Instant::now();
            // The bar of a sender who cannot be reached does not move.
            let _ = device.say(Lane::NORMAL, &ToHub::Written { id: header.id, written: incoming.written() }).await;
        }
        if !more {
            return if whole { finish(header.id, incoming).await } else { Fetched::Cut };
        }
    }
}

/// What the store holds may be the whole body already: a crash came between its last byte and its check.
pub(crate) async fn check_whole(store: Store, id: MessageId, expected: Expected) -> Fetched {
    match spawn_blocking(move || store.begin(id, expected.size, expected)).await {
        Ok(Ok(incoming)) => finish(id, incoming).await,
        Ok(Err(error)) => failed(id, &error),
        Err(_) => Fetched::Cut,
    }
}

/// Reads until there is enough to write; whether more may come.
async fn gather(body: &mut IncomingBody) -> (Vec<u8>, bool) {
    let mut part = Vec::new();
    while part.len() < WRITE_BYTES {
        match body.read().await {
            Ok(Some(bytes)) => part.extend_from_slice(&bytes),
            Ok(None) | Err(_) => return (part, false),
        }
    }
    (part, true)
}

async fn write(mut incoming: Incoming, part: Vec<u8>) -> Result<Incoming, Fetched> {
    let id = incoming.id();
    let written = spawn_blocking(move || incoming.write(&part).map(|()| incoming)).await;
    written.map_err(|_| Fetched::Cut)?.map_err(|error| failed(id, &error))
}

async fn finish(id: MessageId, incoming: Incoming) -> Fetched {
    match spawn_blocking(move || incoming.finish()).await {
        Ok(Ok(())) => Fetched::Ready,
        Ok(Err(error)) => failed(id, &error),
        Err(_) => Fetched::Cut,
    }
}

fn failed(id: MessageId, error: &StoreError) -> Fetched {
    tracing::warn!(%id, %error, "a body could not be taken");
    match error {
        StoreError::Integrity => Fetched::Failed(Code::Integrity),
        StoreError::Io(_) => Fetched::Failed(Code::DeviceStorage),
    }
}
