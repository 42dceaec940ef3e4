//! What the store keeps: checksummed records in a few tables, and changes to them.

use std::fmt;

/// A kind of record. The numbers stand in every checksum, so a record that strays into another table is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    /// Devices, by their key.
    Device,
    /// Tickets, by the digest of their token.
    Ticket,
    /// What was accepted, by message id: written once, never changed.
    Message,
    /// Where a message stands, by message id: small, rewritten at every step.
    Phase,
    /// A word that came after the outcome, by message id.
    Late,
    /// Bodies small enough to stand in the database, by message id.
    Body,
}

impl Table {
    /// Every table.
    pub const ALL: [Self; 6] = [Self::Device, Self::Ticket, Self::Message, Self::Phase, Self::Late, Self::Body];

    /// Its name in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Ticket => "ticket",
            Self::Message => "message",
            Self::Phase => "phase",
            Self::Late => "late",
            Self::Body => "body",
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One change to one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Writes the record, over an older one of the same key.
    Put {
        /// Where.
        table: Table,
        /// Under which key.
        key: Vec<u8>,
        /// What.
        record: Vec<u8>,
    },
    /// Removes the record, if there is one.
    Delete {
        /// Where.
        table: Table,
        /// Under which key.
        key: Vec<u8>,
    },
}

/// A record as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its key.
    pub key: Vec<u8>,
    /// Its bytes, whose checksum was right.
    pub bytes: Vec<u8>,
}

/// BLAKE3's first 128 bits over table, key and bytes: no flip of bits passes, nor does a record under a foreign key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Checksum(pub(crate) u128);

impl Checksum {
    pub(crate) fn of(table: Table, key: &[u8], bytes: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&[table as u8]).update(&(key.len() as u64).to_le_bytes()).update(key).update(bytes);
        Self::first_16(&hasher.finalize())
    }

    pub(crate) fn of_bytes(bytes: &[u8]) -> Self {
        Self::first_16(&blake3::hash(bytes))
    }

    fn first_16(hash: &blake3::Hash) -> Self {
        let mut first = [0; 16];
        first.copy_from_slice(&hash.as_bytes()[..16]);
        Self(u128::from_le_bytes(first))
    }

    pub(crate) fn to_bytes(self) -> [u8; 16] {
        self.0.to_le_bytes()
    }
}
