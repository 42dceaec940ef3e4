//! The store of bodies: where a message waits before it starts, and where no other program looks.
//!
//! A body is one file, `ID.body`, which grows from its beginning while the body arrives, so that what is held can always
//! be told by its length. It is *ready* once its length and BLAKE3 root are the envelope's and file and folder are synced.

use super::folder::{Folder, OpenFolder};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use towline_proto::ids::{Digest, MessageId};

/// The mode of a body: ours alone.
const BODY_MODE: u32 = 0o600;

/// How much is written before it is pushed to the disk, in bytes: the last sync of a large body must not take minutes.
const SYNC_EVERY_BYTES: u64 = 64 * 1024 * 1024;

/// Zeros are left out of the file in blocks of this many bytes, so that a sparse file stays sparse: a page.
const HOLE_BYTES: usize = 4_096;

/// How much is read at once when a part that is already here is hashed again, in bytes.
const REHASH_BYTES: usize = 256 * 1024;

/// The folder of bodies.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    folder: Folder,
}

/// Why a body could not be stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// More or fewer bytes than the envelope says, or other ones. What was held is gone.
    #[error("the body is not what its envelope says")]
    Integrity,
    /// The disk would not take it. What was held stays, unless the disk is full.
    #[error("the body could not be stored: {0}")]
    Io(#[from] io::Error),
}

/// What the envelope says of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    /// Its length, in bytes.
    pub(crate) size: u64,
    /// Its BLAKE3 root.
    pub(crate) root: Digest,
}

/// A body on its way in.
#[derive(Debug)]
pub(crate) struct Incoming {
    store: Store,
    id: MessageId,
    file: File,
    hasher: blake3::Hasher,
    expected: Expected,
    written: u64,
    synced: u64,
}

impl Store {
    /// Opens the folder, which is made where it is missing.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { folder: Folder::private(path)? })
    }

    /// The folder itself.
    #[cfg(test)]
    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// A body's file name.
    pub(crate) fn file_name(id: MessageId) -> String {
        format!("{id}.body")
    }

    /// A body's absolute path.
    pub(crate) fn path(&self, id: MessageId) -> PathBuf {
        self.folder.path().join(Self::file_name(id))
    }

    /// How many bytes of a body are here.
    pub(crate) fn held(&self, id: MessageId) -> io::Result<u64> {
        let stat = self.folder.open()?.stat(Self::file_name(id))?;
        Ok(stat.map_or(0, |stat| stat.st_size.cast_unsigned()))
    }

    /// Stores a body that came whole.
    pub(crate) fn put(&self, id: MessageId, body: &[u8], expected: Expected) -> Result<(), StoreError> {
        let mut incoming = self.begin(id, 0, expected)?;
        incoming.write(body)?;
        incoming.finish()
    }

    /// Takes a body in from `offset` on, which must not lie past what is held.
    pub(crate) fn begin(&self, id: MessageId, offset: u64, expected: Expected) -> Result<Incoming, StoreError> {
        let folder = self.folder.open()?;
        let file = folder.open_or_create(Self::file_name(id), BODY_MODE)?;
        if offset > file.metadata()?.len() || offset > expected.size {
            return Err(StoreError::Io(io::ErrorKind::InvalidInput.into()));
        }
        file.set_len(offset)?;
        let mut hasher = blake3::Hasher::new();
        rehash(&file, offset, &mut hasher)?;
        Ok(Incoming { store: self.clone(), id, file, hasher, expected, written: offset, synced: offset })
    }

    /// Forgets a body and everything about it.
    pub(crate) fn remove(&self, id: MessageId) -> io::Result<()> {
        let folder = self.folder.open()?;
        folder.remove(Self::file_name(id))?;
        folder.remove(Self::note_name(id))?;
        Ok(())
    }

    /// Removes the bodies that nobody knows any more: their messages ended while the store was not looked after.
    pub(crate) fn remove_unless(&self, mut known: impl FnMut(MessageId) -> bool) -> io::Result<usize> {
        let mut removed = 0;
        for entry in std::fs::read_dir(self.folder.path())? {
            let name = entry?.file_name();
            let id = name.to_str().and_then(|name| name.strip_suffix(".body")).and_then(|id| id.parse().ok());
            if let Some(id) = id.filter(|&id| !known(id)) {
                self.remove(id)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// The name of the note that stands beside a body while it moves to another file system (see `place`).
    pub(super) fn note_name(id: MessageId) -> String {
        format!("{id}.moving")
    }

    /// Opens the folder.
    pub(super) fn open_folder(&self) -> io::Result<OpenFolder> {
        self.folder.open()
    }
}

impl Incoming {
    /// Whose body this is.
    pub(crate) fn id(&self) -> MessageId {
        self.id
    }

    /// How many bytes of the body are written.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Adds the next bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let end = self.written + bytes.len() as u64;
        if end > self.expected.size {
            self.discard()?;
            return Err(StoreError::Integrity);
        }
        self.hasher.update(bytes);
        if let Err(error) = write_sparse(&self.file, bytes, self.written) {
            if error.kind() == io::ErrorKind::StorageFull {
                // The journal may be on the same disk, and needs a little of this room to say so.
                self.file.set_len(0)?;
            }
            return Err(error.into());
        }
        self.written = end;
        if self.written - self.synced >= SYNC_EVERY_BYTES {
            self.file.sync_data()?;
            self.synced = self.written;
        }
        Ok(())
    }

    /// Checks the whole body and syncs file and folder: after this the message may be called delivered.
    pub(crate) fn finish(self) -> Result<(), StoreError> {
        let root = Digest(*self.hasher.finalize().as_bytes());
        if self.written != self.expected.size || root != self.expected.root {
            self.discard()?;
            return Err(StoreError::Integrity);
        }
        self.file.set_len(self.written)?;
        self.file.sync_all()?;
        self.store.folder.open()?.sync()?;
        Ok(())
    }

    /// Wrong bytes are not worth keeping: the next attempt begins at the beginning.
    fn discard(&self) -> io::Result<()> {
        self.store.remove(self.id)
    }
}

/// Hashes the first `len` bytes of `file`.
fn rehash(file: &File, len: u64, hasher: &mut blake3::Hasher) -> io::Result<()> {
    let mut buffer = vec![0; REHASH_BYTES];
    let mut reader = file.take(len);
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(()),
            n => hasher.update(&buffer[..n]),
        };
    }
}

/// Writes `bytes` at `offset`, leaving out blocks of zeros: those are read as zeros anyway once `finish` has set the length.
fn write_sparse(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let full = run_of_blocks(bytes, offset, |block| block.iter().any(|&byte| byte != 0));
        file.write_all_at(&bytes[..full], offset)?;
        let empty = run_of_blocks(&bytes[full..], offset + full as u64, |block| block.iter().all(|&byte| byte == 0));
        bytes = &bytes[full + empty..];
        offset += (full + empty) as u64;
    }
    Ok(())
}

/// How many bytes at the beginning of `bytes` lie in blocks that all satisfy `wanted`.
fn run_of_blocks(bytes: &[u8], offset: u64, wanted: impl Fn(&[u8]) -> bool) -> usize {
    let mut end = 0;
    while end < bytes.len() {
        let to_border = HOLE_BYTES - (offset as usize + end) % HOLE_BYTES;
        let next = bytes.len().min(end + to_border);
        if !wanted(&bytes[end..next]) {
            break;
        }
        end = next;
    }
    end
}

#[cfg(test)]
mod tests;
