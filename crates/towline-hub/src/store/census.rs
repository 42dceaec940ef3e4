//! How many records there should be: a count and a sum of checksums for each table, kept in every transaction.
//!
//! A checksum beside a record tells that it was changed, not that it is gone. The census tells that: it changes with
//! every record that comes or goes, in the same transaction, so a record that vanished without one is missed.

use super::change::{Checksum, Table};

/// The length of a stored census: for each table a count and a sum, then a checksum over both.
const LEN: usize = Table::ALL.len() * ENTRY_LEN + 16;
const ENTRY_LEN: usize = 8 + 16;

/// Count and sum for every table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Census {
    entries: [Entry; Table::ALL.len()],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Entry {
    count: u64,
    /// Wrapping, so that the order of coming and going does not matter.
    sum: u128,
}

impl Census {
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

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(LEN);
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
        let mut census = Self::default();
        for (entry, bytes) in census.entries.iter_mut().zip(body.chunks_exact(ENTRY_LEN)) {
            let (count, sum) = bytes.split_at(8);
            entry.count = u64::from_le_bytes(count.try_into().ok()?);
            entry.sum = u128::from_le_bytes(sum.try_into().ok()?);
        }
        Some(census)
    }
}
