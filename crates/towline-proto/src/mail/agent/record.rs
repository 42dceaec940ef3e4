//! What the agent's journal keeps: each record is one CBOR value, which the journal saves beside a checksum.

use crate::ids::MessageId;
use crate::mail::envelope::SignedEnvelope;
use crate::mail::hub::record::{BadRecord, Word};
use minicbor::{Decode, Encode};

/// A message that the agent holds.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct HeldRecord {
    /// Its name, by which the journal finds the record.
    #[n(0)]
    pub id: MessageId,
    /// Its place in the order in which the hub delivered.
    #[n(1)]
    pub order: u64,
    /// The envelope, as it came.
    #[n(2)]
    pub envelope: SignedEnvelope,
    /// How far it got.
    #[n(3)]
    pub stage: Stage,
}

/// How far a message got, as the journal knows it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Stage {
    /// The envelope is here, the body is not whole yet.
    #[n(0)]
    Incoming,
    /// Envelope and whole body are here; no run is under way.
    #[n(1)]
    Stored {
        /// Whether a run of a `repeat` rule began and did not end: then `not started` must never be said.
        #[n(0)]
        ran: bool,
    },
    /// It may be running: journalled before the act.
    #[n(2)]
    Starting(#[n(0)] StartRecord),
    /// The word for it is signed and must reach the hub.
    #[n(3)]
    Done(#[n(0)] Word),
}

/// A start that was permitted and journalled.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct StartRecord {
    /// The request that the hub's `go` answered.
    #[n(0)]
    pub request: u64,
    /// What was to be done.
    #[n(1)]
    pub act: Act,
}

/// What handling a message means.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Act {
    /// Rename it into the inbox, or into a rule's folder.
    #[n(0)]
    Place {
        /// Where to.
        #[n(0)]
        target: Target,
        /// The file name wanted there, one safe component; a taken one gets a number.
        #[n(1)]
        name: String,
    },
    /// Run a rule's command.
    #[n(1)]
    Run {
        /// The rule's name.
        #[n(0)]
        rule: String,
        /// Whether the rule allows that a run which was cut short is repeated.
        #[n(1)]
        repeat: bool,
    },
}

/// Where a file is placed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Target {
    /// The device's inbox.
    #[n(0)]
    Inbox,
    /// A rule's `save_to` folder.
    #[n(1)]
    SaveTo {
        /// The rule's name.
        #[n(0)]
        rule: String,
        /// The folder, absolute.
        #[n(1)]
        folder: String,
    },
}

impl Act {
    /// Who handles it, as requests and receipts say: `inbox`, `save_to NAME` or `rule NAME`.
    pub fn by(&self) -> String {
        match self {
            Self::Place { target: Target::Inbox, .. } => "inbox".into(),
            Self::Place { target: Target::SaveTo { rule, .. }, .. } => format!("save_to {rule}"),
            Self::Run { rule, .. } => format!("rule {rule}"),
        }
    }
}

/// A report that the hub has, kept for a while in case the hub lost it with its disk.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct RememberedRecord {
    /// Which message.
    #[n(0)]
    pub id: MessageId,
    /// Its place among the remembered: the lowest is forgotten first.
    #[n(1)]
    pub order: u64,
    /// What was reported; nothing if the run was interrupted.
    #[n(2)]
    pub word: Option<Word>,
}

/// Everything in the journal.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// How often a core was built from this journal.
    pub incarnation: u64,
    /// The messages that are held, in any order.
    pub held: Vec<HeldRecord>,
    /// The reports that are remembered, in any order.
    pub remembered: Vec<RememberedRecord>,
}

crate::mail::canonical::whole_codec!(BadRecord: HeldRecord, Stage, RememberedRecord);
