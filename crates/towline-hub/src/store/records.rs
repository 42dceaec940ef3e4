//! Between the core's writes and the store's records: what a message is made of on disk.
//!
//! A message's parts change at different times, so each has a record of its own: the acceptance (once), the phase (at
//! every step), the late word, and the body. The body's record says where it is; when it has left there is none.

use super::change::{Change, Table};
use super::error::StoreError;
use super::sqlite::Reader;
use std::cell::Cell;
use towline_proto::ids::{Digest, MessageId};
use towline_proto::mail::hub::io::{Damaged, Lookup, Snapshot, Write};
use towline_proto::mail::hub::record::{BodyPlace, DeviceRecord, MessageRecord, Phase, TicketRecord, Word};
use towline_proto::mail::outcome::Outcome;

/// The changes that one of the core's writes makes.
pub fn changes(write: Write) -> Vec<Change> {
    let put = |table, key: &[u8], record| Change::Put { table, key: key.to_vec(), record };
    match write {
        Write::Device(record) => vec![put(Table::Device, &record.key.0, record.to_bytes())],
        Write::Ticket(record) => vec![put(Table::Ticket, &record.token.0, record.to_bytes())],
        Write::DropTicket { token } => vec![Change::Delete { table: Table::Ticket, key: token.0.to_vec() }],
        Write::Accept(record) => accepted(*record),
        Write::Phase { id, phase } => vec![put(Table::Phase, &id.0, phase.to_bytes())],
        Write::Late { id, word } => vec![put(Table::Late, &id.0, word.to_bytes())],
        Write::DropBody { id } => vec![Change::Delete { table: Table::Body, key: id.0.to_vec() }],
    }
}

fn accepted(mut record: MessageRecord) -> Vec<Change> {
    let key = record.id.0.to_vec();
    let phase = record.phase.to_bytes();
    let late = record.late.take().map(|word| word.to_bytes());
    // The acceptance says where the body went; whether it is still there is told by the body's own record.
    let marker = if record.body == BodyPlace::File { BodyPlace::File } else { BodyPlace::Dropped };
    let body = std::mem::replace(&mut record.body, marker);
    record.phase = Phase::Accepted;
    let put = |table, record| Change::Put { table, key: key.clone(), record };
    let mut list = vec![put(Table::Message, record.to_bytes()), put(Table::Phase, phase)];
    list.extend(late.map(|late| put(Table::Late, late)));
    if body != BodyPlace::Dropped {
        list.push(put(Table::Body, encode_place(&body)));
    }
    list
}

fn encode_place(place: &BodyPlace) -> Vec<u8> {
    minicbor::to_vec(place).expect("writing to a vector does not fail")
}

/// The committed records.
pub struct Records {
    reader: Reader,
    /// Damaged records met since the start.
    damaged: Cell<u64>,
}

impl Records {
    /// Reads through `reader`.
    pub fn new(reader: Reader) -> Self {
        Self { reader, damaged: Cell::new(0) }
    }

    /// How many damaged records were met since the start.
    pub fn damaged(&self) -> u64 {
        self.damaged.get()
    }

    /// A message with everything that is kept of it.
    ///
    /// # Errors
    /// If a part of it is damaged: then none of it is served.
    pub fn read(&self, id: MessageId) -> Result<Option<MessageRecord>, StoreError> {
        let Some(mut record) = self.message_part(id)? else {
            // A phase is written with its acceptance and leaves with it.
            let orphan = self.reader.has(Table::Phase, &id.0)?;
            return if orphan { Err(StoreError::Damaged { table: Table::Message }) } else { Ok(None) };
        };
        record.phase = self.phase_part(id)?.ok_or(StoreError::Damaged { table: Table::Phase })?;
        record.late = self.part(Table::Late, id, |bytes| Word::from_bytes(bytes).ok())?;
        record.body = self.part(Table::Body, id, |bytes| minicbor::decode(bytes).ok())?.unwrap_or(BodyPlace::Dropped);
        if record.body == BodyPlace::Dropped && record.phase.is_undecided() {
            // A body leaves with the decision or after it.
            return Err(StoreError::Damaged { table: Table::Body });
        }
        Ok(Some(record))
    }

    fn message_part(&self, id: MessageId) -> Result<Option<MessageRecord>, StoreError> {
        self.part(Table::Message, id, |bytes| MessageRecord::from_bytes(bytes).ok())
    }

    fn phase_part(&self, id: MessageId) -> Result<Option<Phase>, StoreError> {
        self.part(Table::Phase, id, |bytes| Phase::from_bytes(bytes).ok())
    }

    fn part<T>(
        &self,
        table: Table,
        id: MessageId,
        decode: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        let found = self.reader.get(table, &id.0)?;
        found.map(|bytes| decode(&bytes).ok_or(StoreError::Damaged { table })).transpose()
    }

    /// What the core keeps in memory. Parts that are damaged are left out and reported.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let mut snapshot = Snapshot::default();
        for record in self.reader.all(Table::Device)? {
            snapshot.devices.extend(self.noted(DeviceRecord::from_bytes(&record.bytes).ok(), Table::Device));
        }
        for record in self.reader.all(Table::Ticket)? {
            snapshot.tickets.extend(self.noted(TicketRecord::from_bytes(&record.bytes).ok(), Table::Ticket));
        }
        for record in self.reader.all(Table::Phase)? {
            let Some(phase) = self.noted(Phase::from_bytes(&record.bytes).ok(), Table::Phase) else { continue };
            let Some(id) = id_of(&record.key).filter(|_| phase.is_undecided()) else { continue };
            let message = self.message_part(id).ok().flatten();
            let Some(message) = self.noted(message, Table::Message) else { continue };
            let late = self.part(Table::Late, id, |bytes| Word::from_bytes(bytes).ok())?;
            snapshot.undecided.push(MessageRecord { phase, late, ..message });
        }
        Ok(snapshot)
    }

    fn noted<T>(&self, part: Option<T>, table: Table) -> Option<T> {
        if part.is_none() {
            self.damaged.set(self.damaged.get() + 1);
            tracing::error!(%table, "a damaged record is not served");
        }
        part
    }

    /// Every message whose body is a file, with the file's name.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn files(&self) -> Result<Vec<(MessageId, Digest)>, StoreError> {
        let mut files = Vec::new();
        for record in self.reader.all(Table::Message)? {
            let Ok(message) = MessageRecord::from_bytes(&record.bytes) else { continue };
            if message.body != BodyPlace::File || !self.reader.has(Table::Body, &record.key)? {
                continue;
            }
            if let Ok(envelope) = message.envelope.decode() {
                files.push((message.id, envelope.root));
            }
        }
        Ok(files)
    }

    /// What has been kept long enough: bodies of messages that were not handled, then whole records.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn overdue(&self, wall_ms: u64, keep_failed_ms: u64, keep_records_ms: u64) -> Result<Vec<Overdue>, StoreError> {
        let mut list = Vec::new();
        for record in self.reader.all(Table::Phase)? {
            let Ok(Phase::Decided(decision)) = Phase::from_bytes(&record.bytes) else { continue };
            let Some(id) = id_of(&record.key) else { continue };
            let age_ms = wall_ms.saturating_sub(decision.at_ms);
            if age_ms > keep_records_ms {
                list.push(Overdue { id, whole: true });
            } else if decision.outcome != Outcome::Handled
                && age_ms > keep_failed_ms
                && self.reader.has(Table::Body, &record.key)?
            {
                list.push(Overdue { id, whole: false });
            }
        }
        Ok(list)
    }
}

/// What a sweep removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overdue {
    /// Of which message.
    pub id: MessageId,
    /// All of it, not its body only.
    pub whole: bool,
}

impl Overdue {
    /// The changes that remove it.
    pub fn changes(self) -> Vec<Change> {
        let whole = [Table::Message, Table::Phase, Table::Late, Table::Body];
        let tables: &[Table] = if self.whole { &whole } else { &[Table::Body] };
        tables.iter().map(|&table| Change::Delete { table, key: self.id.0.to_vec() }).collect()
    }
}

fn id_of(key: &[u8]) -> Option<MessageId> {
    key.try_into().ok().map(MessageId)
}

impl Lookup for Records {
    fn message(&self, id: MessageId) -> Result<Option<MessageRecord>, Damaged> {
        self.read(id).map_err(|error| {
            self.damaged.set(self.damaged.get() + 1);
            tracing::error!(%id, %error, "a message is not served");
            Damaged
        })
    }
}
