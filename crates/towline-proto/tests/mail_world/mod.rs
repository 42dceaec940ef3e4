//! A world of one hub and some devices around both mail cores: virtual clocks, delays, lost sessions, crashes, reboots,
//! stores that fail, programs that come and go. Everything follows from the seed.
//!
//! [`plan`] says what a world is made of, the files `…_side` are the shells around the cores, [`network`] lies between,
//! [`senders`] and [`operator`] use it; all of them write a [`history`], which the [`checks`] judge.

pub(crate) mod checks;
pub(crate) mod clock;
pub(crate) mod crypto;
mod device_side;
pub(crate) mod history;
mod hub_side;
mod network;
mod operator;
pub(crate) mod plan;
mod senders;
mod store;

use crypto::TestCrypto;
use device_side::Device;
use history::{Event, Fact, History, What};
use hub_side::Hub;
use network::Wire;
use plan::{END_MS, Faults, Plant};
use senders::{Mail, Program};
use std::collections::BTreeMap;
use towline_proto::ids::MessageId;
use towline_proto::mail::agent::io::{Input as AgentIn, Output as AgentOut};
use towline_proto::mail::hub::io::{Input, SessionKey};
use towline_proto::mail::keys::PublicKey;
use towline_proto::mail::message::{ToDevice, ToHub};

pub(crate) const DEVICES: usize = 5;
pub(crate) const HUB: TestCrypto = TestCrypto(PublicKey([200; 32]));

/// Something that happens at a planned time. What names a `life` is void once that life of hub or agent is over.
pub(crate) enum Happening {
    // Senders.
    Send(usize),
    Again(usize),
    Withdraw(usize),
    Connect(usize),
    Leave(usize),
    Return(usize),
    // Faults.
    HubCrash { reboot: bool },
    AgentCrash { device: usize, reboot: bool },
    Lose { program: usize },
    LinkDown { program: usize },
    HubClockJumps(i64),
    DeviceClockJumps(usize, i64),
    CommitFails,
    SyncFails(usize),
    // The operator.
    Rename,
    Revoke,
    Forbid(Option<(usize, usize)>),
    // The hub's machine.
    HubStart,
    Tick,
    Commit { life: u64 },
    UploadDone { life: u64, session: SessionKey, id: MessageId },
    // A device's machine.
    AgentStart(usize),
    Sync { device: usize, life: u64 },
    Agent { device: usize, life: u64, input: Box<AgentIn> },
    Begin { device: usize, life: u64, output: Box<AgentOut> },
    // The way between.
    ToHub(SessionKey, Box<ToHub>),
    ToDevice(SessionKey, Box<ToDevice>),
    HubHearsEnd(SessionKey),
    DeviceHearsEnd(SessionKey),
    LinkUp(SessionKey),
    BodyGiven { session: SessionKey, id: MessageId },
    LiveArrives { session: SessionKey, id: MessageId, message: Box<ToDevice> },
    LiveConfirmed { session: SessionKey, id: MessageId },
    LiveLost { id: MessageId, given: bool },
}

pub(crate) struct World {
    rng: u64,
    plant: Plant,
    faults: Faults,
    now_ms: u64,
    number: u64,
    queue: BTreeMap<(u64, u64), Happening>,
    hub: Hub,
    devices: Vec<Device>,
    wire: Wire,
    programs: Vec<Program>,
    mails: Vec<Mail>,
    /// Which mail a message is.
    by_id: BTreeMap<MessageId, usize>,
    pub history: History,
    /// Commits of the hub that wrote something.
    pub commits: u64,
    /// Syncs of the first recipient's journal.
    pub syncs: u64,
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
            hub: Hub::new(),
            devices: (0..DEVICES).map(Device::new).collect(),
            wire: Wire::default(),
            programs: Vec::new(),
            mails: Vec::new(),
            by_id: BTreeMap::new(),
            history: History::default(),
            commits: 0,
            syncs: 0,
        };
        world.plan(messages);
        let crashes = faults.hub_crashes || faults.hub_at.is_some() || faults.commit_fails_at.is_some();
        world.history.steady = !crashes && !faults.operator;
        world.begin_hub();
        for device in 0..DEVICES {
            world.start_agent(device);
        }
        world
    }

    pub(crate) fn run(&mut self) {
        while let Some(entry) = self.queue.first_entry() {
            let ms = entry.key().0;
            if ms > END_MS {
                break;
            }
            let happening = entry.remove();
            self.now_ms = ms;
            self.happen(happening);
        }
    }

    fn pick(&mut self, below: u64) -> u64 {
        self.rng = self.rng.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.rng;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below.max(1)
    }

    fn at(&mut self, ms: u64, happening: Happening) {
        self.number += 1;
        self.queue.insert((ms.max(self.now_ms), self.number), happening);
    }

    fn after(&mut self, up_to_ms: u64, happening: Happening) {
        let ms = self.now_ms + 1 + self.pick(up_to_ms);
        self.at(ms, happening);
    }

    fn note(&mut self, id: MessageId, fact: Fact) {
        self.history.events.push((self.now_ms, What::Of(id, fact)));
    }

    fn note_all(&mut self, event: Event) {
        self.history.events.push((self.now_ms, What::All(event)));
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Send(mail) => self.send(mail),
            Happening::Again(mail) => self.send_again(mail),
            Happening::Withdraw(mail) => self.withdraw(mail),
            Happening::Connect(program) => self.connect(program),
            Happening::Leave(program) => self.leave(program),
            Happening::Return(program) => self.come_again(program),
            Happening::HubCrash { reboot } => self.crash_hub(reboot),
            Happening::AgentCrash { device, reboot } => self.crash_agent(device, reboot),
            Happening::Lose { program } => self.lose(program),
            Happening::LinkDown { program } => self.link_down(program),
            Happening::HubClockJumps(by_ms) => self.hub.clock.jump(by_ms),
            Happening::DeviceClockJumps(device, by_ms) => self.devices[device].clock.jump(by_ms),
            Happening::CommitFails => self.hub.next_commit_fails = true,
            Happening::SyncFails(device) => self.devices[device].next_sync_fails = true,
            Happening::Rename => self.rename(),
            Happening::Revoke => self.revoke(),
            Happening::Forbid(pair) => self.forbid(pair),
            Happening::HubStart => self.begin_hub(),
            Happening::Tick => self.tick(),
            Happening::Commit { life } if life == self.hub.life => self.commit(),
            Happening::UploadDone { life, session, id } if life == self.hub.life => self.upload_done(session, id),
            Happening::AgentStart(device) => self.start_agent(device),
            Happening::Sync { device, life } if life == self.devices[device].life => self.sync(device),
            Happening::Agent { device, life, input } if life == self.devices[device].life => self.agent(device, *input),
            Happening::Begin { device, life, output } if life == self.devices[device].life => {
                self.begin(device, *output);
            }
            Happening::ToHub(session, message) => self.hub_hears(session, *message),
            Happening::ToDevice(session, message) => self.device_hears(session, *message),
            Happening::HubHearsEnd(session) => self.hub_hears_end(session),
            Happening::DeviceHearsEnd(session) => self.device_hears_end(session),
            Happening::LinkUp(session) => self.link_up(session),
            Happening::BodyGiven { session, id } => self.body_given(session, id),
            Happening::LiveArrives { session, id, message } => self.live_arrives(session, id, *message),
            Happening::LiveConfirmed { session, id } => self.live_confirmed(session, id),
            Happening::LiveLost { id, given } => self.hub(Input::LiveLost { id, given }),
            Happening::Commit { .. }
            | Happening::UploadDone { .. }
            | Happening::Sync { .. }
            | Happening::Agent { .. }
            | Happening::Begin { .. } => {}
        }
    }
}
