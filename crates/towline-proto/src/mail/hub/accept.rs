//! From `Submit` to `Accepted`, or to a refusal that says why.

use super::HubCore;
use super::io::{Cut, Damaged, SessionKey, Write};
use super::kept::Kept;
use super::record::{BodyPlace, MessageRecord, Phase};
use super::status::DAMAGED;
use super::timers::Timer;
use super::turn::Turn;
use crate::ids::MessageId;
use crate::mail::clock::Deadline;
use crate::mail::code::Code;
use crate::mail::envelope::{Envelope, SignedEnvelope};
use crate::mail::keys::PublicKey;
use crate::mail::limits::{DRAIN_RETRY_MS, QUOTA_RETRY_MS};
use crate::mail::message::{INLINE_MAX_BYTES, ToDevice};

/// Why a message is not accepted.
pub(super) struct Refusal {
    pub(super) code: Code,
    pub(super) text: String,
    pub(super) retry_after_ms: u64,
}

impl Refusal {
    pub(super) fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), retry_after_ms: 0 }
    }

    pub(super) fn for_now(code: Code, text: impl Into<String>, retry_after_ms: u64) -> Self {
        Self { code, text: text.into(), retry_after_ms }
    }
}

impl HubCore {
    pub(super) fn submit(
        &mut self,
        turn: &mut Turn<'_>,
        session: SessionKey,
        signed: SignedEnvelope,
        body: Option<Vec<u8>>,
    ) {
        let Some(key) = self.sessions.get(session).map(|known| known.key) else { return };
        let envelope = match signed.open(&turn.crypto) {
            Ok(envelope) if envelope.sender == key => envelope,
            Ok(envelope) => {
                let refusal = Refusal::new(Code::BadEnvelope, "the envelope is signed by another key");
                return refuse(turn, session, &envelope, refusal);
            }
            Err(_) => match signed.decode() {
                Ok(envelope) => {
                    let refusal = Refusal::new(Code::BadEnvelope, "the envelope's signature is not its sender's");
                    return refuse(turn, session, &envelope, refusal);
                }
                Err(_) => return self.drop_session(turn, session, Cut::Protocol),
            },
        };
        if self.answer_again(turn, session, &signed, &envelope) {
            return;
        }
        let recipient = match self.judge(&key, &envelope).and_then(|recipient| {
            check_body(turn, &envelope, body.as_deref())?;
            Ok(recipient)
        }) {
            Ok(recipient) => recipient,
            Err(refusal) => return refuse(turn, session, &envelope, refusal),
        };
        match body {
            _ if !envelope.kept => {
                self.send_live(turn, session, recipient, signed, &envelope, body.unwrap_or_default())
            }
            None if envelope.size > 0 => self.begin_upload(turn, session, recipient, signed, envelope),
            body => {
                self.usage.take(recipient, envelope.size);
                let body = BodyPlace::Inline(body.unwrap_or_default());
                self.accept(turn, Some(session), recipient, signed, &envelope, body);
            }
        }
    }

    /// The same id again: the same envelope is answered as before, another one is refused.
    fn answer_again(
        &mut self,
        turn: &mut Turn<'_>,
        session: SessionKey,
        signed: &SignedEnvelope,
        envelope: &Envelope,
    ) -> bool {
        let id = envelope.id;
        if let Some(upload) = self.uploads.get(&id) {
            if upload.signed == *signed {
                self.resume_upload(turn, session, id);
            } else {
                refuse(turn, session, envelope, reused());
            }
            return true;
        }
        if let Some(known) = self.live.envelope_of(id) {
            if known == signed.digest(&turn.crypto) {
                self.answer_live_again(turn, session, envelope);
            } else {
                refuse(turn, session, envelope, reused());
            }
            return true;
        }
        let known = match self.find_or_damaged(turn, id) {
            Ok(Some(known)) => known,
            Ok(None) => return false,
            Err(Damaged) => {
                // Accepted anew it might be handled twice.
                refuse(turn, session, envelope, Refusal::new(Code::HubStorage, DAMAGED));
                return true;
            }
        };
        if known.envelope != *signed {
            refuse(turn, session, envelope, reused());
            return true;
        }
        self.say_accepted(turn, session, &known);
        match &known.phase {
            Phase::Accepted => {}
            Phase::Decided(decision) => {
                let (receipt, output) = (decision.word.receipt.clone(), decision.word.output.clone());
                turn.say_later(session, envelope.lane, ToDevice::Outcome { receipt, output });
            }
            phase => turn.say_later(session, envelope.lane, ToDevice::Update { id, state: phase.state() }),
        }
        self.watch(session, id);
        true
    }

    /// Whether this sender may send this, to whom, and whether there is room.
    fn judge(&self, key: &PublicKey, envelope: &Envelope) -> Result<PublicKey, Refusal> {
        if self.draining {
            return Err(Refusal::for_now(Code::Draining, "the hub is shutting down", DRAIN_RETRY_MS));
        }
        let sender = self.devices.active(key).ok_or_else(|| Refusal::new(Code::Revoked, "this device was revoked"))?;
        let name = &sender.record.name;
        if envelope.from != *name {
            let text = format!("this device is called {name}, not {}", envelope.from);
            return Err(Refusal::new(Code::BadEnvelope, text));
        }
        let sees = |known: &crate::ids::DeviceName| self.config.policy.may_see(name, known);
        let recipient = self
            .devices
            .named(&envelope.to)
            .ok_or_else(|| Refusal::new(Code::NoSuchDevice, self.devices.unknown_text(&envelope.to, sees)))?;
        let verdict = self.config.policy.judge(name, &envelope.to, envelope.lane);
        if !verdict.is_allowed() {
            return Err(Refusal::new(Code::NotPermitted, verdict.text()));
        }
        if envelope.size > self.config.max_body_bytes {
            let text = format!("the hub takes at most {} bytes", self.config.max_body_bytes);
            return Err(Refusal::new(Code::TooLarge, text));
        }
        if !envelope.kept && envelope.size > INLINE_MAX_BYTES as u64 {
            let text = format!("a live message has at most {INLINE_MAX_BYTES} bytes");
            return Err(Refusal::new(Code::TooLarge, text));
        }
        let recipient = recipient.record.key;
        match self.usage.refusal(&self.config, &recipient, envelope.size) {
            Some(text) if envelope.kept => Err(Refusal::for_now(Code::Quota, text, QUOTA_RETRY_MS)),
            _ => Ok(recipient),
        }
    }

    /// The message is the hub's from now on (its place in the quotas is taken already).
    pub(super) fn accept(
        &mut self,
        turn: &mut Turn<'_>,
        session: Option<SessionKey>,
        recipient: PublicKey,
        signed: SignedEnvelope,
        envelope: &Envelope,
        body: BodyPlace,
    ) {
        let wanted_ms = if envelope.deadline_ms == 0 { self.config.default_deadline_ms } else { envelope.deadline_ms };
        let length_ms = wanted_ms.min(self.config.max_deadline_ms);
        let record = MessageRecord {
            id: envelope.id,
            order: self.next_order,
            envelope: signed,
            recipient,
            deadline: Deadline::begin(turn.now, self.boot, length_ms),
            body,
            phase: Phase::Accepted,
            late: None,
        };
        self.next_order += 1;
        let kept = Kept::new(&record).expect("the envelope was decoded before");
        turn.write(Write::Accept(Box::new(record)));
        self.timers.set(Timer::Message(kept.id), turn.now.boot_ms() + length_ms);
        self.queues.entry(recipient).or_default().add(&kept);
        let id = kept.id;
        self.kept.insert(id, kept);
        if let Some(session) = session {
            self.watch(session, id);
            if let Some(kept) = self.kept.get(&id) {
                self.say_accepted(turn, session, kept);
            }
        }
        self.pump(turn, &recipient);
    }

    fn say_accepted(&self, turn: &mut Turn<'_>, session: SessionKey, kept: &Kept) {
        let Some(recipient) = self.devices.get(&kept.recipient) else { return };
        let accepted = ToDevice::Accepted {
            id: kept.id,
            deadline_left_ms: kept.deadline.left_ms(turn.now, self.boot),
            recipient: self.presence(turn, recipient),
        };
        turn.say_later(session, kept.lane, accepted);
    }

    /// Tells this session of every change of an undecided message from now on.
    pub(super) fn watch(&mut self, session: SessionKey, id: MessageId) {
        if let (Some(known), Some(kept)) = (self.sessions.get_mut(session), self.kept.get_mut(&id)) {
            known.watched.insert(id);
            kept.watchers.insert(session);
        }
    }
}

fn reused() -> Refusal {
    Refusal::new(Code::IdReused, "this id was used for another message")
}

/// An inline body must be what the envelope says.
fn check_body(turn: &Turn<'_>, envelope: &Envelope, body: Option<&[u8]>) -> Result<(), Refusal> {
    let body = match body {
        None if envelope.size > 0 && envelope.kept => return Ok(()),
        body => body.unwrap_or_default(),
    };
    if body.len() > INLINE_MAX_BYTES {
        return Err(Refusal::new(Code::TooLarge, format!("an inline body has at most {INLINE_MAX_BYTES} bytes")));
    }
    let genuine = body.len() as u64 == envelope.size && turn.crypto.digest(body) == envelope.root;
    genuine.then_some(()).ok_or_else(|| Refusal::new(Code::Integrity, "the body is not what the envelope says"))
}

pub(super) fn refuse(turn: &mut Turn<'_>, session: SessionKey, envelope: &Envelope, refusal: Refusal) {
    let Refusal { code, text, retry_after_ms } = refusal;
    // In order with the answers about the same id that wait for a commit.
    turn.say_later(session, envelope.lane, ToDevice::NotAccepted { id: envelope.id, code, text, retry_after_ms });
}
