//! The agent: the program on a device that takes its messages, places or handles them, and sends what lies in its outbox.

mod body;
mod clock;
mod commit;
mod config;
mod disk;
mod folder;
mod journal;
mod names;
mod outbox;
mod place;
mod run;
mod shell;
mod store;
mod tail;
mod tell;
mod uplink;
mod users;
mod work;

pub(crate) use config::{AgentConfig, OPTIONS};
pub(crate) use tell::{Tell, Told};

use journal::SqliteJournal;
use shell::{Shell, ShellError, Surroundings};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use towline::{Client, Identity};
use towline_proto::mail::code::Code;
use uplink::News;

/// How long the agent waits before it begins anew after its disk failed.
const DISK_PAUSE: Duration = Duration::from_secs(2);

/// News of the session that may wait: it comes one at a time.
const NEWS: usize = 4;

/// Words about sent messages that may wait for the outbox; it asks for what it missed.
const SENT_WORDS: usize = 1_024;

/// Why the agent ended although nobody asked it to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgentError {
    /// The hub will not have this device.
    #[error("{text} ({code})")]
    Denied {
        /// Why, as a stable word; it has the exit code.
        code: Code,
        /// Why, for people.
        text: String,
    },
}

/// Runs the agent until `shutdown` becomes true and what runs has ended or [`AgentConfig::drain`] has passed.
///
/// A disk that fails does not end it: the session is given up, and all begins anew from what the journal holds.
pub(crate) async fn run(
    config: AgentConfig,
    identity: Arc<Identity>,
    client: Client,
    tell: Tell,
    shutdown: watch::Receiver<bool>,
) -> Result<(), AgentError> {
    let config = Arc::new(config);
    let mut stop = shutdown.clone();
    loop {
        match live(&config, &identity, &client, &tell, &shutdown).await {
            Ok(()) => return Ok(()),
            Err(ShellError::Denied(code, text)) => return Err(AgentError::Denied { code, text }),
            Err(error) => tracing::error!(%error, "beginning anew from the journal"),
        }
        tokio::select! {
            () = tokio::time::sleep(DISK_PAUSE) => {}
            _ = stop.wait_for(|&stop| stop) => return Ok(()),
        }
    }
}

/// One life: journal, core, session, outbox.
async fn live(
    config: &Arc<AgentConfig>,
    identity: &Arc<Identity>,
    client: &Client,
    tell: &Tell,
    shutdown: &watch::Receiver<bool>,
) -> Result<(), ShellError> {
    let journal = SqliteJournal::open(&config.journal_path())?;
    let (to_news, mut news) = mpsc::channel::<News>(NEWS);
    let (to_sent, sent) = mpsc::channel(SENT_WORDS);
    let (to_device, device) = watch::channel(None);
    let mut beside = tokio::task::JoinSet::new();
    beside.spawn(uplink::keep(client.clone(), to_news, to_device));
    if let Some(folder) = config.outbox.clone() {
        let (deadline_ms, identity, tell) = (config.outbox_deadline_ms, identity.clone(), tell.clone());
        beside.spawn(outbox::keep(outbox::Outside { folder, deadline_ms, identity, device, sent, tell }));
    }
    let around = Surroundings { config: config.clone(), crypto: identity.clone(), sent: to_sent, tell: tell.clone() };
    Shell::run(around, Box::new(journal), &mut news, shutdown.clone()).await
}

#[cfg(test)]
mod tests;
