//! A kept message in memory: undecided, or decided and not yet known to be synced.

use super::io::SessionKey;
use super::record::{BodyPlace, MessageRecord, Phase, Word};
use crate::ids::{Lane, MessageId};
use crate::mail::clock::Deadline;
use crate::mail::envelope::{BadEnvelope, Envelope, SignedEnvelope};
use crate::mail::keys::PublicKey;
use crate::mail::limits::DELIVER_WINDOW_BYTES;
use std::collections::BTreeSet;

/// A kept message, without its body.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) id: MessageId,
    pub(super) order: u64,
    pub(super) envelope: SignedEnvelope,
    pub(super) sender: PublicKey,
    pub(super) recipient: PublicKey,
    pub(super) lane: Lane,
    pub(super) size: u64,
    /// What its `Deliver` weighs in the window.
    pub(super) inline_bytes: u64,
    pub(super) deadline: Deadline,
    /// The hub's wall clock at its acceptance, in milliseconds since 1970.
    pub(super) accepted_ms: u64,
    pub(super) phase: Phase,
    pub(super) late: Option<Word>,
    /// A request for `go` that waits until the messages ahead have theirs. Only in memory: the agent asks again.
    pub(super) asked: Option<Asked>,
    /// Sessions that are told of every change, besides the sender's agent.
    pub(super) watchers: BTreeSet<SessionKey>,
}

/// A request for `go`.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) request: u64,
    pub(super) by: String,
    pub(super) timeout_ms: u64,
}

impl Kept {
    pub(super) fn new(record: &MessageRecord) -> Result<Self, BadEnvelope> {
        let Envelope { sender, lane, size, .. } = record.envelope.decode()?;
        let inline = !matches!(record.body, BodyPlace::File);
        Ok(Self {
            id: record.id,
            order: record.order,
            envelope: record.envelope.clone(),
            sender,
            recipient: record.recipient,
            lane,
            size,
            inline_bytes: if inline { size.min(DELIVER_WINDOW_BYTES) } else { 0 },
            deadline: record.deadline,
            accepted_ms: record.deadline.wall_ms,
            phase: record.phase.clone(),
            late: record.late.clone(),
            asked: None,
            watchers: BTreeSet::new(),
        })
    }

    pub(super) fn flow(&self) -> Flow {
        Flow { sender: self.sender, lane: self.lane }
    }
}

/// Within one recipient: the messages whose order is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Flow {
    pub(super) sender: PublicKey,
    pub(super) lane: Lane,
}
