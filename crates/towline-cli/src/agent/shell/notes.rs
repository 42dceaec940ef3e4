//! What the journal's writes mean to whoever reads along: told once they are synced, and not before.

use crate::agent::tell::{About, By, Tell, Told};
use std::collections::{HashMap, VecDeque};
use towline_proto::ids::MessageId;
use towline_proto::mail::agent::io::JournalWrite;
use towline_proto::mail::agent::record::{Act, HeldRecord, Stage};

/// What is known of the messages that are held, and what is still to be told of each step that is not synced.
pub(super) struct Notes {
    tell: Tell,
    known: HashMap<MessageId, Known>,
    untold: VecDeque<Vec<Told>>,
}

struct Known {
    about: About,
    size: u64,
    /// A start that came to nothing brings a message back to the store, which is no news.
    stored: bool,
}

impl Notes {
    /// Begins with what the journal holds, and tells what an earlier life left cut short.
    pub(super) fn new(tell: Tell, held: &[HeldRecord]) -> Self {
        let mut notes = Self { tell, known: HashMap::new(), untold: VecDeque::new() };
        for record in held {
            notes.learn(record, !matches!(record.stage, Stage::Incoming));
            if let Stage::Starting(start) = &record.stage
                && let Act::Run { repeat: false, .. } = start.act
            {
                let by = By::new(start.act.by());
                (notes.tell)(&Told::MessageInterrupted { about: notes.about(record.id), by });
            }
        }
        notes
    }

    /// Tells something at once.
    pub(super) fn tell(&self, told: &Told) {
        (self.tell)(told);
    }

    /// Notes one step on its way to the journal.
    pub(super) fn step(&mut self, writes: &[JournalWrite]) {
        let told = writes.iter().filter_map(|write| self.write(write)).collect();
        self.untold.push_back(told);
    }

    /// So many steps are synced.
    pub(super) fn synced(&mut self, steps: usize) {
        for told in self.untold.drain(..steps.min(self.untold.len())).flatten() {
            (self.tell)(&told);
        }
    }

    fn write(&mut self, write: &JournalWrite) -> Option<Told> {
        match write {
            JournalWrite::Hold { record, .. } => {
                self.learn(record, false);
                self.stage(record.id, &record.stage)
            }
            JournalWrite::Stage { id, stage } => self.stage(*id, stage),
            JournalWrite::Forget { id } => {
                self.known.remove(id);
                None
            }
            JournalWrite::Incarnation(_) | JournalWrite::Remember(_) | JournalWrite::ForgetReport { .. } => None,
        }
    }

    fn learn(&mut self, record: &HeldRecord, stored: bool) {
        if let Ok(envelope) = record.envelope.decode() {
            let known = Known { about: About::new(&envelope), size: envelope.size, stored };
            self.known.insert(record.id, known);
        }
    }

    fn stage(&mut self, id: MessageId, stage: &Stage) -> Option<Told> {
        match stage {
            Stage::Incoming => None,
            Stage::Stored { .. } => {
                let known = self.known.get_mut(&id).filter(|known| !known.stored)?;
                known.stored = true;
                Some(Told::MessageStored { about: known.about.clone(), size: known.size })
            }
            Stage::Starting(start) => Some(Told::MessageStarted { about: self.about(id), by: By::new(start.act.by()) }),
            Stage::Done(word) => Some(Told::outcome(self.about(id), word.receipt.decode().ok()?)),
        }
    }

    fn about(&self, id: MessageId) -> About {
        self.known.get(&id).map_or_else(|| About::unknown(id), |known| known.about.clone())
    }
}
