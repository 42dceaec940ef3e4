//! States and outcomes: what becomes of a kept message.

use core::fmt;
use core::str::FromStr;
use minicbor::{Decode, Encode};

/// What became of a kept message: told to its sender once and never changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum Outcome {
    /// A rule's command exited 0, or no rule matched and the message stands in the inbox.
    #[n(0)]
    Handled,
    /// The recipient tried and could not; the reason says why.
    #[n(1)]
    Failed,
    /// The hub's policy or the recipient would not take it.
    #[n(2)]
    Refused,
    /// The deadline passed and nothing had started.
    #[n(3)]
    Expired,
    /// Taken back by its sender or the operator before it started.
    #[n(4)]
    Withdrawn,
    /// It started, and then no word came in time.
    #[n(5)]
    Unclear,
}

/// Where a kept message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub enum State {
    /// Synced to the hub's disk.
    #[n(0)]
    Accepted,
    /// Synced into the recipient's own store, where no other program looks.
    #[n(1)]
    Delivered,
    /// The hub has recorded its `go`.
    #[n(2)]
    Started,
    /// Over.
    #[n(3)]
    Decided(#[n(0)] Outcome),
}

/// Every outcome, in the order of the tables in `docs/model.md`.
pub const OUTCOMES: [Outcome; 6] =
    [Outcome::Handled, Outcome::Failed, Outcome::Refused, Outcome::Expired, Outcome::Withdrawn, Outcome::Unclear];

impl Outcome {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Handled => "handled",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
            Self::Unclear => "unclear",
        }
    }

    /// The program's exit code when a single awaited message ends so.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Handled => 0,
            Self::Failed => 11,
            Self::Expired => 7,
            Self::Unclear => 12,
            Self::Refused | Self::Withdrawn => 13,
        }
    }
}

impl State {
    /// The word for it; an outcome is shown by its own word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Delivered => "delivered",
            Self::Started => "started",
            Self::Decided(outcome) => outcome.as_str(),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Outcome {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        OUTCOMES.into_iter().find(|outcome| outcome.as_str() == text).ok_or(())
    }
}
