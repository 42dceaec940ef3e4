//! Where a message stands, whether it is in memory or only in the store.

use super::HubCore;
use super::io::Damaged;
use super::kept::Kept;
use super::record::{Phase, Word};
use super::turn::Turn;
use crate::ids::MessageId;
use crate::mail::message::MessageStatus;
use std::collections::BTreeSet;

/// What is said of a message whose record is not what was written.
pub(super) const DAMAGED: &str = "the hub has this message, and its record is damaged";

impl HubCore {
    /// The message as it is now: the store knows it only as of the last commit. A copy, without its watchers.
    /// `None` also if its record is damaged.
    pub(super) fn find(&self, turn: &Turn<'_>, id: MessageId) -> Option<Box<Kept>> {
        self.find_or_damaged(turn, id).ok().flatten()
    }

    pub(super) fn find_or_damaged(&self, turn: &Turn<'_>, id: MessageId) -> Result<Option<Box<Kept>>, Damaged> {
        let in_memory = self.kept.get(&id).or_else(|| self.settling.get(&id).map(|(_, kept)| kept));
        match in_memory {
            Some(kept) => Ok(Some(Box::new(copy(kept)))),
            None => match turn.store.message(id)? {
                Some(record) => Kept::new(&record).map(|kept| Some(Box::new(kept))).map_err(|_| Damaged),
                None => Ok(None),
            },
        }
    }

    pub(super) fn status(&self, turn: &Turn<'_>, kept: &Kept) -> Option<MessageStatus> {
        let recipient = self.devices.get(&kept.recipient)?;
        let (receipt, output) = match &kept.phase {
            Phase::Decided(decision) => (Some(decision.word.receipt.clone()), decision.word.output.clone()),
            _ => (None, Vec::new()),
        };
        let undecided = kept.phase.is_undecided();
        Some(MessageStatus {
            envelope: kept.envelope.clone(),
            state: kept.phase.state(),
            deadline_left_ms: if undecided { kept.deadline.left_ms(turn.now, self.boot) } else { 0 },
            accepted_ms: kept.accepted_ms,
            receipt,
            output,
            late: kept.late.as_ref().map(|Word { receipt, .. }| receipt.clone()),
            recipient: self.presence(turn, recipient),
        })
    }
}

fn copy(kept: &Kept) -> Kept {
    Kept {
        envelope: kept.envelope.clone(),
        phase: kept.phase.clone(),
        late: kept.late.clone(),
        asked: None,
        watchers: BTreeSet::new(),
        ..*kept
    }
}
