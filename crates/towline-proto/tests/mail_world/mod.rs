//! A world of one hub and some devices around both mail cores: virtual clocks, delays, lost sessions, crashes, a store
//! that fails. Everything follows from the seed.

pub(crate) mod crypto;

use crypto::TestCrypto;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use towline_proto::ids::{Lane, MessageId};
use towline_proto::mail::agent::io::{AgentTime, Input as AgentIn, JournalWrite, Output as AgentOut, RunEnd};
use towline_proto::mail::agent::record::{HeldRecord, RememberedRecord, Snapshot as Journal};
use towline_proto::mail::agent::rules::{Action, Command, Match, Rule, Rules};
use towline_proto::mail::agent::{AgentCore, io};
use towline_proto::mail::clock::{BootId, HubTime};
use towline_proto::mail::code::Code;
use towline_proto::mail::envelope::{Envelope, SignedEnvelope};
use towline_proto::mail::hub::io::{Damaged, Input, Lookup, Output, SessionKey, Snapshot, Step, Write};
use towline_proto::mail::hub::record::{BodyPlace, DeviceRecord, MessageRecord, Phase};
use towline_proto::mail::hub::{HubConfig, HubCore};
use towline_proto::mail::keys::{Crypto, PublicKey};
use towline_proto::mail::message::{Answer, Question, Role, ToDevice, ToHub};
use towline_proto::mail::outcome::{Outcome, State};
use towline_proto::mail::policy::Policy;

pub(crate) const DEVICES: usize = 4;
const HUB: TestCrypto = TestCrypto(PublicKey([200; 32]));
/// When faults end, in milliseconds.
const FAULTS_END_MS: u64 = 40_000;
/// When every deadline and timeout is long past.
const END_MS: u64 = 200_000;

/// A fault that the world builds into a shell, to see that the checks find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plant {
    None,
    HubSpeaksBeforeCommit,
    AgentActsBeforeSync,
    AgentIgnoresTheBound,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    pub hub_crashes: bool,
    pub agent_crashes: bool,
    pub session_losses: bool,
    pub wall_jumps: bool,
    /// Crash the hub at exactly this commit.
    pub hub_at: Option<u64>,
    /// Crash the first recipient at exactly this sync.
    pub agent_at: Option<u64>,
}

enum Event {
    Send(usize),
    Connect(usize),
    Lose(usize),
    CrashHub,
    StartHub,
    CrashAgent(usize),
    StartAgent(usize),
    ToHub(SessionKey, ToHub),
    ToDevice(SessionKey, usize, Box<ToDevice>),
    Commit(u64),
    Sync(usize, u64),
    Agent(usize, u64, Box<AgentIn>),
    Begin(usize, u64, Box<AgentOut>),
    BodyArrived(u64, SessionKey, MessageId),
    WallJump(i64),
    Tick,
}

#[derive(Default)]
struct Store {
    devices: BTreeMap<PublicKey, DeviceRecord>,
    messages: BTreeMap<MessageId, MessageRecord>,
}

impl Lookup for Store {
    fn message(&self, id: MessageId) -> Result<Option<MessageRecord>, Damaged> {
        Ok(self.messages.get(&id).cloned())
    }
}

struct Device {
    crypto: TestCrypto,
    core: Option<AgentCore>,
    life: u64,
    session: Option<SessionKey>,
    attached: bool,
    incarnation: u64,
    held: BTreeMap<MessageId, HeldRecord>,
    remembered: BTreeMap<MessageId, RememberedRecord>,
    pending: VecDeque<(io::Step, Option<SessionKey>)>,
    clock_offset_ms: u64,
}

/// What really happened to a message.
#[derive(Default)]
pub(crate) struct Truth {
    pub envelope: Option<SignedEnvelope>,
    pub repeat: bool,
    pub accepted_ms: Option<u64>,
    pub told_accepted: bool,
    pub deadline_ms: u64,
    pub starts_ms: Vec<u64>,
    pub placed: bool,
    pub told: Vec<(u64, State)>,
    pub outcomes: BTreeSet<Vec<u8>>,
    pub late: BTreeSet<Vec<u8>>,
    pub go_ms: Option<u64>,
    pub order: u64,
}

pub(crate) struct World {
    rng: u64,
    plant: Plant,
    faults: Faults,
    pub now_ms: u64,
    number: u64,
    queue: BTreeMap<(u64, u64), Event>,
    hub: Option<HubCore>,
    hub_life: u64,
    store: Store,
    pending: VecDeque<Step>,
    pub commits: u64,
    pub syncs: u64,
    wall_offset_ms: i64,
    devices: Vec<Device>,
    sessions: BTreeMap<SessionKey, usize>,
    next_session: u64,
    in_order: BTreeMap<(SessionKey, bool), u64>,
    outgoing: Vec<(usize, SignedEnvelope, Vec<u8>)>,
    pub truth: BTreeMap<MessageId, Truth>,
    flows: BTreeMap<(PublicKey, PublicKey, Lane, bool), u64>,
    once_per: BTreeSet<(MessageId, bool)>,
    accepted: u64,
    pub inversions: u64,
}

fn rules() -> Rules {
    let command = |repeat| Action::Run(Command { argv: vec!["run".into()], timeout_ms: 3_000, concurrency: 1, repeat });
    let named = |name: &str| Match { name: vec![name.into()], ..Match::default() };
    Rules {
        rules: vec![
            Rule { name: "once".into(), when: named("once*"), action: command(false) },
            Rule { name: "repeat".into(), when: named("repeat*"), action: command(true) },
        ],
        store: "/store".into(),
    }
}

impl World {
    pub(crate) fn new(seed: u64, messages: usize, faults: Faults, plant: Plant) -> Self {
        let mut world = Self {
            rng: seed,
            plant,
            faults,
            now_ms: 1_000,
            number: 0,
            queue: BTreeMap::new(),
            hub: None,
            hub_life: 0,
            store: Store::default(),
            pending: VecDeque::new(),
            commits: 0,
            syncs: 0,
            wall_offset_ms: 1_793_613_600_000,
            devices: Vec::new(),
            sessions: BTreeMap::new(),
            next_session: 0,
            in_order: BTreeMap::new(),
            outgoing: Vec::new(),
            truth: BTreeMap::new(),
            flows: BTreeMap::new(),
            once_per: BTreeSet::new(),
            accepted: 0,
            inversions: 0,
        };
        for index in 0..DEVICES {
            let key = PublicKey([index as u8 + 1; 32]);
            let record = DeviceRecord {
                key,
                name: format!("d{index}").parse().unwrap(),
                joined_ms: 0,
                revoked_ms: None,
                online: false,
                since_ms: 0,
                software: String::new(),
            };
            world.store.devices.insert(key, record);
            let clock_offset_ms = world.pick(1_000_000);
            world.devices.push(Device {
                crypto: TestCrypto(key),
                core: None,
                life: 0,
                session: None,
                attached: false,
                incarnation: 0,
                held: BTreeMap::new(),
                remembered: BTreeMap::new(),
                pending: VecDeque::new(),
                clock_offset_ms,
            });
        }
        world.start_hub();
        for device in 0..DEVICES {
            world.start_agent(device);
        }
        world.plan(messages);
        world
    }

    fn pick(&mut self, below: u64) -> u64 {
        self.rng = self.rng.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.rng;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below.max(1)
    }

    fn at(&mut self, ms: u64, event: Event) {
        self.number += 1;
        self.queue.insert((ms, self.number), event);
    }

    fn after(&mut self, up_to_ms: u64, event: Event) {
        let ms = self.now_ms + 1 + self.pick(up_to_ms);
        self.at(ms, event);
    }

    /// Messages are sent by the first two devices, to the other two; faults strike at random.
    fn plan(&mut self, messages: usize) {
        for number in 0..messages {
            let from = self.pick(2) as usize;
            let to = 2 + self.pick(2) as usize;
            let name = ["once", "once-b", "repeat", "inbox", "../bad"]
                [self.pick(if number % 9 == 0 { 5 } else { 4 }) as usize];
            let body = vec![number as u8; self.pick(20) as usize];
            let mut id = [0; 16];
            id[8..].copy_from_slice(&(number as u64 + 1).to_be_bytes());
            let crypto = self.devices[from].crypto;
            let envelope = Envelope {
                id: MessageId(id),
                from: format!("d{from}").parse().unwrap(),
                sender: crypto.0,
                to: format!("d{to}").parse().unwrap(),
                deadline_ms: 2_000 + self.pick(20_000),
                lane: Lane::NORMAL,
                kept: true,
                name: name.into(),
                content_type: String::new(),
                size: body.len() as u64,
                root: crypto.digest(&body),
                time_ms: 0,
                seal: 0,
            };
            let signed = envelope.seal(&crypto);
            let truth = Truth {
                envelope: Some(signed.clone()),
                repeat: name == "repeat",
                deadline_ms: envelope.deadline_ms,
                ..Truth::default()
            };
            self.truth.insert(envelope.id, truth);
            self.outgoing.push((from, signed, body));
            let when = 1_500 + self.pick(20_000);
            self.at(when, Event::Send(number));
        }
        for _ in 0..4 {
            let (device, when) = (self.pick(DEVICES as u64) as usize, 2_000 + self.pick(FAULTS_END_MS - 2_000));
            // Where the hub never crashes, senders do not either: then the promised times can be checked.
            let device = if self.faults.hub_crashes { device } else { 2 + device % 2 };
            let kind = self.pick(4);
            match kind {
                0 if self.faults.hub_crashes => self.at(when, Event::CrashHub),
                1 if self.faults.agent_crashes => self.at(when, Event::CrashAgent(device)),
                2 if self.faults.session_losses => self.at(when, Event::Lose(device)),
                3 if self.faults.wall_jumps => {
                    let jump = self.pick(20 * 86_400_000) as i64 - 10 * 86_400_000;
                    self.at(when, Event::WallJump(jump));
                }
                _ => {}
            }
        }
    }

    pub(crate) fn run(&mut self) {
        while let Some((&(ms, number), _)) = self.queue.first_key_value() {
            if ms > END_MS {
                break;
            }
            let event = self.queue.remove(&(ms, number)).unwrap();
            self.now_ms = ms;
            self.happen(event);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Send(number) => self.submit(number),
            Event::Connect(device) => self.connect(device),
            Event::Lose(device) => self.lose(device),
            Event::CrashHub => self.crash_hub(),
            Event::StartHub => self.start_hub(),
            Event::CrashAgent(device) => self.crash_agent(device),
            Event::StartAgent(device) => self.start_agent(device),
            Event::ToHub(session, message) if self.sessions.contains_key(&session) => {
                self.hub(Input::Said { session, message });
            }
            Event::ToDevice(session, device, message) if self.devices[device].session == Some(session) => {
                self.heard(device, *message);
            }
            Event::Commit(life) if life == self.hub_life => self.commit(),
            Event::Sync(device, life) if life == self.devices[device].life => self.sync(device),
            Event::Agent(device, life, input) if life == self.devices[device].life => self.agent(device, *input),
            Event::Begin(device, life, output) if life == self.devices[device].life => self.begin(device, *output),
            Event::BodyArrived(life, session, id) if life == self.hub_life && self.sessions.contains_key(&session) => {
                self.hub(Input::BodyArrived { id });
            }
            Event::WallJump(jump) => self.wall_offset_ms += jump,
            Event::Tick => self.hub(Input::Tick),
            _ => {}
        }
    }

    fn hub_time(&self) -> HubTime {
        let wall_ms = (self.wall_offset_ms + self.now_ms as i64) as u64;
        HubTime { boot_us: (self.now_ms + 5_000) * 1_000, wall_ms }
    }

    // The hub's shell.

    fn start_hub(&mut self) {
        let undecided = self.store.messages.values().filter(|record| record.phase.is_undecided());
        let snapshot = Snapshot {
            devices: self.store.devices.values().cloned().collect(),
            tickets: Vec::new(),
            undecided: undecided.cloned().collect(),
        };
        let config = HubConfig { policy: Policy::open(), ..HubConfig::default() };
        self.hub = Some(HubCore::load(config, snapshot, self.hub_time(), BootId([1; 16])));
        self.arm();
    }

    fn crash_hub(&mut self) {
        if self.hub.take().is_none() {
            return;
        }
        self.hub_life += 1;
        self.pending.clear();
        for device in 0..DEVICES {
            self.lose(device);
        }
        self.after(4_000, Event::StartHub);
    }

    fn arm(&mut self) {
        if let Some(boot_ms) = self.hub.as_ref().and_then(HubCore::poll_timeout) {
            let ms = boot_ms.saturating_sub(5_000).max(self.now_ms);
            self.at(ms, Event::Tick);
        }
    }

    fn hub(&mut self, input: Input) {
        let now = self.hub_time();
        let Some(hub) = self.hub.as_mut() else { return };
        let before = hub.poll_timeout();
        let step = hub.handle(now, input, &self.store, &HUB);
        if hub.poll_timeout() != before {
            self.arm();
        }
        for write in &step.writes {
            if let Write::Accept(record) = write {
                self.truth.get_mut(&record.id).unwrap().accepted_ms = Some(self.now_ms);
            }
        }
        for output in step.now.clone() {
            self.hub_does(output);
        }
        if self.plant == Plant::HubSpeaksBeforeCommit {
            for output in step.after_commit.clone() {
                self.hub_does(output);
            }
        }
        self.pending.push_back(step);
        let life = self.hub_life;
        // A planted fault gets a slow disk, so that it shows within a few seeds.
        let disk_ms = if self.plant == Plant::HubSpeaksBeforeCommit { 2_000 } else { 30 };
        self.after(disk_ms, Event::Commit(life));
    }

    /// One group commit: all that waits, or nothing.
    fn commit(&mut self) {
        let steps: Vec<Step> = self.pending.drain(..).collect();
        if steps.iter().all(|step| step.writes.is_empty()) {
            return self.committed(steps);
        }
        self.commits += 1;
        if self.faults.hub_at == Some(self.commits) {
            return self.crash_hub();
        }
        for step in &steps {
            for write in &step.writes {
                self.apply(write.clone());
            }
        }
        self.committed(steps);
    }

    fn committed(&mut self, steps: Vec<Step>) {
        for step in steps {
            if let Some(hub) = self.hub.as_mut() {
                hub.committed(step.number);
            }
            if self.plant != Plant::HubSpeaksBeforeCommit {
                for output in step.after_commit {
                    self.hub_does(output);
                }
            }
        }
    }

    fn apply(&mut self, write: Write) {
        match write {
            Write::Device(record) => drop(self.store.devices.insert(record.key, record)),
            Write::Accept(record) => {
                // What is stored must survive its encoding.
                let record = MessageRecord::from_bytes(&record.to_bytes()).unwrap();
                self.accepted += 1;
                self.truth.get_mut(&record.id).unwrap().order = self.accepted;
                assert!(self.store.messages.insert(record.id, record).is_none(), "accepted twice");
            }
            Write::Phase { id, phase } => {
                let record = self.store.messages.get_mut(&id).unwrap();
                assert!(record.phase.is_undecided(), "an outcome was changed");
                let flow = (record.envelope.decode().unwrap().sender, record.recipient, Lane::NORMAL);
                let started = matches!(phase, Phase::Started(_));
                let (order, first) =
                    (self.truth[&id].order, !matches!(phase, Phase::Decided(_)) && self.once_per.insert((id, started)));
                record.phase = phase;
                if started {
                    self.truth.get_mut(&id).unwrap().go_ms = Some(self.now_ms);
                }
                let newest = self.flows.entry((flow.0, flow.1, flow.2, started)).or_default();
                if first && order < *newest {
                    self.inversions += 1;
                }
                if first {
                    *newest = order;
                }
            }
            Write::Late { id, word } => self.store.messages.get_mut(&id).unwrap().late = Some(word),
            Write::DropBody { id } => self.store.messages.get_mut(&id).unwrap().body = BodyPlace::Dropped,
            Write::Ticket(_) | Write::DropTicket { .. } => {}
        }
    }

    fn hub_does(&mut self, output: Output) {
        match output {
            Output::Say { session, message, .. } => self.send_down(session, message),
            Output::Deliver { session, id, .. } => {
                let Some(record) = self.store.messages.get(&id) else { return };
                let body = if let BodyPlace::Inline(body) = &record.body { Some(body.clone()) } else { None };
                let message = ToDevice::Deliver { envelope: record.envelope.clone(), body };
                self.send_down(session, message);
            }
            Output::TakeBody { session, id, .. } => {
                let life = self.hub_life;
                self.after(3_000, Event::BodyArrived(life, session, id));
            }
            Output::Cut { session, .. } => {
                if let Some(&device) = self.sessions.get(&session) {
                    self.lose(device);
                }
            }
            _ => {}
        }
    }

    // The way between.

    fn send_down(&mut self, session: SessionKey, message: ToDevice) {
        let message = ToDevice::from_bytes(&message.to_bytes()).unwrap();
        if let Some(&device) = self.sessions.get(&session) {
            let ms = self.arrival(session, true);
            self.at(ms, Event::ToDevice(session, device, Box::new(message)));
        }
    }

    fn send_up(&mut self, session: SessionKey, message: ToHub) {
        let message = ToHub::from_bytes(&message.to_bytes()).unwrap();
        let ms = self.arrival(session, false);
        self.at(ms, Event::ToHub(session, message));
    }

    fn arrival(&mut self, session: SessionKey, down: bool) -> u64 {
        let ms = self.now_ms + 1 + if self.pick(20) == 0 { self.pick(1_500) } else { self.pick(60) };
        let last = self.in_order.entry((session, down)).or_default();
        *last = ms.max(*last);
        *last
    }

    fn connect(&mut self, device: usize) {
        if self.hub.is_none() || self.devices[device].core.is_none() {
            return self.after(500, Event::Connect(device));
        }
        if self.devices[device].session.is_some() {
            return;
        }
        let session = SessionKey(self.next_session);
        self.next_session += 1;
        self.sessions.insert(session, device);
        self.devices[device].session = Some(session);
        let key = self.devices[device].crypto.0;
        self.hub(Input::Opened { session, key, link: "tcp".into() });
        self.send_up(session, ToHub::Attach { role: Role::Agent, software: "test".into() });
    }

    fn lose(&mut self, device: usize) {
        let Some(session) = self.devices[device].session.take() else { return };
        self.sessions.remove(&session);
        self.hub(Input::Closed { session });
        self.devices[device].attached = false;
        self.agent(device, AgentIn::Detached);
        let away = if self.now_ms < FAULTS_END_MS { 15_000 } else { 500 };
        self.after(away, Event::Connect(device));
    }

    // A device's shell.

    fn start_agent(&mut self, device: usize) {
        let this = &mut self.devices[device];
        let snapshot = Journal {
            incarnation: this.incarnation,
            held: this.held.values().cloned().collect(),
            remembered: this.remembered.values().cloned().collect(),
        };
        let (core, step) = AgentCore::load(rules(), snapshot);
        this.core = Some(core);
        self.agent_step(device, step);
        self.after(1_000, Event::Connect(device));
    }

    fn crash_agent(&mut self, device: usize) {
        if self.devices[device].core.take().is_none() {
            return;
        }
        self.devices[device].life += 1;
        self.devices[device].pending.clear();
        self.lose(device);
        self.after(10_000, Event::StartAgent(device));
    }

    fn agent(&mut self, device: usize, input: AgentIn) {
        let now = AgentTime { boot_ms: self.now_ms + self.devices[device].clock_offset_ms, wall_ms: self.now_ms };
        let crypto = self.devices[device].crypto;
        let Some(core) = self.devices[device].core.as_mut() else { return };
        let step = core.handle(now, input, &crypto);
        self.agent_step(device, step);
    }

    fn agent_step(&mut self, device: usize, step: io::Step) {
        let session = self.devices[device].session;
        for output in step.now.clone() {
            self.agent_does(device, output, session);
        }
        if self.plant == Plant::AgentActsBeforeSync {
            for output in step.after_sync.clone() {
                self.agent_does(device, output, session);
            }
        }
        self.devices[device].pending.push_back((step, session));
        let life = self.devices[device].life;
        self.after(30, Event::Sync(device, life));
    }

    fn sync(&mut self, device: usize) {
        let steps: Vec<_> = self.devices[device].pending.drain(..).collect();
        if device == 2 && steps.iter().any(|(step, _)| !step.journal.is_empty()) {
            self.syncs += 1;
            if self.faults.agent_at == Some(self.syncs) {
                return self.crash_agent(device);
            }
        }
        for (step, session) in steps {
            for write in step.journal {
                self.journal(device, write);
            }
            if self.plant != Plant::AgentActsBeforeSync {
                for output in step.after_sync {
                    self.agent_does(device, output, session);
                }
            }
        }
    }

    fn journal(&mut self, device: usize, write: JournalWrite) {
        let this = &mut self.devices[device];
        match write {
            JournalWrite::Incarnation(number) => this.incarnation = number,
            JournalWrite::Hold { record, .. } => {
                let record = HeldRecord::from_bytes(&record.to_bytes()).unwrap();
                this.held.insert(record.id, record);
            }
            JournalWrite::Stage { id, stage } => this.held.get_mut(&id).unwrap().stage = stage,
            JournalWrite::Forget { id } => drop(this.held.remove(&id)),
            JournalWrite::Remember(record) => drop(this.remembered.insert(record.id, record)),
            JournalWrite::ForgetReport { id } => drop(this.remembered.remove(&id)),
        }
    }

    fn agent_does(&mut self, device: usize, output: AgentOut, made_on: Option<SessionKey>) {
        let life = self.devices[device].life;
        match output {
            AgentOut::Say { message, .. } => {
                if let Some(session) = self.devices[device].session.filter(|session| Some(*session) == made_on) {
                    self.send_up(session, message);
                }
            }
            AgentOut::Fetch { id, .. } => {
                self.after(2_000, Event::Agent(device, life, Box::new(AgentIn::BodyReady { id })));
            }
            AgentOut::CheckPlaced { id, request, .. } => {
                let input = if self.truth[&id].placed {
                    AgentIn::Placed { id, request, name: "x".into() }
                } else {
                    AgentIn::NotPlaced { id, request, failure: None }
                };
                self.after(50, Event::Agent(device, life, Box::new(input)));
            }
            AgentOut::Place { .. } | AgentOut::Run(_) => {
                let slow = if self.pick(8) == 0 { 4_000 } else { 20 };
                self.after(slow, Event::Begin(device, life, Box::new(output)));
            }
            AgentOut::Discard { .. } | AgentOut::Live { .. } => {}
        }
    }

    /// The moment of truth: a command runs, or a file becomes visible.
    fn begin(&mut self, device: usize, output: AgentOut) {
        let life = self.devices[device].life;
        let clock_ms = self.now_ms + self.devices[device].clock_offset_ms;
        let (id, request, bound, is_run) = match &output {
            AgentOut::Run(run) => (run.id, run.request, run.start_before_ms, true),
            AgentOut::Place { id, request, start_before_ms, .. } => (*id, *request, *start_before_ms, false),
            _ => return,
        };
        if clock_ms >= bound && self.plant != Plant::AgentIgnoresTheBound {
            return self.agent(device, AgentIn::TooLate { id, request });
        }
        let now_ms = self.now_ms;
        let truth = self.truth.get_mut(&id).unwrap();
        truth.starts_ms.push(now_ms);
        truth.placed |= !is_run;
        let (input, takes) = if is_run {
            let end =
                [RunEnd::Exit(0), RunEnd::Exit(0), RunEnd::Exit(3), RunEnd::TimedOut][self.pick(4) as usize].clone();
            let takes = if end == RunEnd::TimedOut { 3_000 } else { self.pick(2_500) };
            (AgentIn::Exited { id, request, end, output: vec![b'x'; 5_000] }, takes)
        } else {
            (AgentIn::Placed { id, request, name: "x".into() }, 0)
        };
        self.at(now_ms + takes + 1, Event::Agent(device, life, Box::new(input)));
    }

    fn heard(&mut self, device: usize, message: ToDevice) {
        let now_ms = self.now_ms;
        match &message {
            ToDevice::Welcome { max_timeout_ms, .. } => {
                self.devices[device].attached = true;
                self.agent(device, AgentIn::Attached { max_timeout_ms: *max_timeout_ms });
                for number in 0..self.outgoing.len() {
                    let (from, signed, _) = &self.outgoing[number];
                    let id = signed.decode().unwrap().id;
                    if *from != device || !self.truth[&id].outcomes.is_empty() || self.queue_has_send(number) {
                        continue;
                    }
                    // What the hub has accepted is its own to keep: the sender only asks what became of it.
                    match self.devices[device].session.filter(|_| self.truth[&id].told_accepted) {
                        Some(session) => {
                            let question = Question::Status { id, watch: true };
                            self.send_up(session, ToHub::Ask { ask: 1, question });
                        }
                        None => self.submit(number),
                    }
                }
            }
            ToDevice::Accepted { id, .. } => {
                self.truth.get_mut(id).unwrap().told_accepted = true;
                assert!(self.store.messages.contains_key(id) || self.plant != Plant::None, "accepted, but not on disk");
            }
            ToDevice::Update { id, state } => self.truth.get_mut(id).unwrap().told.push((now_ms, *state)),
            ToDevice::Outcome { receipt, output } => {
                let opened = receipt.open(&HUB).expect("a receipt verifies");
                assert_eq!(HUB.digest(output), opened.output);
                let truth = self.truth.get_mut(&opened.id).unwrap();
                assert_eq!(truth.envelope.as_ref().unwrap().digest(&HUB), opened.envelope);
                if opened.late {
                    truth.late.insert(receipt.bytes.clone());
                } else {
                    truth.outcomes.insert(receipt.bytes.clone());
                    truth.told.push((now_ms, State::Decided(opened.outcome)));
                }
            }
            ToDevice::Answer { answer: Answer::Status(status), .. } => {
                if let Some(receipt) = &status.receipt {
                    let id = receipt.open(&HUB).expect("a receipt verifies").id;
                    self.truth.get_mut(&id).unwrap().outcomes.insert(receipt.bytes.clone());
                }
            }
            ToDevice::NotAccepted { code, text, .. } => panic!("not accepted: {code} {text}"),
            _ => {}
        }
        self.agent(device, AgentIn::Said(message));
    }

    fn queue_has_send(&self, number: usize) -> bool {
        self.queue.values().any(|event| matches!(event, Event::Send(waiting) if *waiting == number))
    }

    fn submit(&mut self, number: usize) {
        let (from, envelope, body) = self.outgoing[number].clone();
        let Some(session) = self.devices[from].session.filter(|_| self.devices[from].attached) else { return };
        // A few bodies go on a stream of their own.
        let inline = number % 7 != 3 || body.is_empty();
        self.send_up(session, ToHub::Submit { envelope, body: inline.then_some(body) });
    }

    /// Says what is wrong with the history, if anything.
    pub(crate) fn faults_found(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut wrong = |id: &MessageId, text: &str| found.push(format!("{id}: {text}"));
        for (id, truth) in &self.truth {
            let Some(record) = self.store.messages.get(id) else {
                if truth.told_accepted {
                    wrong(id, "accepted and lost");
                }
                continue;
            };
            let Phase::Decided(decision) = &record.phase else {
                wrong(id, &format!("no outcome: {:?}", record.phase));
                continue;
            };
            let outcome = decision.outcome;
            if truth.outcomes.iter().any(|told| *told != decision.word.receipt.bytes) {
                wrong(id, "the sender was told another outcome");
            }
            if truth.told_accepted && truth.outcomes.len() != 1 {
                wrong(id, "the sender was not told one outcome");
            }
            if !truth.repeat && truth.starts_ms.len() > 1 {
                wrong(id, "ran twice");
            }
            let begun = !truth.starts_ms.is_empty();
            if begun && matches!(outcome, Outcome::Expired | Outcome::Refused | Outcome::Withdrawn) {
                wrong(id, &format!("{outcome}, but it had begun"));
            }
            if !begun && matches!(outcome, Outcome::Handled | Outcome::Failed) {
                wrong(id, &format!("{outcome}, but nothing had begun"));
            }
            let accepted = truth.accepted_ms.unwrap();
            if truth.starts_ms.iter().any(|&start| start >= accepted + truth.deadline_ms) {
                wrong(id, "started after its deadline");
            }
            let receipt = decision.word.receipt.open(&HUB).unwrap();
            let by_hub =
                matches!(receipt.code, Code::Offline | Code::NotStartedInTime | Code::NoWord | Code::Interrupted);
            if receipt.key != if by_hub { HUB.0 } else { record.recipient } {
                wrong(id, "the receipt names another signer");
            }
            // A refusal before the start may be late beside `expired`; what ran may be late only beside `unclear`.
            let late = record.late.as_ref().map(|word| word.receipt.open(&HUB).unwrap().outcome);
            if late.is_some_and(|late| late != Outcome::Refused) && outcome != Outcome::Unclear {
                wrong(id, "a late word of a run beside an outcome that was not unclear");
            }
        }
        if self.inversions > 0 {
            found.push(format!("{} inversions", self.inversions));
        }
        found
    }

    /// Promised times, in a world whose hub and senders were never cut off.
    pub(crate) fn told_too_late(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (id, truth) in self.truth.iter().filter(|(_, truth)| truth.told_accepted) {
            let deadline = truth.accepted_ms.unwrap() + truth.deadline_ms;
            let moved = |state: &State| matches!(state, State::Started | State::Decided(_));
            if !truth.told.iter().any(|(ms, state)| *ms <= deadline + 5_000 && moved(state)) {
                found.push(format!("{id}: nothing told by its deadline + 5 s: {:?}", truth.told));
            }
            // The timeout of every rule here, or of a placing.
            let name = truth.envelope.as_ref().unwrap().decode().unwrap().name;
            let timeout = if name == "inbox" { 600_000 } else { 3_000 };
            let decided = truth.told.iter().find(|(_, state)| matches!(state, State::Decided(_)));
            if let (Some(go), Some((ms, _))) = (truth.go_ms, decided)
                && *ms > go + timeout + 5_000
            {
                found.push(format!("{id}: outcome later than go + timeout + 5 s"));
            }
        }
        found
    }
}
