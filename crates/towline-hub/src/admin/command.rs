//! What an operator may ask, and the answers as JSON.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use towline_proto::mail::hub::io::AdminAnswer;
use towline_proto::mail::message::{MessageStatus, Presence};
use towline_proto::mail::receipt::SignedReceipt;

/// What an operator may ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Command {
    /// Make a ticket for a new device.
    Invite {
        /// The device's name.
        name: String,
        /// The hub's addresses to put into the ticket; none means the hub's own.
        #[serde(default)]
        hosts: Vec<String>,
    },
    /// List the devices.
    Devices,
    /// Give a device another name.
    Rename {
        /// The present name.
        from: String,
        /// The new name.
        to: String,
    },
    /// Shut a device out.
    Revoke {
        /// Which.
        name: String,
    },
    /// Who is there.
    Who {
        /// One device only.
        #[serde(default)]
        device: Option<String>,
    },
    /// Where a message stands.
    Status {
        /// Its id.
        id: String,
    },
    /// Take a message back.
    Withdraw {
        /// Its id.
        id: String,
    },
    /// What the policy would say.
    PolicyTest {
        /// The sender.
        from: String,
        /// The recipient.
        to: String,
        /// The lane; `normal` if none.
        #[serde(default)]
        lane: Option<String>,
    },
    /// Numbers of the hub.
    Stats,
    /// End the hub in order.
    Shutdown,
}

/// What an operator is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Answer {
    /// It is done.
    Done,
    /// The ticket.
    Ticket(TicketView),
    /// The devices.
    Devices {
        /// By name.
        devices: Vec<DeviceView>,
    },
    /// The message.
    Message(Box<MessageView>),
    /// The policy's verdict.
    Verdict(VerdictView),
    /// The numbers.
    Stats(StatsView),
    /// It was not done.
    No {
        /// Why: a word of `docs/model.md`, or `usage`.
        code: String,
        /// Why, for people.
        text: String,
    },
}

/// A ticket that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketView {
    /// The ticket: a secret until it is used.
    pub ticket: String,
    /// The device's name.
    pub name: String,
    /// How long it is good, in milliseconds.
    pub good_for_ms: u64,
    /// Where it says the hub is.
    pub hosts: Vec<String>,
}

/// A device as operators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceView {
    /// Its name.
    pub name: String,
    /// Its key's name.
    pub key: String,
    /// Whether its agent is connected.
    pub online: bool,
    /// Since when, in milliseconds since 1970; 0 if it was never connected.
    pub since_ms: u64,
    /// Its links.
    pub links: Vec<String>,
    /// The round trip in microseconds; 0 if not known.
    pub rtt_us: u64,
    /// Its program.
    pub software: String,
    /// Messages that wait for it.
    pub waiting: u64,
}

/// A message as operators see it; never its body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageView {
    /// Its id.
    pub id: String,
    /// The sender's name when it sent.
    pub from: String,
    /// The recipient's name as the sender wrote it.
    pub to: String,
    /// The file's name.
    pub name: String,
    /// Bytes of its body.
    pub size: u64,
    /// BLAKE3 of its body.
    pub root: String,
    /// Where it stands: a state's or outcome's word.
    pub state: String,
    /// What is left until the deadline, in milliseconds.
    pub deadline_left_ms: u64,
    /// When it was accepted, in milliseconds since 1970.
    pub accepted_ms: u64,
    /// What ended it.
    pub word: Option<WordView>,
    /// A word that came after the outcome.
    pub late: Option<WordView>,
    /// The recipient.
    pub recipient: DeviceView,
}

/// A receipt, readable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WordView {
    /// What became of the message.
    pub outcome: String,
    /// Who did it.
    pub by: String,
    /// Why, as a stable word.
    pub code: String,
    /// Why, for people.
    pub reason: String,
    /// The command's exit code.
    pub exit_code: Option<i32>,
    /// When, in milliseconds since 1970 by the signer's clock.
    pub time_ms: u64,
}

/// The policy's verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictView {
    /// Whether it may be sent.
    pub allowed: bool,
    /// By which entry, or why not.
    pub text: String,
}

/// Numbers of the hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatsView {
    /// The hub's program.
    pub software: String,
    /// The hub's key.
    pub key: String,
    /// Where devices connect.
    pub listen: Vec<String>,
    /// Where health and metrics are served.
    pub http: Option<String>,
    /// Sessions now.
    pub sessions: u64,
    /// Messages accepted since the start.
    pub accepted: u64,
    /// Outcomes since the start, by word.
    pub outcomes: BTreeMap<String, u64>,
    /// Commits since the start.
    pub commits: u64,
    /// Failed commits and damaged records since the start.
    pub store_errors: u64,
    /// Damaged mailboxes that were set aside and wait to be looked at.
    #[serde(default)]
    pub set_aside: Vec<String>,
    /// Whether the policy is open.
    pub open_policy: bool,
}

impl Answer {
    /// A refusal.
    pub fn no(code: impl ToString, text: impl Into<String>) -> Self {
        Self::No { code: code.to_string(), text: text.into() }
    }
}

impl From<AdminAnswer> for Answer {
    fn from(answer: AdminAnswer) -> Self {
        match answer {
            AdminAnswer::Done => Self::Done,
            AdminAnswer::Devices(list) => Self::Devices { devices: list.into_iter().map(Into::into).collect() },
            AdminAnswer::Verdict(verdict) => {
                Self::Verdict(VerdictView { allowed: verdict.is_allowed(), text: verdict.text() })
            }
            AdminAnswer::Status(status) => match MessageView::of(*status) {
                Some(view) => Self::Message(Box::new(view)),
                None => Self::no("bad-envelope", "the stored envelope cannot be read"),
            },
            AdminAnswer::No { code, text } => Self::no(code, text),
        }
    }
}

impl From<Presence> for DeviceView {
    fn from(presence: Presence) -> Self {
        Self {
            name: presence.device.to_string(),
            key: presence.key.to_string(),
            online: presence.online,
            since_ms: presence.since_ms,
            links: presence.links,
            rtt_us: presence.rtt_us,
            software: presence.software,
            waiting: presence.waiting,
        }
    }
}

impl MessageView {
    fn of(status: MessageStatus) -> Option<Self> {
        let envelope = status.envelope.decode().ok()?;
        Some(Self {
            id: envelope.id.to_string(),
            from: envelope.from.to_string(),
            to: envelope.to.to_string(),
            name: envelope.name,
            size: envelope.size,
            root: envelope.root.to_string(),
            state: status.state.to_string(),
            deadline_left_ms: status.deadline_left_ms,
            accepted_ms: status.accepted_ms,
            word: status.receipt.as_ref().and_then(WordView::of),
            late: status.late.as_ref().and_then(WordView::of),
            recipient: status.recipient.into(),
        })
    }
}

impl WordView {
    fn of(receipt: &SignedReceipt) -> Option<Self> {
        let receipt = receipt.decode().ok()?;
        Some(Self {
            outcome: receipt.outcome.to_string(),
            by: receipt.by,
            code: receipt.code.to_string(),
            reason: receipt.reason,
            exit_code: receipt.exit_code,
            time_ms: receipt.time_ms,
        })
    }
}
