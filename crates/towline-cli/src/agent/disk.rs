//! The thread that places files, in the order in which it is asked.

use super::config::AgentConfig;
use super::store::{Expected, Store};
use super::work::{self, PlaceJob, Suspect};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use towline_proto::mail::agent::io::Input;

/// How long to wait before a folder that cannot be looked into after a crash is looked into again.
const RECHECK: Duration = Duration::from_secs(5);

/// What the thread is asked for.
#[derive(Debug)]
pub(crate) enum DiskJob {
    /// Place a body, unless the boot-time clock has passed this.
    Place(PlaceJob, u64),
    /// Find out whether a crash came before or after a placing.
    Check(PlaceJob),
    /// Store and place a live message's body.
    Live(PlaceJob, Vec<u8>, Expected),
}

/// Starts the thread; it ends when nothing can ask any more or `tell` says that nobody listens.
pub(crate) fn start(
    config: Arc<AgentConfig>,
    store: Store,
    tell: impl Fn(Result<Input, Suspect>) -> bool + Send + 'static,
) -> mpsc::Sender<DiskJob> {
    let (sender, jobs) = mpsc::channel();
    std::thread::spawn(move || {
        while let Ok(job) = jobs.recv() {
            if work(&config, &store, job).is_some_and(|done| !tell(done)) {
                return;
            }
        }
    });
    sender
}

fn work(config: &AgentConfig, store: &Store, job: DiskJob) -> Option<Result<Input, Suspect>> {
    match job {
        DiskJob::Place(job, start_before_ms) => Some(work::do_place(config, store, &job, start_before_ms)),
        DiskJob::Check(job) => Some(Ok(check(store, &job))),
        DiskJob::Live(job, body, expected) => {
            let placed = store.put(job.id, &body, expected).map(|()| work::do_place(config, store, &job, u64::MAX));
            // Nobody is told what became of a live message beyond its handing over.
            if !matches!(placed, Ok(Ok(Input::Placed { .. }))) {
                tracing::warn!(id = %job.id, "a live message could not be placed");
            }
            None
        }
    }
}

/// Nothing is guessed: a folder that cannot be looked into is looked into again until it can.
fn check(store: &Store, job: &PlaceJob) -> Input {
    loop {
        match work::check_placed(store, job) {
            Ok(input) => return input,
            Err(error) => tracing::error!(id = %job.id, %error, "cannot tell yet whether the file was placed"),
        }
        std::thread::sleep(RECHECK);
    }
}
