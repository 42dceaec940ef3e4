//! Taking every record that is what was written out of a damaged mailbox.
//!
//! A checksum tells that a record is whole, not that it is the newest: older ones of the same key may stand in pages
//! that were given back, in room that was freed, in frames that were broken. So a record is taken if
//! - its table, read from the root, agrees with the census: then every row of it is right; or else
//! - the index of its table names this very row for its key. Rows get new numbers whenever they are written, so an older
//!   row is never named. Such a row is looked for at every place of every page, as what led to it may be damaged.
//!
//! One hit damages a table or its index or the census, never two of them. If more is hit, a row that its table still
//! leads to is also taken where the index is in pieces and says nothing about its key.

use super::cells::{Cell, Tree, Value, cell, columns, may_be_row, walk};
use super::census::Census;
use super::change::{Change, Checksum, Record, Table};
use super::error::StoreError;
use super::image::{Image, Page};
use super::log::Log;
use super::schema::fresh_in_memory;
use super::sqlite::apply;
use super::{PAGE_BYTES, with_ending};
use rusqlite::Transaction;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

/// Bytes of a record's checksum, its row's last column.
const CHECKSUM_LEN: usize = 16;

/// The pages at which trees begin. They never move: the tables were made in this order in an empty file.
pub(crate) struct Layout {
    tables: Vec<(Table, u32, u32)>,
    census: u32,
}

impl Layout {
    /// Where every mailbox has its trees: where a new one has them.
    pub(crate) fn of_every_mailbox() -> Result<Self, StoreError> {
        let fresh = fresh_in_memory()?;
        let root = |name: String| {
            let sql = "SELECT rootpage FROM sqlite_master WHERE name = ?1";
            fresh.query_row(sql, [name], |row| row.get::<_, u32>(0))
        };
        let tables = Table::ALL.into_iter().map(|table| {
            let index = format!("sqlite_autoindex_{table}_1");
            Ok::<_, rusqlite::Error>((table, root(table.to_string())?, root(index)?))
        });
        Ok(Self { tables: tables.collect::<Result<_, _>>()?, census: root("meta".into())? })
    }
}

/// A damaged mailbox, as far as it can be read.
pub(crate) struct Wreck {
    layout: Layout,
    image: Image,
    /// The newest census that is whole.
    pub(crate) census: Option<Census>,
}

impl Wreck {
    /// The mailbox at `path` with so much of its log that commit `acknowledged` is in it, if it can be.
    pub(crate) fn open(path: &Path, acknowledged: Option<u64>) -> Result<Self, StoreError> {
        let log_path = with_ending(path, "-wal");
        let log = Log::read(&log_path)?;
        let mut furthest = None;
        for end in log.ends() {
            let image = Image::open(path, &log_path, &log, end)?;
            let layout = Layout::of_every_mailbox()?;
            let census = newest_census(&image, &layout)?;
            let reached = census.as_ref().map_or(0, |census| census.commits) >= acknowledged.unwrap_or(0);
            furthest = Some(Self { layout, image, census });
            if reached {
                break;
            }
        }
        Ok(furthest.expect("a log has at least one end"))
    }

    /// Its first page, where SQLite has its header.
    pub(crate) fn first_page(&self) -> Result<Page, StoreError> {
        self.image.page(1)
    }

    /// Writes every record that is right, and counts them into `census`.
    pub(crate) fn save(&self, transaction: &Transaction<'_>, census: &mut Census) -> Result<(), StoreError> {
        let mut searched = HashMap::new();
        for &(table, rows, index) in &self.layout.tables {
            let mut put =
                |Record { key, bytes }: Record| apply(transaction, census, &Change::Put { table, key, record: bytes });
            if self.agrees(table, rows)? {
                self.rows(table, rows, |_, record| put(record))?;
                continue;
            }
            let mut entries = self.entries(table, index)?;
            self.rows(
                table,
                rows,
                |rowid, record| {
                    if !entries.claim(&record.key, rowid, true) { Ok(()) } else { put(record) }
                },
            )?;
            searched.insert(table, entries);
        }
        if searched.is_empty() { Ok(()) } else { self.search(&mut searched, transaction, census) }
    }

    /// Whether the table leads to all the records that the census counts, and to nothing else.
    fn agrees(&self, table: Table, root: u32) -> Result<bool, StoreError> {
        let mut found = Census::default();
        let sound = self.rows(table, root, |_, Record { key, bytes }| {
            found.add(table, Checksum::of(table, &key, &bytes));
            Ok(())
        })?;
        Ok(sound && self.census.as_ref().is_some_and(|census| census.agrees_on(table, &found)))
    }

    /// Shows every whole record that the table leads to. False: something on the way is damaged.
    fn rows(
        &self,
        table: Table,
        root: u32,
        mut show: impl FnMut(i64, Record) -> Result<(), StoreError>,
    ) -> Result<bool, StoreError> {
        walk(&self.image, root, Tree::Table, |cell| match record(table, &cell) {
            Some(record) => show(cell.rowid, record),
            None => Ok(()),
        })
    }

    fn entries(&self, table: Table, root: u32) -> Result<Entries, StoreError> {
        let mut entries = Entries::default();
        entries.complete = walk(&self.image, root, Tree::Index, |cell| {
            if let Some([Value::Bytes(key), Value::Integer(rowid)]) = columns(&cell.payload) {
                entries.rows.insert(key.to_vec(), rowid);
            }
            Ok(())
        })?;
        // An entry may have been turned into another one.
        let counted = self.census.as_ref().is_none_or(|census| census.count(table) == entries.rows.len() as u64);
        entries.complete &= counted;
        Ok(entries)
    }

    /// Looks at every place of every page for rows that the indexes name and no table leads to.
    fn search(
        &self,
        searched: &mut HashMap<Table, Entries>,
        transaction: &Transaction<'_>,
        census: &mut Census,
    ) -> Result<(), StoreError> {
        for page in self.image.contents() {
            let page = page?;
            for at in 0..PAGE_BYTES {
                let Some(cell) = row_at(&self.image, &page, at)? else { continue };
                for (&table, entries) in searched.iter_mut() {
                    let Some(Record { key, bytes }) = record(table, &cell) else { continue };
                    if entries.claim(&key, cell.rowid, false) {
                        apply(transaction, census, &Change::Put { table, key, record: bytes })?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// What the index of a table says.
#[derive(Debug, Default)]
struct Entries {
    rows: HashMap<Vec<u8>, i64>,
    /// Whether a key that is not named has no row.
    complete: bool,
    taken: BTreeSet<Vec<u8>>,
}

impl Entries {
    /// Whether the row is the one to take for its key; once for each.
    fn claim(&mut self, key: &[u8], rowid: i64, reached: bool) -> bool {
        let right = match self.rows.get(key) {
            Some(&named) => named == rowid,
            None => reached && !self.complete,
        };
        right && self.taken.insert(key.to_vec())
    }
}

/// The row that may begin at `at`.
fn row_at(image: &Image, page: &Page, at: usize) -> Result<Option<Cell>, StoreError> {
    if may_be_row(page, at, CHECKSUM_LEN) { cell(image, page, at, Tree::Table) } else { Ok(None) }
}

/// The record in a row of `table`, if it is what was written.
fn record(table: Table, cell: &Cell) -> Option<Record> {
    let [Value::Bytes(key), Value::Bytes(bytes), Value::Bytes(checksum)] = columns(&cell.payload)? else { return None };
    let right = Checksum::of(table, key, bytes).to_bytes() == *checksum;
    right.then(|| Record { key: key.to_vec(), bytes: bytes.to_vec() })
}

/// The whole census with the highest number: in its table, or in a page that cannot be trusted.
fn newest_census(image: &Image, layout: &Layout) -> Result<Option<Census>, StoreError> {
    let mut newest: Option<Census> = None;
    let mut look = |cell: &Cell| {
        let Some([Value::Bytes(b"census"), Value::Bytes(bytes)]) = columns(&cell.payload) else { return };
        let Some(census) = Census::from_bytes(bytes) else { return };
        if newest.as_ref().is_none_or(|newest| newest.commits < census.commits) {
            newest = Some(census);
        }
    };
    walk(image, layout.census, Tree::Table, |cell| {
        look(&cell);
        Ok(())
    })?;
    for page in image.suspects() {
        let page = page?;
        for at in 0..PAGE_BYTES {
            if let Some(cell) = cell(image, &page, at, Tree::Table)? {
                look(&cell);
            }
        }
    }
    Ok(newest)
}
