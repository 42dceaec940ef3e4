//! What goes into the hub's core and what comes out of it.
//!
//! The shell hands in one [`Input`] at a time and performs the [`Step`] that comes back before the next:
//! `now` at once, `writes` to the store, `after_commit` once these writes **and all earlier ones** are synced (also
//! when this step has no writes). Then it tells the core by `HubCore::committed`. If a commit fails, the shell cuts
//! every session, forgets every output that waits, and builds the core anew from the store.

use super::record::{DeviceRecord, MessageRecord, Phase, TicketRecord, Word};
use crate::ids::{DeviceName, Digest, Lane, MessageId};
use crate::mail::code::Code;
use crate::mail::keys::PublicKey;
use crate::mail::message::{MessageStatus, Presence, ToDevice, ToHub};
use crate::mail::policy::{Policy, Verdict};

pub use crate::mail::clock::{BootId, Deadline, HubTime};

/// A session, as the shell numbers it. A number is never used twice in one life of the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey(pub u64);

/// An operator's request, as the shell numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestKey(pub u64);

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// A session of the holder of `key` began.
    Opened {
        /// Its number.
        session: SessionKey,
        /// Its peer, as TLS proved it.
        key: PublicKey,
        /// Its first link, as `tcp 192.0.2.7:50312`.
        link: String,
    },
    /// A device said something.
    Said {
        /// On which session.
        session: SessionKey,
        /// What.
        message: ToHub,
    },
    /// A session is over: closed, cut, or without links for too long.
    Closed {
        /// Which.
        session: SessionKey,
    },
    /// A session's links came or went, or its round-trip time was measured anew. Without links it counts as offline.
    LinkChanged {
        /// Which session.
        session: SessionKey,
        /// Its links now.
        links: Vec<String>,
        /// The smoothed round trip, in microseconds; 0 if not known.
        rtt_us: u64,
    },
    /// The body asked for by `TakeBody` stands whole, verified and synced in the spool.
    BodyArrived {
        /// Whose body.
        id: MessageId,
    },
    /// That body will not come: `Integrity`, `HubStorage`, …; the spool is already clean.
    BodyFailed {
        /// Whose body.
        id: MessageId,
        /// Why.
        code: Code,
    },
    /// The recipient's session confirmed a live message.
    LiveConfirmed {
        /// Which.
        id: MessageId,
    },
    /// A live message was unconfirmed when its stream was reset or its session ended.
    LiveLost {
        /// Which.
        id: MessageId,
        /// Whether any of it was given to a link.
        given: bool,
    },
    /// The operator wants something.
    Admin {
        /// The request's number.
        request: RequestKey,
        /// What.
        command: Command,
    },
    /// The policy changed.
    Policy(Box<Policy>),
    /// The hub is about to end: accept nothing new.
    Drain,
    /// Time passed.
    Tick,
}

/// What the shell must do after one input.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// The step's number: `HubCore::committed` takes the newest one that is synced.
    pub number: u64,
    /// To the store, in one transaction, in order.
    pub writes: Vec<Write>,
    /// To be done at once.
    pub now: Vec<Output>,
    /// To be done, in order, once this step's writes and all earlier ones are synced.
    pub after_commit: Vec<Output>,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Say this on a session's lane.
    Say {
        /// To whom.
        session: SessionKey,
        /// On which lane's permanent stream.
        lane: Lane,
        /// What.
        message: ToDevice,
    },
    /// Read the message's record from the store, and say `Deliver` with its envelope and, if it is inline, its body.
    /// (The core holds no bodies.)
    Deliver {
        /// To whom.
        session: SessionKey,
        /// On which lane's permanent stream.
        lane: Lane,
        /// Which message.
        id: MessageId,
    },
    /// Say `SendBody` with the length that the spool already holds of this body, and take its stream into the spool.
    /// Answer with `BodyArrived` or `BodyFailed`; when the stream or session dies, with nothing: the sender asks again.
    TakeBody {
        /// The sender's session.
        session: SessionKey,
        /// Whose body.
        id: MessageId,
        /// On which lane to say `SendBody`.
        lane: Lane,
        /// Its length, in bytes.
        size: u64,
        /// Its BLAKE3 root.
        root: Digest,
    },
    /// Stop taking this body and drop its spool.
    DropSpool {
        /// Whose body.
        id: MessageId,
    },
    /// Send this body on a `bulk` stream of its own, from the spool as it grows or from the store.
    GiveBody {
        /// The recipient's session.
        session: SessionKey,
        /// Whose body.
        id: MessageId,
        /// From where on, in bytes.
        offset: u64,
    },
    /// Stop giving this body to any session: it was recalled.
    StopBody {
        /// Whose body.
        id: MessageId,
    },
    /// Say this on the session's stream for live messages, and answer with `LiveConfirmed` or `LiveLost`.
    SayLive {
        /// To whom.
        session: SessionKey,
        /// Which message.
        id: MessageId,
        /// What.
        message: ToDevice,
    },
    /// Reset the session's stream for live messages, answer `LiveLost` for each one unconfirmed, and use a new stream.
    ResetLive {
        /// Whose.
        session: SessionKey,
    },
    /// Close the session; what was said on it before may still go out. `Closed` follows.
    Cut {
        /// Which.
        session: SessionKey,
        /// Why.
        reason: Cut,
    },
    /// Answer the operator.
    Reply {
        /// The request's number.
        request: RequestKey,
        /// The answer.
        answer: AdminAnswer,
    },
}

/// Why the core closes a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cut {
    /// The device was revoked.
    Revoked,
    /// A newer agent of the same device attached.
    Superseded,
    /// `Denied` was said.
    Denied,
    /// The device said something that its role or state does not allow.
    Protocol,
}

/// One change of the store. All of a step's changes belong in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Insert or replace a device.
    Device(DeviceRecord),
    /// Insert or replace a ticket.
    Ticket(TicketRecord),
    /// Remove a ticket.
    DropTicket {
        /// BLAKE3 of its secret.
        token: Digest,
    },
    /// Insert a message. Its body, if not inline, stands synced in the spool under its id.
    Accept(Box<MessageRecord>),
    /// Replace a message's phase.
    Phase {
        /// Which message.
        id: MessageId,
        /// The new phase.
        phase: Phase,
    },
    /// Keep a word beside the outcome.
    Late {
        /// Which message.
        id: MessageId,
        /// The word.
        word: Word,
    },
    /// The body is needed no longer.
    DropBody {
        /// Whose.
        id: MessageId,
    },
}

/// What the core reads from the store: what is committed, and nothing that is not.
pub trait Lookup {
    /// The record of a message, decided or not.
    ///
    /// # Errors
    /// [`Damaged`] if there was one and it cannot be read: its id is taken all the same.
    fn message(&self, id: MessageId) -> Result<Option<MessageRecord>, Damaged>;
}

/// The store has something of a message and cannot vouch for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged;

/// Everything in the store that the core keeps in memory.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// All devices, revoked ones too.
    pub devices: Vec<DeviceRecord>,
    /// All tickets.
    pub tickets: Vec<TicketRecord>,
    /// The undecided messages, in any order. Inline bodies may be left out (as `Dropped`): the core needs none.
    pub undecided: Vec<MessageRecord>,
}

/// What the operator may want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Make a ticket for a new device.
    Invite {
        /// The device's name.
        name: DeviceName,
        /// The ticket's secret: 16 random bytes from the shell.
        token: [u8; 16],
    },
    /// List the devices.
    Devices,
    /// Give a device another name; what waits for it stays.
    Rename {
        /// The present name.
        from: DeviceName,
        /// The new name.
        to: DeviceName,
    },
    /// Shut a device out, now and until it joins again.
    Revoke {
        /// Which.
        name: DeviceName,
    },
    /// What the policy would say.
    PolicyTest {
        /// The sender.
        from: DeviceName,
        /// The recipient.
        to: DeviceName,
        /// The lane.
        lane: Lane,
    },
    /// Where a message stands.
    Status {
        /// Which.
        id: MessageId,
    },
    /// Take a message back, if it has not started.
    Withdraw {
        /// Which.
        id: MessageId,
    },
}

/// What the operator is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminAnswer {
    /// It is done.
    Done,
    /// The devices that are not revoked, by name.
    Devices(Vec<Presence>),
    /// What the policy says, and by which of its entries.
    Verdict(Verdict),
    /// Where the message stands (after the withdrawal, if that was asked).
    Status(Box<MessageStatus>),
    /// It was not done.
    No {
        /// Why.
        code: Code,
        /// Why, for people.
        text: String,
    },
}
