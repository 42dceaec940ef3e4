//! A journal that fails when the test says so.

use super::{Journal, JournalError};
use towline_proto::mail::agent::io::JournalWrite;
use towline_proto::mail::agent::record::Snapshot;

/// Passes everything on until the `n`-th commit, which fails before or after it was made, as every later one does.
#[derive(Debug)]
pub(crate) struct FailingJournal<J> {
    journal: J,
    commits_left: usize,
    /// Whether the commit that fails is on the disk all the same: the answer was lost, not the write.
    made: bool,
    failed: bool,
}

impl<J> FailingJournal<J> {
    /// Fails at the `n`-th commit, counted from 1.
    pub(crate) fn new(journal: J, n: usize, made: bool) -> Self {
        Self { journal, commits_left: n - 1, made, failed: false }
    }
}

impl<J: Journal> Journal for FailingJournal<J> {
    fn load(&mut self) -> Result<Snapshot, JournalError> {
        self.journal.load()
    }

    fn commit(&mut self, writes: &[JournalWrite]) -> Result<(), JournalError> {
        if self.failed {
            return Err(JournalError::Planned);
        }
        if let Some(left) = self.commits_left.checked_sub(1) {
            self.commits_left = left;
            return self.journal.commit(writes);
        }
        self.failed = true;
        if self.made {
            self.journal.commit(writes)?;
        }
        Err(JournalError::Planned)
    }
}
