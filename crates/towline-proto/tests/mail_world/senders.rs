//! Programs that send: each device's agent, and `send` programs beside it that come and go. They say again what they
//! got no answer to, and ask what became of what was accepted.

use super::history::{Fact, Way};
use super::store::fingerprint;
use super::{HUB, Happening, World};
use towline_proto::ids::{Lane, MessageId};
use towline_proto::mail::agent::io::Input as AgentIn;
use towline_proto::mail::code::Code;
use towline_proto::mail::envelope::{Envelope, SignedEnvelope};
use towline_proto::mail::hub::io::SessionKey;
use towline_proto::mail::keys::Crypto;
use towline_proto::mail::message::{Answer, Question, Role, ToDevice, ToHub};
use towline_proto::mail::outcome::State;
use towline_proto::mail::receipt::{SignedReceipt, Signer};

/// One message, as its sender keeps it.
pub(crate) struct Mail {
    pub program: usize,
    pub from: usize,
    pub to: usize,
    pub lane: Lane,
    pub kept: bool,
    pub name: &'static str,
    pub way: Way,
    pub body_len: usize,
    /// Whether its body goes inside its first word.
    pub whole: bool,
    pub deadline_ms: u64,
    pub(super) progress: Progress,
}

/// How far a sender got with a message.
#[derive(Default)]
pub(crate) struct Progress {
    sealed: Option<(MessageId, SignedEnvelope, Vec<u8>)>,
    told_accepted: bool,
    /// Nothing more is to be done for it.
    over: bool,
    /// The life of the hub that was given it live: the next one does not know it.
    live_life: Option<u64>,
    tries: u8,
    /// The session on which a live message waits for its result: of two tries at once no answer says which it is for.
    awaits: Option<SessionKey>,
}

/// A program with a session of its own.
pub(crate) struct Program {
    pub(super) device: usize,
    pub(super) role: Role,
    pub(super) session: Option<SessionKey>,
    attached: bool,
    /// It has left, and may come again.
    away: bool,
    /// The hub does not let it in.
    barred: bool,
}

impl Program {
    pub(super) fn new(device: usize, role: Role) -> Self {
        Self { device, role, session: None, attached: false, away: role == Role::Client, barred: false }
    }

    /// Its device, if it wants a session and has none.
    pub(super) fn may_connect(&self) -> Option<usize> {
        (self.session.is_none() && !self.away && !self.barred).then_some(self.device)
    }

    pub(super) fn lost_session(&mut self) {
        (self.session, self.attached) = (None, false);
    }

    fn ready(&self) -> Option<SessionKey> {
        self.session.filter(|_| self.attached)
    }
}

impl World {
    /// Makes the message, and says it if there is a session.
    pub(super) fn send(&mut self, number: usize) {
        self.compose(number);
        if !self.mails[number].progress.told_accepted && !self.mails[number].progress.over {
            self.submit(number);
        }
    }

    /// The very same envelope once more, whatever became of it.
    pub(super) fn send_again(&mut self, number: usize) {
        if self.mails[number].progress.sealed.is_some() {
            self.submit(number);
        }
    }

    fn compose(&mut self, number: usize) {
        let mail = &self.mails[number];
        if mail.progress.sealed.is_some() {
            return;
        }
        let device = &self.devices[mail.from];
        let mut id = [0; 16];
        id[8..].copy_from_slice(&(number as u64 + 1).to_be_bytes());
        let id = MessageId(id);
        let body = vec![number as u8; mail.body_len];
        let envelope = Envelope {
            id,
            from: device.name.clone(),
            sender: device.crypto.0,
            to: self.hub.store.devices[&super::device_side::key(mail.to)].name.clone(),
            deadline_ms: mail.deadline_ms,
            lane: mail.lane,
            kept: mail.kept,
            name: mail.name.into(),
            content_type: String::new(),
            size: body.len() as u64,
            root: HUB.digest(&body),
            time_ms: device.clock.wall_ms(self.now_ms),
            seal: 0,
        };
        let sealed = envelope.seal(&device.crypto);
        let fact = Fact::Composed { from: mail.from, to: mail.to, lane: mail.lane, kept: mail.kept, way: mail.way };
        self.mails[number].progress.sealed = Some((id, sealed, body));
        self.by_id.insert(id, number);
        self.note(id, fact);
    }

    fn submit(&mut self, number: usize) {
        let life = self.hub.life;
        let mail = &mut self.mails[number];
        let Some(session) = self.programs[mail.program].ready() else { return };
        if !mail.kept && *mail.progress.live_life.get_or_insert(life) != life {
            // No hub remembers over a restart, and a sender that wants no second hand-over does not say it again.
            mail.progress.over = true;
            return;
        }
        if !mail.kept && mail.progress.awaits.replace(session) == Some(session) {
            return;
        }
        let Some((id, envelope, body)) = mail.progress.sealed.clone() else { return };
        let whole = mail.whole || body.is_empty() || !mail.kept;
        let lane = mail.lane;
        self.note(id, Fact::Submitted { session: session.0, whole });
        self.send_up(session, lane, ToHub::Submit { envelope, body: whole.then_some(body) });
    }

    /// Its sender, or the operator, takes a message back.
    pub(super) fn withdraw(&mut self, number: usize) {
        let mail = &self.mails[number];
        let Some((id, ..)) = mail.progress.sealed.as_ref().filter(|_| mail.kept) else { return };
        let (id, session) = (*id, self.programs[mail.program].ready());
        match session {
            Some(session) if self.pick(2) == 0 => {
                self.send_up(session, Lane::NORMAL, ToHub::Ask { ask: 2, question: Question::Withdraw { id } });
            }
            _ => self.take_back(id),
        }
    }

    /// The program ends its session and is gone.
    pub(super) fn leave(&mut self, program: usize) {
        self.programs[program].away = true;
        if let Some(session) = self.programs[program].session {
            self.at(self.now_ms + 100, Happening::HubHearsEnd(session));
            self.device_hears_end(session);
        }
    }

    pub(super) fn come_again(&mut self, program: usize) {
        self.programs[program].away = false;
        self.connect(program);
    }

    pub(super) fn heard(&mut self, program: usize, session: SessionKey, message: ToDevice) {
        match &message {
            ToDevice::Welcome { name, max_timeout_ms, .. } => {
                let device = self.programs[program].device;
                self.devices[device].name = name.clone();
                // A second one only tells a new name.
                if !std::mem::replace(&mut self.programs[program].attached, true) {
                    if self.programs[program].role == Role::Agent {
                        self.agent(device, AgentIn::Attached { max_timeout_ms: *max_timeout_ms });
                    }
                    self.say_everything(program, session);
                }
            }
            ToDevice::Denied { code: Code::Revoked | Code::UnknownKey, .. } => self.programs[program].barred = true,
            ToDevice::Accepted { id, .. } => {
                let progress = &mut self.mail(*id).progress;
                // Refused the first time, it may be accepted when it is said again.
                (progress.told_accepted, progress.over) = (true, false);
                self.note(*id, Fact::ToldAccepted);
            }
            ToDevice::NotAccepted { id, retry_after_ms, .. } => {
                let number = self.by_id[id];
                self.mails[number].progress.awaits = None;
                match retry_after_ms {
                    0 => self.mails[number].progress.over = true,
                    &retry_ms => self.at(self.now_ms + retry_ms, Happening::Send(number)),
                }
            }
            ToDevice::LiveResult { id, code } => self.heard_live(*id, *code),
            ToDevice::Update { id, state } => self.note(*id, Fact::Told(*state)),
            ToDevice::Outcome { receipt, output } => self.heard_receipt(receipt, Some(output)),
            ToDevice::Answer { answer: Answer::Status(status), .. } => {
                if let Some(receipt) = &status.receipt {
                    self.heard_receipt(receipt, Some(&status.output));
                } else if !matches!(status.state, State::Accepted) {
                    let id = status.envelope.decode().unwrap().id;
                    self.note(id, Fact::Told(status.state));
                }
                if let Some(late) = &status.late {
                    self.heard_receipt(late, None);
                }
            }
            _ => {}
        }
        if self.programs[program].role == Role::Agent {
            self.agent(self.programs[program].device, AgentIn::Said(message));
        }
    }

    fn mail(&mut self, id: MessageId) -> &mut Mail {
        let number = self.by_id[&id];
        &mut self.mails[number]
    }

    /// On a new session: what has no answer is said again, and of what was accepted it is asked what became of it.
    fn say_everything(&mut self, program: usize, session: SessionKey) {
        for number in 0..self.mails.len() {
            let mail = &self.mails[number];
            let Some((id, ..)) =
                mail.progress.sealed.as_ref().filter(|_| mail.program == program && !mail.progress.over)
            else {
                continue;
            };
            if mail.progress.told_accepted {
                let question = Question::Status { id: *id, watch: true };
                self.send_up(session, Lane::NORMAL, ToHub::Ask { ask: 1, question });
            } else {
                self.submit(number);
            }
        }
    }

    fn heard_live(&mut self, id: MessageId, code: Code) {
        self.note(id, Fact::ToldLive(code));
        let tries_again = code == Code::NotHere && self.pick(3) == 0;
        let mail = self.mail(id);
        mail.progress.awaits = None;
        mail.progress.tries += 1;
        mail.progress.over = !tries_again || mail.progress.tries > 2;
        if !mail.progress.over {
            // It was given to nobody, so any hub may have it.
            mail.progress.live_life = None;
            let number = self.by_id[&id];
            self.after(5_000, Happening::Send(number));
        }
    }

    fn heard_receipt(&mut self, signed: &SignedReceipt, output: Option<&Vec<u8>>) {
        let receipt = signed.decode().expect("a receipt");
        let mail = self.mail(receipt.id);
        let (_, envelope, _) = mail.progress.sealed.as_ref().expect("it was sent");
        let signer = match receipt.signer {
            Signer::Hub => HUB.0,
            Signer::Recipient => super::device_side::key(mail.to),
        };
        let genuine = signed.open(&HUB).is_ok()
            && receipt.envelope == envelope.digest(&HUB)
            && receipt.key == signer
            && output.is_none_or(|output| HUB.digest(output) == receipt.output);
        mail.progress.over |= !receipt.late;
        let receipt_number = fingerprint(&signed.bytes);
        let (outcome, late) = (receipt.outcome, receipt.late);
        self.note(receipt.id, Fact::ToldOutcome { outcome, receipt: receipt_number, late, genuine });
    }
}
