//! Why the store did not do what it was asked.

use super::change::Table;
use std::path::PathBuf;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// SQLite says no: the disk is full or failing, or the file is no database.
    #[error("the mailbox cannot be read or written: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A file operation beside SQLite failed.
    #[error("{action} {}: {error}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The mailbox was written by a newer hub.
    #[error("the mailbox has schema {found}, this hub knows {known}: run the newer hub, nothing was changed")]
    Newer {
        /// The file's schema number.
        found: u32,
        /// The newest that this program knows.
        known: u32,
    },
    /// The file is a database, but not a mailbox of Towline's.
    #[error("{} is not a mailbox of Towline's", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// SQLite cannot keep a write-ahead log here.
    #[error("{}: this file system takes no write-ahead log: give the hub a folder on a local disk", path.display())]
    NoLog {
        /// The file.
        path: PathBuf,
    },
    /// A mailbox that was just checked has lost its census.
    #[error("the mailbox's census cannot be read: start the hub anew, so that the mailbox is checked")]
    NoCensus,
    /// A record is not what was written. It is not served.
    #[error("a record of table {table} is damaged and is not served")]
    Damaged {
        /// In which table.
        table: Table,
    },
    /// A failure that a test asked for.
    #[error("a failure made for a test")]
    Injected,
    /// The writer has ended.
    #[error("the mailbox is closed")]
    Closed,
}

impl StoreError {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |error| Self::Io { action, path, error }
    }
}
