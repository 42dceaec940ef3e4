//! Looking at a whole mailbox before it is used, and saving what is whole out of a damaged one.
//!
//! Nothing damaged is deleted: the file is set aside under another name, what is whole is copied into a new one, and
//! what was lost is counted and told.

use super::census::Census;
use super::change::{Change, Checksum, Record, Table};
use super::error::StoreError;
use super::schema::{APPLICATION_ID, STEPS};
use super::sqlite::{CREATE, READ_WRITE, apply, connect, read_census, write_census};
use super::{open_fresh, sync_folder};
use rusqlite::{Connection, Row, TransactionBehavior};
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

/// A page of the mailbox, in bytes: SQLite's default.
const PAGE_BYTES: usize = 4_096;

/// What was found wrong with a mailbox when it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Records that are there and are not what was written.
    pub spoilt: u64,
    /// Records that should be there and are not, or cannot be reached.
    pub missing: u64,
    /// Records that are there and should not be.
    pub surplus: u64,
    /// Whether the database's own structure is broken.
    pub structure: bool,
    /// Where the damaged file was set aside.
    pub kept_as: PathBuf,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the mailbox was damaged: {} records spoilt, {} missing, {} surplus{}; it was set aside as {}, every whole record is served",
            self.spoilt,
            self.missing,
            self.surplus,
            if self.structure { ", structure broken" } else { "" },
            self.kept_as.display()
        )
    }
}

/// What a look at every record brought.
struct Inspection {
    whole: Vec<(Table, Record)>,
    census: Census,
    spoilt: u64,
    structure: bool,
}

/// Checks structure, checksums and census. `None`: all is well.
///
/// # Errors
/// If the file cannot be read at all.
pub(crate) fn inspect_and_save(path: &Path) -> Result<Option<Damage>, StoreError> {
    let connection = connect(path, READ_WRITE)?;
    let Some(expected) = sound(&connection) else {
        return save(path, connection).map(Some);
    };
    let mut seen = Census::default();
    for table in Table::ALL {
        match tally(&connection, table, &mut seen) {
            Ok(true) => {}
            Ok(false) | Err(_) => return save(path, connection).map(Some),
        }
    }
    if seen == expected { Ok(None) } else { save(path, connection).map(Some) }
}

/// The stored census, if the structure holds and the census is readable.
fn sound(connection: &Connection) -> Option<Census> {
    let verdict: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).ok()?;
    if verdict != "ok" {
        return None;
    }
    let stored: i64 =
        connection.query_row("SELECT count(*) FROM meta WHERE name = 'census'", [], |row| row.get(0)).ok()?;
    if stored == 0 { empty(connection) } else { read_census(connection).ok()? }
}

/// A mailbox without a census must have no records: the first commit writes both.
fn empty(connection: &Connection) -> Option<Census> {
    let records =
        |table: Table| connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0));
    Table::ALL.into_iter().all(|table| records(table) == Ok(0)).then(Census::default)
}

/// Adds every record of `table` to `seen`; false if one is not what was written.
fn tally(connection: &Connection, table: Table, seen: &mut Census) -> Result<bool, StoreError> {
    let mut statement = connection.prepare(&format!("SELECT key, record, checksum FROM {table}"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let Some(record) = checked(table, row) else { return Ok(false) };
        seen.add(table, Checksum::of(table, &record.key, &record.bytes));
    }
    Ok(true)
}

/// The record in `row`, if it is what was written.
fn checked(table: Table, row: &Row<'_>) -> Option<Record> {
    let key: Vec<u8> = row.get(0).ok()?;
    let bytes: Vec<u8> = row.get(1).ok()?;
    let checksum: Vec<u8> = row.get(2).ok()?;
    (Checksum::of(table, &key, &bytes).to_bytes()[..] == checksum[..]).then_some(Record { key, bytes })
}

/// Sets the damaged file aside and writes a new one with every whole record.
fn save(path: &Path, connection: Connection) -> Result<Damage, StoreError> {
    // What the log holds belongs to the file that is set aside.
    let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    let expected = read_census(&connection).ok().flatten();
    let found = inspect(&connection);
    drop(connection);

    let fresh = path.with_extension("db.rescued");
    remove_database(&fresh)?;
    let mut target = open_fresh(&fresh)?;
    let transaction = target.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut census = Census::default();
    for (table, Record { key, bytes }) in found.whole {
        apply(&transaction, &mut census, &Change::Put { table, key, record: bytes })?;
    }
    write_census(&transaction, &census)?;
    transaction.commit()?;
    target.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    target.close().map_err(|(_, error)| error)?;

    let kept_as = free_name(path);
    for ending in ["-wal", "-shm"] {
        let _ = std::fs::rename(with_ending(path, ending), with_ending(&kept_as, ending));
    }
    std::fs::rename(path, &kept_as).map_err(StoreError::io("set aside", path))?;
    std::fs::rename(&fresh, path).map_err(StoreError::io("put in place", path))?;
    sync_folder(path)?;
    let difference = Difference::between(expected.as_ref(), &found.census);
    Ok(Damage {
        spoilt: found.spoilt,
        missing: difference.missing.saturating_sub(found.spoilt),
        surplus: difference.surplus,
        structure: found.structure || expected.is_none(),
        kept_as,
    })
}

struct Difference {
    missing: u64,
    surplus: u64,
}

impl Difference {
    fn between(expected: Option<&Census>, found: &Census) -> Self {
        let Some(expected) = expected else { return Self { missing: 0, surplus: 0 } };
        let pairs = || Table::ALL.into_iter().map(|table| (expected.count(table), found.count(table)));
        Self {
            missing: pairs().map(|(want, have)| want.saturating_sub(have)).sum(),
            surplus: pairs().map(|(want, have)| have.saturating_sub(want)).sum(),
        }
    }
}

/// Reads what can be read: forwards up to a break, then backwards from the end up to it, then by the keys' index.
fn inspect(connection: &Connection) -> Inspection {
    let mut found = Inspection { whole: Vec::new(), census: Census::default(), spoilt: 0, structure: false };
    for table in Table::ALL {
        let mut seen = BTreeSet::new();
        let mut spoilt = BTreeSet::new();
        for order in ["rowid", "rowid DESC", "key", "key DESC"] {
            let sql = format!("SELECT key, record, checksum, rowid FROM {table} ORDER BY {order}");
            if let Err(_broken) = collect(connection, table, &sql, &mut seen, &mut spoilt, &mut found) {
                found.structure = true;
            } else if order == "rowid" {
                break;
            }
        }
        found.spoilt += spoilt.len() as u64;
    }
    found
}

fn collect(
    connection: &Connection,
    table: Table,
    sql: &str,
    seen: &mut BTreeSet<Vec<u8>>,
    spoilt: &mut BTreeSet<i64>,
    found: &mut Inspection,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        match checked(table, row) {
            Some(record) if seen.insert(record.key.clone()) => {
                found.census.add(table, Checksum::of(table, &record.key, &record.bytes));
                found.whole.push((table, record));
            }
            Some(_) => {}
            None => {
                spoilt.insert(row.get(3).unwrap_or_default());
            }
        }
    }
    Ok(())
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// `mail.db.damaged-1`, or the first number that is free.
fn free_name(path: &Path) -> PathBuf {
    (1u32..)
        .map(|number| with_ending(path, &format!(".damaged-{number}")))
        .find(|name| !name.exists())
        .expect("a folder does not hold four thousand million damaged mailboxes")
}

fn remove_database(path: &Path) -> Result<(), StoreError> {
    for ending in ["", "-wal", "-shm"] {
        match std::fs::remove_file(with_ending(path, ending)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::io("remove", path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Opens or makes the file. If even its first page is unreadable, it is set aside, and what a mended header makes
/// readable goes on.
pub(crate) fn open_or_set_aside(path: &Path) -> Result<(Connection, Option<Damage>), StoreError> {
    let length = std::fs::metadata(path).map_or(0, |file| file.len());
    match connect_and_look(path, length) {
        Ok(connection) => Ok((connection, None)),
        Err(StoreError::Sqlite(error)) if is_damage(&error) => {
            let kept_as = free_name(path);
            for ending in ["-wal", "-shm"] {
                let _ = std::fs::rename(with_ending(path, ending), with_ending(&kept_as, ending));
            }
            std::fs::rename(path, &kept_as).map_err(StoreError::io("set aside", path))?;
            sync_folder(path)?;
            let damage = Damage { structure: true, kept_as: kept_as.clone(), ..Damage::default() };
            if let Some(connection) = mended(&kept_as, path) {
                return Ok((connection, Some(damage)));
            }
            remove_database(path)?;
            Ok((connect(path, CREATE)?, Some(damage)))
        }
        Err(error) => Err(error),
    }
}

fn connect_and_look(path: &Path, length: u64) -> Result<Connection, StoreError> {
    let connection = connect(path, CREATE)?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
    // SQLite takes a file below half a kilobyte for an empty one. A mailbox has its tables from its first byte on.
    if tables == 0 && length > 0 { Err(rusqlite::Error::InvalidQuery.into()) } else { Ok(connection) }
}

/// A copy of the damaged file with the header that every mailbox has (SQLite's file format, section 1.3), if it opens.
fn mended(damaged: &Path, path: &Path) -> Option<Connection> {
    let mut bytes = std::fs::read(damaged).ok().filter(|bytes| bytes.len() >= PAGE_BYTES)?;
    bytes.truncate(bytes.len() / PAGE_BYTES * PAGE_BYTES);
    let pages = u32::try_from(bytes.len() / PAGE_BYTES).ok()?;
    let (file, rest) = bytes.split_at_mut(24);
    file.copy_from_slice(b"SQLite format 3\0\x10\x00\x02\x02\x00\x40\x20\x20");
    // The change counter (24..28) and what the size is valid for (92..96) agree, then the size (28..32) is believed.
    rest[4..8].copy_from_slice(&pages.to_be_bytes());
    let counter: [u8; 4] = rest[..4].try_into().ok()?;
    rest[68..72].copy_from_slice(&counter);
    rest[20..24].copy_from_slice(&4u32.to_be_bytes());
    rest[28..48].fill(0);
    rest[32..36].copy_from_slice(&1u32.to_be_bytes());
    rest[36..40].copy_from_slice(&(STEPS.len() as u32).to_be_bytes());
    rest[44..48].copy_from_slice(&APPLICATION_ID.to_be_bytes());
    std::fs::write(path, bytes).ok()?;
    connect_and_look(path, 0).ok().filter(|connection| read_census(connection).is_ok())
}

fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase, Unknown};
    // "Unknown" is what SQLite says of a header that it does not understand.
    matches!(error, rusqlite::Error::InvalidQuery)
        || matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase | Unknown))
}
