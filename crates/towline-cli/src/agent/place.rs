//! The start of a message without a command: its file appears in a folder, whole, once, by one rename.
//!
//! On one file system the body itself moves from the store into the folder. Across file systems it is first copied
//! under a hidden name into the folder and synced, a note beside the body says so, and then the copy is renamed.
//! Nothing that bears the wanted name is ever replaced or followed: the next number is tried instead.
//!
//! After a crash the store tells what happened (see [`was_placed`]): a body that is gone was renamed; a body whose note
//! says that the copy is whole was renamed if the hidden copy is gone; any other body was not.

use super::folder::{Folder, OpenFolder};
use super::names::SafeName;
use super::store::Store;
use rustix::fs::{AtFlags, Mode, RenameFlags, fchmod, linkat, renameat_with};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use towline_proto::ids::MessageId;

/// How many numbers are tried before the message's id takes the number's place.
const MAX_NUMBER: u32 = 1_000;

/// The first byte of a note: the copy is being made, or is whole and may have been renamed.
const COPYING: u8 = b'c';
const WHOLE: u8 = b'w';

/// Why a file was not placed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaceError {
    /// Nothing is seen in the folder, and the body is still in the store.
    #[error("the file could not be placed: {0}")]
    NotPlaced(#[source] io::Error),
    /// It was too late when everything was ready: nothing is seen, and the body is still in the store.
    #[error("the time for the start was over")]
    TooLate,
    /// The file was shown, and then the disk failed: it may not outlast a power cut.
    #[error("the file was placed, but could not be synced: {0}")]
    Unsure(#[source] io::Error),
}

/// What to place, and until when.
pub(crate) struct Placing<'a> {
    /// Whose body.
    pub(crate) id: MessageId,
    /// Where to.
    pub(crate) folder: &'a Folder,
    /// The name wanted; the next free number is taken if it is not free.
    pub(crate) name: &'a SafeName,
    /// The mode the file gets.
    pub(crate) mode: u32,
    /// Asked just before the one step after which the file is seen: may it still start?
    pub(crate) in_time: &'a dyn Fn() -> bool,
}

/// Puts a body into a folder; returns the name that it got.
pub(crate) fn place(store: &Store, placing: &Placing<'_>) -> Result<String, PlaceError> {
    let open = Open::new(store, placing).map_err(PlaceError::NotPlaced)?;
    let name = show(&open, placing)?;
    settle(&open, placing.id).map_err(PlaceError::Unsure)?;
    Ok(name)
}

/// Whether a placing that a crash cut short had shown the file; if not, every trace of it is removed.
pub(crate) fn was_placed(store: &Store, id: MessageId) -> io::Result<bool> {
    let from = store.open_folder()?;
    let Some(stat) = from.stat(Store::file_name(id))? else { return Ok(true) };
    // Linked into the folder, and the crash came before the unlinking here.
    let mut placed = stat.st_nlink > 1;
    if let Some((state, target)) = read_note(&from, id)? {
        // A folder that is gone cannot tell; the error says so, and nothing is guessed.
        let to = Folder::existing(&target)?.open()?;
        let hidden_was_there = to.remove(hidden_name(id))?;
        placed |= state == WHOLE && !hidden_was_there;
    }
    if placed {
        from.remove(Store::file_name(id))?;
    }
    from.remove(Store::note_name(id))?;
    from.sync()?;
    Ok(placed)
}

/// The two folders and the body between them, open.
struct Open {
    from: OpenFolder,
    to: OpenFolder,
    body: File,
}

impl Open {
    fn new(store: &Store, placing: &Placing<'_>) -> io::Result<Self> {
        let from = store.open_folder()?;
        let body = from.open_file(Store::file_name(placing.id))?;
        Ok(Self { to: placing.folder.open()?, from, body })
    }
}

/// The one step after which the file is seen.
fn show(open: &Open, placing: &Placing<'_>) -> Result<String, PlaceError> {
    let not_placed = |error: Errno| PlaceError::NotPlaced(error.into());
    fchmod(&open.body, Mode::from_raw_mode(placing.mode)).map_err(not_placed)?;
    if !(placing.in_time)() {
        return Err(PlaceError::TooLate);
    }
    match rename_numbered(&open.from, &Store::file_name(placing.id), &open.to, placing) {
        Err(Errno::XDEV) => show_across(open, placing),
        renamed => renamed.map_err(not_placed),
    }
}

/// What is left to do once the file is seen: make it last, and let go of the store's side.
fn settle(open: &Open, id: MessageId) -> io::Result<()> {
    open.to.sync()?;
    open.from.remove(Store::file_name(id))?;
    open.from.remove(Store::note_name(id))?;
    open.from.sync()
}

/// Another file system: copy, sync, note, rename.
fn show_across(open: &Open, placing: &Placing<'_>) -> Result<String, PlaceError> {
    let hidden = hidden_name(placing.id);
    let shown = prepare_across(open, placing, &hidden).map_err(PlaceError::NotPlaced).and_then(|()| {
        // The copy may have taken long.
        if !(placing.in_time)() {
            return Err(PlaceError::TooLate);
        }
        let renamed = rename_numbered(&open.to, &hidden, &open.to, placing);
        renamed.map_err(|error| PlaceError::NotPlaced(error.into()))
    });
    if shown.is_err() {
        // The note goes first: without it the body in the store says "not placed", whatever lies in the folder.
        let cleared = open.from.remove(Store::note_name(placing.id)).and_then(|_| open.from.sync());
        cleared.and_then(|()| open.to.remove(&hidden)).map_err(PlaceError::NotPlaced)?;
    }
    shown
}

fn prepare_across(open: &Open, placing: &Placing<'_>, hidden: &str) -> io::Result<()> {
    write_note(&open.from, placing.id, COPYING, placing.folder)?;
    open.to.remove(hidden)?;
    copy_hidden(open, hidden, placing.mode)?;
    write_note(&open.from, placing.id, WHOLE, placing.folder)
}

fn copy_hidden(open: &Open, hidden: &str, mode: u32) -> io::Result<()> {
    let mut copy = open.to.create_new(hidden, 0o600)?;
    io::copy(&mut &open.body, &mut copy)?;
    fchmod(&copy, Mode::from_raw_mode(mode))?;
    copy.sync_all()
}

/// Notes how far the copy is and where; synced, because the rename that follows must not outrun it.
fn write_note(from: &OpenFolder, id: MessageId, state: u8, folder: &Folder) -> io::Result<()> {
    from.remove(Store::note_name(id))?;
    let mut note = from.create_new(Store::note_name(id), 0o600)?;
    note.write_all(&[&[state], folder.path().as_os_str().as_bytes()].concat())?;
    note.sync_all()?;
    from.sync()
}

fn read_note(from: &OpenFolder, id: MessageId) -> io::Result<Option<(u8, PathBuf)>> {
    let mut note = match from.open_file(Store::note_name(id)) {
        Ok(note) => note,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    note.read_to_end(&mut bytes)?;
    // A note that a crash left empty was never followed by a rename.
    Ok(bytes.split_first().map(|(&state, path)| (state, OsStr::from_bytes(path).into())))
}

/// The name under which a copy stands in the folder before it is shown.
fn hidden_name(id: MessageId) -> String {
    format!(".towline-{id}.part")
}

fn rename_numbered(from: &OpenFolder, source: &str, to: &OpenFolder, placing: &Placing<'_>) -> Result<String, Errno> {
    let numbers = (1..=MAX_NUMBER).map(|n| placing.name.numbered(n));
    for candidate in numbers.chain([placing.name.marked(&placing.id.to_string())]) {
        match rename_new(from, source, to, &candidate) {
            Ok(()) => return Ok(candidate),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Errno::EXIST)
}

/// Renames unless the new name is taken, in one step.
fn rename_new(from: &OpenFolder, source: &str, to: &OpenFolder, name: &str) -> Result<(), Errno> {
    match renameat_with(from.fd(), source, to.fd(), name, RenameFlags::NOREPLACE) {
        // Some network file systems do not know the flag. A link is refused just so where the name is taken;
        // `settle` takes the old name away.
        Err(Errno::INVAL | Errno::NOSYS) => linkat(from.fd(), source, to.fd(), name, AtFlags::empty()),
        result => result,
    }
}

#[cfg(test)]
mod tests;
