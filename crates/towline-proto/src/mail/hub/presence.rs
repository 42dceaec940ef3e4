//! Who is there, and who is told of it.

use super::HubCore;
use super::devices::Device;
use super::turn::Turn;
use crate::ids::Lane;
use crate::mail::keys::PublicKey;
use crate::mail::message::{Presence, ToDevice};

impl HubCore {
    /// A device is online while its agent is attached over at least one link.
    pub(super) fn is_online(&self, device: &Device) -> bool {
        let agent = device.agent.and_then(|session| self.sessions.get(session));
        agent.is_some_and(|session| !session.links.is_empty())
    }

    pub(super) fn presence(&self, turn: &Turn<'_>, device: &Device) -> Presence {
        let agent = device.agent.and_then(|session| self.sessions.get(session));
        Presence {
            device: device.record.name.clone(),
            key: turn.crypto.key_hash(&device.record.key),
            online: self.is_online(device),
            since_ms: device.record.since_ms,
            links: agent.map(|session| session.links.clone()).unwrap_or_default(),
            rtt_us: agent.map_or(0, |session| session.rtt_us),
            software: device.record.software.clone(),
            waiting: self.usage.of(&device.record.key).0,
        }
    }

    pub(super) fn tell_presence(&self, turn: &mut Turn<'_>, key: &PublicKey) {
        let Some(device) = self.devices.get(key) else { return };
        let presence = self.presence(turn, device);
        for (session, watching) in self.sessions.iter() {
            // The policy may have changed since the watch began.
            let Some(watcher) = self.devices.active(&watching.key) else { continue };
            if !self.config.policy.may_see(&watcher.record.name, &device.record.name) {
                continue;
            }
            for (ask, wanted) in &watching.presence_watches {
                if wanted.is_none_or(|wanted| wanted == *key) {
                    let told = ToDevice::Presence { ask: *ask, presence: presence.clone() };
                    turn.say_later(session, Lane::NORMAL, told);
                }
            }
        }
    }
}
