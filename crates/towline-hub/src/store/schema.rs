//! The database's layout, its number, and the way from older ones: forward only, each step in one transaction.

use super::change::Table;
use super::error::StoreError;
use rusqlite::{Connection, TransactionBehavior};
use std::path::Path;

/// "TowL" in ASCII, as SQLite's application id: another program's database is never taken for a mailbox.
pub(crate) const APPLICATION_ID: i32 = 0x546f_774c;

/// One step forward. A step, once released, is never changed.
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
    }
    Ok(transaction.commit()?)
}
