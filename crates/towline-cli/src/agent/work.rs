//! What the core asks for and the disk does: placing, looking after a crash, running. Each answers with one [`Input`].

use super::clock;
use super::config::AgentConfig;
use super::folder::Folder;
use super::names::SafeName;
use super::place::{PlaceError, Placing, place, was_placed};
use super::run::{self, Command, End};
use super::store::Store;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, chown};
use std::path::Path;
use std::time::Duration;
use tokio::sync::watch;
use towline_proto::ids::MessageId;
use towline_proto::mail::agent::io::{Input, Run, RunEnd};
use towline_proto::mail::agent::record::Target;
use towline_proto::mail::code::Code;

/// The mode of files in the inbox, which is a folder of ours.
const INBOX_MODE: u32 = 0o600;

/// The mode of files in `save_to` folders: whoever may look into the folder may read them, as with FTP.
const SAVE_TO_MODE: u32 = 0o644;

/// A `Place` or `CheckPlaced` of the core.
#[derive(Clone, Debug)]
pub(crate) struct PlaceJob {
    pub(crate) id: MessageId,
    pub(crate) request: u64,
    pub(crate) target: Target,
    pub(crate) name: String,
}

/// The disk failed in a way after which only a new look at store and journal can tell what is so.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Suspect(pub(crate) String);

/// Places a file; `Err` if it is shown and may not last.
pub(crate) fn do_place(
    config: &AgentConfig,
    store: &Store,
    job: &PlaceJob,
    start_before_ms: u64,
) -> Result<Input, Suspect> {
    let (id, request) = (job.id, job.request);
    let failed = |text: String| Input::NotPlaced { id, request, failure: Some((Code::DeviceStorage, text)) };
    let Some((folder, mode)) = target_folder(config, &job.target) else {
        return Ok(failed("the rule's folder is no longer configured".into()));
    };
    let Ok(name) = SafeName::new(&job.name) else {
        return Ok(Input::NotPlaced { id, request, failure: Some((Code::BadName, "not a safe file name".into())) });
    };
    let in_time = || clock::boot_ms() < start_before_ms;
    match place(store, &Placing { id, folder, name: &name, mode, in_time: &in_time }) {
        Ok(name) => Ok(Input::Placed { id, request, name }),
        Err(PlaceError::TooLate) => Ok(Input::TooLate { id, request }),
        Err(PlaceError::NotPlaced(error)) => Ok(failed(error.to_string())),
        Err(unsure @ PlaceError::Unsure(_)) => Err(Suspect(unsure.to_string())),
    }
}

/// Finds out whether a placing that a crash cut short was done. The name is the wanted one: which number it got is
/// known to the folder only.
pub(crate) fn check_placed(store: &Store, job: &PlaceJob) -> io::Result<Input> {
    let (id, request) = (job.id, job.request);
    Ok(match was_placed(store, id)? {
        true => Input::Placed { id, request, name: job.name.clone() },
        false => Input::NotPlaced { id, request, failure: None },
    })
}

fn target_folder<'a>(config: &'a AgentConfig, target: &Target) -> Option<(&'a Folder, u32)> {
    match target {
        Target::Inbox => Some((&config.inbox, INBOX_MODE)),
        Target::SaveTo { folder, .. } => Some((config.folders.get(folder)?, SAVE_TO_MODE)),
    }
}

/// Runs a command; `None` if the agent ended it, so that the journal's `starting` is the last word.
pub(crate) async fn do_run(
    config: &AgentConfig,
    store: &Store,
    run: &Run,
    interrupt: watch::Receiver<bool>,
) -> Option<Input> {
    let (id, request) = (run.id, run.request);
    let exited = |end, output| Input::Exited { id, request, end, output };
    let options = config.commands.get(&run.rule).copied().unwrap_or_default();
    if let Err(error) = lend(store, run, options.user.map(|user| (user.uid, user.gid))) {
        return Some(exited(RunEnd::NotStartable(error.to_string()), Vec::new()));
    }
    if clock::boot_ms() >= run.start_before_ms {
        take_back(&run.file);
        return Some(Input::TooLate { id, request });
    }
    let command = Command {
        argv: run.argv.clone(),
        env: run.env.clone(),
        input: options.input(&run.file),
        timeout: Duration::from_millis(run.timeout_ms),
        user: options.user,
    };
    let report = run::run(&command, interrupt).await;
    take_back(&run.file);
    let end = match report.end {
        End::Exited(code) => RunEnd::Exit(code),
        End::Signalled(signal) => RunEnd::Signal(signal),
        End::TimedOut => RunEnd::TimedOut,
        End::NotStarted(_, text) => RunEnd::NotStartable(text),
        End::Interrupted => return None,
    };
    Some(exited(end, report.output))
}

/// Lets the body stand under its own name in a folder of its own, as long as the command runs.
fn lend(store: &Store, run: &Run, user: Option<(u32, u32)>) -> io::Result<()> {
    let file = Path::new(&run.file);
    let folder = file.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mode = if user.is_some() { 0o711 } else { 0o700 };
    std::fs::DirBuilder::new().recursive(true).mode(mode).create(folder)?;
    match std::fs::hard_link(store.path(run.id), file) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        linked => linked?,
    }
    match user {
        Some((uid, gid)) => chown(file, Some(uid), Some(gid)),
        None => Ok(()),
    }
}

/// Removes what [`lend`] made. What a command left there beside the body goes too.
fn take_back(file: &str) {
    if let Some(folder) = Path::new(file).parent() {
        // What stays is swept at the next start.
        let _ = std::fs::remove_dir_all(folder);
    }
}
