//! Which hub this device has joined, and under which name: `device.toml`, written by `join`.

use crate::exit::Exit;
use crate::failure::Failure;
use crate::home::Home;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use towline::{Identity, PostQuantum, Ticket};
use towline_hub::config::pq::Pq;
use towline_hub::config::strict;
use towline_proto::ids::{DeviceName, KeyHash};

/// What stands in `device.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeviceConfig {
    /// The device's name when it joined; the hub may call it otherwise since.
    pub(crate) name: String,
    /// The hub's key, by its name.
    pub(crate) hub: String,
    /// The hub's addresses, each `host:port`.
    pub(crate) hosts: Vec<String>,
    /// Whether the hub must have post-quantum key exchange.
    #[serde(default)]
    pub(crate) pq: Pq,
}

impl DeviceConfig {
    /// What a ticket says.
    pub(crate) fn of(ticket: &Ticket, name: &DeviceName, pq: PostQuantum) -> Self {
        Self { name: name.to_string(), hub: ticket.hub.to_string(), hosts: ticket.hosts.clone(), pq: Pq(pq) }
    }

    /// Reads the file that `join` wrote.
    pub(crate) fn load(home: &Home) -> Result<Self, Failure> {
        let path = home.device_config();
        if !path.exists() {
            let what = format!("this device has not joined a hub: there is no {}", path.display());
            return Err(Failure::usage(what).cure("run `towline invite NAME` on the hub and the line it prints here"));
        }
        let config: Self = strict::load(&path).map_err(|error| Failure::usage(error.to_string()))?;
        config.hub_key().and_then(|_| config.device_name()).map(|_| config)
    }

    /// Writes the file, whole or not at all.
    pub(crate) fn save(&self, home: &Home) -> Result<(), Failure> {
        let path = home.device_config();
        let text = toml::to_string(self).expect("plain fields are always TOML");
        let beside = path.with_extension("toml.new");
        std::fs::write(&beside, text).map_err(|error| Failure::io("write", &beside, &error))?;
        std::fs::rename(&beside, &path).map_err(|error| Failure::io("write", &path, &error))
    }

    /// The hub's key.
    pub(crate) fn hub_key(&self) -> Result<KeyHash, Failure> {
        self.hub.parse().map_err(|error| Failure::usage(format!("device.toml: hub: {error}")))
    }

    /// The device's name.
    pub(crate) fn device_name(&self) -> Result<DeviceName, Failure> {
        self.name.parse().map_err(|error| Failure::usage(format!("device.toml: name: {error}")))
    }
}

/// This device's key, made on the first use.
pub(crate) fn identity(home: &Home) -> Result<Arc<Identity>, Failure> {
    Identity::load_or_create(home.device_key()).map(Arc::new).map_err(|error| {
        let cure = "a key must be a file that only its owner may read; `towline join` makes a new one if it is gone";
        Failure::new(Exit::NotPermitted, error.to_string()).cure(cure)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_join_writes_is_read_back_and_a_misspelt_key_is_told_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::find(Some(dir.path().into())).unwrap();
        std::fs::create_dir_all(home.device()).unwrap();
        assert_eq!(DeviceConfig::load(&home).unwrap_err().exit, Exit::Usage);
        let (hub, hosts) = (KeyHash([7; 32]).to_string(), vec!["h:4433".into()]);
        for pq in [PostQuantum::Require, PostQuantum::Prefer] {
            let config = DeviceConfig { name: "shop".into(), hub: hub.clone(), hosts: hosts.clone(), pq: Pq(pq) };
            config.save(&home).unwrap();
            assert_eq!(DeviceConfig::load(&home), Ok(config));
        }
        std::fs::write(home.device_config(), format!("name = \"shop\"\nhub = \"{hub}\"\nhosts = []\n")).unwrap();
        assert_eq!(DeviceConfig::load(&home).unwrap().pq, Pq(PostQuantum::Require), "a file of an earlier release");
        std::fs::write(home.device_config(), format!("name = \"shop\"\nhub = \"{hub}\"\nhosts = []\npq = \"no\"\n"))
            .unwrap();
        let failure = DeviceConfig::load(&home).unwrap_err();
        assert!(failure.what.contains("device.toml:4") && failure.what.contains("prefer"), "{failure}");
        std::fs::write(home.device_config(), "name = \"shop\"\nhob = \"x\"\n").unwrap();
        let failure = DeviceConfig::load(&home).unwrap_err();
        assert!(failure.what.contains("device.toml:2") && failure.what.contains("hub"), "{failure}");
    }
}
