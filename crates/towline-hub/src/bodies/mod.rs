//! Bodies above what stands in a message: they arrive in the spool, are verified while they do, and become files named
//! by their hash, which messages refer to.
//!
//! ```text
//!  stream ─▶ spool/ID.BOOT (grows) ──whole, BLAKE3 right, fsync──▶ bodies/ROOT ──▶ streams to recipients
//!                    └────────────── followed while it grows ───────────────────────▶
//! ```
//! A file is there before the commit that refers to it, and leaves after the commit that drops the last reference.

mod arrival;
mod place;
mod source;

pub use place::{MayBlock, may_block};

pub use arrival::{Arrival, ArrivalState, Turn, Wrote};
pub use source::Source;

use crate::store::StoreError;
use std::collections::HashMap;
use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use towline_proto::ids::{Digest, MessageId};
use towline_proto::mail::hub::io::BootId;

/// How long a spool that nobody continued stays: a day, as a sender's journal tries again within minutes.
const SPOOL_KEEP: Duration = Duration::from_secs(24 * 3_600);

/// The body files and the spool.
#[derive(Debug)]
pub struct Bodies {
    files: PathBuf,
    spool: PathBuf,
    /// Spools of an earlier boot may lack what was never synced, so a name carries the boot's.
    boot: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How many accepted messages and stored arrivals refer to each file.
    references: HashMap<Digest, u32>,
    /// Which file a message's body is.
    of_message: HashMap<MessageId, Digest>,
    /// What is on its way.
    arriving: HashMap<MessageId, Arc<Arrival>>,
}

impl Bodies {
    /// Opens the folders below `folder`, removes what nothing refers to and what an earlier boot left.
    ///
    /// # Errors
    /// If the folders cannot be made or read.
    pub fn open(folder: &Path, boot: BootId, referred: &[(MessageId, Digest)]) -> Result<Self, StoreError> {
        let (files, spool) = (folder.join("bodies"), folder.join("spool"));
        for folder in [&files, &spool] {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(StoreError::io("make", folder))?;
        }
        let boot: String = boot.0[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        let bodies = Self { files, spool, boot, state: Mutex::default() };
        for &(id, root) in referred {
            bodies.refer(id, root);
        }
        bodies.sweep()?;
        Ok(bodies)
    }

    /// The state is changed in steps that cannot panic half-way, so a poisoned lock still guards whole state.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refer(&self, id: MessageId, root: Digest) {
        let mut state = self.state();
        if state.of_message.insert(id, root).is_none() {
            *state.references.entry(root).or_default() += 1;
        }
    }

    fn file(&self, root: Digest) -> PathBuf {
        self.files.join(root.to_string())
    }

    fn spool_file(&self, id: MessageId) -> PathBuf {
        self.spool.join(format!("{id}.{}", self.boot))
    }

    /// Removes orphans: files without a message, spools of other boots and old ones.
    fn sweep(&self) -> Result<(), StoreError> {
        let state = self.state();
        let known: Vec<String> = state.references.keys().map(Digest::to_string).collect();
        drop(state);
        for_each_file(&self.files, |name, _| !known.iter().any(|root| root == name))?;
        let ending = format!(".{}", self.boot);
        for_each_file(&self.spool, |name, age| !name.ends_with(&ending) || age > SPOOL_KEEP)
    }

    /// The arrival of a body: a new one, or the one that is under way, or one that an earlier run of the hub began. It
    /// blocks, for as long as it takes to hash what is there.
    ///
    /// # Errors
    /// If the spool cannot be opened.
    pub fn arrival(&self, _: &MayBlock, id: MessageId, size: u64, root: Digest) -> Result<Arc<Arrival>, StoreError> {
        if let Some(arrival) =
            self.state().arriving.get(&id).filter(|known| known.size() == size && known.root() == root)
        {
            return Ok(arrival.clone());
        }
        let path = self.spool_file(id);
        let arrival = Arc::new(Arrival::open(&path, size, root).map_err(StoreError::io("open", &path))?);
        let mut state = self.state();
        // Two may ask at once, and only one of them may write the file.
        if let Some(first) = state.arriving.get(&id).filter(|known| known.size() == size && known.root() == root) {
            return Ok(first.clone());
        }
        state.arriving.insert(id, arrival.clone());
        Ok(arrival)
    }

    /// What is on its way under this id.
    pub fn arriving(&self, id: MessageId) -> Option<Arc<Arrival>> {
        self.state().arriving.get(&id).cloned()
    }

    /// Moves a whole, verified and synced spool to its place under its hash. It blocks.
    ///
    /// # Errors
    /// If the file cannot be moved or its folder not synced.
    pub fn keep(&self, _: &MayBlock, id: MessageId, arrival: &Arrival) -> Result<(), StoreError> {
        let (from, to) = (self.spool_file(id), self.file(arrival.root()));
        // Ahead of the move, so that a sweep of the same hash in another message cannot remove it in between.
        self.refer(id, arrival.root());
        let moved = std::fs::rename(&from, &to)
            .and_then(|()| File::open(&self.files)?.sync_all())
            .map_err(StoreError::io("move", &from));
        if moved.is_err() {
            self.release(id);
        }
        moved
    }

    /// The message was accepted: its file is now referred to by the mailbox.
    pub fn accepted(&self, id: MessageId) {
        self.state().arriving.remove(&id);
    }

    /// The body is not wanted: stops its arrival and removes what there is of it.
    pub fn drop_spool(&self, id: MessageId) {
        let arrival = self.state().arriving.remove(&id);
        let _ = std::fs::remove_file(self.spool_file(id));
        // Once accepted it is no arrival any more, and its file belongs to the mailbox.
        if let Some(arrival) = arrival {
            arrival.cancel();
            self.release(id);
        }
    }

    /// The message no longer refers to its file; the last one to let go removes it.
    pub fn release(&self, id: MessageId) {
        let mut state = self.state();
        let Some(root) = state.of_message.remove(&id) else { return };
        let left = state.references.get_mut(&root).map_or(0, |count| {
            *count -= 1;
            *count
        });
        if left == 0 {
            state.references.remove(&root);
            // Under the lock: a message with the same body must not come between. What stays is swept at the next start.
            if let Err(error) = std::fs::remove_file(self.file(root)) {
                tracing::warn!(%id, %error, "a body file cannot be removed");
            }
        }
    }

    /// Where a body can be read from: its growing spool or its file.
    ///
    /// # Errors
    /// If the file cannot be opened. `Ok(None)`: there is none.
    pub fn source(&self, id: MessageId) -> Result<Option<Source>, StoreError> {
        let (arrival, root) = {
            let state = self.state();
            (state.arriving.get(&id).cloned(), state.of_message.get(&id).copied())
        };
        // The spool first: while a body is moved to its place it is at one of both, and leaves the spool last.
        if let Some(arrival) = arrival {
            let path = self.spool_file(id);
            match Source::growing(&path, &arrival) {
                Ok(source) => return Ok(Some(source)),
                Err(error) if root.is_some() && error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(StoreError::io("open", &path)(error)),
            }
        }
        let Some(root) = root else { return Ok(None) };
        let path = self.file(root);
        let file = File::open(&path).map_err(StoreError::io("open", &path))?;
        Source::whole(file).map(Some).map_err(StoreError::io("read", &path))
    }
}

/// Removes every file in `folder` that `unwanted` names by its name and age.
fn for_each_file(folder: &Path, unwanted: impl Fn(&str, Duration) -> bool) -> Result<(), StoreError> {
    for entry in std::fs::read_dir(folder).map_err(StoreError::io("read", folder))? {
        let entry = entry.map_err(StoreError::io("read", folder))?;
        let changed = entry.metadata().and_then(|meta| meta.modified()).ok();
        let age = changed.and_then(|time| time.elapsed().ok()).unwrap_or_default();
        if unwanted(&entry.file_name().to_string_lossy(), age) {
            std::fs::remove_file(entry.path()).map_err(StoreError::io("remove", entry.path()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
