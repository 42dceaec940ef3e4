//! Sessions come, say what they are for, change their links and go.

use super::HubCore;
use super::io::{Cut, Output, SessionKey, Write};
use super::live::End;
use super::turn::{Turn, clip};
use crate::ids::Lane;
use crate::mail::code::Code;
use crate::mail::keys::PublicKey;
use crate::mail::limits::{MAX_DESCRIPTION_LEN, MAX_LINKS_LISTED, MAX_SESSIONS_PER_DEVICE};
use crate::mail::message::{Role, ToDevice};

impl HubCore {
    pub(super) fn opened(&mut self, session: SessionKey, key: PublicKey, link: String) {
        self.sessions.open(session, key, clip(link, MAX_DESCRIPTION_LEN));
    }

    pub(super) fn attach(&mut self, turn: &mut Turn<'_>, session: SessionKey, role: Role, software: String) {
        let Some(key) = self.sessions.get(session).map(|known| known.key) else { return };
        let Some(device) = self.devices.get(&key) else {
            return self.deny(turn, session, Code::UnknownKey, "this key belongs to no device of this hub");
        };
        if device.is_revoked() {
            return self.deny(turn, session, Code::Revoked, "this device was revoked");
        }
        if self.sessions.of_key(&key).count() > MAX_SESSIONS_PER_DEVICE {
            return self.deny(turn, session, Code::Quota, "this device has too many sessions");
        }
        let before = device.agent;
        if let Some(known) = self.sessions.get_mut(session) {
            known.role = Some(role);
        }
        let Some(welcome) = self.welcome(&key) else { return };
        turn.say_now(session, Lane::NORMAL, welcome);
        if role == Role::Agent {
            if let Some(older) = before {
                let told = ToDevice::Denied {
                    code: Code::Superseded,
                    text: "a newer agent of this device has connected".into(),
                };
                turn.say_now(older, Lane::NORMAL, told);
                self.drop_session(turn, older, Cut::Superseded);
            }
            self.agent_came(turn, session, key, clip(software, MAX_DESCRIPTION_LEN));
        }
    }

    fn agent_came(&mut self, turn: &mut Turn<'_>, session: SessionKey, key: PublicKey, software: String) {
        self.devices.set_agent(&key, Some(session));
        if let Some(device) = self.devices.get(&key)
            && device.record.software != software
        {
            let mut record = device.record.clone();
            record.software = software;
            self.devices.put(record);
        }
        self.presence_may_have_changed(turn, &key);
        if let Some(queue) = self.queues.get_mut(&key) {
            queue.deliver_again();
        }
        self.offer_uploads(turn, &key);
        self.pump(turn, &key);
    }

    pub(super) fn link_changed(&mut self, turn: &mut Turn<'_>, session: SessionKey, links: Vec<String>, rtt_us: u64) {
        let Some(known) = self.sessions.get_mut(session) else { return };
        let cut_off = links.is_empty() && !known.links.is_empty();
        known.links = links.into_iter().take(MAX_LINKS_LISTED).map(|link| clip(link, MAX_DESCRIPTION_LEN)).collect();
        known.rtt_us = rtt_us;
        let key = known.key;
        if cut_off && self.live.any_to(session) {
            turn.now(Output::ResetLive { session });
        }
        self.presence_may_have_changed(turn, &key);
    }

    /// The session ended by itself.
    pub(super) fn closed(&mut self, turn: &mut Turn<'_>, session: SessionKey) {
        let Some(gone) = self.sessions.remove(session) else { return };
        for id in &gone.watched {
            if let Some(kept) = self.kept.get_mut(id) {
                kept.watchers.remove(&session);
            }
        }
        self.uploads_lost_session(turn, session);
        self.pings_lost_session(turn, session);
        for id in self.live.to(session) {
            self.live_over(turn, id, End::Lost { given: true });
        }
        if self.devices.get(&gone.key).is_some_and(|device| device.agent == Some(session)) {
            self.agent_went(turn, &gone.key);
        }
    }

    fn agent_went(&mut self, turn: &mut Turn<'_>, key: &PublicKey) {
        self.devices.set_agent(key, None);
        // Its requests died with its session: it will make them anew.
        let waiting: Vec<_> = self.queues.get(key).into_iter().flat_map(|queue| queue.unstarted()).collect();
        for id in waiting {
            if let Some(kept) = self.kept.get_mut(&id) {
                kept.asked = None;
            }
        }
        self.presence_may_have_changed(turn, key);
    }

    /// Closes a session from this side; nothing more is heard of it.
    pub(super) fn drop_session(&mut self, turn: &mut Turn<'_>, session: SessionKey, reason: Cut) {
        turn.cut(session, reason);
        self.closed(turn, session);
    }

    pub(super) fn deny(&mut self, turn: &mut Turn<'_>, session: SessionKey, code: Code, text: &str) {
        turn.say_now(session, Lane::NORMAL, ToDevice::Denied { code, text: text.into() });
        self.drop_session(turn, session, Cut::Denied);
    }

    /// Keeps the store's note of whether the device is online, and tells those who watch it.
    pub(super) fn presence_may_have_changed(&mut self, turn: &mut Turn<'_>, key: &PublicKey) {
        let Some(device) = self.devices.get(key) else { return };
        let online = self.is_online(device);
        if online == device.record.online {
            return;
        }
        let mut record = device.record.clone();
        (record.online, record.since_ms) = (online, turn.now.wall_ms);
        turn.write(Write::Device(record.clone()));
        self.devices.put(record);
        self.tell_presence(turn, key);
    }
}
