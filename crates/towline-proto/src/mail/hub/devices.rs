//! The devices that the hub knows: a name and a key each.

use super::io::SessionKey;
use super::record::DeviceRecord;
use crate::ids::DeviceName;
use crate::mail::keys::PublicKey;
use std::collections::BTreeMap;

/// A device in memory.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) record: DeviceRecord,
    /// The session of its agent.
    pub(super) agent: Option<SessionKey>,
}

impl Device {
    pub(super) const fn is_revoked(&self) -> bool {
        self.record.revoked_ms.is_some()
    }
}

/// All devices, by key and (unless revoked) by name.
#[derive(Debug, Default)]
pub(super) struct Devices {
    by_key: BTreeMap<PublicKey, Device>,
    by_name: BTreeMap<DeviceName, PublicKey>,
}

impl Devices {
    /// Inserts or replaces a record; the agent's session stays.
    pub(super) fn put(&mut self, record: DeviceRecord) {
        let agent = self.by_key.get(&record.key).and_then(|device| device.agent);
        if let Some(before) = self.by_key.get(&record.key)
            && self.by_name.get(&before.record.name) == Some(&record.key)
        {
            self.by_name.remove(&before.record.name);
        }
        if record.revoked_ms.is_none() {
            self.by_name.insert(record.name.clone(), record.key);
        }
        self.by_key.insert(record.key, Device { record, agent });
    }

    /// The device of this key, revoked or not.
    pub(super) fn get(&self, key: &PublicKey) -> Option<&Device> {
        self.by_key.get(key)
    }

    /// The device of this key, unless it is revoked.
    pub(super) fn active(&self, key: &PublicKey) -> Option<&Device> {
        self.get(key).filter(|device| !device.is_revoked())
    }

    pub(super) fn set_agent(&mut self, key: &PublicKey, agent: Option<SessionKey>) {
        if let Some(device) = self.by_key.get_mut(key) {
            device.agent = agent;
        }
    }

    pub(super) fn named(&self, name: &DeviceName) -> Option<&Device> {
        self.by_key.get(self.by_name.get(name)?)
    }

    /// The devices that are not revoked, by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Device> {
        self.by_name.values().filter_map(|key| self.by_key.get(key))
    }

    /// "There is no device `x`", with the nearest name that the asker may know.
    pub(super) fn unknown_text(&self, name: &DeviceName, may_see: impl Fn(&DeviceName) -> bool) -> String {
        let visible = self.by_name.keys().filter(|known| may_see(known));
        let near = visible.map(|known| (distance(known.as_str(), name.as_str()), known)).min();
        match near {
            Some((steps, known)) if steps <= 2 => format!("there is no device {name}; did you mean {known}?"),
            _ => format!("there is no device {name}"),
        }
    }
}

/// How many letters must be put in, left out or changed to make one name of the other.
fn distance(one: &str, other: &str) -> usize {
    let other = other.as_bytes();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &b) in other.iter().enumerate() {
            let change = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn near_names_are_near() {
        assert_eq!(distance("kitchen", "kitchen"), 0);
        assert_eq!(distance("kitchen", "kichen"), 1);
        assert_eq!(distance("kitchen", "kitchne"), 2);
        assert_eq!(distance("", "abc"), 3);
    }
}
