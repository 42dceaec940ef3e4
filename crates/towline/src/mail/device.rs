//! A device's attached session.

use super::body::{Body, SendBodyError};
use super::error::{AskError, AttachError, SubmitError};
use super::events::{Event, Events, IncomingBody};
use super::pending::{Pending, Route};
use crate::session::{Ended, SendError, Session, Stream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use towline_proto::ids::{DeviceName, Lane, MessageId};
use towline_proto::mail::code::Code;
use towline_proto::mail::envelope::{Envelope, SignedEnvelope};
use towline_proto::mail::message::{
    Answer, INLINE_MAX_BYTES, MessageStatus, Presence, Question, Role, ToDevice, ToHub,
};

/// Events that may wait to be taken: as many messages as a hub delivers ahead on one lane, and their words.
const EVENTS: usize = 256;

/// Gives the ticket's secret to the hub; returns the name that this device has from now on. The session is not
/// attached by this.
///
/// # Errors
/// If the ticket is not good, or the session ends.
pub async fn join(session: &Session, token: [u8; 16], software: &str) -> Result<DeviceName, AttachError> {
    say(session, Lane::NORMAL, &ToHub::Join { token, software: software.into() }).await?;
    match first_answer(session).await? {
        ToDevice::Joined { name } => Ok(name),
        _ => Err(AttachError::Protocol),
    }
}

/// An attached session: a cheap handle, clones mean the same. When the last one is dropped nothing more is read.
#[derive(Clone)]
pub struct Device {
    shared: Arc<Shared>,
}

struct Shared {
    session: Session,
    welcome: Welcome,
    pending: Arc<Mutex<Pending>>,
    events: Mutex<Option<Events>>,
    events_wanted: Arc<AtomicBool>,
    readers: [JoinHandle<()>; 2],
}

/// What the hub said on attaching.
#[derive(Clone, Debug)]
struct Welcome {
    name: DeviceName,
    max_body: u64,
    max_timeout_ms: u64,
    open_policy: bool,
}

/// The hub's answer to a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// A kept message is on the hub's disk and will end in exactly one outcome.
    Accepted(Accepted),
    /// A live message was handed over (`Ok`), given to nobody (`NotHere`), or nobody knows (`LiveUnclear`).
    Live(Code),
}

/// What the hub says with its acceptance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Which message.
    pub id: MessageId,
    /// What is left until its deadline, in milliseconds.
    pub deadline_left_ms: u64,
    /// Whether the recipient is connected.
    pub recipient: Presence,
}

impl Device {
    /// Attaches a session. It must be the first use that is made of the session.
    ///
    /// # Errors
    /// If the hub does not have this device, or the session ends.
    pub async fn attach(session: &Session, role: Role, software: &str) -> Result<Self, AttachError> {
        say(session, Lane::NORMAL, &ToHub::Attach { role, software: software.into() }).await?;
        let ToDevice::Welcome { name, max_body, max_timeout_ms, open_policy, .. } = first_answer(session).await? else {
            return Err(AttachError::Protocol);
        };
        let pending = Arc::new(Mutex::new(Pending::default()));
        let (to_events, events) = mpsc::channel(EVENTS);
        let (to_ended, ended) = watch::channel(None);
        let events_wanted = Arc::new(AtomicBool::new(false));
        let reader = Reader { pending: pending.clone(), events: to_events.clone(), wanted: events_wanted.clone() };
        let words = tokio::spawn(reader.run(session.clone(), to_ended));
        let streams = tokio::spawn(take_streams(session.clone(), to_events));
        let welcome = Welcome { name, max_body, max_timeout_ms, open_policy };
        let shared = Shared {
            session: session.clone(),
            welcome,
            pending,
            events: Mutex::new(Some(Events { events, ended })),
            events_wanted,
            readers: [words, streams],
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// This device's name, as the hub has it.
    pub fn name(&self) -> &DeviceName {
        &self.shared.welcome.name
    }

    /// The largest body that the hub takes, in bytes.
    pub fn max_body(&self) -> u64 {
        self.shared.welcome.max_body
    }

    /// The longest timeout that a rule may have, in milliseconds.
    pub fn max_timeout_ms(&self) -> u64 {
        self.shared.welcome.max_timeout_ms
    }

    /// Whether the hub lets every joined device send to every other.
    pub fn open_policy(&self) -> bool {
        self.shared.welcome.open_policy
    }

    /// The session beneath.
    pub fn session(&self) -> &Session {
        &self.shared.session
    }

    /// The stream of events: there is one, for whoever asks first. Until then the first few hundred are kept for it.
    pub fn events(&self) -> Option<Events> {
        self.shared.events_wanted.store(true, Ordering::Relaxed);
        self.shared.events.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Says a word to the hub; returns when it is taken into credit.
    ///
    /// # Errors
    /// When the session is over.
    pub async fn say(&self, lane: Lane, word: &ToHub) -> Result<(), SendError> {
        say(&self.shared.session, lane, word).await
    }

    /// Has the hub accept a message. Submitting the same envelope again is harmless: the hub answers again.
    ///
    /// # Errors
    /// If the hub refuses, the body cannot be read, or the session ends before the answer.
    pub async fn submit(&self, envelope: &SignedEnvelope, body: &Body) -> Result<Submitted, SubmitError> {
        let open = envelope.decode().map_err(|error| SubmitError::NotAccepted {
            code: Code::BadEnvelope,
            text: error.to_string(),
            retry_after_ms: 0,
        })?;
        let words = self.pending(|pending| pending.submit(open.id));
        let inline = match open.size <= INLINE_MAX_BYTES as u64 {
            true => Some(body.read_whole(open.size).await.map_err(SubmitError::Body)?),
            false => None,
        };
        self.say(open.lane, &ToHub::Submit { envelope: envelope.clone(), body: inline }).await?;
        self.see_through(&open, body, words).await
    }

    /// Sends the body whenever the hub asks for it, until the hub has decided.
    async fn see_through(
        &self,
        envelope: &Envelope,
        body: &Body,
        mut words: mpsc::Receiver<ToDevice>,
    ) -> Result<Submitted, SubmitError> {
        let id = envelope.id;
        let mut unreadable = None;
        let mut from = None;
        loop {
            let sending = async {
                match from {
                    Some(offset) => body.send(&self.shared.session, id, offset, envelope.size).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                word = words.recv() => match word {
                    Some(ToDevice::SendBody { offset, .. }) => from = Some(offset),
                    Some(word) => return decided(word, unreadable),
                    None => return Err(self.shared.session.closed().await.into()),
                },
                sent = sending => {
                    from = None;
                    if let Err(SendBodyError::Unreadable(error)) = sent {
                        self.say(envelope.lane, &ToHub::BodyLost { id }).await?;
                        unreadable = Some(error);
                    }
                }
            }
        }
    }

    /// What became of a message; with `watch`, every change until its outcome comes as an event.
    ///
    /// # Errors
    /// If the hub does not know or tell, or the session ends.
    pub async fn status(&self, id: MessageId, watch: bool) -> Result<MessageStatus, AskError> {
        match self.ask(Question::Status { id, watch }).await?.1 {
            Answer::Status(status) => Ok(*status),
            _ => Err(AskError::Protocol),
        }
    }

    /// Who is there: one device, or every one that this one may see. With `watch`, changes come as events that bear
    /// the number returned.
    ///
    /// # Errors
    /// If there is no such device, or the session ends.
    pub async fn who(&self, device: Option<DeviceName>, watch: bool) -> Result<(u64, Vec<Presence>), AskError> {
        match self.ask(Question::Who { device, watch }).await? {
            (ask, Answer::Who(devices)) => Ok((ask, devices)),
            _ => Err(AskError::Protocol),
        }
    }

    /// Has a device's agent answer the hub: microseconds there and back, and how it is connected.
    ///
    /// # Errors
    /// If it does not answer, or the session ends.
    pub async fn ping(&self, device: DeviceName) -> Result<(u64, String), AskError> {
        match self.ask(Question::Ping { device }).await?.1 {
            Answer::Pinged { micros, path } => Ok((micros, path)),
            _ => Err(AskError::Protocol),
        }
    }

    /// The devices of a group that this one may send to.
    ///
    /// # Errors
    /// If there is no such group, or the session ends.
    pub async fn group(&self, name: &str) -> Result<Vec<DeviceName>, AskError> {
        match self.ask(Question::Group { name: name.into() }).await?.1 {
            Answer::Group(devices) => Ok(devices),
            _ => Err(AskError::Protocol),
        }
    }

    async fn ask(&self, question: Question) -> Result<(u64, Answer), AskError> {
        let (ask, answer) = self.pending(Pending::ask);
        self.say(Lane::NORMAL, &ToHub::Ask { ask, question }).await?;
        match answer.await {
            Ok(Answer::No { code, text }) => Err(AskError::No { code, text }),
            Ok(answer) => Ok((ask, answer)),
            Err(_) => Err(self.shared.session.closed().await.into()),
        }
    }

    fn pending<T>(&self, with: impl FnOnce(&mut Pending) -> T) -> T {
        lock(&self.shared.pending, with)
    }
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Device").field("name", self.name()).finish_non_exhaustive()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.readers.iter().for_each(JoinHandle::abort);
    }
}

fn lock<T>(pending: &Mutex<Pending>, with: impl FnOnce(&mut Pending) -> T) -> T {
    // Nothing is done under the lock that could leave the table half changed.
    with(&mut pending.lock().unwrap_or_else(PoisonError::into_inner))
}

async fn say(session: &Session, lane: Lane, word: &ToHub) -> Result<(), SendError> {
    session.send(lane, word.to_bytes()).await
}

async fn first_answer(session: &Session) -> Result<ToDevice, AttachError> {
    let (_, bytes) = session.recv_any().await?;
    match ToDevice::from_bytes(&bytes).map_err(|_| AttachError::Protocol)? {
        ToDevice::Denied { code, text } => Err(AttachError::Denied { code, text }),
        answer => Ok(answer),
    }
}

fn decided(word: ToDevice, unreadable: Option<std::io::Error>) -> Result<Submitted, SubmitError> {
    match (word, unreadable) {
        (ToDevice::Accepted { id, deadline_left_ms, recipient }, _) => {
            Ok(Submitted::Accepted(Accepted { id, deadline_left_ms, recipient }))
        }
        (ToDevice::LiveResult { code, .. }, _) => Ok(Submitted::Live(code)),
        (_, Some(error)) => Err(SubmitError::Body(error)),
        (ToDevice::NotAccepted { code, text, retry_after_ms, .. }, None) => {
            Err(SubmitError::NotAccepted { code, text, retry_after_ms })
        }
        // The table gives a submission no other words.
        _ => Err(SubmitError::NotAccepted { code: Code::BadEnvelope, text: "no answer".into(), retry_after_ms: 0 }),
    }
}

/// Reads the hub's words and hands each to whom it is for.
struct Reader {
    pending: Arc<Mutex<Pending>>,
    events: mpsc::Sender<Event>,
    wanted: Arc<AtomicBool>,
}

impl Reader {
    /// Reads until the session is over. Words of a newer hub that this library does not know are skipped.
    async fn run(self, session: Session, ended: watch::Sender<Option<Ended>>) {
        let end = loop {
            let bytes = match session.recv_any().await {
                Ok((_, bytes)) => bytes,
                Err(end) => break end,
            };
            if let Ok(word) = ToDevice::from_bytes(&bytes) {
                self.hand_on(word).await;
            }
        };
        lock(&self.pending, Pending::close);
        ended.send_replace(Some(end));
    }

    async fn hand_on(&self, word: ToDevice) {
        match lock(&self.pending, |pending| pending.route(word)) {
            Route::Done => {}
            // Who stopped waiting misses nothing.
            Route::Submission(waiting, word) => drop(waiting.send(word).await),
            Route::Event(word) => {
                let event = Event::Said(Box::new(word));
                // A full channel that nobody empties must not keep answers from those who wait for them.
                match self.wanted.load(Ordering::Relaxed) {
                    true => drop(self.events.send(event).await),
                    false => drop(self.events.try_send(event)),
                }
            }
        }
    }
}

/// Takes the streams that the hub opens: a body on the lane for bulk, else live words one after another.
async fn take_streams(session: Session, events: mpsc::Sender<Event>) {
    while let Ok((lane, stream)) = session.accept().await {
        let events = events.clone();
        // A stream that is slow in coming must not hold up the next one.
        tokio::spawn(async move {
            match lane {
                Lane::BULK => take_body(stream, &events).await,
                _ => take_words(stream, &events).await,
            }
        });
    }
}

async fn take_body(stream: Stream, events: &mpsc::Sender<Event>) {
    if let Some(body) = IncomingBody::begin(stream).await {
        let _ = events.send(Event::Body(body)).await;
    }
}

/// Live messages have a stream of their own, which the hub resets when they must not arrive any more.
async fn take_words(stream: Stream, events: &mpsc::Sender<Event>) {
    let (_whole, mut words) = stream.split();
    while let Ok(Some(bytes)) = words.recv().await {
        // A word of a newer hub that this library does not know is skipped.
        let Ok(word) = ToDevice::from_bytes(&bytes) else { continue };
        if events.send(Event::Said(Box::new(word))).await.is_err() {
            return;
        }
    }
}
