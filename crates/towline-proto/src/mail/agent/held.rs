//! A message that the agent holds, and the order in which messages go on.

use super::record::{Act, HeldRecord, Stage, StartRecord};
use super::rules::Plan;
use crate::ids::{Lane, MessageId};
use crate::mail::envelope::{BadEnvelope, Envelope, SignedEnvelope};
use crate::mail::hub::record::Word;
use crate::mail::keys::PublicKey;
use std::collections::BTreeMap;

/// A held message in memory.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) order: u64,
    pub(super) signed: SignedEnvelope,
    pub(super) envelope: Envelope,
    pub(super) at: At,
    /// The newest request's number; below it, nothing is under way.
    pub(super) request: u64,
    /// Whether `Delivered` was said, on any session.
    pub(super) told: bool,
}

/// How far a message got.
#[derive(Clone, Debug)]
pub(super) enum At {
    /// The body is not whole.
    Incoming,
    /// Nothing is under way.
    Stored {
        /// Whether a run began and was cut short (`repeat` rules only).
        ran: bool,
    },
    /// `GoRequest` was said.
    Asking(Asking),
    /// Journalled as starting, and the shell's turn: it starts, runs, or looks what became of it.
    Acting {
        /// What is done.
        start: StartRecord,
        /// As above.
        ran: bool,
    },
    /// A run was cut short and must not be repeated: the hub must hear of it.
    Interrupted {
        /// The run's request.
        request: u64,
    },
    /// The signed word must reach the hub.
    Done(Word),
}

/// A request that waits for its `go`.
#[derive(Clone, Debug)]
pub(super) struct Asking {
    /// The device's boot-time clock when it was made, in milliseconds.
    pub(super) noted_ms: u64,
    pub(super) plan: Box<Plan>,
    pub(super) act: Act,
    pub(super) timeout_ms: u64,
    pub(super) ran: bool,
}

impl Held {
    pub(super) fn new(order: u64, signed: SignedEnvelope, envelope: Envelope, at: At) -> Self {
        Self { order, signed, envelope, at, request: 0, told: false }
    }

    /// What the journal knows, after the process that wrote it has ended.
    pub(super) fn restore(record: HeldRecord) -> Result<Self, BadEnvelope> {
        let envelope = record.envelope.decode()?;
        let (at, request) = match record.stage {
            Stage::Incoming => (At::Incoming, 0),
            Stage::Stored { ran } => (At::Stored { ran }, 0),
            Stage::Starting(start) => {
                let request = start.request;
                let at = match start.act {
                    Act::Run { repeat: true, .. } => At::Stored { ran: true },
                    Act::Run { repeat: false, .. } => At::Interrupted { request },
                    Act::Place { .. } => At::Acting { start, ran: false },
                };
                (at, request)
            }
            Stage::Done(word) => (At::Done(word), 0),
        };
        Ok(Self { request, ..Self::new(record.order, record.envelope, envelope, at) })
    }

    pub(super) fn flow(&self) -> Flow {
        Flow { sender: self.envelope.sender, lane: self.envelope.lane }
    }
}

/// The messages of one sender on one lane: their order is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Flow {
    pub(super) sender: PublicKey,
    pub(super) lane: Lane,
}

/// What of a flow has still to go on, in the hub's order.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Not yet said to be delivered: the first one that is not whole holds back those behind it.
    pub(super) untold: BTreeMap<u64, MessageId>,
    /// Not yet asked for: the first one holds back those behind it.
    pub(super) unasked: BTreeMap<u64, MessageId>,
}
