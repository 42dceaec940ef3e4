//! Writes the log back into the main file, passively and from a connection of its own, so that no commit waits for it.

use super::error::StoreError;
use super::sqlite::{READ_WRITE, connect};
use super::with_ending;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the log is looked at.
const PERIOD: Duration = Duration::from_millis(500);
/// The log's length, in bytes, from which it is written back: SQLite's own default of 1,000 pages of 4 KiB.
const WORTH_IT_BYTES: u64 = 4 * 1024 * 1024;

/// The thread that writes back; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Checkpointer {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    pub(crate) fn start(path: &Path) -> Result<Self, StoreError> {
        let connection = connect(path, READ_WRITE)?;
        let (stop, stopped) = channel::<()>();
        let log = with_ending(path, "-wal");
        let run = move || {
            while stopped.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
                if std::fs::metadata(&log).is_ok_and(|file| file.len() >= WORTH_IT_BYTES)
                    && let Err(error) = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
                {
                    tracing::warn!(%error, "the mailbox's log cannot be written back yet");
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("mailbox-checkpoint".into())
            .spawn(run)
            .map_err(StoreError::io("start the checkpoints of", path))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
