//! What the hub's store keeps: each record is one CBOR value, which the store saves beside a checksum.

use crate::ids::{DeviceName, Digest, MessageId};
use crate::mail::clock::Deadline;
use crate::mail::envelope::SignedEnvelope;
use crate::mail::keys::PublicKey;
use crate::mail::outcome::{Outcome, State};
use crate::mail::receipt::SignedReceipt;
use minicbor::{Decode, Encode};

/// A device: a name and a key.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct DeviceRecord {
    /// The key, by which the store finds the record.
    #[n(0)]
    pub key: PublicKey,
    /// The present name.
    #[n(1)]
    pub name: DeviceName,
    /// When it joined, in milliseconds since 1970.
    #[n(2)]
    pub joined_ms: u64,
    /// When it was revoked, in milliseconds since 1970. A revoked device keeps its record and frees its name.
    #[n(3)]
    pub revoked_ms: Option<u64>,
    /// Whether its agent was connected when this was written.
    #[n(4)]
    pub online: bool,
    /// Since when it has been so, in milliseconds since 1970; 0 if it was never connected.
    #[n(5)]
    pub since_ms: u64,
    /// The agent's software, as it said last.
    #[n(6)]
    pub software: String,
}

/// A ticket that was made and may be spent.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct TicketRecord {
    /// BLAKE3 of the ticket's secret, by which the store finds the record: the secret itself is kept nowhere.
    #[n(0)]
    pub token: Digest,
    /// The name that the joining device gets.
    #[n(1)]
    pub name: DeviceName,
    /// How long it is good.
    #[n(2)]
    pub life: Deadline,
    /// The key that spent it: the same key may say so again, when the answer was lost.
    #[n(3)]
    pub used_by: Option<PublicKey>,
}

/// Where a message's body is.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum BodyPlace {
    /// In this record.
    #[n(0)]
    Inline(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>),
    /// In the spool, by message id, until the store moves it to a file named by the envelope's root.
    #[n(1)]
    File,
    /// It has left.
    #[n(2)]
    Dropped,
}

/// An accepted message.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct MessageRecord {
    /// The message's name, by which the store finds the record.
    #[n(0)]
    pub id: MessageId,
    /// Its place in the order of acceptance, unique and comparable among undecided messages: numbers whose messages
    /// are all decided may be used again after a restart.
    #[n(1)]
    pub order: u64,
    /// The envelope, as it came.
    #[n(2)]
    pub envelope: SignedEnvelope,
    /// The recipient's key: the envelope's name for it was resolved at acceptance.
    #[n(3)]
    pub recipient: PublicKey,
    /// When it must have started.
    #[n(4)]
    pub deadline: Deadline,
    /// Where the body is.
    #[n(5)]
    pub body: BodyPlace,
    /// Where the message stands.
    #[n(6)]
    pub phase: Phase,
    /// A word that came after the outcome.
    #[n(7)]
    pub late: Option<Word>,
}

/// A receipt and the output that goes with it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Word {
    /// The signed record.
    #[n(0)]
    pub receipt: SignedReceipt,
    /// The tail of the command's output.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub output: Vec<u8>,
}

/// Where a message stands, with what must outlive the hub's memory.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Phase {
    /// Synced to the hub's disk.
    #[n(0)]
    Accepted,
    /// Synced into the recipient's store.
    #[n(1)]
    Delivered,
    /// `go` was recorded for this request.
    #[n(2)]
    Started(#[n(0)] Start),
    /// Over.
    #[n(3)]
    Decided(#[n(0)] Box<Decision>),
}

/// A recorded `go`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Start {
    /// The request it answers.
    #[n(0)]
    pub request: u64,
    /// Who handles it, as the request said.
    #[n(1)]
    pub by: String,
    /// What was left until the deadline when the request was taken in, in milliseconds: said again word for word.
    #[n(2)]
    pub left_ms: u64,
    /// The run's timeout, beginning at `go`.
    #[n(3)]
    pub timeout: Deadline,
}

/// An outcome and its receipt.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Decision {
    /// What became of the message.
    #[n(0)]
    pub outcome: Outcome,
    /// The receipt that says so.
    #[n(1)]
    pub word: Word,
    /// When, in milliseconds since 1970 by the hub's wall clock: the store's sweep goes by it.
    #[n(2)]
    pub at_ms: u64,
}

impl Phase {
    /// The state that senders are told.
    pub const fn state(&self) -> State {
        match self {
            Self::Accepted => State::Accepted,
            Self::Delivered => State::Delivered,
            Self::Started(_) => State::Started,
            Self::Decided(decision) => State::Decided(decision.outcome),
        }
    }

    /// Whether there is no outcome yet.
    pub const fn is_undecided(&self) -> bool {
        !matches!(self, Self::Decided(_))
    }
}

/// Bytes in the store that are no record of the wanted kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a record of the wanted kind")]
pub struct BadRecord;

crate::mail::canonical::whole_codec!(BadRecord: DeviceRecord, TicketRecord, MessageRecord, Phase, Word);
