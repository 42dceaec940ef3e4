//! The shell around the core: it hands in one input at a time and does what comes back.
//!
//! The order is the core's law: `now` at once, `journal` to the journal's thread, `after_sync` once that is synced.
//! Placing is done by one thread in the order asked; commands and bodies have a task each. Whatever they find out
//! comes back as an input.

mod act;
mod notes;

use super::body::Fetched;
use super::clock;
use super::commit::{self, Pending, Synced};
use super::config::AgentConfig;
use super::disk::{self, DiskJob};
use super::journal::{Journal, JournalError};
use super::store::{Expected, Store};
use super::tell::{Tell, Told};
use super::uplink::News;
use super::work::Suspect;
use crate::attached;
use notes::Notes;
use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use towline::mail::{Device, Event, Events};
use towline_proto::ids::{Lane, MessageId};
use towline_proto::mail::agent::AgentCore;
use towline_proto::mail::agent::io::{Input, Output, Step};
use towline_proto::mail::code::Code;
use towline_proto::mail::keys::Crypto;
use towline_proto::mail::message::{ToDevice, ToHub};

/// How long the last words may take to reach the hub when the agent ends.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Why the shell stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShellError {
    /// Only what the journal holds is true now; the core must be built anew from it.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The same of the disk.
    #[error("{0}")]
    Disk(String),
    /// The hub will not have this device.
    #[error("{1} ({0})")]
    Denied(Code, String),
}

/// What the shell needs from outside.
pub(crate) struct Surroundings {
    /// What the operator wants.
    pub(crate) config: Arc<AgentConfig>,
    /// This device's key.
    pub(crate) crypto: Arc<dyn Crypto + Send + Sync>,
    /// Where words about messages that this device sent go.
    pub(crate) sent: mpsc::Sender<ToDevice>,
    /// Where what happens is told.
    pub(crate) tell: Tell,
}

/// What comes back from tasks and threads.
enum Back {
    Input(Input),
    Fetched(MessageId, Fetched),
    Suspect(Suspect),
}

/// A body that the core waits for.
struct Fetch {
    lane: Lane,
    expected: Expected,
    under_way: bool,
}

/// One life of the core.
pub(crate) struct Shell {
    around: Surroundings,
    notes: Notes,
    store: Store,
    core: AgentCore,
    device: Option<Device>,
    says: mpsc::UnboundedSender<(Lane, ToHub)>,
    fetches: HashMap<MessageId, Fetch>,
    steps: mpsc::UnboundedSender<Pending>,
    disk: std::sync::mpsc::Sender<DiskJob>,
    back: mpsc::UnboundedSender<Back>,
    runs: JoinSet<()>,
    interrupt: watch::Sender<bool>,
    draining: bool,
    /// Steps and placings that are not done yet.
    unsynced: usize,
    placing: usize,
}

/// Where the threads' answers come out.
struct Answers {
    synced: mpsc::UnboundedReceiver<Synced>,
    back: mpsc::UnboundedReceiver<Back>,
}

impl Shell {
    /// Runs until `shutdown` becomes true and everything is drained, or something fails.
    pub(crate) async fn run(
        around: Surroundings,
        journal: Box<dyn Journal>,
        news: &mut mpsc::Receiver<News>,
        shutdown: watch::Receiver<bool>,
    ) -> Result<(), ShellError> {
        let (mut shell, answers, first) = Self::begin(around, journal)?;
        shell.perform(first);
        let result = shell.turn(answers, news, shutdown).await;
        // No command outlives the core that knows of it.
        shell.interrupt.send_replace(true);
        while shell.runs.join_next().await.is_some() {}
        if let Some(device) = shell.device.take() {
            attached::leave(device.session()).await;
        }
        result
    }

    fn begin(around: Surroundings, mut journal: Box<dyn Journal>) -> Result<(Self, Answers, Step), ShellError> {
        let config = around.config.clone();
        let store = open_store(&config).map_err(|error| ShellError::Disk(error.to_string()))?;
        let snapshot = journal.load()?;
        let held: Vec<MessageId> = snapshot.held.iter().map(|held| held.id).collect();
        store.remove_unless(|id| held.contains(&id)).map_err(|error| ShellError::Disk(error.to_string()))?;
        let notes = Notes::new(around.tell.clone(), &snapshot.held);
        let (core, first) = AgentCore::load(config.rules.clone(), snapshot);
        let (steps, synced) = commit::start(journal, store.clone());
        let (back, from_back) = mpsc::unbounded_channel();
        let to_back = back.clone();
        let disk = disk::start(config, store.clone(), move |done| {
            to_back.send(done.map_or_else(Back::Suspect, Back::Input)).is_ok()
        });
        let shell = Self {
            around,
            notes,
            store,
            core,
            device: None,
            says: mpsc::unbounded_channel().0,
            fetches: HashMap::new(),
            steps,
            disk,
            back,
            runs: JoinSet::new(),
            interrupt: watch::Sender::new(false),
            draining: false,
            unsynced: 0,
            placing: 0,
        };
        Ok((shell, Answers { synced, back: from_back }, first))
    }

    async fn turn(
        &mut self,
        mut answers: Answers,
        news: &mut mpsc::Receiver<News>,
        mut shutdown: watch::Receiver<bool>,
    ) -> Result<(), ShellError> {
        let mut events = None;
        let mut patience = None;
        loop {
            tokio::select! {
                biased;
                Some(synced) = answers.synced.recv() => self.synced(synced?),
                Some(back) = answers.back.recv() => self.take_back(back)?,
                Some(_) = self.runs.join_next(), if !self.runs.is_empty() => {}
                Some(told) = news.recv() => events = self.told(told)?,
                event = next_event(&mut events) => match event {
                    Some(event) => self.hear(event),
                    // `News::Down` follows.
                    None => events = None,
                },
                () = until_boot_ms(self.core.poll_timeout()) => self.input(Input::Tick),
                _ = shutdown.wait_for(|&stop| stop), if !self.draining => {
                    self.draining = true;
                    patience = Some(Instant::now() + self.around.config.drain);
                    tracing::info!(running = self.runs.len(), "draining");
                }
                () = until(patience) => {
                    patience = None;
                    tracing::warn!(running = self.runs.len(), "ending the commands that still run");
                    self.interrupt.send_replace(true);
                }
            }
            if self.is_drained() && answers.back.is_empty() {
                self.last_words().await;
                return Ok(());
            }
        }
    }

    fn is_drained(&self) -> bool {
        self.draining && self.runs.is_empty() && self.unsynced == 0 && self.placing == 0
    }

    /// Hands one input to the core and does what it says.
    fn input(&mut self, input: Input) {
        let step = self.core.handle(clock::now(), input, &*self.around.crypto);
        self.perform(step);
    }

    fn perform(&mut self, step: Step) {
        step.now.into_iter().for_each(|output| self.output(output));
        if !step.journal.is_empty() || !step.after_sync.is_empty() {
            self.unsynced += 1;
            self.notes.step(&step.journal);
            // A thread that is gone has told why.
            let _ = self.steps.send(Pending { writes: step.journal, after_sync: step.after_sync });
        }
    }

    fn synced(&mut self, (steps, outputs): (usize, Vec<Output>)) {
        self.unsynced -= steps;
        self.notes.synced(steps);
        outputs.into_iter().for_each(|output| self.output(output));
    }

    fn take_back(&mut self, back: Back) -> Result<(), ShellError> {
        match back {
            Back::Input(input) => {
                if matches!(input, Input::Placed { .. } | Input::NotPlaced { .. } | Input::TooLate { .. }) {
                    self.placing = self.placing.saturating_sub(1);
                }
                self.input(input);
            }
            Back::Fetched(id, fetched) => self.fetched(id, fetched),
            Back::Suspect(Suspect(why)) => return Err(ShellError::Disk(why)),
        }
        Ok(())
    }

    fn told(&mut self, news: News) -> Result<Option<Events>, ShellError> {
        match news {
            News::Up(device) => {
                let events = device.events();
                self.attach(device);
                Ok(events)
            }
            News::Down(reason) => {
                self.notes.tell(&Told::Disconnected { reason });
                self.device = None;
                // Transfers notice by themselves, and are asked for again.
                self.input(Input::Detached);
                Ok(None)
            }
            News::Not(reason) => {
                self.notes.tell(&Told::NotConnected { reason });
                Ok(None)
            }
            News::Denied(code, text) => Err(ShellError::Denied(code, text)),
        }
    }

    fn attach(&mut self, device: Device) {
        let (says, mut to_say) = mpsc::unbounded_channel::<(Lane, ToHub)>();
        let speaker = device.clone();
        // Saying waits for credit, and the shell waits for nothing. What is unsaid when the session ends is said again
        // by the core on the next one.
        tokio::spawn(async move {
            while let Some((lane, word)) = to_say.recv().await {
                if speaker.say(lane, &word).await.is_err() {
                    return;
                }
            }
        });
        self.says = says;
        let max_timeout_ms = device.max_timeout_ms();
        self.notes.tell(&Told::Connected { device: device.name().to_string() });
        self.device = Some(device);
        let waiting: Vec<MessageId> = self.fetches.keys().copied().collect();
        waiting.into_iter().for_each(|id| self.ask_for_body(id));
        self.input(Input::Attached { max_timeout_ms });
    }

    /// Lets the hub have everything that was said, as far as it listens.
    async fn last_words(&mut self) {
        let (closed, _) = mpsc::unbounded_channel();
        let says = std::mem::replace(&mut self.says, closed);
        let Some(device) = self.device.clone() else { return };
        let said = async {
            // The speaker lets go of its end once the queue is empty.
            let ended = says.clone();
            drop(says);
            while ended.strong_count() > 1 {
                tokio::task::yield_now().await;
            }
        };
        let _ = tokio::time::timeout(LAST_WORDS, said).await;
        let confirmed = device.session().send_confirmed(Lane::NORMAL, ToHub::Pong { ping: 0 }.to_bytes());
        let _ = tokio::time::timeout(LAST_WORDS, confirmed).await;
    }
}

fn open_store(config: &AgentConfig) -> std::io::Result<Store> {
    let store = Store::open(&config.store_path())?;
    if config.commands.values().any(|options| options.user.is_some()) {
        // Through, not around: what lies there is ours alone, but a command must reach the body that it is lent.
        std::fs::set_permissions(&config.home, std::fs::Permissions::from_mode(0o711))?;
    }
    // What a command of an earlier life was lent; a body's other name would look like a placing.
    match std::fs::remove_dir_all(AgentConfig::run_path(&config.home)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    Ok(store)
}

async fn next_event(events: &mut Option<Events>) -> Option<Event> {
    match events {
        Some(events) => events.next().await.ok(),
        None => std::future::pending().await,
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn until_boot_ms(at: Option<u64>) {
    match at {
        Some(at) => tokio::time::sleep(Duration::from_millis(at.saturating_sub(clock::boot_ms()))).await,
        None => std::future::pending().await,
    }
}
