//! Live messages: a stream of their own for each session, reset when they must not arrive any more.

use super::event::{Event, Events};
use bytes::Bytes;
use tokio::sync::mpsc;
use towline::{Lane, SendHalf, Session};
use towline_proto::ids::MessageId;
use towline_proto::mail::hub::io::Input;

/// The stream's reset code: the message is given up.
const GIVEN_UP: u32 = 1;
/// Live messages that go together under one confirmation.
const BATCH: usize = 64;

/// A live message on its way.
pub(crate) struct LiveItem {
    pub(crate) id: MessageId,
    pub(crate) bytes: Bytes,
}

/// The way of live messages to one session. The core bounds how many are unconfirmed, so the queues need no bound.
pub(crate) struct LiveLine {
    items: mpsc::UnboundedSender<LiveItem>,
    resets: mpsc::UnboundedSender<()>,
}

impl LiveLine {
    pub(crate) fn start(session: Session, events: Events) -> Self {
        let (items, item_queue) = mpsc::unbounded_channel();
        let (resets, reset_queue) = mpsc::unbounded_channel();
        tokio::spawn(Line { session, events, items: item_queue, resets: reset_queue, stream: None }.run());
        Self { items, resets }
    }

    pub(crate) fn say(&self, item: LiveItem) {
        // If the line has ended its session has too, and the core is told of that.
        let _ = self.items.send(item);
    }

    pub(crate) fn reset(&self) {
        let _ = self.resets.send(());
    }
}

struct Line {
    session: Session,
    events: Events,
    items: mpsc::UnboundedReceiver<LiveItem>,
    resets: mpsc::UnboundedReceiver<()>,
    stream: Option<SendHalf>,
}

impl Line {
    async fn run(mut self) {
        let mut batch = Vec::new();
        loop {
            batch.clear();
            let arrived = tokio::select! {
                biased;
                Some(()) = self.resets.recv() => {
                    self.give_up(&[]).await;
                    continue;
                }
                count = self.items.recv_many(&mut batch, BATCH) => count,
            };
            if arrived == 0 {
                return;
            }
            let confirmed = tokio::select! {
                biased;
                Some(()) = self.resets.recv() => false,
                confirmed = say(&self.session, &mut self.stream, &batch) => confirmed,
            };
            if confirmed {
                for item in &batch {
                    self.tell(Input::LiveConfirmed { id: item.id }).await;
                }
            } else {
                self.give_up(&batch).await;
            }
        }
    }

    /// What was begun is not known to have arrived; what still waits was given to nobody.
    async fn give_up(&mut self, begun: &[LiveItem]) {
        if let Some(mut stream) = self.stream.take() {
            stream.reset(GIVEN_UP);
        }
        for item in begun {
            self.tell(Input::LiveLost { id: item.id, given: true }).await;
        }
        while let Ok(item) = self.items.try_recv() {
            self.tell(Input::LiveLost { id: item.id, given: false }).await;
        }
    }

    async fn tell(&self, input: Input) {
        let _ = self.events.send(Event::Input(input)).await;
    }
}

/// Sends all of `batch`; true once the peer has confirmed the last one, and with it all before.
async fn say(session: &Session, stream: &mut Option<SendHalf>, batch: &[LiveItem]) -> bool {
    if stream.is_none() {
        let Ok(opened) = session.open(Lane::NORMAL).await else { return false };
        *stream = Some(opened.split().0);
    }
    let Some(stream) = stream else { return false };
    let Some((last, earlier)) = batch.split_last() else { return true };
    for item in earlier {
        if stream.send(item.bytes.clone()).await.is_err() {
            return false;
        }
    }
    stream.send_confirmed(last.bytes.clone()).await.is_ok()
}
