//! The outbox: `outbox/DEVICE/FILE` is sent to DEVICE once it is finished, and sent once, whatever crashes.
//!
//! A finished file is claimed by one rename into `outbox/.sending/ID@DEVICE/`, which gives it its message id. The signed
//! envelope is written and synced beside it before the hub sees it, so that after a crash the very same envelope is
//! submitted again, which the hub knows by its id. Accepted, the folder moves to `outbox/.sent/`; refused, or with another
//! outcome than `handled`, to `outbox/.failed/`, where `.reason` says why. While an outcome is awaited the envelope stays.
//! What was handled leaves `.sent` after a while; what failed stays until somebody has looked at it.

mod claim;
mod queue;
mod settle;
mod submit;

use super::folder::Folder;
use super::tell::{OutboxFile, Tell, Told};
use claim::{Claim, Claims, Place};
use notify::{RecursiveMode, Watcher as _};
use queue::Queue;
use settle::{SETTLE, Settling};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use submit::{Submission, Submitter, Word};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use towline::Identity;
use towline::mail::{Device, Draft};
use towline_proto::ids::{MessageId, SessionId};
use towline_proto::mail::message::ToDevice;
use towline_proto::mail::outcome::Outcome;
use towline_proto::mail::receipt::SignedReceipt;

/// How often the folder is looked at when nothing announces a change: network file systems announce none.
const RESCAN: Duration = Duration::from_secs(10);

/// How soon a change is looked at: many come together.
const GATHER: Duration = Duration::from_millis(250);

/// How often `.sent` is cleared of what is old.
const PURGE_EVERY: Duration = Duration::from_secs(3_600);

/// After so many files were handled `.sent` is cleared too, so that it never grows far beyond its limit.
const PURGE_AFTER: usize = 100;

/// What the outbox needs from outside.
pub(crate) struct Outside {
    /// The folder.
    pub(crate) folder: Folder,
    /// How long what is sent from it may wait, in milliseconds; 0 for the hub's default.
    pub(crate) deadline_ms: u64,
    /// This device's key.
    pub(crate) identity: Arc<Identity>,
    /// The session, while there is one.
    pub(crate) device: watch::Receiver<Option<Device>>,
    /// Words about messages that this device sent.
    pub(crate) sent: mpsc::Receiver<ToDevice>,
    /// Where what happens is told.
    pub(crate) tell: Tell,
}

/// Sends what lies in the outbox for ever.
pub(crate) async fn keep(outside: Outside) {
    let Outside { folder, deadline_ms, identity, mut device, mut sent, tell } = outside;
    let (changed, mut changes) = mpsc::channel::<()>(1);
    let watcher = notify::recommended_watcher(move |_| {
        // One that waits stands for all.
        let _ = changed.try_send(());
    });
    let watching = watcher.and_then(|mut watcher| {
        watcher.watch(folder.path(), RecursiveMode::Recursive)?;
        Ok(watcher)
    });
    if let Err(error) = &watching {
        tracing::warn!(%error, "the outbox is looked at every few seconds only");
    }
    let submitter = Submitter { claims: Arc::new(Claims::new(folder.path())), deadline_ms, identity };
    let mut outbox = Outbox::new(submitter, tell);
    loop {
        let present = device.borrow_and_update().clone();
        let wake = outbox.attend(present.as_ref(), folder.path());
        tokio::select! {
            Some(word) = sent.recv() => outbox.hear(word),
            Some(Ok(done)) = outbox.tasks.join_next(), if !outbox.tasks.is_empty() => outbox.done(done),
            Some(()) = changes.recv(), if watching.is_ok() => outbox.look_soon(),
            Ok(()) = device.changed() => {}
            () = tokio::time::sleep_until(wake.into()) => {}
        }
    }
}

/// What a task found out.
enum Done {
    Submitted(Claim, Submission),
    Asked(Vec<(MessageId, Word)>),
    Purged,
}

struct Outbox {
    submitter: Submitter,
    tell: Tell,
    settling: Settling,
    queue: Queue,
    /// Accepted, and the outcome is not known.
    awaited: HashMap<MessageId, Claim>,
    /// Outcomes that overtook our own word of the acceptance.
    early: HashMap<MessageId, SignedReceipt>,
    tasks: JoinSet<Done>,
    attached: Option<SessionId>,
    look_at: Instant,
    purge_at: Instant,
    handled: usize,
}

impl Outbox {
    fn new(submitter: Submitter, tell: Tell) -> Self {
        let now = Instant::now();
        let awaited = submitter.claims.awaited().map(|claim| (claim.id, claim)).collect();
        let mut outbox = Self {
            submitter,
            tell,
            settling: Settling::default(),
            queue: Queue::default(),
            awaited,
            early: HashMap::new(),
            tasks: JoinSet::new(),
            attached: None,
            look_at: now,
            purge_at: now,
            handled: 0,
        };
        outbox.requeue();
        outbox
    }

    /// Does what is due; returns when something is due again.
    fn attend(&mut self, device: Option<&Device>, folder: &Path) -> Instant {
        let now = Instant::now();
        if now >= self.purge_at {
            self.purge(now);
        }
        let Some(device) = device else { return self.purge_at };
        let before = self.attached.replace(device.session().id());
        if before != self.attached {
            self.ask(device.clone());
        }
        if now >= self.look_at {
            self.look(folder, now);
        }
        while let Some(claim) = self.queue.next(now) {
            let (submitter, device) = (self.submitter.clone(), device.clone());
            self.tasks.spawn(async move {
                let submission = submitter.submit(&device, &claim).await;
                Done::Submitted(claim, submission)
            });
        }
        [Some(self.look_at), Some(self.purge_at), self.queue.wakes(now)].into_iter().flatten().min().unwrap_or(now)
    }

    fn look_soon(&mut self) {
        self.look_at = self.look_at.min(Instant::now() + GATHER);
    }

    /// Claims what is finished.
    fn look(&mut self, folder: &Path, now: Instant) {
        for found in self.settling.scan(folder, now) {
            match self.submitter.claims.claim(&found, Draft::new_id()) {
                Ok(claim) => self.enqueue(claim),
                Err(error) => {
                    tracing::warn!(%error, "a file of the outbox could not be taken");
                    // It may have been taken, and only its sync failed.
                    self.requeue();
                }
            }
        }
        self.look_at = now + if self.settling.waits() { SETTLE } else { RESCAN };
    }

    fn requeue(&mut self) {
        self.submitter.claims.list(Place::Sending).into_iter().for_each(|claim| self.enqueue(claim));
    }

    fn enqueue(&mut self, claim: Claim) {
        let large = self.submitter.claims.is_large(&claim);
        self.queue.add(claim, large);
    }

    fn ask(&mut self, device: Device) {
        let awaited: Vec<MessageId> = self.awaited.keys().copied().collect();
        if !awaited.is_empty() {
            self.tasks.spawn(async move { Done::Asked(submit::ask(&device, awaited).await) });
        }
    }

    fn purge(&mut self, now: Instant) {
        self.purge_at = now + PURGE_EVERY;
        self.handled = 0;
        let claims = self.submitter.claims.clone();
        self.tasks.spawn_blocking(move || {
            claims.purge(SystemTime::now());
            Done::Purged
        });
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Submitted(claim, Submission::Accepted) => self.accepted(claim),
            Done::Submitted(claim, Submission::Later(pause)) => self.queue.later(&claim, Instant::now() + pause),
            Done::Submitted(claim, Submission::Final(reason)) => {
                self.queue.done(&claim);
                self.early.remove(&claim.id);
                self.fail(&claim, Place::Sending, reason);
            }
            Done::Asked(words) => words.into_iter().for_each(|(id, word)| match word {
                Word::Receipt(receipt) => self.decided(&receipt),
                Word::Unknown(text) => self.lost(id, text),
            }),
            Done::Purged => {}
        }
    }

    fn accepted(&mut self, claim: Claim) {
        self.queue.done(&claim);
        (self.tell)(&Told::OutboxSent { file: file(&claim) });
        let early = self.early.remove(&claim.id);
        self.awaited.insert(claim.id, claim);
        if let Some(receipt) = early {
            self.decided(&receipt);
        }
    }

    fn hear(&mut self, word: ToDevice) {
        if let ToDevice::Outcome { receipt, .. } = word {
            self.decided(&receipt);
        }
    }

    fn decided(&mut self, signed: &SignedReceipt) {
        let Ok(receipt) = signed.decode() else { return };
        let Some(claim) = self.awaited.remove(&receipt.id) else {
            if self.queue.contains(receipt.id) {
                self.early.insert(receipt.id, signed.clone());
            }
            return;
        };
        match receipt.outcome {
            Outcome::Handled => self.handled(&claim),
            outcome => self.fail(&claim, Place::Sent, format!("{outcome}: {} ({})", receipt.reason, receipt.code)),
        }
    }

    fn handled(&mut self, claim: &Claim) {
        self.submitter.claims.settle(claim);
        (self.tell)(&Told::OutboxHandled { file: file(claim) });
        self.handled += 1;
        if self.handled >= PURGE_AFTER {
            self.purge_at = Instant::now();
        }
    }

    /// The hub has forgotten it, or lost it with its disk.
    fn lost(&mut self, id: MessageId, text: String) {
        if let Some(claim) = self.awaited.remove(&id) {
            self.fail(&claim, Place::Sent, format!("what became of it is not known: {text}"));
        }
    }

    fn fail(&self, claim: &Claim, from: Place, reason: String) {
        if let Err(error) = self.submitter.claims.fail(claim, from, &reason) {
            tracing::warn!(id = %claim.id, %error, "cannot be moved to .failed");
        }
        (self.tell)(&Told::OutboxFailed { file: file(claim), reason });
    }
}

fn file(claim: &Claim) -> OutboxFile {
    OutboxFile { id: claim.id.to_string(), to: claim.device.to_string(), name: claim.name.clone() }
}
