//! Tickets: made by `invite`, spent by `join`, once, within the hour; the same key may say so again.

use super::HubCore;
use super::io::{SessionKey, Write};
use super::record::{DeviceRecord, TicketRecord};
use super::timers::Timer;
use super::turn::{Turn, clip};
use crate::ids::{DeviceName, Digest, Lane};
use crate::mail::clock::Deadline;
use crate::mail::code::Code;
use crate::mail::limits::{MAX_DESCRIPTION_LEN, MAX_TICKETS, TICKET_LIFE_MS};
use crate::mail::message::ToDevice;

impl HubCore {
    pub(super) fn invite(
        &mut self,
        turn: &mut Turn<'_>,
        name: DeviceName,
        token: &[u8; 16],
    ) -> Result<(), (Code, String)> {
        if self.devices.named(&name).is_some() {
            return Err((
                Code::NameTaken,
                format!("there is a device {name}; revoke it first, or choose another name"),
            ));
        }
        if self.tickets.len() >= MAX_TICKETS {
            return Err((Code::Quota, format!("{MAX_TICKETS} tickets are out")));
        }
        let token = turn.crypto.digest(token);
        let life = Deadline::begin(turn.now, self.boot, TICKET_LIFE_MS);
        let ticket = TicketRecord { token, name, life, used_by: None };
        turn.write(Write::Ticket(ticket.clone()));
        self.timers.set(Timer::Ticket(token), turn.now.boot_ms() + TICKET_LIFE_MS);
        self.tickets.insert(token, ticket);
        Ok(())
    }

    pub(super) fn join(&mut self, turn: &mut Turn<'_>, session: SessionKey, token: [u8; 16], software: String) {
        let Some(key) = self.sessions.get(session).map(|known| known.key) else { return };
        let token = turn.crypto.digest(&token);
        let ticket = self.tickets.get(&token).filter(|ticket| ticket.used_by.is_none_or(|by| by == key));
        let Some(mut ticket) = ticket.cloned() else {
            return self.deny(turn, session, Code::BadTicket, "this ticket is not good, or no longer");
        };
        let name = ticket.name.clone();
        let known = self.devices.active(&key).map(|device| device.record.name.clone());
        match known {
            Some(present) if ticket.used_by.is_some() => {
                // The answer was lost, and perhaps the device was renamed since.
                return turn.say_later(session, Lane::NORMAL, ToDevice::Joined { name: present });
            }
            Some(present) if present != name => {
                let text = format!("this device has joined already, as {present}");
                return self.deny(turn, session, Code::NameTaken, &text);
            }
            _ => {}
        }
        if self.devices.named(&name).is_some_and(|other| other.record.key != key) {
            return self.deny(turn, session, Code::NameTaken, "another device has taken this ticket's name");
        }
        ticket.used_by = Some(key);
        let record = DeviceRecord {
            key,
            name: name.clone(),
            joined_ms: turn.now.wall_ms,
            revoked_ms: None,
            online: false,
            since_ms: 0,
            software: clip(software, MAX_DESCRIPTION_LEN),
        };
        turn.write(Write::Device(record.clone()));
        turn.write(Write::Ticket(ticket.clone()));
        self.tickets.insert(token, ticket);
        self.devices.put(record);
        turn.say_later(session, Lane::NORMAL, ToDevice::Joined { name });
        self.tell_presence(turn, &key);
    }

    pub(super) fn ticket_due(&mut self, turn: &mut Turn<'_>, token: Digest) {
        if self.tickets.remove(&token).is_some() {
            turn.write(Write::DropTicket { token });
        }
    }

    /// No ticket of a revoked device's name stays good.
    pub(super) fn drop_tickets_of(&mut self, turn: &mut Turn<'_>, name: &DeviceName) {
        let tokens: Vec<Digest> =
            self.tickets.values().filter(|ticket| ticket.name == *name).map(|ticket| ticket.token).collect();
        for token in tokens {
            self.timers.stop(Timer::Ticket(token));
            self.ticket_due(turn, token);
        }
    }
}
