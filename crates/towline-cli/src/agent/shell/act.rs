//! What the core's outputs make the shell do.

use super::{Back, Fetch, Shell};
use crate::agent::body::{self, Fetched};
use crate::agent::disk::DiskJob;
use crate::agent::store::Expected;
use crate::agent::tell::{About, By, Told};
use crate::agent::work::{self, PlaceJob};
use std::time::Duration;
use towline::mail::{Event, IncomingBody};
use towline_proto::ids::MessageId;
use towline_proto::mail::agent::io::{Input, Output, Run};
use towline_proto::mail::agent::record::Target;
use towline_proto::mail::agent::rules::{Plan, PlannedRun};
use towline_proto::mail::envelope::{Envelope, SignedEnvelope};
use towline_proto::mail::message::{ToDevice, ToHub};

/// How long a body waits before it is asked for again after its stream broke off.
const REFETCH: Duration = Duration::from_millis(200);

impl Shell {
    /// Does one thing that the core wants.
    pub(super) fn output(&mut self, output: Output) {
        match output {
            // What is said to nobody is said again by the core when it is attached.
            Output::Say { lane, message } => drop(self.says.send((lane, message))),
            Output::Fetch { id, lane, size, root } => {
                let expected = Expected { size, root };
                self.fetches.entry(id).or_insert(Fetch { lane, expected, under_way: false });
                self.ask_for_body(id);
            }
            Output::Place { id, request, target, name, start_before_ms } => {
                self.place(DiskJob::Place(PlaceJob { id, request, target, name }, start_before_ms), id, request);
            }
            Output::CheckPlaced { id, request, target, name } => {
                self.placing += 1;
                let _ = self.disk.send(DiskJob::Check(PlaceJob { id, request, target, name }));
            }
            Output::Run(run) => self.start_run(*run),
            Output::Live { envelope, body, plan } => self.live(&envelope, body, plan),
            Output::Discard { id } => self.discard(id),
        }
    }

    fn place(&mut self, job: DiskJob, id: MessageId, request: u64) {
        if self.draining {
            return self.answer(Input::TooLate { id, request });
        }
        self.placing += 1;
        let _ = self.disk.send(job);
    }

    fn start_run(&mut self, run: Run) {
        if self.draining {
            return self.answer(Input::TooLate { id: run.id, request: run.request });
        }
        let (config, store, back) = (self.around.config.clone(), self.store.clone(), self.back.clone());
        let interrupt = self.interrupt.subscribe();
        self.runs.spawn(async move {
            if let Some(input) = work::do_run(&config, &store, &run, interrupt).await {
                let _ = back.send(Back::Input(input));
            }
        });
    }

    /// An input that follows from an output: handed in after this step, not within it.
    fn answer(&mut self, input: Input) {
        let _ = self.back.send(Back::Input(input));
    }

    /// A live message is handled now or never, and nothing is kept of it.
    fn live(&mut self, envelope: &SignedEnvelope, body: Vec<u8>, plan: Plan) {
        let Ok(envelope) = envelope.decode() else { return };
        let expected = Expected { size: envelope.size, root: envelope.root };
        if self.draining {
            return;
        }
        self.notes.tell(&told_live(&envelope, &plan));
        match plan {
            Plan::Place { target, name } => {
                let job = PlaceJob { id: envelope.id, request: 0, target, name };
                let _ = self.disk.send(DiskJob::Live(job, body, expected));
            }
            Plan::Run(planned) => self.live_run(envelope.id, planned, body, expected),
            Plan::Refuse { .. } => {}
        }
    }

    fn live_run(&mut self, id: MessageId, planned: PlannedRun, body: Vec<u8>, expected: Expected) {
        let PlannedRun { rule, argv, env, file, timeout_ms, .. } = planned;
        let run = Run { id, request: 0, rule, argv, env, file, timeout_ms, start_before_ms: u64::MAX };
        let (config, store) = (self.around.config.clone(), self.store.clone());
        let interrupt = self.interrupt.subscribe();
        self.runs.spawn(async move {
            let kept = store.clone();
            let stored = tokio::task::spawn_blocking(move || kept.put(id, &body, expected)).await;
            if matches!(stored, Ok(Ok(()))) {
                work::do_run(&config, &store, &run, interrupt).await;
            }
            let _ = store.remove(id);
        });
    }

    fn discard(&mut self, id: MessageId) {
        self.fetches.remove(&id);
        if let Err(error) = self.store.remove(id) {
            // Swept at the next start.
            tracing::warn!(%id, %error, "a body could not be removed");
        }
    }

    /// Asks the hub for what the store lacks of a body.
    pub(super) fn ask_for_body(&mut self, id: MessageId) {
        let Some(fetch) = self.fetches.get_mut(&id).filter(|fetch| !fetch.under_way) else { return };
        let held = self.store.held(id).unwrap_or(0);
        if held >= fetch.expected.size {
            fetch.under_way = true;
            let (store, expected, back) = (self.store.clone(), fetch.expected, self.back.clone());
            tokio::spawn(async move {
                let _ = back.send(Back::Fetched(id, body::check_whole(store, id, expected).await));
            });
        } else if self.device.is_some() {
            let _ = self.says.send((fetch.lane, ToHub::SendBody { id, offset: held }));
        }
    }

    /// A body's transfer is over, one way or the other.
    pub(super) fn fetched(&mut self, id: MessageId, fetched: Fetched) {
        let Some(fetch) = self.fetches.get_mut(&id) else { return };
        if fetched != Fetched::Again {
            fetch.under_way = false;
        }
        match fetched {
            Fetched::Ready => {
                self.fetches.remove(&id);
                self.input(Input::BodyReady { id });
            }
            Fetched::Failed(code) => {
                self.fetches.remove(&id);
                self.input(Input::BodyFailed { id, code });
            }
            Fetched::Again => self.ask_for_body(id),
            Fetched::Cut => {
                let back = self.back.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(REFETCH).await;
                    let _ = back.send(Back::Fetched(id, Fetched::Again));
                });
            }
        }
    }

    /// Takes what the hub said or sent.
    pub(super) fn hear(&mut self, event: Event) {
        match event {
            Event::Said(word) => match *word {
                word @ (ToDevice::Update { .. } | ToDevice::Outcome { .. }) => {
                    // The outbox asks again for what it missed.
                    let _ = self.around.sent.try_send(word);
                }
                word => self.input(Input::Said(word)),
            },
            Event::Body(body) => self.take_body(body),
        }
    }

    fn take_body(&mut self, body: IncomingBody) {
        let id = body.header().id;
        // A body that nobody waits for, or a second stream of one: dropping it stops it.
        let Some(fetch) = self.fetches.get_mut(&id).filter(|fetch| !fetch.under_way) else { return };
        let Some(device) = self.device.clone() else { return };
        fetch.under_way = true;
        let (store, expected, back) = (self.store.clone(), fetch.expected, self.back.clone());
        tokio::spawn(async move {
            let _ = back.send(Back::Fetched(id, body::take(store, expected, body, device).await));
        });
    }
}

fn told_live(envelope: &Envelope, plan: &Plan) -> Told {
    let (by, refused) = match plan {
        Plan::Place { target: Target::Inbox, .. } => ("inbox".into(), None),
        Plan::Place { target: Target::SaveTo { rule, .. }, .. } => (format!("save_to {rule}"), None),
        Plan::Run(run) => (format!("rule {}", run.rule), None),
        Plan::Refuse { by, reason, .. } => (by.clone(), Some(reason.clone())),
    };
    Told::LiveMessage { about: About::new(envelope), by: By::new(by), refused }
}
