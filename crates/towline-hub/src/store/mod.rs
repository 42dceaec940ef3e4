//! The mailbox: checksummed records in SQLite, written in groups by one thread, read by another connection.
//!
//! ```text
//!  core ──Write──▶ records ──Change──▶ Writer (thread) ──commit──▶ mail.db (WAL, synchronous=FULL)
//!    ▲                                    │ Report                    ▲            ▲
//!    └────────────after_commit────────────┘                       Reader     Checkpointer (thread)
//! ```
//! *Accepted* is said only after the writer's report. Whatever a commit did not make durable was never said.

mod census;
mod change;
mod checkpoint;
mod error;
mod failing;
mod health;
pub mod records;
mod schema;
mod sqlite;
mod writer;

pub use change::{Change, Record, Table};
pub use error::StoreError;
pub use failing::{Failing, FailurePlan};
pub use health::Damage;
pub use sqlite::{Backend, Reader, Sqlite};
pub use writer::{Report, Writer};

use checkpoint::Checkpointer;
use rusqlite::Connection;
use std::fs::File;
use std::path::{Path, PathBuf};

/// An opened, checked mailbox.
#[derive(Debug)]
pub struct Mailbox {
    path: PathBuf,
    damage: Vec<Damage>,
    _checkpointer: Checkpointer,
}

impl Mailbox {
    /// Opens the mailbox at `path` or makes it: brings it to the current schema, checks every record, and if it is
    /// damaged saves what is whole (see [`Mailbox::damage`]).
    ///
    /// # Errors
    /// If it is another program's, a newer hub's, or cannot be read or written.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let (mut connection, unreadable) = health::open_or_set_aside(path)?;
        prepare(&mut connection, path)?;
        drop(connection);
        let damaged = health::inspect_and_save(path)?;
        sync_folder(path)?;
        let damage: Vec<Damage> = unreadable.into_iter().chain(damaged).collect();
        for found in &damage {
            tracing::error!(%found, "damage");
        }
        Ok(Self { path: path.into(), damage, _checkpointer: Checkpointer::start(path)? })
    }

    /// What was found damaged on opening.
    pub fn damage(&self) -> &[Damage] {
        &self.damage
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

/// Sets what belongs to the file and brings it to the current schema.
fn prepare(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    schema::migrate(connection, path, schema::STEPS)?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(StoreError::Foreign { path: path.into() });
    }
    Ok(())
}

/// A new, empty mailbox file.
fn open_fresh(path: &Path) -> Result<Connection, StoreError> {
    let mut connection = sqlite::connect(path, sqlite::CREATE)?;
    prepare(&mut connection, path)?;
    Ok(connection)
}

/// Makes the names in the folder of `path` durable.
fn sync_folder(path: &Path) -> Result<(), StoreError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(StoreError::io("sync", folder))
}

#[cfg(test)]
mod tests;
