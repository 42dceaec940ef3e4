//! Looking at a whole mailbox before it is used.
//!
//! What is damaged is told and [rescued](super::rescue). Why this way: `docs/decisions/006-damage-is-told-and-the-rest-is-served.md`.

use super::census::Census;
use super::change::{Checksum, Table};
use super::error::StoreError;
use super::log::Log;
use super::mark::Mark;
use super::rescue::{finish, remove_database, rescue};
use super::salvage::Wreck;
use super::schema::{APPLICATION_ID, STEPS, fresh_in_memory, make};
use super::sqlite::{READ_WRITE, connect, read_census};
use super::{sync_folder, with_ending};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, Row};
use std::fmt;
use std::path::{Path, PathBuf};

/// What was wrong with a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flaw {
    /// Its file is gone or empty, and it was not always.
    Gone,
    /// The file's header is not a mailbox's.
    Header,
    /// The database's own structure is broken.
    Structure,
    /// A record is not what was written.
    Record,
    /// Records are missing, or there are some that nobody wrote.
    Census,
    /// The write-ahead log is broken.
    Log,
    /// Commits that were acknowledged are not there.
    Behind,
}

impl Flaw {
    /// Its name in messages and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Header => "header",
            Self::Structure => "structure",
            Self::Record => "record",
            Self::Census => "census",
            Self::Log => "log",
            Self::Behind => "behind",
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What was found wrong with a mailbox when it was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// What was found first.
    pub flaw: Flaw,
    /// Records that are served.
    pub served: u64,
    /// Records that are lost; none if that cannot be known.
    pub lost: Option<u64>,
    /// Where the damaged file was set aside.
    pub kept_as: PathBuf,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { flaw, served, lost, kept_as } = self;
        let lost = lost.map_or_else(|| "an unknown number is".into(), |lost| format!("{lost} are"));
        let kept = kept_as.display();
        write!(
            f,
            "the mailbox was damaged ({flaw}): {served} records are served, {lost} lost; it was set aside as {kept}"
        )
    }
}

/// Makes a mailbox, or checks the one that is there and saves what is whole if it is damaged.
///
/// # Errors
/// If it is another program's, a newer hub's, or the disk fails.
pub(crate) fn check(path: &Path) -> Result<Option<Damage>, StoreError> {
    finish(path)?;
    let acknowledged = Mark::read(path);
    match look(path, acknowledged)? {
        None => Ok(None),
        Some(flaw) => rescue(path, flaw, acknowledged).map(Some),
    }
}

/// What is wrong with the mailbox. It is not changed; if there is none, one is made.
fn look(path: &Path, acknowledged: Option<u64>) -> Result<Option<Flaw>, StoreError> {
    let empty = std::fs::metadata(path).map_or(0, |file| file.len()) == 0;
    let log = Log::read(&with_ending(path, "-wal"))?;
    if empty {
        if acknowledged.unwrap_or(0) > 0 || log.ends().last().is_some_and(|&end| end > 0) {
            return Ok(Some(Flaw::Gone));
        }
        return make_new(path).map(|()| None);
    }
    if let Some(flaw) = header_flaw(path, acknowledged)? {
        return Ok(Some(flaw));
    }
    if log.is_broken() {
        return Ok(Some(Flaw::Log));
    }
    match contents(path) {
        Ok(census) => Ok((census.commits < acknowledged.unwrap_or(0)).then_some(Flaw::Behind)),
        Err(Trouble::Flaw(flaw)) => Ok(Some(flaw)),
        Err(Trouble::Store(error)) => Err(error),
    }
}

/// A new mailbox appears whole.
fn make_new(path: &Path) -> Result<(), StoreError> {
    let fresh = with_ending(path, ".new");
    remove_database(&fresh)?;
    make(&fresh)?.close().map_err(|(_, error)| error)?;
    Mark::open(path)?.set(0)?;
    std::fs::rename(&fresh, path).map_err(StoreError::io("put in place", path))?;
    sync_folder(path)
}

/// Whether this is a mailbox that this program may use, and its header a mailbox's (SQLite's file format, section 1.3).
fn header_flaw(path: &Path, acknowledged: Option<u64>) -> Result<Option<Flaw>, StoreError> {
    let wreck = Wreck::open(path, acknowledged)?;
    let page = wreck.first_page()?;
    let number = |at: usize| u32::from_be_bytes([page[at], page[at + 1], page[at + 2], page[at + 3]]);
    let (version, application) = (number(60), number(68));
    let known = STEPS.len() as u32;
    let begins = page.starts_with(b"SQLite format 3\0\x10\x00\x02\x02\x00\x40\x20\x20");
    let settings = (number(44), number(52), number(56), number(64)) == (4, 0, 1, 0);
    let reserved = page[72..92].iter().all(|&byte| byte == 0);
    let ours = application == APPLICATION_ID.cast_unsigned();
    let sound = begins && settings && reserved && ours;
    // The census has a checksum, the header has none.
    match &wreck.census {
        Some(census) if census.schema > known => Err(StoreError::Newer { found: census.schema, known }),
        Some(census) => Ok((!sound || version != census.schema).then_some(Flaw::Header)),
        None if ours && version > known => Err(StoreError::Newer { found: version, known }),
        None if !ours && acknowledged.is_none() => Err(StoreError::Foreign { path: path.into() }),
        None => Ok(Some(if sound { Flaw::Census } else { Flaw::Header })),
    }
}

/// Why the contents are not as they should be.
enum Trouble {
    /// They are damaged.
    Flaw(Flaw),
    /// They cannot be read now.
    Store(StoreError),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        use ErrorCode::{
            CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, FileLockingProtocolFailed, OutOfMemory,
            PermissionDenied, ReadOnly, SystemIoFailure,
        };
        match error.sqlite_error_code() {
            Some(
                CannotOpen
                | DatabaseBusy
                | DatabaseLocked
                | DiskFull
                | FileLockingProtocolFailed
                | OutOfMemory
                | PermissionDenied
                | ReadOnly
                | SystemIoFailure,
            ) => Self::Store(error.into()),
            _ => Self::Flaw(Flaw::Structure),
        }
    }
}

/// Reads everything through SQLite: structure, every record's checksum, the census.
fn contents(path: &Path) -> Result<Census, Trouble> {
    let connection = connect(path, READ_WRITE).map_err(|error| match error {
        StoreError::Sqlite(error) => Trouble::from(error),
        error => Trouble::Store(error),
    })?;
    // The log stays as it is, until it is known that nothing stands in it that SQLite did not see.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    let verdict: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" || (schema_of(&connection)? != schema_of(&fresh_in_memory().map_err(Trouble::Store)?)?) {
        return Err(Trouble::Flaw(Flaw::Structure));
    }
    let census = read_census(&connection).ok().flatten().ok_or(Trouble::Flaw(Flaw::Census))?;
    let mut seen = Census::default();
    for table in Table::ALL {
        tally(&connection, table, &mut seen)?;
    }
    if seen.agrees(&census) { Ok(census) } else { Err(Trouble::Flaw(Flaw::Census)) }
}

/// Everything that the database says of its tables.
fn schema_of(connection: &Connection) -> rusqlite::Result<Vec<(String, u32, Option<String>)>> {
    let mut statement = connection.prepare("SELECT name, rootpage, sql FROM sqlite_master ORDER BY rowid")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
}

/// Adds every record of `table` to `seen`.
fn tally(connection: &Connection, table: Table, seen: &mut Census) -> Result<(), Trouble> {
    let mut statement = connection.prepare(&format!("SELECT key, record, checksum FROM {table}"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        seen.add(table, checked(table, row).ok_or(Trouble::Flaw(Flaw::Record))?);
    }
    Ok(())
}

/// The checksum of the record in `row`, if it is what was written.
fn checked(table: Table, row: &Row<'_>) -> Option<Checksum> {
    let key: Vec<u8> = row.get(0).ok()?;
    let bytes: Vec<u8> = row.get(1).ok()?;
    let stored: Vec<u8> = row.get(2).ok()?;
    let checksum = Checksum::of(table, &key, &bytes);
    (checksum.to_bytes()[..] == stored[..]).then_some(checksum)
}
