//! A device's shell: the agent's journal, its commands and folders, crashes, and the core built anew from the journal.

use super::clock::Clock;
use super::crypto::TestCrypto;
use super::history::{End, Event, Fact};
use super::plan::{Plant, rules};
use super::{Happening, World};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use towline_proto::ids::{DeviceName, MessageId};
use towline_proto::mail::agent::AgentCore;
use towline_proto::mail::agent::io::{AgentTime, Input, JournalWrite, Output, RunEnd, Step};
use towline_proto::mail::agent::record::{HeldRecord, RememberedRecord, Snapshot, Stage};
use towline_proto::mail::code::Code;
use towline_proto::mail::hub::io::SessionKey;
use towline_proto::mail::keys::PublicKey;
use towline_proto::mail::message::ToHub;

/// The recipient whose syncs are counted.
const COUNTED: usize = 2;

pub(super) struct Device {
    pub(super) crypto: TestCrypto,
    core: Option<AgentCore>,
    pub(super) life: u64,
    pub(super) clock: Clock,
    /// Its name, as the hub told it last.
    pub(super) name: DeviceName,
    incarnation: u64,
    held: BTreeMap<MessageId, HeldRecord>,
    remembered: BTreeMap<MessageId, RememberedRecord>,
    /// Steps that are not synced, each with the session that was open when it was made.
    pending: VecDeque<(Step, Option<SessionKey>)>,
    pub(super) next_sync_fails: bool,
    /// Files that stand in their folders.
    placed: BTreeSet<MessageId>,
    /// Files are placed one after the other.
    placing_ms: u64,
    /// Commands that run, by message and request.
    running: BTreeSet<(MessageId, u64)>,
}

pub(super) fn key(device: usize) -> PublicKey {
    PublicKey([device as u8 + 1; 32])
}

pub(super) fn index(key: &PublicKey) -> usize {
    usize::from(key.0[0]) - 1
}

impl Device {
    pub(super) fn new(index: usize) -> Self {
        Self {
            crypto: TestCrypto(key(index)),
            core: None,
            life: 0,
            clock: Clock::running_for(100_000 * (index as u64 + 1)),
            name: format!("d{index}").parse().unwrap(),
            incarnation: 0,
            held: BTreeMap::new(),
            remembered: BTreeMap::new(),
            pending: VecDeque::new(),
            next_sync_fails: false,
            placed: BTreeSet::new(),
            placing_ms: 0,
            running: BTreeSet::new(),
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.core.is_some()
    }
}

impl World {
    pub(super) fn start_agent(&mut self, device: usize) {
        let this = &mut self.devices[device];
        let snapshot = Snapshot {
            incarnation: this.incarnation,
            held: this.held.values().cloned().collect(),
            remembered: this.remembered.values().cloned().collect(),
        };
        let (core, step) = AgentCore::load(rules(), snapshot);
        this.core = Some(core);
        self.agent_step(device, step);
        // An agent's program has its device's number.
        self.after(1_000, Happening::Connect(device));
    }

    /// The process ends here and now, with what it runs; its machine may boot anew.
    pub(super) fn crash_agent(&mut self, device: usize, reboot: bool) {
        if !self.devices[device].is_up() {
            return;
        }
        self.end_agent(device);
        if reboot {
            self.devices[device].clock.reboot(self.now_ms);
        }
        self.after(10_000, Happening::AgentStart(device));
    }

    fn end_agent(&mut self, device: usize) {
        let this = &mut self.devices[device];
        this.core = None;
        this.life += 1;
        this.pending.clear();
        this.running.clear();
        self.note_all(Event::AgentDown(device));
        self.lose(device);
    }

    pub(super) fn agent(&mut self, device: usize, input: Input) {
        let this = &mut self.devices[device];
        let now = AgentTime { boot_ms: this.clock.boot_ms(self.now_ms), wall_ms: this.clock.wall_ms(self.now_ms) };
        let Some(core) = this.core.as_mut() else { return };
        if let Input::Exited { id, request, end, .. } = &input
            && this.running.remove(&(*id, *request))
        {
            let how = if *end == RunEnd::Exit(0) { End::Well } else { End::Badly };
            self.history.events.push((self.now_ms, super::What::Of(*id, Fact::Ended(how))));
        }
        let step = core.handle(now, input, &this.crypto);
        self.agent_step(device, step);
    }

    fn agent_step(&mut self, device: usize, step: Step) {
        let session = self.programs[device].session;
        for output in step.now.clone() {
            self.agent_does(device, output, session);
        }
        self.devices[device].pending.push_back((step, session));
        let life = self.devices[device].life;
        self.after(30, Happening::Sync { device, life });
    }

    /// One sync of the journal: all that waits, or nothing.
    pub(super) fn sync(&mut self, device: usize) {
        let steps: Vec<_> = self.devices[device].pending.drain(..).collect();
        if steps.iter().any(|(step, _)| !step.journal.is_empty()) {
            let mut crash = None;
            if device == COUNTED {
                self.syncs += 1;
                crash = self.faults.agent_at.filter(|(at, _)| *at == self.syncs).map(|(_, synced)| synced);
            }
            let fails = std::mem::take(&mut self.devices[device].next_sync_fails).then(|| self.pick(2) == 0);
            if let Some(synced) = crash.or(fails) {
                if synced {
                    steps.into_iter().flat_map(|(step, _)| step.journal).for_each(|write| self.journal(device, write));
                }
                self.end_agent(device);
                // A crashed one comes back some time later, one whose journal failed at once.
                return self.after(if crash.is_some() { 10_000 } else { 50 }, Happening::AgentStart(device));
            }
        }
        for (step, session) in steps {
            for write in step.journal {
                self.journal(device, write);
            }
            for output in step.after_sync {
                self.agent_does(device, output, session);
            }
        }
    }

    fn journal(&mut self, device: usize, write: JournalWrite) {
        if let JournalWrite::Stage { id, stage: Stage::Done(_) } = &write {
            self.note(*id, Fact::Word);
        }
        let this = &mut self.devices[device];
        match write {
            JournalWrite::Incarnation(number) => this.incarnation = number,
            JournalWrite::Hold { record, .. } => {
                let record = HeldRecord::from_bytes(&record.to_bytes()).unwrap();
                this.held.insert(record.id, record);
            }
            JournalWrite::Stage { stage: Stage::Starting(_), .. } if self.plant == Plant::StartNotJournalled => {}
            JournalWrite::Stage { id, stage } => this.held.get_mut(&id).unwrap().stage = stage,
            JournalWrite::Forget { id } => drop(this.held.remove(&id)),
            JournalWrite::Remember(record) => drop(this.remembered.insert(record.id, record)),
            JournalWrite::ForgetReport { id } => drop(this.remembered.remove(&id)),
        }
    }

    /// Something for the agent, up to so much later.
    fn agent_later(&mut self, device: usize, up_to_ms: u64, input: Input) {
        let life = self.devices[device].life;
        self.after(up_to_ms, Happening::Agent { device, life, input: Box::new(input) });
    }

    fn agent_does(&mut self, device: usize, output: Output, made_on: Option<SessionKey>) {
        let session = self.programs[device].session;
        match output {
            Output::Say { lane, message } => {
                if let Some(session) = session.filter(|session| Some(*session) == made_on) {
                    self.send_up(session, lane, message);
                }
            }
            Output::Fetch { id, .. } if self.pick(15) == 0 => {
                self.agent_later(device, 2_000, Input::BodyFailed { id, code: Code::DeviceStorage });
            }
            Output::Fetch { id, lane, .. } => {
                if let Some(session) = session {
                    self.send_up(session, lane, ToHub::SendBody { id, offset: 0 });
                }
            }
            Output::CheckPlaced { id, request, .. } => {
                let stands = self.devices[device].placed.contains(&id);
                let input = if stands {
                    Input::Placed { id, request, name: "x".into() }
                } else {
                    Input::NotPlaced { id, request, failure: None }
                };
                self.agent_later(device, 50, input);
            }
            Output::Place { .. } | Output::Run(_) => self.begin_soon(device, output),
            Output::Live { envelope, .. } => {
                let id = envelope.decode().unwrap().id;
                self.note(id, Fact::HandedOver);
            }
            Output::Discard { .. } => {}
        }
    }

    /// The machine is busy now and then: what is permitted begins later.
    fn begin_soon(&mut self, device: usize, output: Output) {
        let slow_ms = if self.pick(5) == 0 { 4_000 } else { 20 };
        let mut ms = self.now_ms + 1 + self.pick(slow_ms);
        let this = &mut self.devices[device];
        if matches!(output, Output::Place { .. }) {
            ms = ms.max(this.placing_ms);
            this.placing_ms = ms;
        }
        let life = this.life;
        self.at(ms, Happening::Begin { device, life, output: Box::new(output) });
    }

    /// The moment of truth: a command runs, or a file becomes visible.
    pub(super) fn begin(&mut self, device: usize, output: Output) {
        let (id, request, before_ms) = match &output {
            Output::Run(run) => (run.id, run.request, run.start_before_ms),
            Output::Place { id, request, start_before_ms, .. } => (*id, *request, *start_before_ms),
            _ => return,
        };
        let late = self.devices[device].clock.boot_ms(self.now_ms) >= before_ms;
        if late && self.plant != Plant::AgentIgnoresTheBound {
            return self.agent(device, Input::TooLate { id, request });
        }
        match output {
            Output::Place { .. } => self.place(device, id, request),
            _ => self.run_command(device, id, request),
        }
    }

    fn place(&mut self, device: usize, id: MessageId, request: u64) {
        if self.pick(15) == 0 {
            let failure = Some((Code::DeviceStorage, "the disk is full".into()));
            return self.agent_later(device, 20, Input::NotPlaced { id, request, failure });
        }
        self.note(id, Fact::Began { request });
        self.devices[device].placed.insert(id);
        self.agent_later(device, 20, Input::Placed { id, request, name: "x".into() });
    }

    fn run_command(&mut self, device: usize, id: MessageId, request: u64) {
        let ends = [
            RunEnd::Exit(0),
            RunEnd::Exit(0),
            RunEnd::Exit(0),
            RunEnd::Exit(3),
            RunEnd::Signal(9),
            RunEnd::TimedOut,
            RunEnd::NotStartable("no such file".into()),
        ];
        let mut end = ends[self.pick(ends.len() as u64) as usize].clone();
        if self.plant == Plant::AgentGuesses && self.pick(10) == 0 {
            end = RunEnd::Exit(0);
        } else if !matches!(end, RunEnd::NotStartable(_)) {
            self.note(id, Fact::Began { request });
            self.devices[device].running.insert((id, request));
        }
        let takes_ms = if end == RunEnd::TimedOut { 3_000 } else { 1 + self.pick(2_500) };
        let life = self.devices[device].life;
        let input = Box::new(Input::Exited { id, request, end, output: vec![b'x'; 5_000] });
        self.at(self.now_ms + takes_ms, Happening::Agent { device, life, input });
    }
}
