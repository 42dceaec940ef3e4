//! Who waits for which word of the hub: a table without I/O.

use std::collections::HashMap;
use tokio::sync::{mpsc, oneshot};
use towline_proto::ids::MessageId;
use towline_proto::mail::message::{Answer, ToDevice};

/// Words that one submission may have waiting: the hub says few, and its task takes them at once.
pub(super) const WORDS: usize = 16;

/// The waiting ones. Once the session is over nobody waits any more: dropping the table tells them all.
#[derive(Debug, Default)]
pub(super) struct Pending {
    asks: HashMap<u64, oneshot::Sender<Answer>>,
    submissions: HashMap<MessageId, mpsc::Sender<ToDevice>>,
    next_ask: u64,
    closed: bool,
}

/// Whom a word is for.
#[derive(Debug)]
pub(super) enum Route {
    /// It was taken.
    Done,
    /// A submission waits for it.
    Submission(mpsc::Sender<ToDevice>, ToDevice),
    /// Nobody asked for it.
    Event(ToDevice),
}

impl Pending {
    /// A question's number and its answer to come. After the end the answer never comes.
    pub(super) fn ask(&mut self) -> (u64, oneshot::Receiver<Answer>) {
        let (sender, receiver) = oneshot::channel();
        self.next_ask += 1;
        if !self.closed {
            self.asks.retain(|_, waiting| !waiting.is_closed());
            self.asks.insert(self.next_ask, sender);
        }
        (self.next_ask, receiver)
    }

    /// The words about a submission. A second submission of the same message takes the first one's place.
    pub(super) fn submit(&mut self, id: MessageId) -> mpsc::Receiver<ToDevice> {
        let (sender, receiver) = mpsc::channel(WORDS);
        if !self.closed {
            self.submissions.retain(|_, waiting| !waiting.is_closed());
            self.submissions.insert(id, sender);
        }
        receiver
    }

    /// The session is over.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.asks.clear();
        self.submissions.clear();
    }

    /// Whom a word is for.
    pub(super) fn route(&mut self, word: ToDevice) -> Route {
        let id = match word {
            ToDevice::Answer { ask, answer } => {
                if let Some(waiting) = self.asks.remove(&ask) {
                    // Who stopped waiting misses nothing.
                    let _ = waiting.send(answer);
                }
                return Route::Done;
            }
            ToDevice::SendBody { id, .. }
            | ToDevice::Accepted { id, .. }
            | ToDevice::NotAccepted { id, .. }
            | ToDevice::LiveResult { id, .. } => id,
            other => return Route::Event(other),
        };
        match self.submissions.get(&id) {
            Some(waiting) => Route::Submission(waiting.clone(), word),
            None => Route::Event(word),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: MessageId = MessageId([1; 16]);

    #[test]
    fn an_answer_reaches_its_question_only() {
        let mut pending = Pending::default();
        let ((first, mut answer_1), (second, mut answer_2)) = (pending.ask(), pending.ask());
        assert_ne!(first, second);
        pending.route(ToDevice::Answer { ask: second, answer: Answer::Group(Vec::new()) });
        assert!(answer_1.try_recv().is_err());
        assert_eq!(answer_2.try_recv(), Ok(Answer::Group(Vec::new())));
    }

    #[test]
    fn words_about_a_submission_reach_it_and_others_are_events() {
        let mut pending = Pending::default();
        let words = pending.submit(ID);
        let word = || ToDevice::SendBody { id: ID, offset: 0 };
        assert!(matches!(pending.route(word()), Route::Submission(..)));
        drop(words);
        pending.submit(MessageId([2; 16]));
        assert!(matches!(pending.route(word()), Route::Event(_)));
        assert!(matches!(pending.route(ToDevice::Reported { id: ID }), Route::Event(_)));
    }

    #[test]
    fn after_the_end_nobody_waits() {
        let mut pending = Pending::default();
        let (mut before, mut words) = (pending.ask().1, pending.submit(ID));
        pending.close();
        let mut after = pending.ask().1;
        let closed = Err(oneshot::error::TryRecvError::Closed);
        assert_eq!((before.try_recv(), after.try_recv()), (closed.clone(), closed));
        assert!(words.try_recv().is_err() && pending.submit(ID).try_recv().is_err());
    }
}
