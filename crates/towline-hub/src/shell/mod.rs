//! Around the pure core: sessions in, words out, the store behind, clocks beside.
//!
//! One thread owns the core, so its reads of the store may block. Everything else reaches it as an [`event::Event`].

pub(crate) mod clock;
mod desk;
pub(crate) mod event;
mod give;
mod life;
mod live;
mod port;
pub(crate) mod session;
mod upload;

use crate::admin::{Answer, Command};
use crate::bodies::Bodies;
use crate::metrics::Metrics;
use crate::store::records::Records;
use crate::store::{Backend, Damage, Failing, FailurePlan, Mailbox, StoreError, Writer};
use event::{Event, Events};
use life::{Beginning, End, Life};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;
use towline::Identity;
use towline_proto::ids::KeyHash;
use towline_proto::mail::hub::{HubConfig as CoreConfig, HubCore};

/// How soon a store that failed is tried again: serving within 5 s of space coming back needs no more.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// What does not change while the hub runs.
#[derive(Debug)]
pub(crate) struct HubInfo {
    pub(crate) software: String,
    pub(crate) key: KeyHash,
    /// What tickets name.
    pub(crate) hosts: Vec<String>,
    pub(crate) listen: Vec<SocketAddr>,
    pub(crate) http: Option<SocketAddr>,
    pub(crate) open_policy: bool,
    pub(crate) keep_failed_ms: u64,
    pub(crate) keep_records_ms: u64,
    /// What was wrong with the mailbox at this start.
    pub(crate) damage: Option<Damage>,
    /// Damaged mailboxes that nobody has moved away yet.
    pub(crate) set_aside: Vec<PathBuf>,
    /// The operator wants the hub to end.
    pub(crate) shutdown: Notify,
}

/// The way of operators to the core.
#[derive(Clone)]
pub(crate) struct Operator {
    pub(crate) events: Events,
}

impl Operator {
    pub(crate) async fn ask(&self, command: Command) -> Answer {
        let (reply, answer) = oneshot::channel();
        let asked = self.events.send(Event::Admin { command, reply }).await;
        let unavailable = || Answer::no("hub-storage", "the hub is ending or cannot store");
        match asked {
            Ok(()) => answer.await.unwrap_or_else(|_| unavailable()),
            Err(_) => unavailable(),
        }
    }
}

/// Everything that the core's thread owns.
pub(crate) struct Keeper {
    pub(crate) mailbox: Mailbox,
    pub(crate) folder: PathBuf,
    pub(crate) core: CoreConfig,
    pub(crate) identity: Arc<Identity>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) info: Arc<HubInfo>,
    pub(crate) events: Events,
    pub(crate) ready: Arc<AtomicBool>,
    pub(crate) failures: FailurePlan,
}

impl Keeper {
    /// Runs one life after another, until the hub ends.
    pub(crate) async fn run(self, mut inbox: mpsc::Receiver<Event>) {
        loop {
            let error = match self.begin() {
                Ok(beginning) => {
                    let (events, metrics) = (self.events.clone(), self.metrics.clone());
                    let mut life = Life::new(beginning, self.identity.clone(), events, metrics, self.info.clone());
                    self.ready.store(true, Ordering::SeqCst);
                    let end = life.run(&mut inbox).await;
                    self.ready.store(false, Ordering::SeqCst);
                    match end {
                        End::Stopped(reply) => {
                            life.finish();
                            let _ = reply.map(|reply| reply.send(()));
                            return;
                        }
                        End::StoreFailed(error) => {
                            life.cut_all();
                            error
                        }
                    }
                }
                Err(error) => error,
            };
            self.metrics.store_errors.inc();
            tracing::error!(%error, "the hub cannot store: every session is cut, the mailbox is read anew");
            if !refuse(&mut inbox, STORE_RETRY).await {
                return;
            }
        }
    }

    /// Reads the store and tries a commit, so that a life begins only where it can go on.
    fn begin(&self) -> Result<Beginning, StoreError> {
        let mut backend = Failing { inner: self.mailbox.backend()?, plan: self.failures.clone() };
        backend.commit(&[])?;
        let records = Records::new(self.mailbox.reader()?);
        let (now, boot) = (clock::now(), clock::boot_id());
        let core = HubCore::load(self.core.clone(), records.snapshot()?, now, boot);
        for id in core.unreadable() {
            tracing::error!(%id, "a stored message cannot be read and is left where it is");
        }
        let bodies = Arc::new(Bodies::open(&self.folder, boot, &records.files()?)?);
        let (reporter, reports) = mpsc::unbounded_channel();
        let report = move |report| {
            let _ = reporter.send(report);
        };
        let end = |backend: Failing<crate::store::Sqlite>| {
            if let Err(error) = backend.inner.close() {
                tracing::warn!(%error, "the mailbox's log was not written back; the next start does it");
            }
        };
        let writer = Writer::start(backend, report, end)?;
        Ok(Beginning { core, records, bodies, writer, reports })
    }
}

/// Refuses whatever comes for so long. False: the hub ends.
async fn refuse(inbox: &mut mpsc::Receiver<Event>, how_long: Duration) -> bool {
    let end = Instant::now() + how_long;
    loop {
        match tokio::time::timeout_at(end, inbox.recv()).await {
            Ok(Some(Event::Stop(reply))) => {
                let _ = reply.send(());
                return false;
            }
            // Dropping an event's reply is the refusal.
            Ok(Some(_)) => {}
            Ok(None) => return false,
            Err(_) => return true,
        }
    }
}
