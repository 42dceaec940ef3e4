//! The hub's shell: one step after the other, group commits, crashes, and the core built anew from the store.

use super::clock::Clock;
use super::history::{Event, Fact};
use super::plan::Plant;
use super::store::Store;
use super::{DEVICES, HUB, Happening, World};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use towline_proto::ids::MessageId;
use towline_proto::mail::code::Code;
use towline_proto::mail::hub::io::{Input, Output, SessionKey, Step, Write};
use towline_proto::mail::hub::record::BodyPlace;
use towline_proto::mail::hub::{HubConfig, HubCore};
use towline_proto::mail::message::ToDevice;
use towline_proto::mail::policy::{Allow, Policy};

/// Undecided messages that one recipient may have where the quota is small.
const SMALL_QUOTA: u64 = 5;

/// When a deadline began, as the world reckons it beside the core: on which boot, and by which wall clock.
struct Reckoned {
    boot: [u8; 16],
    wall_ms: u64,
    due_ms: u64,
    length_ms: u64,
}

pub(super) struct Hub {
    core: Option<HubCore>,
    pub(super) life: u64,
    /// When the timer rings.
    armed_ms: Option<u64>,
    pub(super) clock: Clock,
    pub(super) store: Store,
    pending: VecDeque<(Step, Option<Event>)>,
    pub(super) next_commit_fails: bool,
    /// The pair that the operator's policy forbids.
    pub(super) forbidden: Option<(usize, usize)>,
    pub(super) spooled: BTreeSet<MessageId>,
    reckoned: BTreeMap<MessageId, Reckoned>,
}

impl Hub {
    pub(super) fn new() -> Self {
        Self {
            core: None,
            life: 0,
            armed_ms: None,
            clock: Clock::running_for(777_000),
            store: Store::new(),
            pending: VecDeque::new(),
            next_commit_fails: false,
            forbidden: None,
            spooled: BTreeSet::new(),
            reckoned: BTreeMap::new(),
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.core.is_some()
    }
}

/// Everyone may, but for one pair. Names begin with a device's number, also after a rename.
pub(super) fn policy(forbidden: Option<(usize, usize)>) -> Policy {
    let named = |device: usize| vec![format!("d{device}*")];
    let pairs = (0..DEVICES).flat_map(|from| (0..DEVICES).map(move |to| (from, to)));
    let allow = pairs.filter(|pair| Some(*pair) != forbidden).map(|(from, to)| Allow {
        from: named(from),
        to: named(to),
        lanes: Vec::new(),
    });
    if forbidden.is_none() { Policy::open() } else { Policy { allow: allow.collect(), ..Policy::default() } }
}

impl World {
    pub(super) fn begin_hub(&mut self) {
        let quota =
            if self.faults.small_quota { SMALL_QUOTA } else { HubConfig::default().max_undecided_per_recipient };
        self.history.quota = quota;
        let forgets = |plant| self.plant == plant && self.hub.life > 0;
        let quota = if forgets(Plant::QuotaForgotten) { u64::MAX } else { quota };
        let forbidden = if forgets(Plant::PolicyForgotten) { None } else { self.hub.forbidden };
        let config =
            HubConfig { policy: policy(forbidden), max_undecided_per_recipient: quota, ..HubConfig::default() };
        self.hub.store.forgets_decided = self.plant == Plant::DuplicatesNotFound;
        let snapshot = self.hub.store.snapshot();
        let clock = self.hub.clock.clone();
        let boot = if self.plant == Plant::BootIdIgnored { Clock::running_for(0).boot() } else { clock.boot() };
        self.reckon_anew();
        self.note_all(Event::Forbidden(self.hub.forbidden));
        self.hub.armed_ms = None;
        self.hub.core = Some(HubCore::load(config, snapshot, self.hub_time(), boot));
        self.arm();
    }

    /// After a reboot the wall clock says what is left of each deadline, and never more than its whole length.
    fn reckon_anew(&mut self) {
        let (now_ms, boot) = (self.now_ms, self.hub.clock.boot().0);
        let wall_ms = self.hub.clock.wall_ms(now_ms);
        let undecided = self.hub.store.messages.values().filter(|record| record.phase.is_undecided());
        let due: Vec<(MessageId, u64)> = undecided
            .filter_map(|record| {
                let began = self.hub.reckoned.get(&record.id)?;
                let left = began.length_ms.saturating_sub(wall_ms.saturating_sub(began.wall_ms));
                Some((record.id, if boot == began.boot { began.due_ms } else { now_ms + left }))
            })
            .collect();
        for (id, due_ms) in due {
            self.note(id, Fact::Due(due_ms));
        }
    }

    pub(super) fn hub_time(&self) -> towline_proto::mail::clock::HubTime {
        let ahead_ms = if self.plant == Plant::HubClockAhead { self.now_ms / 2 } else { 0 };
        let mut time = self.hub.clock.time(self.now_ms);
        time.boot_us += ahead_ms * 1_000;
        time
    }

    /// The process ends here and now; its machine may boot anew.
    pub(super) fn crash_hub(&mut self, reboot: bool) {
        if self.hub.core.take().is_none() {
            return;
        }
        self.hub.life += 1;
        self.hub.pending.clear();
        self.hub.spooled.clear();
        self.cut_all();
        self.after(4_000, Happening::HubStart);
        if reboot {
            self.hub.clock.reboot(self.now_ms);
        }
    }

    /// The timer rings; one that was set again since is another's.
    pub(super) fn tick(&mut self) {
        if self.hub.armed_ms == Some(self.now_ms) {
            self.hub.armed_ms = None;
            self.hub(Input::Tick);
            self.arm();
        }
    }

    fn arm(&mut self) {
        if let Some(boot_ms) = self.hub.core.as_ref().and_then(HubCore::poll_timeout) {
            let late_ms = if self.plant == Plant::HubTimerLate { 30_000 } else { 0 };
            let ms = self.hub.clock.world_ms(boot_ms).max(self.now_ms + 1) + late_ms;
            if self.hub.armed_ms.is_none_or(|armed_ms| ms < armed_ms) {
                self.hub.armed_ms = Some(ms);
                self.at(ms, Happening::Tick);
            }
        }
    }

    pub(super) fn hub(&mut self, input: Input) {
        self.hub_then(input, None);
    }

    /// Hands in one input; `event` has happened once its step is synced.
    pub(super) fn hub_then(&mut self, input: Input, event: Option<Event>) {
        let now = self.hub_time();
        let Some(core) = self.hub.core.as_mut() else { return };
        let before = core.poll_timeout();
        let step = core.handle(now, input, &self.hub.store, &HUB);
        if core.poll_timeout() != before {
            self.arm();
        }
        for write in &step.writes {
            if let Write::Accept(record) = write {
                let (length_ms, wall_ms) = (record.deadline.length_ms, self.hub.clock.wall_ms(self.now_ms));
                let due_ms = self.now_ms + length_ms;
                self.note(record.id, Fact::Due(due_ms));
                let reckoned = Reckoned { boot: self.hub.clock.boot().0, wall_ms, due_ms, length_ms };
                self.hub.reckoned.insert(record.id, reckoned);
            }
        }
        for output in step.now.clone() {
            self.hub_does(output);
        }
        for output in step.after_commit.iter().filter(|output| self.is_said_early(output)).cloned().collect::<Vec<_>>()
        {
            self.hub_does(output);
        }
        self.hub.pending.push_back((step, event));
        let life = self.hub.life;
        // A planted early word gets a slow disk, so that it shows within a few seeds.
        let early = matches!(self.plant, Plant::HubSpeaksBeforeCommit | Plant::GoBeforeCommit);
        self.after(if early { 2_000 } else { 30 }, Happening::Commit { life });
    }

    fn is_said_early(&self, output: &Output) -> bool {
        match self.plant {
            Plant::HubSpeaksBeforeCommit => true,
            Plant::GoBeforeCommit => matches!(output, Output::Say { message: ToDevice::Go { .. }, .. }),
            _ => false,
        }
    }

    /// One group commit: all that waits, or nothing.
    pub(super) fn commit(&mut self) {
        let steps: Vec<(Step, Option<Event>)> = self.hub.pending.drain(..).collect();
        if steps.iter().any(|(step, _)| !step.writes.is_empty()) {
            self.commits += 1;
            let commit = self.commits;
            let at = |point: Option<(u64, bool)>| point.filter(|(at, _)| *at == commit).map(|(_, synced)| synced);
            if let Some(synced) = at(self.faults.hub_at) {
                return self.crash_in_commit(steps, synced);
            }
            let random = std::mem::take(&mut self.hub.next_commit_fails).then(|| self.pick(2) == 0);
            if let Some(synced) = at(self.faults.commit_fails_at).or(random) {
                return self.fail_commit(steps, synced);
            }
        }
        for (step, event) in &steps {
            self.synced(step, event.clone());
        }
        for (step, _) in steps {
            if let Some(core) = self.hub.core.as_mut() {
                core.committed(step.number);
            }
            for output in step.after_commit {
                if !self.is_said_early(&output) {
                    self.hub_does(output);
                }
            }
        }
    }

    fn synced(&mut self, step: &Step, event: Option<Event>) {
        for write in &step.writes {
            self.apply(write.clone());
        }
        if let Some(event) = event {
            self.note_all(event);
        }
    }

    fn crash_in_commit(&mut self, steps: Vec<(Step, Option<Event>)>, synced: bool) {
        if synced {
            steps.into_iter().for_each(|(step, event)| self.synced(&step, event));
        }
        self.crash_hub(false);
    }

    /// The store says that it failed, whatever it did: every session is cut, every output that waits is forgotten, and
    /// the core is built anew.
    fn fail_commit(&mut self, steps: Vec<(Step, Option<Event>)>, synced: bool) {
        if synced {
            steps.into_iter().for_each(|(step, event)| self.synced(&step, event));
        }
        self.hub.core = None;
        self.hub.life += 1;
        self.hub.pending.clear();
        self.cut_all();
        self.at(self.now_ms + 1_000, Happening::HubStart);
    }

    fn hub_does(&mut self, output: Output) {
        match output {
            Output::Say { session, lane, message } => self.send_down(session, lane, message),
            Output::Deliver { session, lane, id } => {
                let Some(record) = self.hub.store.messages.get(&id) else { return };
                let body = if let BodyPlace::Inline(body) = &record.body { Some(body.clone()) } else { None };
                let message = ToDevice::Deliver { envelope: record.envelope.clone(), body };
                self.send_down(session, lane, message);
            }
            Output::TakeBody { session, id, .. } => {
                let life = self.hub.life;
                self.after(3_000, Happening::UploadDone { life, session, id });
            }
            Output::GiveBody { session, id, .. } => self.after(1_000, Happening::BodyGiven { session, id }),
            Output::DropSpool { id } => drop(self.hub.spooled.remove(&id)),
            Output::StopBody { .. } | Output::Reply { .. } => {}
            Output::SayLive { session, id, message } => self.say_live(session, id, message),
            Output::ResetLive { session } => self.reset_live(session),
            Output::Cut { session, .. } => self.cut(session),
        }
    }

    /// A sender's body is whole, or broken, or its stream has died.
    pub(super) fn upload_done(&mut self, session: SessionKey, id: MessageId) {
        if !self.wire.is_whole(session) {
            return;
        }
        match self.pick(20) {
            0 => self.hub(Input::BodyFailed { id, code: Code::HubStorage }),
            1 => {
                // The stream died: whoever wants it asks again.
                let mail = self.by_id[&id];
                self.after(2_000, Happening::Send(mail));
            }
            _ => {
                self.hub.spooled.insert(id);
                self.hub(Input::BodyArrived { id });
            }
        }
    }

    /// Whether the hub has this body whole.
    pub(super) fn has_body(&self, id: MessageId) -> bool {
        self.hub.spooled.contains(&id) || self.hub.store.messages.contains_key(&id)
    }
}
