//! The mark: the number of the newest commit that was synced, in a file of its own beside the mailbox.
//!
//! The write-ahead log may lose its end without a trace: cut off, or broken so that SQLite ends it early. The mark tells
//! that. It is written after a commit's sync and before anybody hears of it, and is never synced itself: it must be
//! right while this machine runs, and may lag behind after a power cut, but never runs ahead of the disk.

use super::change::Checksum;
use super::error::StoreError;
use super::with_ending;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// A number and its checksum, in bytes.
const LEN: usize = 8 + 16;

/// The mark's open file.
#[derive(Debug)]
pub(crate) struct Mark {
    file: File,
    path: PathBuf,
}

impl Mark {
    /// Where the mark of the mailbox at `mailbox` stands.
    pub(crate) fn path(mailbox: &Path) -> PathBuf {
        with_ending(mailbox, ".synced")
    }

    /// Opens the file or makes it.
    pub(crate) fn open(mailbox: &Path) -> Result<Self, StoreError> {
        let path = Self::path(mailbox);
        let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        Ok(Self { file: opened.map_err(StoreError::io("open", &path))?, path })
    }

    /// Notes that `commits` are synced.
    pub(crate) fn set(&self, commits: u64) -> Result<(), StoreError> {
        let number = commits.to_le_bytes();
        let mut bytes = [0; LEN];
        bytes[..8].copy_from_slice(&number);
        bytes[8..].copy_from_slice(&Checksum::of_bytes(&number).to_bytes());
        self.file.write_all_at(&bytes, 0).map_err(StoreError::io("write", &self.path))
    }

    /// The number that was noted last; none if there is no mark or it is damaged.
    pub(crate) fn read(mailbox: &Path) -> Option<u64> {
        let bytes = std::fs::read(Self::path(mailbox)).ok()?;
        let (number, checksum) = bytes.split_first_chunk::<8>()?;
        (checksum == Checksum::of_bytes(number).to_bytes()).then_some(u64::from_le_bytes(*number))
    }
}
