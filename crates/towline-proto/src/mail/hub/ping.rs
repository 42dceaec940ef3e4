//! Pings relayed to a device's agent.

use super::HubCore;
use super::io::SessionKey;
use super::timers::Timer;
use super::turn::Turn;
use crate::ids::Lane;
use crate::mail::code::Code;
use crate::mail::keys::PublicKey;
use crate::mail::limits::{MAX_PINGS, PING_WAIT_MS};
use crate::mail::message::{Answer, ToDevice};

/// A ping on its way.
#[derive(Debug)]
pub(super) struct Ping {
    asker: SessionKey,
    ask: u64,
    agent: SessionKey,
    sent_us: u64,
}

impl HubCore {
    /// Sends a ping; `Some` is an answer at once.
    pub(super) fn ping(&mut self, turn: &mut Turn<'_>, asker: SessionKey, ask: u64, key: &PublicKey) -> Option<Answer> {
        let device = self.devices.active(key)?;
        let Some(agent) = device.agent.filter(|_| self.is_online(device)) else {
            let text = format!("{} is offline", device.record.name);
            return Some(Answer::No { code: Code::Offline, text });
        };
        if self.pings.len() >= MAX_PINGS {
            return Some(Answer::No { code: Code::Quota, text: "too many pings are on their way".into() });
        }
        let ping = self.next_ping;
        self.next_ping += 1;
        self.pings.insert(ping, Ping { asker, ask, agent, sent_us: turn.now.boot_us });
        self.timers.set(Timer::Ping(ping), turn.now.boot_ms() + PING_WAIT_MS);
        turn.say_now(agent, Lane::URGENT, ToDevice::Ping { ping });
        None
    }

    pub(super) fn ponged(&mut self, turn: &mut Turn<'_>, session: SessionKey, number: u64) {
        if self.pings.get(&number).is_none_or(|ping| ping.agent != session) {
            return;
        }
        let path = self.sessions.get(session).map(|known| known.links.join(", ")).unwrap_or_default();
        if let Some(ping) = self.take_ping(number) {
            let micros = turn.now.boot_us.saturating_sub(ping.sent_us);
            let answer = Answer::Pinged { micros, path };
            turn.say_now(ping.asker, Lane::NORMAL, ToDevice::Answer { ask: ping.ask, answer });
        }
    }

    pub(super) fn ping_due(&mut self, turn: &mut Turn<'_>, number: u64) {
        self.ping_failed(turn, number, "it did not answer");
    }

    pub(super) fn pings_lost_session(&mut self, turn: &mut Turn<'_>, session: SessionKey) {
        let unasked: Vec<u64> =
            self.pings.iter().filter(|(_, ping)| ping.asker == session).map(|(&number, _)| number).collect();
        for number in unasked {
            self.take_ping(number);
        }
        let lost: Vec<u64> =
            self.pings.iter().filter(|(_, ping)| ping.agent == session).map(|(&number, _)| number).collect();
        for number in lost {
            self.ping_failed(turn, number, "it went offline");
        }
    }

    fn ping_failed(&mut self, turn: &mut Turn<'_>, number: u64, text: &str) {
        if let Some(ping) = self.take_ping(number) {
            let answer = Answer::No { code: Code::Offline, text: text.into() };
            turn.say_now(ping.asker, Lane::NORMAL, ToDevice::Answer { ask: ping.ask, answer });
        }
    }

    fn take_ping(&mut self, number: u64) -> Option<Ping> {
        self.timers.stop(Timer::Ping(number));
        self.pings.remove(&number)
    }
}
