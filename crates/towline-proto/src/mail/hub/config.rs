//! What an operator may set: the bounds of one hub.

use crate::mail::limits;
use crate::mail::policy::Policy;

/// The bounds and the policy of one hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubConfig {
    /// The hub's program and version, for devices' eyes.
    pub software: String,
    /// Who may send to whom.
    pub policy: Policy,
    /// The deadline of messages that name none, in milliseconds.
    pub default_deadline_ms: u64,
    /// The longest deadline, in milliseconds.
    pub max_deadline_ms: u64,
    /// The longest timeout of a run, in milliseconds.
    pub max_timeout_ms: u64,
    /// The largest body, in bytes.
    pub max_body_bytes: u64,
    /// Undecided messages in all.
    pub max_undecided: u64,
    /// Undecided messages for one recipient.
    pub max_undecided_per_recipient: u64,
    /// Bytes of undecided bodies for one recipient.
    pub max_undecided_bytes_per_recipient: u64,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            software: String::new(),
            policy: Policy::default(),
            default_deadline_ms: limits::DEFAULT_DEADLINE_MS,
            max_deadline_ms: limits::MAX_DEADLINE_MS,
            max_timeout_ms: limits::MAX_TIMEOUT_MS,
            max_body_bytes: limits::MAX_BODY_BYTES,
            max_undecided: limits::MAX_UNDECIDED,
            max_undecided_per_recipient: limits::MAX_UNDECIDED_PER_RECIPIENT,
            max_undecided_bytes_per_recipient: limits::MAX_UNDECIDED_BYTES_PER_RECIPIENT,
        }
    }
}
