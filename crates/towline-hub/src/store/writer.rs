//! The one thread that writes: it gathers steps until arrivals pause, commits them together, and says so.

use super::change::Change;
use super::error::StoreError;
use super::sqlite::Backend;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a pause in arrivals ends the gathering: a tenth of what a disk takes to sync, so a lone message waits
/// for nothing worth measuring.
const PAUSE: Duration = Duration::from_micros(100);
/// The longest gathering, in all: with steady arrivals a commit still comes several times in 10 ms.
const LONGEST_GATHERING: Duration = Duration::from_millis(2);
/// The most bytes in one commit: 16 MiB take a slow disk well under a second.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// The writer's report.
#[derive(Debug)]
pub enum Report {
    /// Every step up to this number is synced.
    Committed {
        /// The newest synced step.
        step: u64,
        /// How many steps went together.
        steps: usize,
        /// How long the commit took.
        took: Duration,
    },
    /// The commit failed: none of these steps, and nothing handed in since, was or will be written.
    Failed(StoreError),
}

struct Job {
    step: u64,
    changes: Vec<Change>,
}

/// A handle on the writer thread. When it is dropped the thread commits what it holds and ends.
#[derive(Debug)]
pub struct Writer {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Job({}, {} changes)", self.step, self.changes.len())
    }
}

impl Writer {
    /// Starts the thread. `report` is called on it after every commit; `end` is called last, with the backend,
    /// unless a commit failed.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start<B: Backend>(
        backend: B,
        report: impl FnMut(Report) + Send + 'static,
        end: impl FnOnce(B) + Send + 'static,
    ) -> Result<Self, StoreError> {
        let (jobs, inbox) = channel();
        let run = move || write_until_closed(backend, &inbox, report, end);
        let thread = std::thread::Builder::new()
            .name("mailbox-writer".into())
            .spawn(run)
            .map_err(StoreError::io("start the writer of", "mailbox"))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Hands in one step's changes. Steps are committed in the order in which they are handed in; one without
    /// changes is reported once the earlier ones are synced.
    ///
    /// # Errors
    /// [`StoreError::Closed`] after a failed commit.
    pub fn write(&self, step: u64, changes: Vec<Change>) -> Result<(), StoreError> {
        let jobs = self.jobs.as_ref().ok_or(StoreError::Closed)?;
        jobs.send(Job { step, changes }).map_err(|_| StoreError::Closed)
    }

    /// Commits what was handed in, ends the thread and waits for it.
    pub fn close(mut self) {
        self.join();
    }

    fn join(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was already printed, and its jobs were never reported as committed.
            let _ = thread.join();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.join();
    }
}

fn write_until_closed<B: Backend>(
    mut backend: B,
    inbox: &Receiver<Job>,
    mut report: impl FnMut(Report),
    end: impl FnOnce(B),
) {
    while let Ok(first) = inbox.recv() {
        let group = Group::gather(first, inbox);
        let begun = Instant::now();
        let result = if group.changes.is_empty() { Ok(()) } else { backend.commit(&group.changes) };
        match result {
            Ok(()) => report(Report::Committed { step: group.step, steps: group.steps, took: begun.elapsed() }),
            Err(error) => return report(Report::Failed(error)),
        }
    }
    end(backend);
}

/// Steps that are committed together.
struct Group {
    step: u64,
    steps: usize,
    changes: Vec<Change>,
    bytes: usize,
}

impl Group {
    fn gather(first: Job, inbox: &Receiver<Job>) -> Self {
        let mut group = Self { step: 0, steps: 0, changes: Vec::new(), bytes: 0 };
        group.add(first);
        let end = Instant::now() + LONGEST_GATHERING;
        while group.bytes < MOST_BYTES {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            match inbox.recv_timeout(PAUSE.min(left)) {
                Ok(job) => group.add(job),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        group
    }

    fn add(&mut self, job: Job) {
        self.bytes += job.changes.iter().map(size).sum::<usize>();
        self.step = job.step;
        self.steps += 1;
        self.changes.extend(job.changes);
    }
}

fn size(change: &Change) -> usize {
    match change {
        Change::Put { key, record, .. } => key.len() + record.len(),
        Change::Delete { key, .. } => key.len(),
    }
}
