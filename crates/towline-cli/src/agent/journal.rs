//! The journal: what the agent's core must still know after a crash, in a SQLite file beside the store.
//!
//! A write-ahead log with `synchronous=FULL`, one writer, a checksum beside each record, a schema number that only
//! grows. A record whose checksum does not fit is put aside by name and never used.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use towline_proto::ids::MessageId;
use towline_proto::mail::agent::io::JournalWrite;
use towline_proto::mail::agent::record::{HeldRecord, RememberedRecord, Snapshot};

/// The schema that this program writes.
const SCHEMA: i64 = 1;

/// How long another process may hold the file before we give up, in milliseconds: longer than a checkpoint takes.
const BUSY_MS: u64 = 5_000;

/// Version 1, as it was released. It is never edited: a change is a further step.
const SCHEMA_1: &str = "
    CREATE TABLE held (id BLOB PRIMARY KEY, record BLOB NOT NULL, checksum BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE remembered (id BLOB PRIMARY KEY, record BLOB NOT NULL, checksum BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE damaged (was TEXT NOT NULL, id BLOB NOT NULL, record BLOB NOT NULL, checksum BLOB NOT NULL);
    CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
";

/// Why the journal cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    /// SQLite's own word.
    #[error("the journal failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// Its file cannot be made ours alone.
    #[error("the journal failed: {0}")]
    Io(#[from] std::io::Error),
    /// A newer program wrote it.
    #[error("the journal was written by a newer program (schema {found}, this one knows {SCHEMA})")]
    Newer {
        /// Its schema.
        found: i64,
    },
    /// A change of a record that is not there, or is damaged.
    #[error("the journal has no whole record of {0}")]
    Missing(MessageId),
    /// A body that came with its record could not be stored.
    #[error("{0}")]
    Store(#[from] super::store::StoreError),
    /// Asked for by a test.
    #[cfg(test)]
    #[error("the journal fails because the test says so")]
    Planned,
}

/// Where the core's changes are kept.
pub(crate) trait Journal: Send {
    /// Everything that is kept.
    fn load(&mut self) -> Result<Snapshot, JournalError>;
    /// Makes these changes together; when it returns they are on the disk.
    fn commit(&mut self, writes: &[JournalWrite]) -> Result<(), JournalError>;
}

/// The journal in a SQLite file.
#[derive(Debug)]
pub(crate) struct SqliteJournal {
    connection: Connection,
}

impl SqliteJournal {
    /// Opens the file, which is made where it is missing and brought to the present schema where it is older.
    pub(crate) fn open(path: &Path) -> Result<Self, JournalError> {
        let mut connection = Connection::open(path)?;
        // The log and its index take their modes from the file, and others may pass through the folder.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        connection.busy_timeout(std::time::Duration::from_millis(BUSY_MS))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        migrate(&mut connection)?;
        Ok(Self { connection })
    }
}

/// Forward only, in one transaction.
fn migrate(connection: &mut Connection) -> Result<(), JournalError> {
    let transaction = connection.transaction()?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match found {
        SCHEMA => return Ok(()),
        0 => transaction.execute_batch(SCHEMA_1)?,
        found => return Err(JournalError::Newer { found }),
    }
    transaction.pragma_update(None, "user_version", SCHEMA)?;
    Ok(transaction.commit()?)
}

impl Journal for SqliteJournal {
    fn load(&mut self) -> Result<Snapshot, JournalError> {
        let transaction = self.connection.transaction()?;
        let incarnation = transaction
            .query_row("SELECT value FROM counter WHERE name = 'incarnation'", [], |row| row.get::<_, i64>(0))
            .optional()?
            .unwrap_or(0);
        let held = whole(&transaction, "held", |bytes| HeldRecord::from_bytes(bytes).ok())?;
        let remembered = whole(&transaction, "remembered", |bytes| RememberedRecord::from_bytes(bytes).ok())?;
        transaction.commit()?;
        Ok(Snapshot { incarnation: incarnation.cast_unsigned(), held, remembered })
    }

    fn commit(&mut self, writes: &[JournalWrite]) -> Result<(), JournalError> {
        let transaction = self.connection.transaction()?;
        for write in writes {
            apply(&transaction, write)?;
        }
        Ok(transaction.commit()?)
    }
}

fn apply(transaction: &Transaction<'_>, write: &JournalWrite) -> Result<(), JournalError> {
    match write {
        JournalWrite::Incarnation(number) => {
            transaction
                .prepare_cached("INSERT OR REPLACE INTO counter (name, value) VALUES ('incarnation', ?1)")?
                .execute([number.cast_signed()])?;
        }
        JournalWrite::Hold { record, .. } => put(transaction, "held", record.id, &record.to_bytes())?,
        JournalWrite::Stage { id, stage } => {
            let mut record = one_held(transaction, *id)?;
            record.stage = stage.clone();
            put(transaction, "held", *id, &record.to_bytes())?;
        }
        JournalWrite::Forget { id } => remove(transaction, "held", *id)?,
        JournalWrite::Remember(record) => put(transaction, "remembered", record.id, &record.to_bytes())?,
        JournalWrite::ForgetReport { id } => remove(transaction, "remembered", *id)?,
    }
    Ok(())
}

fn put(transaction: &Transaction<'_>, table: &str, id: MessageId, record: &[u8]) -> Result<(), JournalError> {
    transaction
        .prepare_cached(&format!("INSERT OR REPLACE INTO {table} (id, record, checksum) VALUES (?1, ?2, ?3)"))?
        .execute(params![id.0, record, checksum(table, &id.0, record)])?;
    Ok(())
}

fn remove(transaction: &Transaction<'_>, table: &str, id: MessageId) -> Result<(), JournalError> {
    transaction.prepare_cached(&format!("DELETE FROM {table} WHERE id = ?1"))?.execute([id.0])?;
    Ok(())
}

fn one_held(transaction: &Transaction<'_>, id: MessageId) -> Result<HeldRecord, JournalError> {
    let found: Option<(Vec<u8>, Vec<u8>)> = transaction
        .prepare_cached("SELECT record, checksum FROM held WHERE id = ?1")?
        .query_row([id.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let whole = found.filter(|(record, sum)| *sum == checksum("held", &id.0, record));
    whole.and_then(|(record, _)| HeldRecord::from_bytes(&record).ok()).ok_or(JournalError::Missing(id))
}

/// Every whole record of a table; the others are put aside.
fn whole<R>(
    transaction: &Transaction<'_>,
    table: &str,
    read: impl Fn(&[u8]) -> Option<R>,
) -> Result<Vec<R>, JournalError> {
    let (mut records, mut damaged) = (Vec::new(), Vec::new());
    let mut statement = transaction.prepare(&format!("SELECT id, record, checksum FROM {table}"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (id, record, sum): (Vec<u8>, Vec<u8>, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        match (sum == checksum(table, &id, &record)).then(|| read(&record)).flatten() {
            Some(record) => records.push(record),
            None => damaged.push(id),
        }
    }
    for id in damaged {
        let name = <[u8; 16]>::try_from(id.as_slice()).map(|id| MessageId(id).to_string()).unwrap_or_default();
        tracing::error!(table, id = name, "a damaged record of the journal was put aside");
        transaction.execute(
            &format!("INSERT INTO damaged SELECT '{table}', id, record, checksum FROM {table} WHERE id = ?1"),
            [&id],
        )?;
        transaction.execute(&format!("DELETE FROM {table} WHERE id = ?1"), [&id])?;
    }
    Ok(records)
}

/// BLAKE3 over table, id and record: a record that strays to another row is damaged too.
fn checksum(table: &str, id: &[u8], record: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(table.as_bytes()).update(&[0]).update(id).update(record);
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
pub(crate) mod failing;
#[cfg(test)]
mod tests;
