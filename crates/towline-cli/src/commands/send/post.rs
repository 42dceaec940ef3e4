//! Messages on their way: submitted in order, watched until their outcome, taken up again after a lost session.

use crate::attached::{self, Attached};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::output::progress::Progress;
use crate::word;
use std::time::Duration;
use tokio::time::Instant;
use towline::mail::{Accepted, AskError, Body, Event, Events, SubmitError, Submitted};
use towline_proto::ids::{DeviceName, MessageId};
use towline_proto::mail::code::Code;
use towline_proto::mail::envelope::SignedEnvelope;
use towline_proto::mail::message::ToDevice;
use towline_proto::mail::outcome::State;
use towline_proto::mail::receipt::Receipt;

/// How long a lost session is tried again while messages wait for their acceptance.
const RECONNECT: Duration = Duration::from_secs(60);
/// The pause between two tries; the hub is one machine, and this is one command.
const PAUSE: Duration = Duration::from_millis(250);

/// One message.
pub(super) struct Letter {
    pub(super) id: MessageId,
    pub(super) to: DeviceName,
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) envelope: SignedEnvelope,
    pub(super) body: Body,
    pub(super) fate: Fate,
    progress: Option<Progress>,
}

/// What is known of it.
#[derive(Clone, Debug)]
pub(super) enum Fate {
    /// Nothing yet.
    Open,
    /// The hub has it; what the hub said then, and where it stands now.
    Accepted(Accepted, State),
    /// It is over.
    Decided(Box<Receipt>),
    /// A live message's end.
    Live(Code),
    /// The hub would not take it, or it could not be sent.
    Not(Failure),
}

impl Letter {
    /// A message that nobody has seen yet.
    pub(super) fn new(
        id: MessageId,
        to: DeviceName,
        (name, size): (String, u64),
        envelope: SignedEnvelope,
        body: Body,
    ) -> Self {
        Self { id, to, name, size, envelope, body, fate: Fate::Open, progress: None }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.fate, Fate::Open)
    }

    fn is_undecided(&self) -> bool {
        matches!(self.fate, Fate::Open | Fate::Accepted(..))
    }
}

/// All of a command's messages and the session they go over.
pub(super) struct Post<'a, 'l> {
    hub: &'a mut Attached<'l>,
    out: Output,
    pub(super) letters: Vec<Letter>,
}

/// The session is over; everything undecided must be taken up again.
struct SessionLost;

impl<'a, 'l> Post<'a, 'l> {
    pub(super) fn new(hub: &'a mut Attached<'l>, out: Output, letters: Vec<Letter>) -> Self {
        Self { hub, out, letters }
    }

    /// Submits all of them, and waits for their outcomes until `until` if there is such a time.
    pub(super) async fn deliver(&mut self, wait: Option<Option<Duration>>) -> Result<(), Failure> {
        let until = wait.flatten().map(|wait| Instant::now() + wait);
        loop {
            let round = self.round(wait.is_some());
            let done = match until {
                Some(until) => tokio::time::timeout_at(until, round).await.unwrap_or(Ok(())),
                None => round.await,
            };
            match done {
                Ok(()) => return Ok(()),
                Err(SessionLost) => self.reconnect(until).await?,
            }
        }
    }

    /// One session's worth.
    async fn round(&mut self, wait: bool) -> Result<(), SessionLost> {
        for number in 0..self.letters.len() {
            match self.letters[number].fate {
                Fate::Open => self.submit(number).await?,
                Fate::Accepted(..) => self.ask(number).await?,
                _ => {}
            }
        }
        while wait && self.letters.iter().any(Letter::is_undecided) {
            let event = next(&mut self.hub.events).await?;
            hear(&mut self.letters, event);
        }
        self.letters.iter_mut().filter_map(|letter| letter.progress.take()).for_each(Progress::done);
        Ok(())
    }

    /// Submits one message; what the hub says meanwhile about this and others is heard.
    async fn submit(&mut self, number: usize) -> Result<(), SessionLost> {
        let letter = &mut self.letters[number];
        if letter.size > towline_proto::mail::message::INLINE_MAX_BYTES as u64 && letter.progress.is_none() {
            letter.progress = Some(Progress::new(&self.out, crate::output::visible(&letter.name), letter.size));
        }
        let (device, envelope, body) = (self.hub.device.clone(), letter.envelope.clone(), letter.body.clone());
        let submitting = async move { device.submit(&envelope, &body).await };
        tokio::pin!(submitting);
        loop {
            tokio::select! {
                answer = &mut submitting => return self.answered(number, answer),
                event = next(&mut self.hub.events) => hear(&mut self.letters, event?),
            }
            if !self.letters[number].is_open() {
                return Ok(());
            }
        }
    }

    fn answered(&mut self, number: usize, answer: Result<Submitted, SubmitError>) -> Result<(), SessionLost> {
        let letter = &mut self.letters[number];
        // An outcome may have been heard before the acceptance was.
        if !letter.is_open() {
            return Ok(());
        }
        letter.fate = match answer {
            Ok(Submitted::Accepted(accepted)) => Fate::Accepted(accepted, State::Accepted),
            Ok(Submitted::Live(code)) => Fate::Live(code),
            Err(SubmitError::NotAccepted { code, text, retry_after_ms }) => {
                Fate::Not(refused(code, &text, retry_after_ms))
            }
            Err(SubmitError::Body(error)) => {
                Fate::Not(Failure::new(Exit::Integrity, format!("{}: {error}", letter.name)))
            }
            Err(SubmitError::Lost(_)) => return Err(SessionLost),
        };
        Ok(())
    }

    /// After a lost session: where does an accepted message stand, and watch it again.
    async fn ask(&mut self, number: usize) -> Result<(), SessionLost> {
        let (device, id) = (self.hub.device.clone(), self.letters[number].id);
        let asking = async move { device.status(id, true).await };
        tokio::pin!(asking);
        let answer = loop {
            tokio::select! {
                answer = &mut asking => break answer,
                event = next(&mut self.hub.events) => hear(&mut self.letters, event?),
            }
        };
        let letter = &mut self.letters[number];
        match answer {
            Ok(status) => {
                let receipt = status.receipt.as_ref().and_then(|receipt| receipt.decode().ok());
                match (receipt, &mut letter.fate) {
                    (Some(receipt), fate) => *fate = Fate::Decided(Box::new(receipt)),
                    (None, Fate::Accepted(_, state)) => *state = status.state,
                    _ => {}
                }
            }
            Err(AskError::Send(_)) => return Err(SessionLost),
            Err(error) => letter.fate = Fate::Not(attached::unanswered(error)),
        }
        Ok(())
    }

    /// A new session in the place of the lost one; the old one's last words have been heard.
    async fn reconnect(&mut self, until: Option<Instant>) -> Result<(), Failure> {
        let until = until.unwrap_or_else(|| Instant::now() + RECONNECT).min(Instant::now() + RECONNECT);
        self.out.note("the session with the hub was lost; connecting again");
        loop {
            match self.hub.again().await {
                Ok(()) => return Ok(()),
                Err(failure) if Instant::now() >= until || failure.exit != Exit::Unreachable => return Err(failure),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}

async fn next(events: &mut Events) -> Result<Event, SessionLost> {
    events.next().await.map_err(|_| SessionLost)
}

/// Notes what an event says about one of the messages.
fn hear(letters: &mut [Letter], event: Event) {
    let Event::Said(said) = event else { return };
    match *said {
        ToDevice::Outcome { receipt, .. } => {
            let Ok(receipt) = receipt.decode() else { return };
            if let Some(letter) = find(letters, receipt.id).filter(|_| !receipt.late) {
                letter.fate = Fate::Decided(Box::new(receipt));
            }
        }
        ToDevice::Update { id, state } => {
            if let Some(Letter { fate: Fate::Accepted(_, known), .. }) = find(letters, id) {
                *known = state;
            }
        }
        ToDevice::Progress { id, written } => {
            if let Some(Letter { progress: Some(progress), .. }) = find(letters, id) {
                progress.written(written);
            }
        }
        _ => {}
    }
}

fn find(letters: &mut [Letter], id: MessageId) -> Option<&mut Letter> {
    letters.iter_mut().find(|letter| letter.id == id)
}

fn refused(code: Code, text: &str, retry_after_ms: u64) -> Failure {
    let failure = Failure::coded(code, text);
    if retry_after_ms == 0 {
        return failure;
    }
    let when = crate::output::when::about(retry_after_ms);
    let cure = format!("try again in {when}; {}", code.cure());
    failure.cure(cure)
}

impl Fate {
    /// How the program would end if this were its only message.
    pub(super) fn exit(&self, waited: bool) -> Exit {
        match self {
            Self::Open => Exit::Unreachable,
            Self::Accepted(..) if waited => Exit::Offline,
            Self::Accepted(..) => Exit::Done,
            Self::Decided(receipt) => receipt.outcome.into(),
            Self::Live(code) => Exit::from_number(code.exit_code()).unwrap_or(Exit::Error),
            Self::Not(failure) => failure.exit,
        }
    }

    /// What to do, where there is something.
    pub(super) fn cure(&self) -> Option<&str> {
        match self {
            Self::Not(failure) => failure.cure.as_deref(),
            _ => None,
        }
    }

    /// What happened, in words.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Open => "not sent".into(),
            Self::Accepted(accepted, state) => word::undecided(*state, accepted.deadline_left_ms, &accepted.recipient),
            Self::Decided(receipt) => word::summary(receipt),
            Self::Live(Code::Ok) => "handed over".into(),
            Self::Live(code) => format!("{code}: {}", code.cause()),
            Self::Not(failure) => format!("not accepted: {}", failure.what),
        }
    }
}
