//! A device's questions.

use super::HubCore;
use super::io::SessionKey;
use super::status::DAMAGED;
use super::turn::Turn;
use crate::ids::{DeviceName, Lane, MessageId};
use crate::mail::code::Code;
use crate::mail::keys::PublicKey;
use crate::mail::limits::{MAX_PRESENCE_WATCHES_PER_SESSION, MAX_WATCHED_MESSAGES_PER_SESSION};
use crate::mail::message::{Answer, Question, ToDevice};
use crate::mail::outcome::{Outcome, State};

impl HubCore {
    pub(super) fn ask(&mut self, turn: &mut Turn<'_>, session: SessionKey, ask: u64, question: Question) {
        let Some(key) = self.sessions.get(session).map(|known| known.key) else { return };
        let Some(name) = self.devices.active(&key).map(|device| device.record.name.clone()) else { return };
        let answer = match question {
            Question::Status { id, watch } => Some(self.ask_status(turn, session, &key, id, watch)),
            Question::Withdraw { id } => Some(self.ask_withdraw(turn, &key, &name, id)),
            Question::Who { device, watch } => Some(self.ask_who(turn, session, ask, &name, device.as_ref(), watch)),
            Question::Ping { device } => match self.visible(&name, &device) {
                Ok(target) => self.ping(turn, session, ask, &target),
                Err(no) => Some(no),
            },
            Question::Group { name: group } => Some(self.ask_group(&name, &group)),
        };
        if let Some(answer) = answer {
            // An answer tells of states that may still be on their way to the disk.
            turn.say_later(session, Lane::NORMAL, ToDevice::Answer { ask, answer });
        }
    }

    fn ask_status(
        &mut self,
        turn: &Turn<'_>,
        session: SessionKey,
        key: &PublicKey,
        id: MessageId,
        watch: bool,
    ) -> Answer {
        let Ok(found) = self.find_or_damaged(turn, id) else {
            // Whose it is cannot be read either; who knows the id may know this much.
            return Answer::No { code: Code::HubStorage, text: DAMAGED.into() };
        };
        let concerned = found.filter(|kept| kept.sender == *key || kept.recipient == *key);
        let Some(status) = concerned.as_ref().and_then(|kept| self.status(turn, kept)) else {
            return no_such_message(id);
        };
        if watch {
            let room = |known: &super::sessions::Session| known.watched.len() < MAX_WATCHED_MESSAGES_PER_SESSION;
            if !self.sessions.get(session).is_some_and(room) {
                return Answer::No { code: Code::Quota, text: "this session watches too many messages".into() };
            }
            self.watch(session, id);
            if status.state == State::Decided(Outcome::Unclear)
                && let Some(known) = self.sessions.get_mut(session)
            {
                known.watched.insert(id);
            }
        }
        Answer::Status(Box::new(status))
    }

    fn ask_withdraw(&mut self, turn: &mut Turn<'_>, key: &PublicKey, name: &DeviceName, id: MessageId) -> Answer {
        if self.find(turn, id).is_none_or(|kept| kept.sender != *key) {
            return no_such_message(id);
        }
        self.withdraw(turn, id, name.as_str());
        let status = self.find(turn, id).and_then(|kept| self.status(turn, &kept));
        status.map_or_else(|| no_such_message(id), |status| Answer::Status(Box::new(status)))
    }

    fn ask_who(
        &mut self,
        turn: &Turn<'_>,
        session: SessionKey,
        ask: u64,
        asker: &DeviceName,
        device: Option<&DeviceName>,
        watch: bool,
    ) -> Answer {
        let wanted = match device.map(|device| self.visible(asker, device)).transpose() {
            Ok(wanted) => wanted,
            Err(no) => return no,
        };
        if watch && let Some(known) = self.sessions.get_mut(session) {
            if known.presence_watches.len() >= MAX_PRESENCE_WATCHES_PER_SESSION {
                return Answer::No { code: Code::Quota, text: "this session watches too many devices".into() };
            }
            known.presence_watches.push((ask, wanted));
        }
        let seen = self.devices.iter().filter(|device| match wanted {
            Some(key) => device.record.key == key,
            None => self.config.policy.may_see(asker, &device.record.name),
        });
        Answer::Who(seen.map(|device| self.presence(turn, device)).collect())
    }

    fn ask_group(&self, asker: &DeviceName, group: &str) -> Answer {
        if !self.config.policy.groups.contains_key(group) {
            return Answer::No { code: Code::NoSuchDevice, text: format!("there is no group @{group}") };
        }
        let names = self.devices.iter().map(|device| &device.record.name);
        let members = names.filter(|name| {
            *name != asker
                && self.config.policy.in_group(group, name) == Some(true)
                && self.config.policy.may_see(asker, name)
        });
        Answer::Group(members.cloned().collect())
    }

    /// The key of a device that the asker may see; one that it may not see is answered as if it were not there.
    fn visible(&self, asker: &DeviceName, device: &DeviceName) -> Result<PublicKey, Answer> {
        let sees = |name: &DeviceName| self.config.policy.may_see(asker, name);
        match self.devices.named(device) {
            Some(found) if sees(device) => Ok(found.record.key),
            _ => Err(Answer::No { code: Code::NoSuchDevice, text: self.devices.unknown_text(device, sees) }),
        }
    }
}

fn no_such_message(id: MessageId) -> Answer {
    Answer::No { code: Code::NoSuchMessage, text: format!("there is no message {id} that this device may see") }
}
