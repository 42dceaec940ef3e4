//! What a connection's calls and their handles share, behind one short lock.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;
use towline_proto::call::exchange::{CallId, Exchange, Fault};
use towline_proto::call::{Code, Packet, Part, Status};

use super::{CallItem, DirectConfig, weigh};
use crate::connection::waiters::Waiters;

/// How many bytes of packets may wait for the connection before callers and writers wait: as much as a connection's own
/// queue. What is taken to be written next is as much once more.
pub const QUEUED_BYTES: u64 = 256 * 1024;

/// See the module's page.
pub(super) struct Shared<In, Out>(Mutex<State<In, Out>>);

/// What is shared.
pub(super) struct State<In, Out> {
    pub(super) exchange: Exchange<Slot<In>>,
    /// Why nothing goes any more.
    pub(super) closed: Option<Status>,
    /// Callers that may still begin calls.
    pub(super) handles: usize,
    outgoing: VecDeque<Packet<Out>>,
    queued_bytes: u64,
    /// Calls whose reader made room that the peer is to hear of.
    credits: Vec<CallId>,
    /// Calls whose writer waits for the queue, not for credit.
    starved: Vec<CallId>,
    /// Who waits to begin a call.
    line: Waiters,
    /// Places given to who left the line and has not begun yet.
    promised: usize,
    task: Option<Waker>,
    parked: bool,
}

/// What is kept of a call for its handles.
pub(super) struct Slot<In> {
    first: Option<In>,
    more: VecDeque<In>,
    pub(super) end: Option<Result<(), Status>>,
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// Credit that is to be told.
    credit: Option<u64>,
    starved: bool,
}

impl<In> Default for Slot<In> {
    fn default() -> Self {
        let (first, more) = (None, VecDeque::new());
        Self { first, more, end: None, reader: None, writer: None, credit: None, starved: false }
    }
}

impl<In> Slot<In> {
    fn push(&mut self, item: In) {
        // A unary call's one item needs no queue.
        if self.is_empty() {
            self.first = Some(item);
        } else {
            self.more.push_back(item);
        }
    }

    /// Whether no item waits to be read.
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none() && self.more.is_empty()
    }

    fn pop(&mut self) -> Option<In> {
        self.first.take().or_else(|| self.more.pop_front())
    }

    fn end(&mut self, end: Result<(), Status>, wakes: &mut Wakes) {
        self.end.get_or_insert(end);
        wakes.add(self.reader.take());
        wakes.add(self.writer.take());
    }
}

/// Who is to be woken when the lock is free again.
#[derive(Default)]
pub(super) struct Wakes {
    /// Mostly there is one, which needs no memory.
    first: Option<Waker>,
    more: Vec<Waker>,
}

impl Wakes {
    fn add(&mut self, waker: Option<Waker>) {
        let Some(waker) = waker else { return };
        if self.first.is_none() {
            self.first = Some(waker);
        } else {
            self.more.push(waker);
        }
    }
}

/// Why a call that is not known any more does nothing.
fn over() -> Status {
    Status::new(Code::Cancelled, "the call is over")
}

fn given_up(code: Code) -> Status {
    Status::new(code, "the other side gave the call up")
}

fn keep(place: &mut Option<Waker>, cx: &Context<'_>) {
    match place {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *place = Some(cx.waker().clone()),
    }
}

impl<In: CallItem, Out: CallItem> Shared<In, Out> {
    pub(super) fn new(connected: bool, config: DirectConfig) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            exchange: Exchange::new(connected, config.max_calls.max(1), config.window_bytes.max(1)),
            closed: None,
            handles: 0,
            outgoing: VecDeque::new(),
            queued_bytes: 0,
            credits: Vec::new(),
            starved: Vec::new(),
            line: Waiters::default(),
            promised: 0,
            task: None,
            parked: false,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State<In, Out>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the state or changes it, and then wakes whom that concerns.
    pub(super) fn with<T>(&self, change: impl FnOnce(&mut State<In, Out>, &mut Wakes) -> T) -> T {
        let mut wakes = Wakes::default();
        let result = change(&mut self.lock(), &mut wakes);
        wakes.first.into_iter().chain(wakes.more).for_each(Waker::wake);
        result
    }
}

/// What a call begins with, until it has begun.
pub(super) struct Beginning<Out> {
    pub(super) item: Option<Out>,
    pub(super) ends: bool,
    pub(super) deadline: Option<Instant>,
    /// The place in line.
    pub(super) ticket: Option<u64>,
}

impl<In: CallItem, Out: CallItem> State<In, Out> {
    /// What the connection's end, or the call's, says to who still uses the call.
    fn why_over(&mut self, id: CallId) -> Status {
        let end = self.exchange.slot(id).and_then(|slot| slot.end.clone()?.err());
        end.or_else(|| self.closed.clone()).unwrap_or_else(over)
    }

    fn wake_task(&mut self, wakes: &mut Wakes) {
        if std::mem::take(&mut self.parked) {
            wakes.add(self.task.clone());
        }
    }

    fn push(&mut self, call: CallId, part: Part<Out>, weight: u64, wakes: &mut Wakes) {
        self.outgoing.push_back(Packet { call, part });
        self.queued_bytes += weight;
        self.wake_task(wakes);
    }

    fn has_place(&self) -> bool {
        self.exchange.room() > self.promised && self.queued_bytes < QUEUED_BYTES
    }

    /// Gives free places to those in line: whenever the connection takes what is queued, as it does after every call's end.
    fn grant(&mut self, wakes: &mut Wakes) {
        while self.has_place()
            && let Some(waker) = self.line.take_first()
        {
            self.promised += 1;
            wakes.add(Some(waker));
        }
    }

    pub(super) fn poll_begin(
        &mut self,
        cx: &Context<'_>,
        beginning: &mut Beginning<Out>,
        wakes: &mut Wakes,
    ) -> Poll<Result<CallId, Status>> {
        if let Some(status) = &self.closed {
            return Poll::Ready(Err(status.clone()));
        }
        match beginning.ticket {
            Some(ticket) if self.line.is_waiting(ticket, cx.waker()) => return Poll::Pending,
            Some(_) => {
                self.promised -= 1;
                beginning.ticket = None;
            }
            None if self.line.is_empty() && self.has_place() => {}
            None => {
                beginning.ticket = Some(self.line.join(0, cx.waker().clone()));
                return Poll::Pending;
            }
        }
        let Some(item) = beginning.item.take() else { unreachable!("a call begins once") };
        let (ends, weight) = (beginning.ends, weigh(&item));
        let Ok(id) = self.exchange.begin(weight, ends, Slot::default()) else { unreachable!("there was a place") };
        let time_left = beginning.deadline.map(|at| at.saturating_duration_since(Instant::now()));
        self.push(id, Part::Begin { item, ends, time_left }, weight, wakes);
        Poll::Ready(Ok(id))
    }

    /// Who had that place in line does not want it any more.
    pub(super) fn leave_line(&mut self, ticket: u64, wakes: &mut Wakes) {
        if !self.line.leave(ticket) && self.closed.is_none() {
            self.promised -= 1;
            self.grant(wakes);
        }
    }

    /// Puts an item into the queue, if credit and queue have room.
    pub(super) fn poll_send(
        &mut self,
        cx: &Context<'_>,
        id: CallId,
        item: &mut Option<Out>,
        wakes: &mut Wakes,
    ) -> Poll<Result<(), Status>> {
        let full = self.queued_bytes >= QUEUED_BYTES;
        let weight = item.as_ref().map_or(0, weigh);
        if !full && self.exchange.send(id, weight) {
            let Some(item) = item.take() else { unreachable!("an item is sent once") };
            self.push(id, Part::Item(item), weight, wakes);
            return Poll::Ready(Ok(()));
        }
        if !self.exchange.is_sending(id) {
            let ended = self.exchange.is_open(id);
            let no_more = || Status::new(Code::FailedPrecondition, "the items of this side have ended");
            return Poll::Ready(Err(if ended { no_more() } else { self.why_over(id) }));
        }
        if let Some(slot) = self.exchange.slot(id) {
            keep(&mut slot.writer, cx);
            if full && !std::mem::replace(&mut slot.starved, true) {
                self.starved.push(id);
            }
        }
        Poll::Pending
    }

    /// The caller sends no more.
    pub(super) fn end(&mut self, id: CallId, wakes: &mut Wakes) -> Result<(), Status> {
        if self.exchange.is_sending(id) {
            self.exchange.end(id);
            self.push(id, Part::End, 0, wakes);
        } else if !self.exchange.is_open(id) {
            return Err(self.why_over(id));
        }
        Ok(())
    }

    pub(super) fn poll_recv(
        &mut self,
        cx: &Context<'_>,
        id: CallId,
        wakes: &mut Wakes,
    ) -> Poll<Result<Option<In>, Status>> {
        let Some(slot) = self.exchange.slot(id) else { return Poll::Ready(Err(self.why_over(id))) };
        if let Some(item) = slot.pop() {
            self.took(id, weigh(&item), wakes);
            return Poll::Ready(Ok(Some(item)));
        }
        if let Some(end) = &slot.end {
            return Poll::Ready(end.clone().map(|()| None));
        }
        keep(&mut slot.reader, cx);
        Poll::Pending
    }

    /// An item was taken; the peer hears of it when there is enough to tell.
    pub(super) fn took(&mut self, id: CallId, weight: u64, wakes: &mut Wakes) {
        let Some(limit) = self.exchange.took(id, weight) else { return };
        let told = self.exchange.slot(id).is_some_and(|slot| slot.credit.replace(limit).is_none());
        if told {
            self.credits.push(id);
            self.wake_task(wakes);
        }
    }

    /// The answer of a unary call, which is forgotten when there is one.
    pub(super) fn poll_one(&mut self, cx: &Context<'_>, id: CallId) -> Poll<Result<In, Status>> {
        let wrong = |text| Err(Status::new(Code::Internal, text));
        let answer = match self.exchange.slot(id) {
            None => Err(self.why_over(id)),
            Some(slot) if !slot.more.is_empty() => wrong("one item was expected, and more came"),
            Some(Slot { end: Some(Err(status)), .. }) => Err(status.clone()),
            Some(slot @ Slot { end: Some(Ok(())), .. }) => {
                slot.pop().map_or_else(|| wrong("one item was expected, and none came"), Ok)
            }
            Some(slot) => {
                keep(&mut slot.reader, cx);
                return Poll::Pending;
            }
        };
        if answer.is_ok() {
            self.exchange.forget(id);
        }
        Poll::Ready(answer)
    }

    /// Gives a call up, if it is not over; what came of it can still be read.
    pub(super) fn give_up(&mut self, id: CallId, status: Status, wakes: &mut Wakes) {
        if self.exchange.close(id) {
            self.push(id, Part::GiveUp(status.code), 0, wakes);
            if let Some(slot) = self.exchange.slot(id) {
                slot.end(Err(status), wakes);
            }
        }
    }

    /// Nobody reads the call any more; with this code it is given up, if it is not over. The slot is to be dropped when
    /// the lock is free.
    pub(super) fn forget(&mut self, id: CallId, code: Code, wakes: &mut Wakes) -> Option<Slot<In>> {
        self.give_up(id, code.into(), wakes);
        self.exchange.forget(id)
    }

    /// A packet came.
    pub(super) fn received(&mut self, packet: Packet<In>, wakes: &mut Wakes) -> Result<Received<In>, Fault> {
        use towline_proto::call::exchange::Arrival;
        let Packet { call, part } = packet;
        let weight = part.item().map_or(0, weigh);
        match self.exchange.received(call, part.step(), weight)? {
            Arrival::New(slot) => {
                let Part::Begin { item, ends, time_left } = part else { unreachable!("only these begin calls") };
                slot.end = ends.then_some(Ok(()));
                if !ends {
                    self.took(call, weight, wakes);
                }
                return Ok(Received::New { item, time_left });
            }
            Arrival::Deliver(slot) => match part {
                Part::Item(item) => {
                    slot.push(item);
                    wakes.add(slot.reader.take());
                }
                Part::Last(item) => {
                    slot.push(item);
                    slot.end(Ok(()), wakes);
                }
                Part::Status(status) => slot.end(if status.code == Code::Ok { Ok(()) } else { Err(status) }, wakes),
                _ => {
                    slot.end.get_or_insert(Ok(()));
                    wakes.add(slot.reader.take());
                }
            },
            Arrival::Writable(slot) => wakes.add(slot.writer.take()),
            Arrival::Over(slot) => {
                let Part::GiveUp(code) = part else { unreachable!("only that gives calls up") };
                slot.end(Err(given_up(code)), wakes);
                return Ok(Received::GivenUp);
            }
            Arrival::Late => return Ok(Received::Nothing),
            Arrival::Refuse(code) => return Ok(Received::Refused(code)),
        }
        Ok(Received::Nothing)
    }

    /// A handler is done. An item for which there is no credit comes back, to be sent when there is.
    pub(super) fn answered(
        &mut self,
        id: CallId,
        outcome: Result<Option<Out>, Status>,
        wakes: &mut Wakes,
    ) -> Result<Option<Slot<In>>, Out> {
        if self.exchange.is_open(id) {
            let part = match outcome {
                Ok(Some(item)) if !self.exchange.may_send(id) => return Err(item),
                Ok(Some(item)) => Part::Last(item),
                Ok(None) => Part::Status(Code::Ok.into()),
                Err(status) => Part::Status(status),
            };
            self.push(id, part, 0, wakes);
        }
        Ok(self.exchange.forget(id))
    }

    /// Moves all that is to be sent behind `batch`, and lets those go on who waited for that.
    pub(super) fn take(&mut self, batch: &mut VecDeque<Packet<Out>>, wakes: &mut Wakes) {
        if batch.is_empty() {
            std::mem::swap(batch, &mut self.outgoing);
        } else {
            batch.append(&mut self.outgoing);
        }
        for call in self.credits.drain(..) {
            let limit = self.exchange.slot(call).and_then(|slot| slot.credit.take());
            batch.extend(limit.map(|limit| Packet { call, part: Part::Credit(limit) }));
        }
        self.queued_bytes = 0;
        for call in self.starved.drain(..) {
            if let Some(slot) = self.exchange.slot(call) {
                slot.starved = false;
                wakes.add(slot.writer.take());
            }
        }
        self.grant(wakes);
    }

    /// The connection's task looks at what is to be sent, and need not be woken for it.
    pub(super) fn unpark(&mut self) {
        self.parked = false;
    }

    /// The connection's task found nothing to send.
    pub(super) fn park(&mut self, cx: &Context<'_>) {
        keep(&mut self.task, cx);
        self.parked = true;
    }

    /// Whether there is nobody who could still send anything.
    pub(super) fn is_done(&self) -> bool {
        self.handles == 0 && self.exchange.open() == 0
    }

    pub(super) fn release(&mut self, wakes: &mut Wakes) {
        self.handles -= 1;
        self.wake_task(wakes);
    }

    /// Nothing goes any more, and why. What was to be sent comes back, to be dropped when the lock is free.
    pub(super) fn close(&mut self, why: &Status, wakes: &mut Wakes) -> VecDeque<Packet<Out>> {
        self.closed.get_or_insert_with(|| why.clone());
        self.exchange.close_all();
        self.exchange.slots().for_each(|slot| slot.end(Err(why.clone()), wakes));
        self.line.dismiss().into_iter().for_each(|waker| wakes.add(Some(waker)));
        self.credits.clear();
        self.starved.clear();
        std::mem::take(&mut self.outgoing)
    }
}

/// What a packet asks of the reactor.
pub(super) enum Received<In> {
    New { item: In, time_left: Option<std::time::Duration> },
    GivenUp,
    Refused(Code),
    Nothing,
}
