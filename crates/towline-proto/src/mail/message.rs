//! What a device and its hub say to each other: CBOR messages on a session's lanes (`docs/mail.cddl`).
//!
//! A message about an envelope travels on that envelope's lane, so that the order of a lane's stream is the order of
//! acceptance and of delivery; everything else travels on `normal`. A body larger than [`INLINE_MAX_BYTES`] travels on
//! a `bulk` stream of its own, whose first message is a [`BodyHeader`] and whose remaining bytes are the body.
//!
//! Every word may come twice (a session was lost and the word said again); the receiver answers it again and does it once.

use super::code::Code;
use super::envelope::SignedEnvelope;
use super::outcome::State;
use super::receipt::SignedReceipt;
use crate::ids::{DeviceName, KeyHash, MessageId};
use minicbor::{Decode, Encode};

/// The largest body that travels inside its `Submit` or `Deliver`, in bytes: a quarter of a session's `max_message`.
pub const INLINE_MAX_BYTES: usize = 64 * 1024;

/// What a session is for, said once at its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Role {
    /// Takes the device's messages. One at a time: a newer one supersedes an older.
    #[n(0)]
    Agent,
    /// Sends and asks only. Any number at a time.
    #[n(1)]
    Client,
}

/// From a device to its hub.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum ToHub {
    /// The first word on a session of a known device.
    #[n(0)]
    Attach {
        /// What the session is for.
        #[n(0)]
        role: Role,
        /// The program and its version, for the operator's eyes.
        #[n(1)]
        software: String,
    },
    /// The first word of a device that holds a ticket.
    #[n(1)]
    Join {
        /// The ticket's secret.
        #[cbor(n(0), with = "minicbor::bytes")]
        token: [u8; 16],
        /// The program and its version.
        #[n(1)]
        software: String,
    },
    /// Asks the hub to accept a message.
    #[n(2)]
    Submit {
        /// The envelope.
        #[n(0)]
        envelope: SignedEnvelope,
        /// The body, if it is at most [`INLINE_MAX_BYTES`] long; else the hub asks for it with `SendBody`.
        #[cbor(n(1), with = "minicbor::bytes")]
        body: Option<Vec<u8>>,
    },
    /// The message is synced into this device's own store.
    #[n(3)]
    Delivered {
        /// Which message.
        #[n(0)]
        id: MessageId,
    },
    /// May this message start?
    #[n(4)]
    GoRequest {
        /// Which message.
        #[n(0)]
        id: MessageId,
        /// The request's number: grows with every request for this message.
        #[n(1)]
        request: u64,
        /// Who will handle it: `inbox`, `save_to`, or `rule NAME`.
        #[n(2)]
        by: String,
        /// How long the run may take, in milliseconds.
        #[n(3)]
        timeout_ms: u64,
    },
    /// No request of this message up to and including this one has started, nor will one start: nothing ran and nothing
    /// was seen.
    #[n(5)]
    NotStarted {
        /// Which message.
        #[n(0)]
        id: MessageId,
        /// Which request.
        #[n(1)]
        request: u64,
    },
    /// It started, and how it ended is not known.
    #[n(6)]
    Interrupted {
        /// Which message.
        #[n(0)]
        id: MessageId,
        /// Which request.
        #[n(1)]
        request: u64,
    },
    /// What became of it.
    #[n(7)]
    Report {
        /// The recipient's signed record.
        #[n(0)]
        receipt: SignedReceipt,
        /// The tail of the command's output.
        #[cbor(n(1), with = "minicbor::bytes")]
        output: Vec<u8>,
    },
    /// A question; the answer bears the same number.
    #[n(8)]
    Ask {
        /// The asker's number for it.
        #[n(0)]
        ask: u64,
        /// The question.
        #[n(1)]
        question: Question,
    },
    /// The answer to the hub's `Ping`.
    #[n(9)]
    Pong {
        /// The ping's number.
        #[n(0)]
        ping: u64,
    },
    /// How many bytes of a body that is on its way this device has written, for the sender's progress bar.
    #[n(11)]
    Written {
        /// Which message.
        #[n(0)]
        id: MessageId,
        /// Bytes written so far.
        #[n(1)]
        written: u64,
    },
    /// Send me this body, from this offset on: the answer to an `Offer` or to a `Deliver` without a body.
    #[n(12)]
    SendBody {
        /// Which message.
        #[n(0)]
        id: MessageId,
        /// Where this device's copy ends, in bytes.
        #[n(1)]
        offset: u64,
    },
    /// A body this device was to send cannot be sent (the file is gone or has changed).
    #[n(10)]
    BodyLost {
        /// Which message.
        #[n(0)]
        id: MessageId,
    },
}

/// What a device may ask.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Question {
    /// What became of a message of mine (sent or received); every change until its outcome follows as `Update` and `Outcome` if `watch`.
    #[n(0)]
    Status {
        /// Which message.
        #[n(0)]
        id: MessageId,
        /// Whether to be told of changes.
        #[n(1)]
        watch: bool,
    },
    /// Who is there: one device, or every device that I may see; changes follow as `Presence` if `watch`.
    #[n(1)]
    Who {
        /// One device only.
        #[n(0)]
        device: Option<DeviceName>,
        /// Whether to be told of changes.
        #[n(1)]
        watch: bool,
    },
    /// Have the device's agent answer now.
    #[n(2)]
    Ping {
        /// Which device.
        #[n(0)]
        device: DeviceName,
    },
    /// The devices of a group that I may send to.
    #[n(3)]
    Group {
        /// The group's name, without `@`.
        #[n(0)]
        name: String,
    },
    /// Take a message of mine back, if it has not started. The answer is its status after that.
    #[n(4)]
    Withdraw {
        /// Which message.
        #[n(0)]
        id: MessageId,
    },
}

/// What the hub answers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Answer {
    /// Where the message stands.
    #[n(0)]
    Status(#[n(0)] Box<MessageStatus>),
    /// The devices asked for.
    #[n(1)]
    Who(#[n(0)] Vec<Presence>),
    /// The agent answered the hub after this many microseconds.
    #[n(2)]
    Pinged {
        /// Hub to agent and back, in microseconds.
        #[n(0)]
        micros: u64,
        /// How the agent is connected.
        #[n(1)]
        path: String,
    },
    /// The group's members.
    #[n(3)]
    Group(#[n(0)] Vec<DeviceName>),
    /// It cannot be answered.
    #[n(4)]
    No {
        /// Why.
        #[n(0)]
        code: Code,
        /// Why, for people; may suggest what was meant.
        #[n(1)]
        text: String,
    },
}

/// A message as its sender or recipient may see it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct MessageStatus {
    /// The envelope.
    #[n(0)]
    pub envelope: SignedEnvelope,
    /// Where the message stands.
    #[n(1)]
    pub state: State,
    /// What is left until its deadline, in milliseconds; 0 if past or over.
    #[n(2)]
    pub deadline_left_ms: u64,
    /// When the hub accepted it, in milliseconds since 1970 by the hub's wall clock.
    #[n(3)]
    pub accepted_ms: u64,
    /// The receipt, once there is an outcome.
    #[n(4)]
    pub receipt: Option<SignedReceipt>,
    /// The output's tail that goes with it.
    #[cbor(n(5), with = "minicbor::bytes")]
    pub output: Vec<u8>,
    /// A word that came after the outcome.
    #[n(6)]
    pub late: Option<SignedReceipt>,
    /// The recipient's presence.
    #[n(7)]
    pub recipient: Presence,
}

/// Whether a device is connected, and how.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Presence {
    /// Its name.
    #[n(0)]
    pub device: DeviceName,
    /// Its key's name.
    #[n(1)]
    pub key: KeyHash,
    /// Whether its agent is connected.
    #[n(2)]
    pub online: bool,
    /// Since when, in milliseconds since 1970 by the hub's wall clock; 0 if it was never connected.
    #[n(3)]
    pub since_ms: u64,
    /// Its links, as `tcp 192.0.2.7:50312`; empty if offline.
    #[n(4)]
    pub links: Vec<String>,
    /// The smoothed round trip, in microseconds; 0 if not known.
    #[n(5)]
    pub rtt_us: u64,
    /// The program and its version.
    #[n(6)]
    pub software: String,
    /// Messages that wait for it.
    #[n(7)]
    pub waiting: u64,
}

/// From the hub to a device.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum ToDevice {
    /// The session is attached.
    #[n(0)]
    Welcome {
        /// The device's present name.
        #[n(0)]
        name: DeviceName,
        /// The largest body that the hub takes, in bytes.
        #[n(1)]
        max_body: u64,
        /// The longest timeout a rule may have, in milliseconds.
        #[n(2)]
        max_timeout_ms: u64,
        /// The hub's software.
        #[n(3)]
        software: String,
        /// Whether the policy lets every joined device send to every other (`hub --dev`).
        #[n(4)]
        open_policy: bool,
    },
    /// The ticket was good; the session is not attached yet.
    #[n(1)]
    Joined {
        /// The device's name.
        #[n(0)]
        name: DeviceName,
    },
    /// The hub will not do what the session's first word asked; the session ends.
    #[n(2)]
    Denied {
        /// Why.
        #[n(0)]
        code: Code,
        /// Why, for people.
        #[n(1)]
        text: String,
    },
    /// The submitted message would be accepted: send its body, from this offset on.
    #[n(3)]
    SendBody {
        /// Which message.
        #[n(0)]
        id: MessageId,
        /// Where the hub's copy ends, in bytes.
        #[n(1)]
        offset: u64,
    },
    /// The message is synced to the hub's disk and will end in exactly one outcome. For a live one see `LiveResult`.
    #[n(4)]
    Accepted {
        /// Which message.
        #[n(0)]
        id: MessageId,
        /// What is left until its deadline, in milliseconds.
        #[n(1)]
        deadline_left_ms: u64,
        /// The recipient's presence.
        #[n(2)]
        recipient: Presence,
    },
    /// The message was not accepted; there is no outcome.
    #[n(5)]
    NotAccepted {
        /// Which message.
        #[n(0)]
        id: MessageId,
        /// Why.
        #[n(1)]
        code: Code,
        /// Why, for people; may name the policy's rule or suggest what was meant.
        #[n(2)]
        text: String,
        /// When to try again, in milliseconds from now; 0 if it is no use.
        #[n(3)]
        retry_after_ms: u64,
    },
    /// What became of a live message.
    #[n(6)]
    LiveResult {
        /// Which message.
        #[n(0)]
        id: MessageId,
        /// `Ok` if the recipient's session confirmed it, `NotHere` or `LiveUnclear` if not.
        #[n(1)]
        code: Code,
    },
    /// A message for this device is on its way to the hub: its body may be fetched with `SendBody` while it arrives.
    /// `Deliver` follows once it is accepted, `Recall` if it is not.
    #[n(17)]
    Offer {
        /// The envelope.
        #[n(0)]
        envelope: SignedEnvelope,
    },
    /// A message for this device, accepted. With no body here, the device fetches it with `SendBody`.
    #[n(7)]
    Deliver {
        /// The envelope.
        #[n(0)]
        envelope: SignedEnvelope,
        /// The body, if it is at most [`INLINE_MAX_BYTES`] long.
        #[cbor(n(1), with = "minicbor::bytes")]
        body: Option<Vec<u8>>,
    },
    /// It may start: this is recorded.
    #[n(8)]
    Go {
        /// Which message.
        #[n(0)]
        id: MessageId,
        /// Which request this answers.
        #[n(1)]
        request: u64,
        /// What was left until the deadline when the hub took the request in, in milliseconds.
        #[n(2)]
        left_ms: u64,
    },
    /// It must not start, now or ever: forget it. Said in answer to a request, and when an undelivered or unstarted message is over.
    #[n(9)]
    Recall {
        /// Which message.
        #[n(0)]
        id: MessageId,
    },
    /// The device's report is synced; it may forget the message.
    #[n(10)]
    Reported {
        /// Which message.
        #[n(0)]
        id: MessageId,
    },
    /// A sent message moved on.
    #[n(11)]
    Update {
        /// Which message.
        #[n(0)]
        id: MessageId,
        /// Where it stands now.
        #[n(1)]
        state: State,
    },
    /// A sent message is over.
    #[n(12)]
    Outcome {
        /// The receipt.
        #[n(0)]
        receipt: SignedReceipt,
        /// The output's tail that goes with it.
        #[cbor(n(1), with = "minicbor::bytes")]
        output: Vec<u8>,
    },
    /// The answer to an `Ask`.
    #[n(13)]
    Answer {
        /// The asker's number.
        #[n(0)]
        ask: u64,
        /// The answer.
        #[n(1)]
        answer: Answer,
    },
    /// Answer with `Pong`.
    #[n(14)]
    Ping {
        /// The hub's number for it.
        #[n(0)]
        ping: u64,
    },
    /// A watched device came or went.
    #[n(15)]
    Presence {
        /// The asker's number for its `Who`.
        #[n(0)]
        ask: u64,
        /// What is so now.
        #[n(1)]
        presence: Presence,
    },
    /// The outcome had been told before the device's report came: sign the report anew, marked late, and say it again.
    #[n(18)]
    Late {
        /// Which message.
        #[n(0)]
        id: MessageId,
    },
    /// How many of a file's bytes the recipient has written, for the sender's progress bar.
    #[n(16)]
    Progress {
        /// Which message.
        #[n(0)]
        id: MessageId,
        /// Bytes written at the recipient.
        #[n(1)]
        written: u64,
    },
}

/// The first message on a body's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct BodyHeader {
    /// Whose body follows.
    #[n(0)]
    pub id: MessageId,
    /// Where in the body the stream's bytes begin.
    #[n(1)]
    pub offset: u64,
}

/// Bytes that are no message of the wanted kind: the peer broke the rules, or is newer than we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a mail message")]
pub struct BadMessage;

crate::mail::canonical::whole_codec!(BadMessage: ToHub, ToDevice, BodyHeader);
