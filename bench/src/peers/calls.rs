//! Ours: calls over a bare connection, with items whose buffers come back.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;

use tokio::task::JoinSet;
use towline::call::direct::{Asked, CallItem, DirectCaller, NoAnswer, PacketCodec, each, exchange};
use towline::codec::{Content, LengthPrefixed};
use towline::connection::Connection;

use super::stream::Stream;
use super::{all, payload};
use crate::job::{Job, Load, MESSAGE_MAX_BYTES};
use crate::meter::{Meter, Pace, Tally, Until};
use crate::roles::Fault;

/// Buffers that are kept to be used again: more than are in flight at once.
const KEPT_BUFFERS: usize = 1_024;

thread_local! {
    static POOL: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes in a buffer that goes back to its thread's pool.
struct Item(Vec<u8>);

impl Item {
    fn copy(bytes: &[u8]) -> Self {
        let mut buffer = POOL.with_borrow_mut(Vec::pop).unwrap_or_default();
        buffer.extend_from_slice(bytes);
        Self(buffer)
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.0);
        buffer.clear();
        POOL.with_borrow_mut(|pool| {
            if pool.len() < KEPT_BUFFERS {
                pool.push(buffer);
            }
        });
    }
}

impl CallItem for Item {
    fn weight_bytes(&self) -> usize {
        self.0.len()
    }
}

/// An item is its bytes.
struct Plain;

impl Content for Plain {
    type In = Item;
    type Out = Item;
    type Error = Infallible;

    fn read(bytes: &[u8]) -> Result<Item, Infallible> {
        Ok(Item::copy(bytes))
    }

    fn write(item: &Item, bytes: &mut Vec<u8>) -> Result<(), Infallible> {
        bytes.extend_from_slice(&item.0);
        Ok(())
    }
}

fn codec() -> PacketCodec<LengthPrefixed, Plain> {
    PacketCodec::new(LengthPrefixed::u32(MESSAGE_MAX_BYTES))
}

pub fn serve(job: Job, io: impl Stream, meter: Meter) {
    // The meter goes with the answer, and so with its connection.
    if job.load == Load::Items {
        let answer = move |call: Asked<Item, Item>| {
            let _ = &meter;
            items(job, call)
        };
        let (_, calls) = exchange(false, Default::default(), answer);
        tokio::spawn(Connection::answering(io, codec(), calls, Default::default()));
    } else {
        let echo = move |item: Item| {
            let _ = &meter;
            ready(Ok(item))
        };
        let (_, calls) = exchange::<Item, Item, _>(false, Default::default(), each(echo));
        tokio::spawn(Connection::answering(io, codec(), calls, Default::default()));
    }
}

async fn items(job: Job, mut call: Asked<Item, Item>) -> Result<Option<Item>, towline::call::Status> {
    let (message, mut until) = (payload(&job), Until::new(&job));
    while until.goes_on() {
        call.replies.send(Item::copy(&message)).await?;
    }
    Ok(None)
}

pub async fn drive(job: Job, io: impl Stream, tally: &Arc<Tally>) -> Result<(), Fault> {
    let (caller, calls) = exchange(true, Default::default(), NoAnswer);
    let (_, connection) = Connection::new(io, codec(), calls, Default::default());
    let connection = tokio::spawn(connection);
    let mut tasks = JoinSet::new();
    match job.load {
        Load::RoundTrips { in_flight } => {
            (0..in_flight).for_each(|_| drop(tasks.spawn(ask(job, caller.clone(), tally.clone()))));
        }
        Load::Items => drop(tasks.spawn(take(job, caller.clone(), tally.clone()))),
        Load::OneWay | Load::Idle => return Err("calls are measured in round trips and items".into()),
    }
    drop(caller);
    all(tasks).await?;
    let end = connection.await?;
    if end.is_done() { Ok(()) } else { Err(end.to_string().into()) }
}

async fn ask(job: Job, caller: DirectCaller<Item, Item>, tally: Arc<Tally>) -> Result<(), Fault> {
    let (message, mut pace) = (payload(&job), Pace::new(&job, &tally));
    pace.request();
    while !pace.is_over() {
        caller.call(Item::copy(&message)).await?;
        pace.answer();
    }
    Ok(())
}

async fn take(job: Job, caller: DirectCaller<Item, Item>, tally: Arc<Tally>) -> Result<(), Fault> {
    let mut meter = Meter::new(&tally);
    let mut call = caller.open(Item::copy(&payload(&job))).await?;
    call.requests.end()?;
    while call.replies.recv().await?.is_some() {
        meter.message();
    }
    Ok(())
}
