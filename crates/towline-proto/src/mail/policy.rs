//! Who may send to whom: groups and allow entries, default deny, every verdict explained.

use super::glob;
use crate::ids::{DeviceName, Lane};
use std::collections::BTreeMap;

/// What a hub permits between its devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Everyone may send to everyone (`hub --dev`).
    pub open: bool,
    /// Group names (without `@`) and their members: device names or patterns with `*` and `?`.
    pub groups: BTreeMap<String, Vec<String>>,
    /// What is allowed. The order only decides which entry an explanation names.
    pub allow: Vec<Allow>,
}

/// One entry: these may send to those.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allow {
    /// Senders: a name, a pattern, or `@GROUP`.
    pub from: Vec<String>,
    /// Recipients, written likewise.
    pub to: Vec<String>,
    /// On these lanes; empty means all.
    pub lanes: Vec<Lane>,
}

/// What the policy says to one sender, recipient and lane, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The policy is open.
    Open,
    /// This entry of `allow` (counted from 1) permits it.
    Allowed {
        /// Its number.
        entry: usize,
    },
    /// No entry permits it.
    Denied {
        /// The entry (counted from 1) that would permit it on another lane.
        other_lane: Option<usize>,
    },
}

impl Verdict {
    /// Whether it may be sent.
    pub const fn is_allowed(&self) -> bool {
        !matches!(self, Self::Denied { .. })
    }

    /// The verdict in words.
    pub fn text(&self) -> String {
        match self {
            Self::Open => "allowed: the policy is open (every device may send to every other)".into(),
            Self::Allowed { entry } => format!("allowed by entry {entry} of [[allow]]"),
            Self::Denied { other_lane: None } => "denied: no entry of [[allow]] names this sender and recipient".into(),
            Self::Denied { other_lane: Some(entry) } => {
                format!("denied: entry {entry} of [[allow]] names this sender and recipient, but not this lane")
            }
        }
    }
}

impl Policy {
    /// The policy of `hub --dev`.
    pub fn open() -> Self {
        Self { open: true, ..Self::default() }
    }

    /// Judges one sender, recipient and lane.
    pub fn judge(&self, from: &DeviceName, to: &DeviceName, lane: Lane) -> Verdict {
        if self.open {
            return Verdict::Open;
        }
        let mut other_lane = None;
        for (index, entry) in self.allow.iter().enumerate() {
            if !self.names(&entry.from, from) || !self.names(&entry.to, to) {
                continue;
            }
            if entry.lanes.is_empty() || entry.lanes.contains(&lane) {
                return Verdict::Allowed { entry: index + 1 };
            }
            other_lane.get_or_insert(index + 1);
        }
        Verdict::Denied { other_lane }
    }

    /// Whether `from` may send to `to` on some lane: then it may also see whether `to` is there.
    pub fn may_see(&self, from: &DeviceName, to: &DeviceName) -> bool {
        from == to
            || self.open
            || self.allow.iter().any(|entry| self.names(&entry.from, from) && self.names(&entry.to, to))
    }

    /// Whether `device` belongs to `group`; `None` if there is no such group.
    pub fn in_group(&self, group: &str, device: &DeviceName) -> Option<bool> {
        let members = self.groups.get(group)?;
        Some(members.iter().any(|member| glob::matches(member, device.as_str())))
    }

    /// Group names that entries use and nothing defines: a misspelling that would silently deny.
    pub fn undefined_groups(&self) -> Vec<&str> {
        let entries = self.allow.iter().flat_map(|entry| entry.from.iter().chain(&entry.to));
        let named = entries.filter_map(|who| who.strip_prefix('@'));
        named.filter(|group| !self.groups.contains_key(*group)).collect()
    }

    fn names(&self, list: &[String], device: &DeviceName) -> bool {
        list.iter().any(|who| match who.strip_prefix('@') {
            Some(group) => self.in_group(group, device).unwrap_or(false),
            None => glob::matches(who, device.as_str()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str) -> DeviceName {
        name.parse().unwrap()
    }

    fn policy() -> Policy {
        let words = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        Policy {
            open: false,
            groups: BTreeMap::from([("kitchens".into(), words(&["kitchen-*", "bar"]))]),
            allow: vec![
                Allow { from: words(&["shop"]), to: words(&["@kitchens"]), lanes: vec![Lane::NORMAL] },
                Allow { from: words(&["@kitchens"]), to: words(&["shop"]), lanes: vec![] },
                Allow { from: words(&["office"]), to: words(&["@kitchen"]), lanes: vec![] },
            ],
        }
    }

    #[test]
    fn what_no_entry_names_is_denied_and_every_verdict_names_its_entry() {
        let policy = policy();
        let judge = |from, to, lane| policy.judge(&device(from), &device(to), lane);
        assert_eq!(judge("shop", "kitchen-7", Lane::NORMAL), Verdict::Allowed { entry: 1 });
        assert_eq!(judge("shop", "kitchen-7", Lane::BULK), Verdict::Denied { other_lane: Some(1) });
        assert_eq!(judge("bar", "shop", Lane::URGENT), Verdict::Allowed { entry: 2 });
        assert_eq!(judge("bar", "kitchen-7", Lane::NORMAL), Verdict::Denied { other_lane: None });
        assert_eq!(judge("shop", "shop", Lane::NORMAL), Verdict::Denied { other_lane: None });
        assert!(Policy::default().judge(&device("a"), &device("b"), Lane::NORMAL) != Verdict::Open);
        assert_eq!(Policy::open().judge(&device("a"), &device("b"), Lane::NORMAL), Verdict::Open);
    }

    #[test]
    fn a_device_sees_itself_and_whom_it_may_send_to() {
        let policy = policy();
        assert!(policy.may_see(&device("shop"), &device("bar")));
        assert!(policy.may_see(&device("shop"), &device("shop")));
        assert!(!policy.may_see(&device("bar"), &device("kitchen-7")));
    }

    #[test]
    fn a_misspelt_group_is_found() {
        assert_eq!(policy().undefined_groups(), ["kitchen"]);
        assert_eq!(policy().in_group("kitchen", &device("bar")), None);
    }
}
