//! Bodies on their way to the hub, passed on to the recipient while they arrive.

use super::HubCore;
use super::accept::{Refusal, refuse};
use super::io::{Output, SessionKey};
use super::record::BodyPlace;
use super::timers::Timer;
use super::turn::Turn;
use crate::ids::MessageId;
use crate::mail::code::Code;
use crate::mail::envelope::{Envelope, SignedEnvelope};
use crate::mail::keys::PublicKey;
use crate::mail::limits::{MAX_UPLOADS_PER_DEVICE, QUOTA_RETRY_MS, UPLOAD_KEEP_MS};
use crate::mail::message::ToDevice;

/// A message whose body is not whole yet: it is not accepted, and nothing of it is in the store.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) signed: SignedEnvelope,
    pub(super) envelope: Envelope,
    pub(super) recipient: PublicKey,
    /// The sender's session, while it lives.
    pub(super) session: Option<SessionKey>,
}

impl HubCore {
    pub(super) fn begin_upload(
        &mut self,
        turn: &mut Turn<'_>,
        session: SessionKey,
        recipient: PublicKey,
        signed: SignedEnvelope,
        envelope: Envelope,
    ) {
        let of_sender = self.uploads.values().filter(|upload| upload.envelope.sender == envelope.sender).count();
        if of_sender >= MAX_UPLOADS_PER_DEVICE {
            let text = format!("{MAX_UPLOADS_PER_DEVICE} bodies of this device are on their way");
            return refuse(turn, session, &envelope, Refusal::for_now(Code::Quota, text, QUOTA_RETRY_MS));
        }
        let id = envelope.id;
        self.usage.take(recipient, envelope.size);
        self.uploads.insert(id, Upload { signed, envelope, recipient, session: Some(session) });
        self.take_body(turn, session, id);
        self.offer(turn, id);
    }

    /// The sender asks again, perhaps on another session: it goes on where it stopped.
    pub(super) fn resume_upload(&mut self, turn: &mut Turn<'_>, session: SessionKey, id: MessageId) {
        if let Some(upload) = self.uploads.get_mut(&id) {
            upload.session = Some(session);
            self.timers.stop(Timer::Upload(id));
            self.take_body(turn, session, id);
        }
    }

    fn take_body(&self, turn: &mut Turn<'_>, session: SessionKey, id: MessageId) {
        if let Some(upload) = self.uploads.get(&id) {
            let Envelope { lane, size, root, .. } = upload.envelope;
            turn.now(Output::TakeBody { session, id, lane, size, root });
        }
    }

    fn offer(&self, turn: &mut Turn<'_>, id: MessageId) {
        let Some(upload) = self.uploads.get(&id) else { return };
        if let Some(agent) = self.devices.active(&upload.recipient).and_then(|device| device.agent) {
            turn.say_now(agent, upload.envelope.lane, ToDevice::Offer { envelope: upload.signed.clone() });
        }
    }

    /// Offers a newly attached agent what is on its way to it.
    pub(super) fn offer_uploads(&self, turn: &mut Turn<'_>, recipient: &PublicKey) {
        for (&id, upload) in &self.uploads {
            if upload.recipient == *recipient && upload.session.is_some() {
                self.offer(turn, id);
            }
        }
    }

    pub(super) fn body_arrived(&mut self, turn: &mut Turn<'_>, id: MessageId) {
        let Some(upload) = self.take_upload(id) else { return };
        let permitted = self.still_permitted(&upload);
        if let Some(refusal) = permitted {
            turn.now(Output::DropSpool { id });
            return self.end_upload(turn, upload, refusal);
        }
        let Upload { signed, envelope, recipient, session } = upload;
        self.accept(turn, session, recipient, signed, &envelope, BodyPlace::File);
    }

    /// While the body arrived, the operator may have changed his mind.
    fn still_permitted(&self, upload: &Upload) -> Option<Refusal> {
        let Some(sender) = self.devices.active(&upload.envelope.sender) else {
            return Some(Refusal::new(Code::Revoked, "this device was revoked"));
        };
        let Some(recipient) = self.devices.active(&upload.recipient) else {
            return Some(Refusal::new(Code::Revoked, "the recipient was revoked"));
        };
        let verdict = self.config.policy.judge(&sender.record.name, &recipient.record.name, upload.envelope.lane);
        (!verdict.is_allowed()).then(|| Refusal::new(Code::NotPermitted, verdict.text()))
    }

    pub(super) fn body_failed(&mut self, turn: &mut Turn<'_>, id: MessageId, code: Code) {
        if let Some(upload) = self.take_upload(id) {
            self.end_upload(turn, upload, Refusal::new(code, code.cause()));
        }
    }

    /// The sender cannot send it after all.
    pub(super) fn body_lost(&mut self, turn: &mut Turn<'_>, sender: &PublicKey, id: MessageId) {
        if self.uploads.get(&id).is_none_or(|upload| upload.envelope.sender != *sender) {
            return;
        }
        if let Some(upload) = self.take_upload(id) {
            turn.now(Output::DropSpool { id });
            self.end_upload(turn, upload, Refusal::new(Code::Integrity, "the sender no longer has this body"));
        }
    }

    pub(super) fn uploads_lost_session(&mut self, turn: &Turn<'_>, session: SessionKey) {
        for (&id, upload) in &mut self.uploads {
            if upload.session == Some(session) {
                upload.session = None;
                self.timers.set(Timer::Upload(id), turn.now.boot_ms() + UPLOAD_KEEP_MS);
            }
        }
    }

    pub(super) fn upload_due(&mut self, turn: &mut Turn<'_>, id: MessageId) {
        self.drop_upload(turn, id, Refusal::new(Code::Integrity, "the body stopped arriving"));
    }

    pub(super) fn drop_upload(&mut self, turn: &mut Turn<'_>, id: MessageId, refusal: Refusal) {
        if let Some(upload) = self.take_upload(id) {
            turn.now(Output::DropSpool { id });
            self.end_upload(turn, upload, refusal);
        }
    }

    /// The upload is out of the table; its place in the quotas is still taken.
    fn take_upload(&mut self, id: MessageId) -> Option<Upload> {
        self.timers.stop(Timer::Upload(id));
        self.uploads.remove(&id)
    }

    fn end_upload(&mut self, turn: &mut Turn<'_>, upload: Upload, refusal: Refusal) {
        self.usage.give_back(&upload.recipient, upload.envelope.size);
        if let Some(agent) = self.devices.active(&upload.recipient).and_then(|device| device.agent) {
            turn.say_now(agent, upload.envelope.lane, ToDevice::Recall { id: upload.envelope.id });
        }
        if let Some(session) = upload.session {
            refuse(turn, session, &upload.envelope, refusal);
        }
    }
}
