//! Messages leave: when the hub has their report, or says that they must not start.

use super::held::{At, Flow};
use super::io::{JournalWrite, Output};
use super::record::RememberedRecord;
use super::{AgentCore, Turn};
use crate::ids::MessageId;
use crate::mail::hub::record::Word;
use crate::mail::limits::MAX_REMEMBERED;

impl AgentCore {
    /// The hub has the report.
    pub(super) fn reported(&mut self, turn: &mut Turn<'_>, id: MessageId) {
        let word = match self.held.get(&id).map(|held| &held.at) {
            Some(At::Done(word)) => Some(word.clone()),
            Some(At::Interrupted { .. }) => None,
            _ => return,
        };
        self.forget(turn, id);
        self.remember(turn, id, word);
    }

    /// It must not start, now or ever. What has started goes on to its word.
    pub(super) fn recalled(&mut self, turn: &mut Turn<'_>, id: MessageId) {
        self.drop_offer(turn, id);
        let unstarted = |at: &At| matches!(at, At::Incoming | At::Stored { .. } | At::Asking(_));
        if self.held.get(&id).is_some_and(|held| unstarted(&held.at)) {
            self.forget(turn, id);
        }
    }

    fn forget(&mut self, turn: &mut Turn<'_>, id: MessageId) {
        let Some(held) = self.held.remove(&id) else { return };
        turn.journal(JournalWrite::Forget { id });
        turn.later(Output::Discard { id });
        let flow = held.flow();
        self.leave_line(flow, held.order);
        self.free_slot_of(&held.at);
        self.go_on_after(turn, &held.at, flow);
    }

    pub(super) fn leave_line(&mut self, flow: Flow, order: u64) {
        if let Some(line) = self.lines.get_mut(&flow) {
            line.untold.remove(&order);
            line.unasked.remove(&order);
        }
    }

    pub(super) fn free_slot_of(&mut self, at: &At) {
        match at {
            At::Asking(asking) => self.free(&asking.act.clone()),
            At::Acting { start, .. } => self.free(&start.act.clone()),
            At::Incoming | At::Stored { .. } | At::Interrupted { .. } | At::Done(_) => {}
        }
    }

    /// A freed slot may serve any flow; a gap in a line only its own.
    pub(super) fn go_on_after(&mut self, turn: &mut Turn<'_>, at: &At, flow: Flow) {
        if matches!(at, At::Asking(_) | At::Acting { .. }) {
            self.advance_all(turn);
        } else {
            self.advance(turn, flow);
        }
    }

    fn remember(&mut self, turn: &mut Turn<'_>, id: MessageId, word: Option<Word>) {
        let record = RememberedRecord { id, order: self.next_order, word };
        self.next_order += 1;
        turn.journal(JournalWrite::Remember(record.clone()));
        if let Some(before) = self.remembered.insert(id, record.clone()) {
            self.remembered_order.remove(&before.order);
        }
        self.remembered_order.insert(record.order, id);
        if self.remembered.len() > MAX_REMEMBERED
            && let Some((_, oldest)) = self.remembered_order.pop_first()
        {
            self.remembered.remove(&oldest);
            turn.journal(JournalWrite::ForgetReport { id: oldest });
        }
    }
}
