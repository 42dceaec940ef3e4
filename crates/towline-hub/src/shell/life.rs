//! One life of the core: from a store that was read to the first commit that fails, or to the end of the hub.
//!
//! The core's memory runs ahead of the disk. So when a commit fails this life ends with every session, and the next
//! one begins with what the store really holds.

use super::clock;
use super::event::{Event, Events, Seat, Takes};
use super::give::{Giving, give};
use super::port::Port;
use super::session::link_text;
use super::upload;
use super::{HubInfo, desk::Desk};
use crate::bodies::{Arrival, Bodies, may_block};
use crate::metrics::Metrics;
use crate::store::records::{Records, changes};
use crate::store::{Change, Report, StoreError, Writer};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use towline::{Close, CloseCode, Identity, Lane};
use towline_proto::ids::{Digest, MessageId};
use towline_proto::mail::code::Code;
use towline_proto::mail::hub::HubCore;
use towline_proto::mail::hub::io::{Cut, Input, Output, SessionKey, Step, Write};
use towline_proto::mail::hub::record::{BodyPlace, Phase};
use towline_proto::mail::message::ToDevice;

/// Steps that may wait for the disk; then the core hears nothing more, and behind it every session waits.
const MAX_PENDING_STEPS: usize = 4_096;
/// The longest sleep: the sleeper's clock stands still while the machine sleeps, the deadlines' does not.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// How often what was kept long enough is removed.
const SWEEP_PERIOD_MS: u64 = 600_000;

/// How a life ends.
pub(super) enum End {
    /// The hub ends.
    Stopped(Option<oneshot::Sender<()>>),
    /// The store failed.
    StoreFailed(StoreError),
}

/// A step whose writes are not synced yet.
struct Pending {
    number: u64,
    outputs: Vec<Output>,
    /// Bodies that the mailbox no longer refers to once it is synced.
    released: Vec<MessageId>,
}

/// One life of the core.
pub(super) struct Life {
    pub(super) core: HubCore,
    pub(super) records: Records,
    pub(super) bodies: Arc<Bodies>,
    pub(super) writer: Writer,
    pub(super) reports: mpsc::UnboundedReceiver<Report>,
    pub(super) identity: Arc<Identity>,
    pub(super) events: Events,
    pub(super) metrics: Arc<Metrics>,
    pub(super) info: Arc<HubInfo>,
    pub(super) desk: Desk,
    pub(super) ports: HashMap<SessionKey, Port>,
    pub(super) gives: HashMap<(SessionKey, MessageId), oneshot::Sender<()>>,
    pub(super) takes: Takes,
    pending: VecDeque<Pending>,
    last_step: u64,
    next_session: u64,
    next_sweep_ms: u64,
}

/// What a life begins with.
pub(super) struct Beginning {
    pub(super) core: HubCore,
    pub(super) records: Records,
    pub(super) bodies: Arc<Bodies>,
    pub(super) writer: Writer,
    pub(super) reports: mpsc::UnboundedReceiver<Report>,
}

impl Life {
    pub(super) fn new(
        beginning: Beginning,
        identity: Arc<Identity>,
        events: Events,
        metrics: Arc<Metrics>,
        info: Arc<HubInfo>,
    ) -> Self {
        let Beginning { core, records, bodies, writer, reports } = beginning;
        Self {
            core,
            records,
            bodies,
            writer,
            reports,
            identity,
            events,
            metrics,
            desk: Desk::default(),
            info,
            ports: HashMap::new(),
            gives: HashMap::new(),
            takes: Takes::default(),
            pending: VecDeque::new(),
            last_step: 0,
            next_session: 0,
            next_sweep_ms: 0,
        }
    }

    /// Works until the hub ends or the store fails.
    pub(super) async fn run(&mut self, inbox: &mut mpsc::Receiver<Event>) -> End {
        loop {
            if let Err(error) = self.sweep_in_time() {
                return End::StoreFailed(error);
            }
            let sleep = self.until_next_timer();
            let result = tokio::select! {
                biased;
                Some(report) = self.reports.recv() => self.reported(report),
                event = inbox.recv(), if self.pending.len() < MAX_PENDING_STEPS => match event {
                    Some(Event::Stop(reply)) => return End::Stopped(Some(reply)),
                    None => return End::Stopped(None),
                    Some(event) => self.take(event),
                },
                () = tokio::time::sleep(sleep) => self.tick(),
            };
            if let Err(error) = result {
                return End::StoreFailed(error);
            }
        }
    }

    /// Commits what was handed in; nothing may be said any more.
    pub(super) fn finish(self) {
        self.writer.close();
    }

    /// Cuts every session: what they were told may not be so.
    pub(super) fn cut_all(&mut self) {
        for (_, port) in self.ports.drain() {
            port.cut(Close::new(CloseCode::Internal).with_text("the hub cannot store; come again"));
        }
        self.gives.clear();
    }

    fn until_next_timer(&self) -> Duration {
        let now_ms = clock::now().boot_ms();
        let next =
            self.core.poll_timeout().map_or(LONGEST_SLEEP, |at| Duration::from_millis(at.saturating_sub(now_ms)));
        next.min(LONGEST_SLEEP)
    }

    /// Before every wait: a hub that is never idle sweeps too.
    fn sweep_in_time(&mut self) -> Result<(), StoreError> {
        let now_ms = clock::now().boot_ms();
        if now_ms < self.next_sweep_ms {
            return Ok(());
        }
        self.next_sweep_ms = now_ms + SWEEP_PERIOD_MS;
        self.sweep()
    }

    fn tick(&mut self) -> Result<(), StoreError> {
        let now_ms = clock::now().boot_ms();
        if self.core.poll_timeout().is_some_and(|at| at <= now_ms) { self.feed(Input::Tick) } else { Ok(()) }
    }

    fn take(&mut self, event: Event) -> Result<(), StoreError> {
        match event {
            Event::Opened { session, seat } => {
                self.next_session += 1;
                let key = SessionKey(self.next_session);
                let link = session.links().first().map_or_else(String::new, link_text);
                let peer = session.peer();
                let port = Port::new(session, self.events.clone());
                let given = seat.send(Seat {
                    key,
                    bodies: self.bodies.clone(),
                    takes: self.takes.clone(),
                    backlog: port.backlog(),
                });
                if given.is_err() {
                    return Ok(());
                }
                self.ports.insert(key, port);
                self.metrics.sessions.set(self.ports.len() as i64);
                self.feed(Input::Opened { session: key, key: peer, link })
            }
            Event::Input(input) => {
                if let Input::Closed { session } = input {
                    self.ports.remove(&session);
                    self.gives.retain(|(of, _), _| *of != session);
                    self.metrics.sessions.set(self.ports.len() as i64);
                }
                self.feed(input)
            }
            Event::SpoolOpen { session, id, lane, opened } => {
                self.spool_open(session, id, lane, opened);
                Ok(())
            }
            Event::Admin { command, reply } => {
                let input = self.desk.take(command, reply, &self.info, &self.metrics);
                input.map_or(Ok(()), |input| self.feed(input))
            }
            Event::Drain => self.feed(Input::Drain),
            // Met in `run`.
            Event::Stop(_) => Ok(()),
        }
    }

    /// One change, then everything that follows from it.
    fn feed(&mut self, input: Input) -> Result<(), StoreError> {
        let step = self.core.handle(clock::now(), input, &self.records, &*self.identity);
        let Step { number, writes, now, after_commit } = step;
        self.last_step = number;
        let released = writes.iter().filter_map(dropped_body).collect();
        let mut records = Vec::new();
        for write in writes {
            self.note(&write);
            records.extend(changes(write));
        }
        self.write(Pending { number, outputs: after_commit, released }, records)?;
        self.metrics.undecided.set(self.core.gauges().undecided as i64);
        self.perform(now)
    }

    /// A step that changes nothing and waits for nothing need not pass the writer.
    fn write(&mut self, pending: Pending, records: Vec<Change>) -> Result<(), StoreError> {
        if records.is_empty() && self.pending.is_empty() {
            let Pending { number, outputs, .. } = pending;
            self.core.committed(number);
            return self.perform(outputs);
        }
        let number = pending.number;
        self.pending.push_back(pending);
        self.writer.write(number, records).or_else(|_| {
            // The writer has ended; its report says why and is on its way.
            Ok(())
        })
    }

    fn note(&self, write: &Write) {
        match write {
            Write::Accept(record) => {
                self.metrics.accepted.inc();
                if record.body == BodyPlace::File {
                    self.bodies.accepted(record.id);
                }
            }
            Write::Phase { phase: Phase::Decided(decision), .. } => self.metrics.outcome(decision.outcome.as_str()),
            _ => {}
        }
    }

    fn reported(&mut self, report: Report) -> Result<(), StoreError> {
        let (step, steps, took) = match report {
            Report::Failed(error) => return Err(error),
            Report::Committed { step, steps, took } => (step, steps, took),
        };
        self.metrics.committed(steps, took);
        let mut outputs = Vec::new();
        while self.pending.front().is_some_and(|pending| pending.number <= step) {
            let Some(pending) = self.pending.pop_front() else { break };
            for id in pending.released {
                self.bodies.release(id);
            }
            outputs.extend(pending.outputs);
        }
        self.core.committed(step);
        self.metrics.damaged(self.records.damaged());
        self.perform(outputs)
    }

    fn perform(&mut self, outputs: Vec<Output>) -> Result<(), StoreError> {
        for output in outputs {
            self.perform_one(output);
        }
        Ok(())
    }

    fn perform_one(&mut self, output: Output) {
        match output {
            Output::Say { session, lane, message } => self.say(session, lane, &message),
            Output::Deliver { session, lane, id } => self.deliver(session, lane, id),
            Output::TakeBody { session, id, lane, size, root } => {
                self.takes.expect(id, session);
                self.open_spool(session, id, lane, size, root);
            }
            Output::DropSpool { id } => {
                self.takes.forget(id);
                self.bodies.drop_spool(id);
            }
            Output::GiveBody { session, id, offset } => self.give_body(session, id, offset),
            Output::StopBody { id } => self.gives.retain(|(_, of), _| *of != id),
            Output::SayLive { session, id, message } => {
                if let Some(port) = self.ports.get(&session) {
                    port.say_live(id, &message);
                }
            }
            Output::ResetLive { session } => {
                if let Some(port) = self.ports.get(&session) {
                    port.reset_live();
                }
            }
            Output::Cut { session, reason } => {
                if let Some(port) = self.ports.remove(&session) {
                    self.metrics.cut(cut_close(reason).code.word());
                    self.metrics.sessions.set(self.ports.len() as i64);
                    port.cut(cut_close(reason));
                }
            }
            Output::Reply { request, answer } => self.desk.reply(request, answer),
        }
    }

    /// Opens the spool beside the core: what an earlier stream left in it is hashed first, which may take seconds.
    fn open_spool(&self, session: SessionKey, id: MessageId, lane: Lane, size: u64, root: Digest) {
        let (bodies, events) = (self.bodies.clone(), self.events.clone());
        may_block(move |here| {
            let opened = bodies.arrival(here, id, size, root);
            // A hub that ends needs no answer.
            let _ = events.blocking_send(Event::SpoolOpen { session, id, lane, opened });
        });
    }

    fn spool_open(&mut self, session: SessionKey, id: MessageId, lane: Lane, opened: Result<Arc<Arrival>, StoreError>) {
        if !self.takes.is_expected(id, session) {
            // Given up meanwhile; or another session asked after this one, and has its own answer.
            if opened.is_ok() && !self.takes.is_wanted(id) {
                self.bodies.drop_spool(id);
            }
            return;
        }
        let (bodies, takes, events) = (self.bodies.clone(), self.takes.clone(), self.events.clone());
        match opened {
            Ok(arrival) if arrival.is_full() => {
                tokio::spawn(upload::settle(bodies, takes, events, id, arrival));
            }
            Ok(arrival) => self.say(session, lane, &ToDevice::SendBody { id, offset: arrival.written() }),
            Err(error) => {
                tracing::error!(%id, %error, "a body cannot be taken");
                tokio::spawn(async move { upload::fail(&bodies, &takes, &events, id, Code::HubStorage).await });
            }
        }
    }

    fn say(&mut self, session: SessionKey, lane: Lane, message: &ToDevice) {
        match message {
            ToDevice::NotAccepted { code, .. } | ToDevice::Denied { code, .. } => self.metrics.refused(code.as_str()),
            _ => {}
        }
        if let Some(port) = self.ports.get_mut(&session) {
            port.say(lane, message);
        }
    }

    fn deliver(&mut self, session: SessionKey, lane: Lane, id: MessageId) {
        let record = match self.records.read(id) {
            Ok(Some(record)) => record,
            Ok(None) => return,
            Err(error) => {
                self.metrics.store_errors.inc();
                tracing::error!(%id, %error, "a damaged message is not delivered");
                return;
            }
        };
        let body = match record.body {
            BodyPlace::Inline(bytes) => Some(bytes),
            BodyPlace::File | BodyPlace::Dropped => None,
        };
        self.say(session, lane, &ToDevice::Deliver { envelope: record.envelope, body });
    }

    fn give_body(&mut self, session: SessionKey, id: MessageId, offset: u64) {
        let Some(port) = self.ports.get(&session) else { return };
        let from = match self.bodies.source(id) {
            Ok(Some(source)) => Giving::File(source),
            Ok(None) => match self.records.read(id) {
                Ok(Some(record)) => match record.body {
                    BodyPlace::Inline(bytes) => Giving::Inline(bytes.into()),
                    BodyPlace::File | BodyPlace::Dropped => return,
                },
                _ => return,
            },
            Err(error) => {
                self.metrics.store_errors.inc();
                tracing::error!(%id, %error, "a body cannot be given");
                return;
            }
        };
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(give(port.session.clone(), id, offset, from, stopped));
        self.gives.retain(|_, stop| !stop.is_closed());
        self.gives.insert((session, id), stop);
    }

    /// Removes what was kept long enough, with the writes of the step before.
    fn sweep(&mut self) -> Result<(), StoreError> {
        let (failed_ms, records_ms) = (self.info.keep_failed_ms, self.info.keep_records_ms);
        let overdue = self.records.overdue(clock::now().wall_ms, failed_ms, records_ms)?;
        if overdue.is_empty() {
            return Ok(());
        }
        let records = overdue.iter().flat_map(|overdue| overdue.changes()).collect();
        let released = overdue.iter().map(|overdue| overdue.id).collect();
        self.write(Pending { number: self.last_step, outputs: Vec::new(), released }, records)
    }
}

fn dropped_body(write: &Write) -> Option<MessageId> {
    match write {
        Write::DropBody { id } => Some(*id),
        _ => None,
    }
}

fn cut_close(reason: Cut) -> Close {
    Close::new(match reason {
        Cut::Revoked => CloseCode::Revoked,
        Cut::Superseded => CloseCode::Superseded,
        Cut::Denied => CloseCode::NotPermitted,
        Cut::Protocol => CloseCode::Protocol,
    })
}
