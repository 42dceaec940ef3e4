//! How many records there should be: a count and a sum of checksums for each table, kept in every transaction.
//!
//! A checksum beside a record tells that it was changed, not that it is gone. The census tells that: it changes with
//! every record that comes or goes, in the same transaction, so a record that vanished without one is missed. It also
//! numbers the commits, so that a mailbox that went back to an older state is told from the newest one.

use super::change::{Checksum, Table};

/// The length of a stored census: schema, commits, for each table a count and a sum, then a checksum over all.
const LEN: usize = HEAD_LEN + Table::ALL.len() * ENTRY_LEN + 16;
const HEAD_LEN: usize = 4 + 8;
const ENTRY_LEN: usize = 8 + 16;

/// Count and sum for every table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Census {
    /// The schema of the mailbox: here it has a checksum, in the file's header it has none.
    pub(crate) schema: u32,
    /// How many commits there were.
    pub(crate) commits: u64,
    entries: [Entry; Table::ALL.len()],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Entry {
    count: u64,
    /// Wrapping, so that the order of coming and going does not matter.
    sum: u128,
}

impl Census {
    /// No records.
    pub(crate) fn new(schema: u32, commits: u64) -> Self {
        Self { schema, commits, entries: Default::default() }
    }

    pub(crate) fn add(&mut self, table: Table, checksum: Checksum) {
        let entry = &mut self.entries[table as usize];
        entry.count = entry.count.wrapping_add(1);
        entry.sum = entry.sum.wrapping_add(checksum.0);
    }

    pub(crate) fn remove(&mut self, table: Table, checksum: Checksum) {
        let entry = &mut self.entries[table as usize];
        entry.count = entry.count.wrapping_sub(1);
        entry.sum = entry.sum.wrapping_sub(checksum.0);
    }

    pub(crate) fn count(&self, table: Table) -> u64 {
        self.entries[table as usize].count
    }

    /// Whether both count the same records, whatever their schema and commit.
    pub(crate) fn agrees(&self, other: &Self) -> bool {
        self.entries == other.entries
    }

    /// Whether both count the same records in `table`.
    pub(crate) fn agrees_on(&self, table: Table, other: &Self) -> bool {
        self.entries[table as usize] == other.entries[table as usize]
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(LEN);
        bytes.extend_from_slice(&self.schema.to_le_bytes());
        bytes.extend_from_slice(&self.commits.to_le_bytes());
        for entry in &self.entries {
            bytes.extend_from_slice(&entry.count.to_le_bytes());
            bytes.extend_from_slice(&entry.sum.to_le_bytes());
        }
        let checksum = Checksum::of_bytes(&bytes).to_bytes();
        bytes.extend_from_slice(&checksum);
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (body, checksum) = bytes.split_at_checked(LEN - 16)?;
        if checksum != Checksum::of_bytes(body).to_bytes() {
            return None;
        }
        let (head, entries) = body.split_at(HEAD_LEN);
        let (schema, commits) = head.split_at(4);
        let mut census = Self {
            schema: u32::from_le_bytes(schema.try_into().ok()?),
            commits: u64::from_le_bytes(commits.try_into().ok()?),
            ..Self::default()
        };
        for (entry, bytes) in census.entries.iter_mut().zip(entries.chunks_exact(ENTRY_LEN)) {
            let (count, sum) = bytes.split_at(8);
            entry.count = u64::from_le_bytes(count.try_into().ok()?);
            entry.sum = u128::from_le_bytes(sum.try_into().ok()?);
        }
        Some(census)
    }
}
