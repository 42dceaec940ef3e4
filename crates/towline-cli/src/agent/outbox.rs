//! The outbox: `outbox/DEVICE/FILE` is sent to DEVICE once it is finished, and sent once, whatever crashes.
//!
//! A finished file is claimed by one rename into `outbox/.sending/ID@DEVICE/`, which gives it its message id. The signed
//! envelope is written and synced beside it before the hub sees it, so that after a crash the very same envelope is
//! submitted again, which the hub knows by its id. Accepted, the folder moves to `outbox/.sent/`; refused, or with another
//! outcome than `handled`, to `outbox/.failed/`, where `.reason` says why. While an outcome is awaited the envelope stays.

mod claim;
mod settle;

use super::folder::Folder;
use claim::{Claim, Claims, Place};
use notify::{RecursiveMode, Watcher as _};
use settle::{SETTLE, Settling};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use towline::Identity;
use towline::mail::{Body, Device, Draft, SubmitError, Submitted, hash_file};
use towline_proto::ids::MessageId;
use towline_proto::mail::envelope::SignedEnvelope;
use towline_proto::mail::message::ToDevice;
use towline_proto::mail::outcome::{Outcome, State};
use towline_proto::mail::receipt::SignedReceipt;

/// How often the folder is looked at when nothing announces a change: network file systems announce none.
const RESCAN: Duration = Duration::from_secs(10);

/// The pause after a refusal that says no time itself.
const RETRY: Duration = Duration::from_secs(5);

/// Sends what lies in the outbox for ever.
pub(crate) async fn keep(
    folder: Folder,
    deadline_ms: u64,
    identity: Arc<Identity>,
    device: watch::Receiver<Option<Device>>,
    mut sent: mpsc::Receiver<ToDevice>,
) {
    let claims = Claims::new(folder.path());
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
    let mut outbox = Outbox { claims, deadline_ms, identity, settling: Settling::default() };
    let mut attached = None;
    loop {
        let present = device.borrow().clone();
        if let Some(device) = &present {
            let session = device.session().id();
            if attached.replace(session) != Some(session) {
                outbox.ask_outcomes(device).await;
            }
            outbox.round(device, folder.path()).await;
        }
        let pause = if outbox.settling.waits() { SETTLE } else { RESCAN };
        tokio::select! {
            Some(word) = sent.recv() => outbox.hear(word),
            Some(()) = changes.recv(), if watching.is_ok() => tokio::time::sleep(SETTLE / 4).await,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

struct Outbox {
    claims: Claims,
    deadline_ms: u64,
    identity: Arc<Identity>,
    settling: Settling,
}

impl Outbox {
    /// Claims what is finished and submits what is claimed, oldest first.
    async fn round(&mut self, device: &Device, folder: &std::path::Path) {
        for found in self.settling.scan(folder, Instant::now()) {
            if let Err(error) = self.claims.claim(&found, Draft::new_id()) {
                tracing::warn!(%error, "a file of the outbox could not be taken");
            }
        }
        for claim in self.claims.list(Place::Sending) {
            match self.submit(device, &claim).await {
                Ok(()) => {}
                Err(Failure::Later(pause)) => return tokio::time::sleep(pause).await,
                Err(Failure::Final(reason)) => self.fail(&claim, Place::Sending, &reason),
            }
        }
    }

    async fn submit(&self, device: &Device, claim: &Claim) -> Result<(), Failure> {
        let envelope = match self.claims.envelope(claim) {
            Some(envelope) => envelope,
            None => self.seal(device, claim).await?,
        };
        let body = Body::File(self.claims.file(claim, Place::Sending));
        match device.submit(&envelope, &body).await {
            Ok(Submitted::Accepted(_) | Submitted::Live(_)) => {
                tracing::info!(id = %claim.id, to = %claim.device, "accepted");
                self.claims.move_to(claim, Place::Sending, Place::Sent).map_err(|error| {
                    tracing::warn!(id = %claim.id, %error, "cannot be moved to .sent; it is submitted again, once");
                    Failure::Later(RETRY)
                })
            }
            Err(SubmitError::NotAccepted { retry_after_ms: pause @ 1.., .. }) => {
                Err(Failure::Later(Duration::from_millis(pause).min(RESCAN)))
            }
            Err(error @ SubmitError::NotAccepted { .. }) => Err(Failure::Final(error.to_string())),
            Err(error @ SubmitError::Body(_)) => Err(Failure::Final(error.to_string())),
            Err(SubmitError::Lost(_)) => Err(Failure::Later(Duration::ZERO)),
        }
    }

    /// Writes the envelope beside the file before anybody else sees it.
    async fn seal(&self, device: &Device, claim: &Claim) -> Result<SignedEnvelope, Failure> {
        let unreadable = |error: std::io::Error| Failure::Final(error.to_string());
        let measured = hash_file(self.claims.file(claim, Place::Sending)).await.map_err(unreadable)?;
        let mut draft = Draft::new(claim.device.clone());
        draft.name.clone_from(&claim.name);
        draft.deadline_ms = self.deadline_ms;
        let envelope = draft.seal(claim.id, device.name().clone(), measured, &*self.identity);
        self.claims.keep_envelope(claim, &envelope).map_err(|_| Failure::Later(RETRY))?;
        Ok(envelope)
    }

    /// Asks for the outcomes that may have been told while nobody listened.
    async fn ask_outcomes(&self, device: &Device) {
        for claim in self.claims.list(Place::Sent).into_iter().filter(|claim| self.claims.envelope(claim).is_some()) {
            if let Ok(status) = device.status(claim.id, true).await
                && let (State::Decided(_), Some(receipt)) = (status.state, status.receipt)
            {
                self.decided(&receipt);
            }
        }
    }

    fn hear(&self, word: ToDevice) {
        if let ToDevice::Outcome { receipt, .. } = word {
            self.decided(&receipt);
        }
    }

    fn decided(&self, receipt: &SignedReceipt) {
        let Ok(receipt) = receipt.decode() else { return };
        let Some(claim) = self.awaited(receipt.id) else { return };
        match receipt.outcome {
            Outcome::Handled => self.claims.settle(&claim),
            outcome => self.fail(&claim, Place::Sent, &format!("{outcome}: {} ({})", receipt.reason, receipt.code)),
        }
    }

    fn awaited(&self, id: MessageId) -> Option<Claim> {
        self.claims.list(Place::Sent).into_iter().find(|claim| claim.id == id && self.claims.envelope(claim).is_some())
    }

    fn fail(&self, claim: &Claim, from: Place, reason: &str) {
        tracing::warn!(id = %claim.id, to = %claim.device, reason, "a file of the outbox failed");
        if let Err(error) = self.claims.fail(claim, from, reason) {
            tracing::warn!(id = %claim.id, %error, "cannot be moved to .failed");
        }
    }
}

/// Why a file is not accepted yet, or never.
enum Failure {
    Later(Duration),
    Final(String),
}
