//! What leaves for one session: a bounded queue and a task for each lane, so that a slow device delays only itself.

use super::event::Events;
use super::live::{LiveItem, LiveLine};
use bytes::Bytes;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use towline::{Close, CloseCode, Lane, Session};
use towline_proto::ids::MessageId;
use towline_proto::mail::message::ToDevice;

/// Messages that may wait for one lane of a session. The core bounds what it delivers unasked; a session that asks and
/// does not read is made to wait at half of this, so only one that is told more than it reads meets the bound.
const QUEUE: usize = 1_024;
/// From so many waiting messages on, nothing more is heard from the session.
const PAUSE_AT: usize = QUEUE / 2;
/// How long a session that is cut may still take what was said to it: revocation cuts within a second.
const LAST_WORDS: Duration = Duration::from_millis(500);
const _: () = assert!(LAST_WORDS.as_millis() < 1_000, "revocation cuts within a second");

/// How many messages wait for a session.
#[derive(Clone, Debug)]
pub(crate) struct Backlog(watch::Sender<usize>);

impl Backlog {
    /// Waits until the session has read enough to be heard again.
    pub(crate) async fn wait_for_room(&self) {
        let mut waiting = self.0.subscribe();
        // The sender lives in `self`, so this cannot fail.
        let _ = waiting.wait_for(|&count| count < PAUSE_AT).await;
    }
}

/// The way to one session.
pub(crate) struct Port {
    pub(crate) session: Session,
    lanes: [Option<mpsc::Sender<Said>>; Lane::COUNT],
    tasks: Vec<JoinHandle<()>>,
    backlog: Backlog,
    live: LiveLine,
}

struct Said {
    bytes: Bytes,
    /// Whether the session is cut right after it, so that it must have arrived.
    last: bool,
}

impl Port {
    pub(crate) fn new(session: Session, events: Events) -> Self {
        let live = LiveLine::start(session.clone(), events);
        let backlog = Backlog(watch::Sender::new(0));
        Self { session, lanes: Default::default(), tasks: Vec::new(), backlog, live }
    }

    pub(crate) fn backlog(&self) -> Backlog {
        self.backlog.clone()
    }

    /// Says `message` on `lane`; a session whose queue is full is closed, by name.
    pub(crate) fn say(&mut self, lane: Lane, message: &ToDevice) {
        let last = matches!(message, ToDevice::Denied { .. });
        let said = Said { bytes: message.to_bytes().into(), last };
        let Some(sender) = self.sender(lane) else { return };
        match sender.try_send(said) {
            Ok(()) => self.backlog.0.send_modify(|count| *count += 1),
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.session.close(Close::new(CloseCode::Memory).with_text("what is said to this device is not read"));
            }
            Err(mpsc::error::TrySendError::Closed(_)) => {}
        }
    }

    fn sender(&mut self, lane: Lane) -> Option<mpsc::Sender<Said>> {
        let slot = self.lanes.get_mut(usize::from(lane.0))?;
        if slot.is_none() {
            let (sender, queue) = mpsc::channel(QUEUE);
            self.tasks.push(tokio::spawn(speak(self.session.clone(), lane, queue, self.backlog.clone())));
            *slot = Some(sender);
        }
        slot.clone()
    }

    /// Says a live message on the stream of its own.
    pub(crate) fn say_live(&self, id: MessageId, message: &ToDevice) {
        self.live.say(LiveItem { id, bytes: message.to_bytes().into() });
    }

    /// Gives up every live message that is not confirmed.
    pub(crate) fn reset_live(&self) {
        self.live.reset();
    }

    /// Closes the session once what was said before has gone out, or the time for it has passed.
    pub(crate) fn cut(self, close: Close) {
        let Self { session, lanes, tasks, .. } = self;
        drop(lanes);
        tokio::spawn(async move {
            let all = async {
                for task in tasks {
                    let _ = task.await;
                }
            };
            let _ = tokio::time::timeout(LAST_WORDS, all).await;
            session.close(close);
        });
    }
}

async fn speak(session: Session, lane: Lane, mut queue: mpsc::Receiver<Said>, backlog: Backlog) {
    while let Some(Said { bytes, last }) = queue.recv().await {
        let sent = if last { session.send_confirmed(lane, bytes).await } else { session.send(lane, bytes).await };
        backlog.0.send_modify(|count| *count = count.saturating_sub(1));
        if sent.is_err() {
            return;
        }
    }
}
