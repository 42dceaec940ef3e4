//! Cells and trees of SQLite's file format (its sections 1.6 and 2), as far as a mailbox has them, read without trust.
//!
//! Every number here may be damaged: each is held against the page before it is used, and a walk visits no page twice.

use super::PAGE_BYTES;
use super::error::StoreError;
use super::image::{Image, Page};
use std::collections::BTreeSet;

/// Bytes of an overflow page behind the number of the next.
const OVERFLOW_BYTES: usize = PAGE_BYTES - 4;
/// The most bytes of a row, and of an index entry, that stand in the cell itself.
const MOST_LOCAL_ROW: usize = PAGE_BYTES - 35;
const MOST_LOCAL_ENTRY: usize = (PAGE_BYTES - 12) * 64 / 255 - 23;
/// What stays in the cell at least, when the rest goes to overflow pages.
const LEAST_LOCAL: usize = (PAGE_BYTES - 12) * 32 / 255 - 23;

/// The two kinds of trees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tree {
    /// Rows by number.
    Table,
    /// Keys, each with its row's number.
    Index,
}

/// A cell with a payload: a row, or an entry of an index.
#[derive(Debug)]
pub(crate) struct Cell {
    /// A row's number; of an index entry it is in the payload.
    pub(crate) rowid: i64,
    /// Its columns, in SQLite's record format.
    pub(crate) payload: Vec<u8>,
}

/// A column's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// A number.
    Integer(i64),
    /// Bytes or text.
    Bytes(&'a [u8]),
}

/// Shows every cell with a payload that can be reached from `root`. False: something on the way was not as it must be.
pub(crate) fn walk(
    image: &Image,
    root: u32,
    tree: Tree,
    mut show: impl FnMut(Cell) -> Result<(), StoreError>,
) -> Result<bool, StoreError> {
    let (mut sound, mut seen, mut open) = (true, BTreeSet::new(), vec![root]);
    while let Some(number) = open.pop() {
        if number < 2 || number > image.pages() || !seen.insert(number) {
            sound = false;
            continue;
        }
        let page = image.page(number)?;
        let Some((leaf, places)) = cells(&page, tree) else {
            sound = false;
            continue;
        };
        if !leaf {
            // The last child stands in the page's header, the others each ahead of a cell.
            open.push(u32_at(&page, 8).unwrap_or(0));
        }
        for place in places {
            if !leaf {
                open.push(u32_at(&page, place).unwrap_or(0));
            }
            let at = if leaf { place } else { place + 4 };
            if leaf || tree == Tree::Index {
                match cell(image, &page, at, tree)? {
                    Some(cell) => show(cell)?,
                    None => sound = false,
                }
            }
        }
    }
    Ok(sound)
}

/// Whether `page` is a leaf of such a tree, and where its cells are. None: it is no page of such a tree.
fn cells(page: &Page, tree: Tree) -> Option<(bool, Vec<usize>)> {
    let (leaf, header) = match (page[0], tree) {
        (13, Tree::Table) | (10, Tree::Index) => (true, 8),
        (5, Tree::Table) | (2, Tree::Index) => (false, 12),
        _ => return None,
    };
    let count = usize::from(u16::from_be_bytes([page[3], page[4]]));
    let pointers = page.get(header..header + 2 * count)?.as_chunks::<2>().0;
    Some((leaf, pointers.iter().map(|&pointer| usize::from(u16::from_be_bytes(pointer))).collect()))
}

/// The cell at `at`. None: there is none.
pub(crate) fn cell(image: &Image, page: &Page, at: usize, tree: Tree) -> Result<Option<Cell>, StoreError> {
    let Some((size, at)) = varint(page, at) else { return Ok(None) };
    let (rowid, at) = match tree {
        Tree::Index => (0, at),
        Tree::Table => match varint(page, at) {
            Some((rowid, at)) => (rowid.cast_signed(), at),
            None => return Ok(None),
        },
    };
    let Some(size) = usize::try_from(size).ok().filter(|&size| size <= image.pages() as usize * PAGE_BYTES) else {
        return Ok(None);
    };
    let local = local_part(size, tree);
    let Some(bytes) = page.get(at..at + local) else { return Ok(None) };
    let mut payload = bytes.to_vec();
    let mut next = if local < size { u32_at(page, at + local) } else { None };
    while payload.len() < size {
        let Some(number) = next.filter(|number| (2..=image.pages()).contains(number)) else { return Ok(None) };
        let page = image.page(number)?;
        let wanted = OVERFLOW_BYTES.min(size - payload.len());
        payload.extend_from_slice(&page[4..4 + wanted]);
        next = u32_at(&page, 0);
    }
    Ok(Some(Cell { rowid, payload }))
}

/// How much of a payload of `size` bytes stands in the cell.
fn local_part(size: usize, tree: Tree) -> usize {
    let most = if tree == Tree::Table { MOST_LOCAL_ROW } else { MOST_LOCAL_ENTRY };
    let spread = LEAST_LOCAL + size.saturating_sub(LEAST_LOCAL) % OVERFLOW_BYTES;
    match size {
        size if size <= most => size,
        _ if spread <= most => spread,
        _ => LEAST_LOCAL,
    }
}

/// The payload's columns, if there are exactly `N`, each a number or bytes, and nothing besides.
pub(crate) fn columns<const N: usize>(payload: &[u8]) -> Option<[Value<'_>; N]> {
    let (header, mut at) = varint(payload, 0)?;
    let header = usize::try_from(header).ok()?;
    let mut content = header;
    let mut values = [Value::Integer(0); N];
    for value in &mut values {
        let (kind, next) = varint(payload, at)?;
        at = next;
        let length = usize::try_from(length_of(kind)?).ok()?;
        let bytes = payload.get(content..content.checked_add(length)?)?;
        content += length;
        *value = match kind {
            8 => Value::Integer(0),
            9 => Value::Integer(1),
            1..=6 => Value::Integer(integer(bytes)),
            _ => Value::Bytes(bytes),
        };
    }
    (at == header && content == payload.len()).then_some(values)
}

/// The bytes of a value of this kind; none for kinds that a mailbox has not.
fn length_of(kind: u64) -> Option<u64> {
    match kind {
        1..=4 => Some(kind),
        5 => Some(6),
        6 => Some(8),
        8 | 9 => Some(0),
        12.. => Some((kind - 12) / 2),
        _ => None,
    }
}

/// A whole number in one to eight bytes, its sign in the first bit.
fn integer(bytes: &[u8]) -> i64 {
    let sign = if bytes.first().is_some_and(|first| first & 0x80 != 0) { -1 } else { 0 };
    bytes.iter().fold(sign, |number, &byte| number << 8 | i64::from(byte))
}

/// The number at `at`, seven bits a byte and eight in a ninth, and where the next byte is.
fn varint(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let mut number = 0;
    for place in 0..9 {
        let byte = *bytes.get(at + place)?;
        if place == 8 {
            return Some((number << 8 | u64::from(byte), at + 9));
        }
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((number, at + place + 1));
        }
    }
    None
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

/// Whether a row of three columns, the last of `last` bytes, may begin at `at`: cheap, for looking at every place.
pub(crate) fn may_be_row(page: &Page, at: usize, last: usize) -> bool {
    let look = || {
        let (size, at) = varint(page, at)?;
        let (_, start) = varint(page, at)?;
        let (header, at) = varint(page, start)?;
        let (first, at) = varint(page, at)?;
        let (second, at) = varint(page, at)?;
        let (third, at) = varint(page, at)?;
        let content = length_of(first)?.checked_add(length_of(second)?)?.checked_add(length_of(third)?)?;
        let fits = at - start == usize::try_from(header).ok()? && header.checked_add(content)? == size;
        Some(fits && length_of(third)? == last as u64)
    };
    look() == Some(true)
}
