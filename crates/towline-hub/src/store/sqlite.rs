//! The mailbox in SQLite: how it is opened, written in groups, and read.

use super::census::Census;
use super::change::{Change, Checksum, Record, Table};
use super::error::StoreError;
use super::mark::Mark;
use rusqlite::{CachedStatement, Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params};
use std::path::Path;
use std::time::Duration;

/// How long a connection waits for another's lock. Only a checkpoint or another program's reader can hold one.
const BUSY: Duration = Duration::from_secs(5);
/// Statements kept ready for each connection: three for each table, the census, and some to spare.
const STATEMENTS: usize = 32;

/// What the writer thread needs of a store; narrow, so that tests can put a failing one in its place.
pub trait Backend: Send + 'static {
    /// Makes all of `changes` durable together, or none.
    ///
    /// # Errors
    /// Then none of them was made, as far as can be known: the caller must read the store anew.
    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError>;
}

/// The one connection that writes.
pub struct Sqlite {
    connection: Connection,
    census: Census,
    mark: Mark,
}

/// A connection that only reads what is committed.
pub struct Reader {
    connection: Connection,
}

/// Opens a connection with the mailbox's settings. Every setting that fails is an error: a mailbox that quietly
/// synced less would break its promise.
pub(crate) fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "synchronous", "FULL")?;
    // A damaged page must be an error, not a guess.
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

pub(crate) const READ_WRITE: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE;
pub(crate) const CREATE: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE.union(OpenFlags::SQLITE_OPEN_CREATE);

impl Sqlite {
    /// Opens the one writing connection to a database whose schema is current and whose content was checked.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = connect(path, READ_WRITE)?;
        // Checkpoints are made by a connection of their own, so that no commit pays for one.
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        // Each page of a commit goes to the log once, and in one run: whoever reads a log relies on it (see `log`).
        connection.pragma_update(None, "cache_spill", false)?;
        // Begin with an empty log: what a failed commit left behind its end would look like damage one day.
        write_back(&connection)?;
        let census = read_census(&connection)?.ok_or(StoreError::NoCensus)?;
        Ok(Self { connection, census, mark: Mark::open(path)? })
    }

    /// Writes everything back into the main file and ends the log; for an orderly end.
    pub(crate) fn close(self) -> Result<(), StoreError> {
        write_back(&self.connection)?;
        self.connection.close().map_err(|(_, error)| error.into())
    }
}

#[cfg(test)]
impl Sqlite {
    /// How many pages the database has.
    pub(crate) fn pages(&self) -> i64 {
        self.connection.query_row("PRAGMA page_count", [], |row| row.get(0)).expect("a number")
    }

    /// Stands in for a disk of so many pages.
    pub(crate) fn limit_pages(&self, pages: i64) {
        self.connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).expect("set");
    }
}

impl Backend for Sqlite {
    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let mut census = self.census.clone();
        census.commits += 1;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for change in changes {
            apply(&transaction, &mut census, change)?;
        }
        write_census(&transaction, &census)?;
        transaction.commit()?;
        self.census = census;
        self.mark.set(self.census.commits)
    }
}

/// Writes the log back into the main file and empties it, unless somebody reads it just now.
pub(crate) fn write_back(connection: &Connection) -> Result<(), StoreError> {
    Ok(connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
}

pub(crate) fn apply(transaction: &Transaction<'_>, census: &mut Census, change: &Change) -> Result<(), StoreError> {
    match change {
        Change::Put { table, key, record } => {
            let checksum = Checksum::of(*table, key, record);
            if let Some(old) = checksum_of(transaction, *table, key)? {
                census.remove(*table, old);
            }
            census.add(*table, checksum);
            prepared(
                transaction,
                &format!("INSERT OR REPLACE INTO {table} (key, record, checksum) VALUES (?1, ?2, ?3)"),
            )?
            .execute(params![key, record, checksum.to_bytes()])?;
        }
        Change::Delete { table, key } => {
            if let Some(old) = checksum_of(transaction, *table, key)? {
                census.remove(*table, old);
                prepared(transaction, &format!("DELETE FROM {table} WHERE key = ?1"))?.execute(params![key])?;
            }
        }
    }
    Ok(())
}

fn checksum_of(connection: &Connection, table: Table, key: &[u8]) -> Result<Option<Checksum>, StoreError> {
    let bytes: Option<[u8; 16]> = prepared(connection, &format!("SELECT checksum FROM {table} WHERE key = ?1"))?
        .query_row(params![key], |row| row.get(0))
        .optional()?;
    Ok(bytes.map(|bytes| Checksum(u128::from_le_bytes(bytes))))
}

fn prepared<'c>(connection: &'c Connection, sql: &str) -> Result<CachedStatement<'c>, StoreError> {
    Ok(connection.prepare_cached(sql)?)
}

pub(crate) fn read_census(connection: &Connection) -> Result<Option<Census>, StoreError> {
    let bytes: Option<Vec<u8>> =
        connection.query_row("SELECT value FROM meta WHERE name = 'census'", [], |row| row.get(0)).optional()?;
    Ok(bytes.and_then(|bytes| Census::from_bytes(&bytes)))
}

pub(crate) fn write_census(connection: &Connection, census: &Census) -> Result<(), StoreError> {
    prepared(connection, "INSERT OR REPLACE INTO meta (name, value) VALUES ('census', ?1)")?
        .execute(params![census.to_bytes()])?;
    Ok(())
}

impl Reader {
    /// Opens a reading connection.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = connect(path, READ_WRITE)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(Self { connection })
    }

    /// The record under `key`, if there is one and it is what was written.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if it is not what was written.
    pub fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let found: Option<(Vec<u8>, Vec<u8>)> =
            prepared(&self.connection, &format!("SELECT record, checksum FROM {table} WHERE key = ?1"))?
                .query_row(params![key], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
        match found {
            Some((bytes, checksum)) if Checksum::of(table, key, &bytes).to_bytes()[..] == checksum[..] => {
                Ok(Some(bytes))
            }
            Some(_) => Err(StoreError::Damaged { table }),
            None => Ok(None),
        }
    }

    /// Whether there is a record under `key`; its checksum is not looked at.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn has(&self, table: Table, key: &[u8]) -> Result<bool, StoreError> {
        Ok(prepared(&self.connection, &format!("SELECT 1 FROM {table} WHERE key = ?1"))?.exists(params![key])?)
    }

    /// Every record of `table`, oldest first, that is what was written; damaged ones are passed over.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn all(&self, table: Table) -> Result<Vec<Record>, StoreError> {
        let mut statement =
            prepared(&self.connection, &format!("SELECT key, record, checksum FROM {table} ORDER BY rowid"))?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, Vec<u8>>(2)?)))?;
        let mut records = Vec::new();
        for row in rows {
            let (key, bytes, checksum): (Vec<u8>, Vec<u8>, Vec<u8>) = row?;
            if Checksum::of(table, &key, &bytes).to_bytes()[..] == checksum[..] {
                records.push(Record { key, bytes });
            }
        }
        Ok(records)
    }
}
