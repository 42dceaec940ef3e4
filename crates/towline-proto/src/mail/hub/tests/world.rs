//! A hub's core with a store that commits at once, and three devices to talk to it.

use super::crypto::TestCrypto;
use crate::ids::{DeviceName, Lane, MessageId};
use crate::mail::clock::{BootId, HubTime};
use crate::mail::code::Code;
use crate::mail::envelope::{Envelope, SignedEnvelope};
use crate::mail::hub::io::{
    AdminAnswer, Command, Cut, Damaged, Input, Lookup, Output, RequestKey, SessionKey, Snapshot, Step, Write,
};
use crate::mail::hub::record::{DeviceRecord, MessageRecord, TicketRecord};
use crate::mail::hub::{HubConfig, HubCore};
use crate::mail::keys::{Crypto, PublicKey};
use crate::mail::message::{Answer, Question, Role, ToDevice, ToHub};
use crate::mail::outcome::Outcome;
use crate::mail::policy::Policy;
use crate::mail::receipt::Receipt;
use std::collections::BTreeMap;

pub(super) const HUB: TestCrypto = TestCrypto(PublicKey([200; 32]));
pub(super) const A: TestCrypto = TestCrypto(PublicKey([1; 32]));
pub(super) const B: TestCrypto = TestCrypto(PublicKey([2; 32]));
pub(super) const C: TestCrypto = TestCrypto(PublicKey([3; 32]));
/// A key that belongs to no device.
pub(super) const STRANGER: TestCrypto = TestCrypto(PublicKey([9; 32]));
const START_MS: u64 = 1_000_000;
pub(super) const WALL_MS: u64 = 1_793_613_600_000;

#[derive(Default)]
pub(super) struct Store {
    pub(super) devices: BTreeMap<PublicKey, DeviceRecord>,
    pub(super) tickets: BTreeMap<crate::ids::Digest, TicketRecord>,
    pub(super) messages: BTreeMap<MessageId, MessageRecord>,
}

impl Lookup for Store {
    fn message(&self, id: MessageId) -> Result<Option<MessageRecord>, Damaged> {
        Ok(self.messages.get(&id).cloned())
    }
}

impl Store {
    pub(super) fn apply(&mut self, write: Write) {
        match write {
            Write::Device(record) => drop(self.devices.insert(record.key, record)),
            Write::Ticket(record) => drop(self.tickets.insert(record.token, record)),
            Write::DropTicket { token } => drop(self.tickets.remove(&token)),
            Write::Accept(record) => {
                assert!(self.messages.insert(record.id, *record).is_none(), "accepted twice");
            }
            Write::Phase { id, phase } => {
                let record = self.messages.get_mut(&id).unwrap();
                assert!(record.phase.is_undecided(), "an outcome was changed");
                record.phase = phase;
            }
            Write::Late { id, word } => self.messages.get_mut(&id).unwrap().late = Some(word),
            Write::DropBody { .. } => {}
        }
    }
}

/// What came of one input.
pub(super) struct Said(pub(super) Vec<Output>);

impl Said {
    /// What one session was told.
    pub(super) fn to(&self, session: SessionKey) -> Vec<&ToDevice> {
        let says = self.0.iter().filter_map(|output| match output {
            Output::Say { session: to, message, .. } if *to == session => Some(message),
            _ => None,
        });
        says.collect()
    }

    pub(super) fn cut(&self, session: SessionKey) -> Option<Cut> {
        self.0.iter().find_map(|output| match output {
            Output::Cut { session: cut, reason } if *cut == session => Some(*reason),
            _ => None,
        })
    }

    /// The code with which a submit was refused, and when to try again.
    pub(super) fn refusal(&self, session: SessionKey) -> Option<(Code, u64)> {
        self.to(session).into_iter().find_map(|message| match message {
            ToDevice::NotAccepted { code, retry_after_ms, .. } => Some((*code, *retry_after_ms)),
            _ => None,
        })
    }

    pub(super) fn denial(&self, session: SessionKey) -> Option<Code> {
        self.to(session).into_iter().find_map(|message| match message {
            ToDevice::Denied { code, .. } => Some(*code),
            _ => None,
        })
    }

    pub(super) fn is_accepted(&self, session: SessionKey) -> bool {
        self.to(session).iter().any(|message| matches!(message, ToDevice::Accepted { .. }))
    }

    pub(super) fn live(&self, session: SessionKey) -> Option<Code> {
        self.to(session).into_iter().find_map(|message| match message {
            ToDevice::LiveResult { code, .. } => Some(*code),
            _ => None,
        })
    }

    pub(super) fn answer(&self, session: SessionKey) -> Option<Answer> {
        self.to(session).into_iter().find_map(|message| match message {
            ToDevice::Answer { answer, .. } => Some(answer.clone()),
            _ => None,
        })
    }

    /// The outcomes that a session was told.
    pub(super) fn outcomes(&self, session: SessionKey) -> Vec<(Outcome, Code)> {
        let opened = self.to(session).into_iter().filter_map(|message| match message {
            ToDevice::Outcome { receipt, .. } => Some(receipt.open(&HUB).expect("a receipt verifies")),
            _ => None,
        });
        opened.map(|receipt: Receipt| (receipt.outcome, receipt.code)).collect()
    }

    /// The messages that a session is to be handed.
    pub(super) fn delivered(&self, session: SessionKey) -> Vec<MessageId> {
        let delivers = self.0.iter().filter_map(|output| match output {
            Output::Deliver { session: to, id, .. } if *to == session => Some(*id),
            _ => None,
        });
        delivers.collect()
    }
}

pub(super) struct World {
    pub(super) core: HubCore,
    pub(super) store: Store,
    pub(super) config: HubConfig,
    pub(super) boot: BootId,
    pub(super) boot_ms: u64,
    pub(super) wall_ms: u64,
    next_session: u64,
    next_id: u64,
}

pub(super) fn name(text: &str) -> DeviceName {
    text.parse().unwrap()
}

fn device(crypto: TestCrypto, text: &str) -> DeviceRecord {
    DeviceRecord {
        key: crypto.0,
        name: name(text),
        joined_ms: 0,
        revoked_ms: None,
        online: false,
        since_ms: 0,
        software: String::new(),
    }
}

pub(super) fn open_config() -> HubConfig {
    HubConfig { policy: Policy::open(), ..HubConfig::default() }
}

impl World {
    /// Devices `a`, `b` and `c`; everyone may send to everyone.
    pub(super) fn new() -> Self {
        Self::with(open_config())
    }

    pub(super) fn with(config: HubConfig) -> Self {
        let mut store = Store::default();
        for (crypto, text) in [(A, "a"), (B, "b"), (C, "c")] {
            store.devices.insert(crypto.0, device(crypto, text));
        }
        let boot = BootId([1; 16]);
        let now = HubTime { boot_us: START_MS * 1_000, wall_ms: WALL_MS };
        let core = HubCore::load(config.clone(), snapshot(&store), now, boot);
        Self { core, store, config, boot, boot_ms: START_MS, wall_ms: WALL_MS, next_session: 0, next_id: 0 }
    }

    pub(super) fn now(&self) -> HubTime {
        HubTime { boot_us: self.boot_ms * 1_000, wall_ms: self.wall_ms }
    }

    /// One input, whose writes are synced at once.
    pub(super) fn handle(&mut self, input: Input) -> Said {
        let Step { number, writes, now, after_commit } = self.core.handle(self.now(), input, &self.store, &HUB);
        writes.into_iter().for_each(|write| self.store.apply(write));
        self.core.committed(number);
        Said([now, after_commit].concat())
    }

    /// The hub ends and begins anew from its store.
    pub(super) fn restart(&mut self) {
        self.core = HubCore::load(self.config.clone(), snapshot(&self.store), self.now(), self.boot);
    }

    /// Time passes on both clocks.
    pub(super) fn wait(&mut self, ms: u64) -> Said {
        self.boot_ms += ms;
        self.wall_ms += ms;
        self.handle(Input::Tick)
    }

    pub(super) fn open(&mut self, who: TestCrypto) -> SessionKey {
        let session = SessionKey(self.next_session);
        self.next_session += 1;
        self.handle(Input::Opened { session, key: who.0, link: "tcp".into() });
        session
    }

    pub(super) fn say(&mut self, session: SessionKey, message: ToHub) -> Said {
        self.handle(Input::Said { session, message })
    }

    pub(super) fn attach(&mut self, who: TestCrypto, role: Role) -> SessionKey {
        let session = self.open(who);
        let said = self.say(session, ToHub::Attach { role, software: "test".into() });
        assert!(matches!(said.to(session)[..], [ToDevice::Welcome { .. }, ..]), "not welcome");
        session
    }

    pub(super) fn agent(&mut self, who: TestCrypto) -> SessionKey {
        self.attach(who, Role::Agent)
    }

    pub(super) fn client(&mut self, who: TestCrypto) -> SessionKey {
        self.attach(who, Role::Client)
    }

    /// An envelope of its own id, over `body`.
    pub(super) fn envelope(&mut self, from: TestCrypto, to: &str, body: &[u8]) -> Envelope {
        self.next_id += 1;
        let mut id = [0; 16];
        id[8..].copy_from_slice(&self.next_id.to_be_bytes());
        Envelope {
            id: MessageId(id),
            from: self.store.devices.get(&from.0).map_or_else(|| name("nobody"), |record| record.name.clone()),
            sender: from.0,
            to: name(to),
            deadline_ms: 60_000,
            lane: Lane::NORMAL,
            kept: true,
            name: String::new(),
            content_type: String::new(),
            size: body.len() as u64,
            root: HUB.digest(body),
            time_ms: 0,
            seal: 0,
        }
    }

    pub(super) fn submit(&mut self, session: SessionKey, envelope: SignedEnvelope, body: &[u8]) -> Said {
        self.say(session, ToHub::Submit { envelope, body: Some(body.to_vec()) })
    }

    /// Sends a small kept message, which must be accepted.
    pub(super) fn send(&mut self, session: SessionKey, from: TestCrypto, to: &str) -> MessageId {
        let envelope = self.envelope(from, to, b"hello");
        let said = self.submit(session, envelope.seal(&from), b"hello");
        assert!(said.is_accepted(session), "not accepted: {:?}", said.0);
        envelope.id
    }

    /// Sends a small live message.
    pub(super) fn send_live(&mut self, session: SessionKey, from: TestCrypto, to: &str) -> (MessageId, Said) {
        let envelope = Envelope { kept: false, ..self.envelope(from, to, b"now") };
        (envelope.id, self.submit(session, envelope.seal(&from), b"now"))
    }

    /// The recipient's agent asks to start, and must get its `go`.
    pub(super) fn start(&mut self, agent: SessionKey, id: MessageId) -> Said {
        let said = self.say(agent, ToHub::GoRequest { id, request: 1, by: "inbox".into(), timeout_ms: 1_000 });
        assert!(said.to(agent).iter().any(|message| matches!(message, ToDevice::Go { .. })), "no go");
        said
    }

    pub(super) fn report(&mut self, agent: SessionKey, who: TestCrypto, id: MessageId) -> Said {
        let receipt = Receipt {
            envelope: self.store.messages[&id].envelope.digest(&HUB),
            id,
            outcome: Outcome::Handled,
            by: "inbox".into(),
            code: Code::Ok,
            reason: String::new(),
            exit_code: None,
            output: HUB.digest(b""),
            time_ms: 0,
            late: false,
            signer: crate::mail::receipt::Signer::Recipient,
            key: who.0,
        };
        self.say(agent, ToHub::Report { receipt: receipt.seal(&who), output: Vec::new() })
    }

    pub(super) fn ask(&mut self, session: SessionKey, question: Question) -> Said {
        self.say(session, ToHub::Ask { ask: 7, question })
    }

    pub(super) fn admin(&mut self, command: Command) -> (AdminAnswer, Said) {
        let said = self.handle(Input::Admin { request: RequestKey(1), command });
        let answer = said.0.iter().find_map(|output| match output {
            Output::Reply { answer, .. } => Some(answer.clone()),
            _ => None,
        });
        (answer.expect("the operator is always answered"), said)
    }
}

fn snapshot(store: &Store) -> Snapshot {
    Snapshot {
        devices: store.devices.values().cloned().collect(),
        tickets: store.tickets.values().cloned().collect(),
        undecided: store.messages.values().filter(|record| record.phase.is_undecided()).cloned().collect(),
    }
}
