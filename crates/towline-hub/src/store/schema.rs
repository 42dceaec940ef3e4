//! The database's layout, its number, and the way from older ones: forward only, each step in one transaction.

use super::PAGE_BYTES;
use super::change::Table;
use super::error::StoreError;
use super::sqlite::{CREATE, connect, read_census, write_census};
use rusqlite::{Connection, TransactionBehavior};
use std::path::Path;

/// "TowL" in ASCII, as SQLite's application id: another program's database is never taken for a mailbox.
pub(crate) const APPLICATION_ID: i32 = 0x546f_774c;

/// One step forward. A step, once released, is never changed. Tables that a later step adds stand wherever there was
/// room, so that step also has to say how a damaged mailbox finds them (see `salvage::layout`).
type Step = fn(&Connection) -> rusqlite::Result<()>;

/// Step n leads from schema n to n + 1.
pub(crate) const STEPS: &[Step] = &[first];

/// Every table has the same three columns, and `meta` holds the census.
fn first(connection: &Connection) -> rusqlite::Result<()> {
    for table in Table::ALL {
        connection.execute_batch(&format!(
            "CREATE TABLE {table} (key BLOB NOT NULL UNIQUE, record BLOB NOT NULL, checksum BLOB NOT NULL);"
        ))?;
    }
    connection.execute_batch("CREATE TABLE meta (name TEXT NOT NULL UNIQUE, value BLOB NOT NULL);")
}

/// Makes the mailbox file at `path`, with nothing in it but its census.
pub(crate) fn make(path: &Path) -> Result<Connection, StoreError> {
    let mut connection = connect(path, CREATE)?;
    connection.pragma_update(None, "page_size", PAGE_BYTES as i64)?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(StoreError::NoLog { path: path.into() });
    }
    migrate(&mut connection, path, STEPS)?;
    Ok(connection)
}

/// A database in memory with the current schema, to compare with.
pub(crate) fn fresh_in_memory() -> Result<Connection, StoreError> {
    let connection = Connection::open_in_memory()?;
    STEPS.iter().try_for_each(|step| step(&connection))?;
    Ok(connection)
}

/// Brings the database to the last of `steps`, or refuses it by name and leaves it as it is.
pub(crate) fn migrate(connection: &mut Connection, path: &Path, steps: &[Step]) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let number = |name: &str| transaction.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    let (version, application) = (number("user_version")?, number("application_id")?);
    let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
    let fresh = version == 0 && tables == 0;
    if !fresh && application != i64::from(APPLICATION_ID) {
        return Err(StoreError::Foreign { path: path.into() });
    }
    let known = steps.len() as u32;
    let found = u32::try_from(version).map_err(|_| StoreError::Foreign { path: path.into() })?;
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    if found < known {
        for step in &steps[found as usize..] {
            step(&transaction)?;
        }
        transaction
            .execute_batch(&format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {known};"))?;
        let mut census = read_census(&transaction)?.unwrap_or_default();
        census.schema = known;
        write_census(&transaction, &census)?;
    }
    Ok(transaction.commit()?)
}
