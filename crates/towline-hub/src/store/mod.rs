//! The mailbox: checksummed records in SQLite, written in groups by one thread, read by another connection.
//!
//! ```text
//!  core ──Write──▶ records ──Change──▶ Writer (thread) ──commit──▶ mail.db (WAL, synchronous=FULL)
//!    ▲                                    │ Report                    ▲            ▲
//!    └────────────after_commit────────────┘                       Reader     Checkpointer (thread)
//! ```
//! *Accepted* is said only after the writer's report. Whatever a commit did not make durable was never said.

mod cells;
mod census;
mod change;
mod checkpoint;
mod error;
mod failing;
mod health;
mod image;
mod log;
mod mark;
pub mod records;
mod rescue;
mod salvage;
mod schema;
mod sqlite;
mod writer;

pub use change::{Change, Record, Table};
pub use error::StoreError;
pub use failing::{Failing, FailurePlan};
pub use health::{Damage, Flaw};
pub use sqlite::{Backend, Reader, Sqlite};
pub use writer::{Report, Writer};

use checkpoint::Checkpointer;
use std::fs::File;
use std::path::{Path, PathBuf};

/// An opened, checked mailbox.
#[derive(Debug)]
pub struct Mailbox {
    path: PathBuf,
    damage: Option<Damage>,
    set_aside: Vec<PathBuf>,
    _checkpointer: Checkpointer,
}

impl Mailbox {
    /// Opens the mailbox at `path` or makes it: checks every record, saves what is whole if it is damaged (see
    /// [`Mailbox::damage`]), and brings it to the current schema.
    ///
    /// # Errors
    /// If it is another program's, a newer hub's, or cannot be read or written.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let damage = health::check(path)?;
        if let Some(found) = &damage {
            tracing::error!(%found, "damage");
        }
        schema::migrate(&mut sqlite::connect(path, sqlite::READ_WRITE)?, path, schema::STEPS)?;
        let set_aside = rescue::set_aside(path);
        Ok(Self { path: path.into(), damage, set_aside, _checkpointer: Checkpointer::start(path)? })
    }

    /// What was found damaged on opening.
    pub fn damage(&self) -> Option<&Damage> {
        self.damage.as_ref()
    }

    /// Damaged mailboxes of this and earlier starts that nobody has moved away yet.
    pub fn set_aside(&self) -> &[PathBuf] {
        &self.set_aside
    }

    /// A reading connection.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn reader(&self) -> Result<Reader, StoreError> {
        Reader::open(&self.path)
    }

    /// The writing connection. There must be one at a time; a second one waits for the first's lock and then fails.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn backend(&self) -> Result<Sqlite, StoreError> {
        Sqlite::open(&self.path)
    }
}

/// A page of the mailbox, in bytes: SQLite's default.
const PAGE_BYTES: usize = 4_096;

/// The path of a file beside another: the same name with an ending.
fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Makes the names in the folder of `path` durable.
fn sync_folder(path: &Path) -> Result<(), StoreError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(StoreError::io("sync", folder))
}

#[cfg(test)]
mod tests;
