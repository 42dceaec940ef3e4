//! What undecided messages and arriving bodies use of the quotas.

use super::config::HubConfig;
use crate::mail::keys::PublicKey;
use std::collections::BTreeMap;

/// Use in all and by recipient.
#[derive(Debug, Default)]
pub(super) struct Usage {
    messages: u64,
    bytes: u64,
    by_recipient: BTreeMap<PublicKey, (u64, u64)>,
}

impl Usage {
    /// Which quota one more message of `size` bytes would break, in words.
    pub(super) fn refusal(&self, config: &HubConfig, recipient: &PublicKey, size: u64) -> Option<String> {
        let (messages, bytes) = self.of(recipient);
        if self.messages >= config.max_undecided {
            return Some(format!("the hub holds its {} undecided messages", config.max_undecided));
        }
        if messages >= config.max_undecided_per_recipient {
            return Some(format!("{} messages wait for this device", config.max_undecided_per_recipient));
        }
        let limit = config.max_undecided_bytes_per_recipient;
        (bytes.saturating_add(size) > limit).then(|| format!("this device's {limit} waiting bytes would be exceeded"))
    }

    pub(super) fn take(&mut self, recipient: PublicKey, size: u64) {
        let of = self.by_recipient.entry(recipient).or_default();
        *of = (of.0 + 1, of.1.saturating_add(size));
        (self.messages, self.bytes) = (self.messages + 1, self.bytes.saturating_add(size));
    }

    pub(super) fn give_back(&mut self, recipient: &PublicKey, size: u64) {
        let Some(of) = self.by_recipient.get_mut(recipient) else { return };
        *of = (of.0 - 1, of.1.saturating_sub(size));
        if of.0 == 0 {
            self.by_recipient.remove(recipient);
        }
        (self.messages, self.bytes) = (self.messages - 1, self.bytes.saturating_sub(size));
    }

    /// Messages and bytes for one recipient.
    pub(super) fn of(&self, recipient: &PublicKey) -> (u64, u64) {
        self.by_recipient.get(recipient).copied().unwrap_or_default()
    }

    /// Messages and bytes in all.
    pub(super) const fn total(&self) -> (u64, u64) {
        (self.messages, self.bytes)
    }
}
