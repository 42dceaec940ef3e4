//! The hub's disk: what was committed, and what a planted fault makes of it.

use super::history::{Event, Fact, Record};
use super::plan::Plant;
use super::{DEVICES, HUB, World};
use std::collections::BTreeMap;
use towline_proto::ids::MessageId;
use towline_proto::mail::hub::io::{Damaged, Lookup, Snapshot, Write};
use towline_proto::mail::hub::record::{BodyPlace, DeviceRecord, MessageRecord, Phase, Word};
use towline_proto::mail::keys::PublicKey;
use towline_proto::mail::receipt::Signer;

#[derive(Default)]
pub(super) struct Store {
    pub(super) devices: BTreeMap<PublicKey, DeviceRecord>,
    pub(super) messages: BTreeMap<MessageId, MessageRecord>,
    /// A planted fault: decided messages are not found again.
    pub(super) forgets_decided: bool,
}

impl Lookup for Store {
    fn message(&self, id: MessageId) -> Result<Option<MessageRecord>, Damaged> {
        let hidden = |record: &&MessageRecord| self.forgets_decided && !record.phase.is_undecided();
        Ok(self.messages.get(&id).filter(|record| !hidden(record)).cloned())
    }
}

impl Store {
    /// Every device has joined.
    pub(super) fn new() -> Self {
        let record = |index: usize| DeviceRecord {
            key: super::device_side::key(index),
            name: format!("d{index}").parse().unwrap(),
            joined_ms: 0,
            revoked_ms: None,
            online: false,
            since_ms: 0,
            software: String::new(),
        };
        let devices = (0..DEVICES).map(|index| (super::device_side::key(index), record(index))).collect();
        Self { devices, ..Self::default() }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let undecided = self.messages.values().filter(|record| record.phase.is_undecided());
        Snapshot {
            devices: self.devices.values().cloned().collect(),
            tickets: Vec::new(),
            undecided: undecided.cloned().collect(),
        }
    }
}

/// A number that tells receipts apart.
pub(super) fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

impl World {
    /// One synced change.
    pub(super) fn apply(&mut self, write: Write) {
        match write {
            Write::Device(record) => self.apply_device(record),
            Write::Accept(record) => {
                let id = record.id;
                self.note(id, Fact::Recorded(Record::Accepted));
                if self.plant == Plant::StoreLosesMessages && self.pick(20) == 0 {
                    return;
                }
                // What is stored must survive its encoding.
                let record = MessageRecord::from_bytes(&record.to_bytes()).unwrap();
                self.hub.store.messages.insert(id, record);
            }
            Write::Phase { id, phase } => self.apply_phase(id, phase),
            Write::Late { id, word } => {
                if self.plant == Plant::StoreLosesLateWords {
                    return;
                }
                let Word { receipt, .. } = &word;
                let outcome = receipt.decode().unwrap().outcome;
                self.note(id, Fact::Recorded(Record::Late { outcome }));
                if let Some(record) = self.hub.store.messages.get_mut(&id) {
                    record.late = Some(word);
                }
            }
            Write::DropBody { id } => {
                if let Some(record) = self.hub.store.messages.get_mut(&id) {
                    record.body = BodyPlace::Dropped;
                }
            }
            Write::Ticket(_) | Write::DropTicket { .. } => {}
        }
    }

    fn apply_device(&mut self, record: DeviceRecord) {
        let index = super::device_side::index(&record.key);
        if record.revoked_ms.is_some() && self.history.revoked_at(index).is_none() {
            self.note_all(Event::Revoked(index));
        }
        self.hub.store.devices.insert(record.key, record);
    }

    fn apply_phase(&mut self, id: MessageId, phase: Phase) {
        let Some(record) = self.hub.store.messages.get(&id) else { return };
        let was_undecided = record.phase.is_undecided();
        let fact = match &phase {
            Phase::Accepted => return,
            Phase::Delivered if matches!(record.phase, Phase::Started(_)) => None,
            Phase::Delivered => Some(Record::Delivered),
            Phase::Started(start) => Some(Record::Started { request: start.request }),
            Phase::Decided(decision) => {
                let receipt = decision.word.receipt.open(&HUB).expect("the hub stores no false receipt");
                let by_hub = receipt.signer == Signer::Hub;
                assert_eq!(receipt.key, if by_hub { HUB.0 } else { record.recipient }, "another signer");
                let number = fingerprint(&decision.word.receipt.bytes);
                Some(Record::Decided { outcome: decision.outcome, code: receipt.code, by_hub, receipt: number })
            }
        };
        if let Some(record) = fact {
            self.note(id, Fact::Recorded(record));
        }
        let lost = self.plant == Plant::StoreLosesOutcomes && !phase.is_undecided() && was_undecided;
        if lost && self.pick(3) == 0 {
            return;
        }
        self.hub.store.messages.get_mut(&id).unwrap().phase = phase;
    }
}
