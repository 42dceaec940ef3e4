//! What the operator wants.

use super::HubCore;
use super::io::{AdminAnswer, Command, Output, RequestKey, Write};
use super::status::DAMAGED;
use super::turn::Turn;
use crate::ids::{DeviceName, Lane, MessageId};
use crate::mail::code::Code;
use crate::mail::message::ToDevice;

impl HubCore {
    pub(super) fn admin(&mut self, turn: &mut Turn<'_>, request: RequestKey, command: Command) {
        let answer = match command {
            Command::Invite { name, token } => done(self.invite(turn, name, &token)),
            Command::Devices => {
                AdminAnswer::Devices(self.devices.iter().map(|device| self.presence(turn, device)).collect())
            }
            Command::Rename { from, to } => done(self.rename(turn, &from, to)),
            Command::Revoke { name } if self.revoke(turn, &name) => AdminAnswer::Done,
            Command::Revoke { name } => done(Err((Code::NoSuchDevice, self.unknown(&name)))),
            Command::PolicyTest { from, to, lane } => self.policy_test(&from, &to, lane),
            Command::Status { id } => self.admin_status(turn, id),
            Command::Withdraw { id } => {
                self.withdraw(turn, id, "the operator");
                self.admin_status(turn, id)
            }
        };
        turn.later(Output::Reply { request, answer });
    }

    fn rename(&mut self, turn: &mut Turn<'_>, from: &DeviceName, to: DeviceName) -> Result<(), (Code, String)> {
        let Some(device) = self.devices.named(from) else { return Err((Code::NoSuchDevice, self.unknown(from))) };
        if *from == to {
            return Ok(());
        }
        if self.devices.named(&to).is_some() {
            return Err((Code::NameTaken, format!("there is a device {to}")));
        }
        let mut record = device.record.clone();
        record.name = to;
        let key = record.key;
        turn.write(Write::Device(record.clone()));
        self.devices.put(record);
        // Its sessions learn their name by a second welcome.
        for session in self.sessions.of_key(&key).collect::<Vec<_>>() {
            if let Some(welcome) = self.welcome(&key).filter(|_| self.is_attached(session)) {
                turn.say_later(session, Lane::NORMAL, welcome);
            }
        }
        self.tell_presence(turn, &key);
        Ok(())
    }

    fn policy_test(&self, from: &DeviceName, to: &DeviceName, lane: Lane) -> AdminAnswer {
        match [from, to].into_iter().find(|name| self.devices.named(name).is_none()) {
            Some(missing) => AdminAnswer::No { code: Code::NoSuchDevice, text: self.unknown(missing) },
            None => AdminAnswer::Verdict(self.config.policy.judge(from, to, lane)),
        }
    }

    fn admin_status(&self, turn: &Turn<'_>, id: MessageId) -> AdminAnswer {
        let Ok(found) = self.find_or_damaged(turn, id) else {
            return AdminAnswer::No { code: Code::HubStorage, text: DAMAGED.into() };
        };
        match found.and_then(|kept| self.status(turn, &kept)) {
            Some(status) => AdminAnswer::Status(Box::new(status)),
            None => AdminAnswer::No { code: Code::NoSuchMessage, text: format!("there is no message {id}") },
        }
    }

    fn unknown(&self, name: &DeviceName) -> String {
        self.devices.unknown_text(name, |_| true)
    }

    fn is_attached(&self, session: super::io::SessionKey) -> bool {
        self.sessions.get(session).is_some_and(|known| known.role.is_some())
    }

    /// What an attached session of this device is told.
    pub(super) fn welcome(&self, key: &crate::mail::keys::PublicKey) -> Option<ToDevice> {
        let device = self.devices.active(key)?;
        Some(ToDevice::Welcome {
            name: device.record.name.clone(),
            max_body: self.config.max_body_bytes,
            max_timeout_ms: self.config.max_timeout_ms,
            software: self.config.software.clone(),
            open_policy: self.config.policy.open,
        })
    }
}

fn done(result: Result<(), (Code, String)>) -> AdminAnswer {
    match result {
        Ok(()) => AdminAnswer::Done,
        Err((code, text)) => AdminAnswer::No { code, text },
    }
}
