//! What goes into the agent's core and what comes out of it.
//!
//! The shell hands in one [`Input`] at a time and performs the [`Step`] that comes back before the next: `now` at once,
//! `journal` to the journal, `after_sync` once these writes **and all earlier ones** are synced (also when this step
//! has none). If the journal fails, the shell ends the session and builds the core anew from the journal.

use super::record::{HeldRecord, RememberedRecord, Stage, Target};
use super::rules::{Plan, Rules};
use crate::ids::{Digest, Lane, MessageId};
use crate::mail::code::Code;
use crate::mail::envelope::SignedEnvelope;
use crate::mail::message::{ToDevice, ToHub};

/// What the device's clocks show.
///
/// No boot id stands here: a bound on a start is kept only in the memory of one process, which no reboot survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AgentTime {
    /// `CLOCK_BOOTTIME`, in milliseconds: it counts while the machine sleeps.
    pub boot_ms: u64,
    /// The wall clock, in milliseconds since 1970; only for receipts' time.
    pub wall_ms: u64,
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// A session is attached: the hub said `Welcome`. What was said on an earlier one may be lost.
    Attached {
        /// The longest timeout that the hub allows, in milliseconds.
        max_timeout_ms: u64,
    },
    /// The session is over.
    Detached,
    /// The hub said something. Words that are not the agent's (answers, updates of sent messages) are ignored.
    Said(ToDevice),
    /// The body asked for by `Fetch` stands whole, verified and synced in the spool.
    BodyReady {
        /// Whose body.
        id: MessageId,
    },
    /// That body cannot be had: `Integrity` when it is whole and not what the envelope says, `DeviceStorage`, ….
    /// (A stream that died is no failure: the shell asks again from where it stopped.)
    BodyFailed {
        /// Whose body.
        id: MessageId,
        /// Why.
        code: Code,
    },
    /// A `Place` is done, and its folder synced; or `CheckPlaced` found that it had been.
    Placed {
        /// Which message.
        id: MessageId,
        /// Which request.
        request: u64,
        /// The name under which it stands.
        name: String,
    },
    /// A `Place` failed, and nothing is to be seen; or `CheckPlaced` found that it had not been done (`None`).
    NotPlaced {
        /// Which message.
        id: MessageId,
        /// Which request.
        request: u64,
        /// Why, if that is final.
        failure: Option<(Code, String)>,
    },
    /// When a `Run` or `Place` was about to begin, `start_before_ms` was past: nothing was done.
    TooLate {
        /// Which message.
        id: MessageId,
        /// Which request.
        request: u64,
    },
    /// A run is over.
    Exited {
        /// Which message.
        id: MessageId,
        /// Which request.
        request: u64,
        /// How it ended.
        end: RunEnd,
        /// Its output, standard and error together; the core keeps the tail.
        output: Vec<u8>,
    },
    /// The rules changed.
    Rules(Box<Rules>),
    /// Time passed.
    Tick,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// With this exit code.
    Exit(i32),
    /// By this signal.
    Signal(i32),
    /// It ran longer than its timeout; its process group was killed.
    TimedOut,
    /// It could not be started, for this reason; nothing ran.
    NotStartable(String),
}

/// What the shell must do after one input.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// To the journal, in one transaction, in order.
    pub journal: Vec<JournalWrite>,
    /// To be done at once.
    pub now: Vec<Output>,
    /// To be done, in order, once this step's writes and all earlier ones are synced.
    pub after_sync: Vec<Output>,
}

/// One change of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JournalWrite {
    /// A core was built: the next one gets a higher number.
    Incarnation(u64),
    /// Insert or replace a message, with its body if it came inline.
    Hold {
        /// The record.
        record: HeldRecord,
        /// The inline body; `None` leaves the body in the spool, where the shell put it.
        body: Option<Vec<u8>>,
    },
    /// Replace a message's stage.
    Stage {
        /// Which message.
        id: MessageId,
        /// The new stage.
        stage: Stage,
    },
    /// Remove a message and its inline body.
    Forget {
        /// Which message.
        id: MessageId,
    },
    /// Insert or replace a remembered report.
    Remember(RememberedRecord),
    /// Remove a remembered report.
    ForgetReport {
        /// Which message.
        id: MessageId,
    },
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Say this to the hub, on the session that was attached when this was put out; if that one is over, drop it
    /// (`Attached` says everything anew).
    Say {
        /// On which lane's permanent stream.
        lane: Lane,
        /// What.
        message: ToHub,
    },
    /// Get this body into the spool: say `SendBody` with the length already held, take the stream, tell the hub
    /// `Written` now and then; when the stream dies, ask again. Answer with `BodyReady` or `BodyFailed`.
    Fetch {
        /// Whose body.
        id: MessageId,
        /// On which lane to say `SendBody`.
        lane: Lane,
        /// Its length, in bytes.
        size: u64,
        /// Its BLAKE3 root.
        root: Digest,
    },
    /// Unless `start_before_ms` is past, rename the body to its place; answer `Placed`, `NotPlaced` or `TooLate`.
    /// Places must be done in the order in which they come.
    Place {
        /// Which message.
        id: MessageId,
        /// Which request.
        request: u64,
        /// Where to.
        target: Target,
        /// The file name wanted.
        name: String,
        /// The device's boot-time clock must be below this just before the rename, in milliseconds.
        start_before_ms: u64,
    },
    /// After a crash: find out whether this `Place` was done; answer `Placed` or `NotPlaced`.
    CheckPlaced {
        /// Which message.
        id: MessageId,
        /// Which request.
        request: u64,
        /// Where to.
        target: Target,
        /// The file name wanted.
        name: String,
    },
    /// Unless `start_before_ms` is past, run this; answer `Exited` or `TooLate`.
    Run(Box<Run>),
    /// Handle a live message now: nothing is kept, nothing is reported.
    Live {
        /// Its envelope.
        envelope: SignedEnvelope,
        /// Its body.
        body: Vec<u8>,
        /// What the rules say to it.
        plan: Plan,
    },
    /// Stop fetching this body, and remove it from the spool.
    Discard {
        /// Whose body.
        id: MessageId,
    },
}

/// A command to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Which message.
    pub id: MessageId,
    /// Which request.
    pub request: u64,
    /// The rule's name.
    pub rule: String,
    /// Program and arguments; no shell is between.
    pub argv: Vec<String>,
    /// What stands in the environment besides, all beginning with `TOWLINE_`.
    pub env: Vec<(String, String)>,
    /// Where the body must stand before the start: the absolute path that `{file}` names.
    pub file: String,
    /// How long it may take, in milliseconds; then its whole process group is killed.
    pub timeout_ms: u64,
    /// The device's boot-time clock must be below this just before the start, in milliseconds.
    pub start_before_ms: u64,
}
