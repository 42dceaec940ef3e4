//! A new file with whatever is whole in place of a damaged mailbox, which is set aside under another name, never deleted.

use super::census::Census;
use super::change::Table;
use super::error::StoreError;
use super::health::{Damage, Flaw};
use super::salvage::Wreck;
use super::schema::{STEPS, make};
use super::sqlite::{write_back, write_census};
use super::{sync_folder, with_ending};
use rusqlite::TransactionBehavior;
use std::path::{Path, PathBuf};

/// Writes a new file with every whole record, and sets the damaged one aside.
pub(crate) fn rescue(path: &Path, flaw: Flaw, acknowledged: Option<u64>) -> Result<Damage, StoreError> {
    let wreck = Wreck::open(path, acknowledged)?;
    let fresh = with_ending(path, ".rescued");
    remove_database(&fresh)?;
    let mut target = make(&fresh)?;
    let acknowledged = acknowledged.unwrap_or(0);
    let reached = wreck.census.as_ref().map_or(0, |census| census.commits);
    let mut census = Census::new(STEPS.len() as u32, reached.max(acknowledged));
    let transaction = target.transaction_with_behavior(TransactionBehavior::Immediate)?;
    wreck.save(&transaction, &mut census)?;
    write_census(&transaction, &census)?;
    transaction.commit()?;
    write_back(&target)?;
    target.close().map_err(|(_, error)| error)?;

    // From here on a restart finishes what was begun.
    let saved = with_ending(path, SAVED);
    std::fs::rename(&fresh, &saved).map_err(StoreError::io("put in place", &saved))?;
    let kept_as = finish(path)?;
    let all = |census: &Census| Table::ALL.into_iter().map(|table| census.count(table)).sum::<u64>();
    let expected = wreck.census.filter(|census| census.commits >= acknowledged);
    // What SQLite missed at the log's end was found there after all.
    let flaw = if flaw == Flaw::Behind && reached >= acknowledged { Flaw::Log } else { flaw };
    let served = all(&census);
    Ok(Damage { flaw, served, lost: expected.map(|expected| all(&expected).saturating_sub(served)), kept_as })
}

/// The ending of a file that is complete and shall take the place of the damaged one.
const SAVED: &str = ".saved";

/// Sets the damaged mailbox aside and puts the saved one in its place, if there is a saved one. The log goes first, the
/// main file last: whatever of it was done before a crash, doing the rest gives the same. Says where it was set aside.
pub(crate) fn finish(path: &Path) -> Result<PathBuf, StoreError> {
    let (saved, kept_as) = (with_ending(path, SAVED), free_name(path));
    if !saved.exists() {
        return Ok(kept_as);
    }
    sync_folder(path)?;
    for ending in ["-wal", "-shm", ""] {
        let (from, to) = (with_ending(path, ending), with_ending(&kept_as, ending));
        match std::fs::rename(&from, &to) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::io("set aside", &from)(error));
            }
            _ => sync_folder(path)?,
        }
    }
    std::fs::rename(&saved, path).map_err(StoreError::io("put in place", path))?;
    sync_folder(path)?;
    Ok(kept_as)
}

/// The damaged mailboxes that stand beside the one at `path`: until somebody has looked at them and moved them away.
pub(crate) fn set_aside(path: &Path) -> Vec<PathBuf> {
    (1u32..).map(|number| damaged_name(path, number)).take_while(|name| name.exists()).collect()
}

fn damaged_name(path: &Path, number: u32) -> PathBuf {
    with_ending(path, &format!(".damaged-{number}"))
}

/// `mail.db.damaged-1`, or the first number that is free.
fn free_name(path: &Path) -> PathBuf {
    let mut names = (1u32..).map(|number| damaged_name(path, number));
    names.find(|name| !name.exists()).expect("a folder does not hold four thousand million damaged mailboxes")
}

pub(crate) fn remove_database(path: &Path) -> Result<(), StoreError> {
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
