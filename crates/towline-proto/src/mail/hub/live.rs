//! Live messages: to a device that is online, or to nobody; no store, no outcome.

use super::HubCore;
use super::accept::{Refusal, refuse};
use super::io::{Output, SessionKey};
use super::timers::Timer;
use super::turn::Turn;
use crate::ids::{Lane, MessageId};
use crate::mail::code::Code;
use crate::mail::envelope::{Envelope, SignedEnvelope};
use crate::mail::keys::PublicKey;
use crate::mail::limits::{LIVE_CONFIRM_MS, MAX_LIVE_PER_SESSION, QUOTA_RETRY_MS};
use crate::mail::message::ToDevice;

/// A live message that the recipient's session has not confirmed.
#[derive(Debug)]
pub(super) struct Live {
    from: SessionKey,
    to: SessionKey,
    lane: Lane,
    pub(super) signed: SignedEnvelope,
    /// The stream was reset: the shell's word for it is on its way.
    reset: bool,
}

/// How a live message ended.
pub(super) enum End {
    /// The recipient's session has it.
    Confirmed,
    /// It does not, or nobody knows.
    Lost {
        /// Whether any of it was given to a link.
        given: bool,
    },
}

impl HubCore {
    pub(super) fn send_live(
        &mut self,
        turn: &mut Turn<'_>,
        session: SessionKey,
        recipient: PublicKey,
        signed: SignedEnvelope,
        envelope: &Envelope,
        body: Vec<u8>,
    ) {
        let (id, lane) = (envelope.id, envelope.lane);
        let Some(device) = self.devices.active(&recipient).filter(|device| self.is_online(device)) else {
            return turn.say_now(session, lane, ToDevice::LiveResult { id, code: Code::NotHere });
        };
        let Some(agent) = device.agent else { return };
        let Some(sender) = self.sessions.get_mut(session) else { return };
        if sender.live >= MAX_LIVE_PER_SESSION {
            let text = format!("{MAX_LIVE_PER_SESSION} live messages are unconfirmed");
            return refuse(turn, session, envelope, Refusal::for_now(Code::Quota, text, QUOTA_RETRY_MS));
        }
        sender.live += 1;
        self.live.insert(id, Live { from: session, to: agent, lane, signed: signed.clone(), reset: false });
        self.timers.set(Timer::Live(id), turn.now.boot_ms() + LIVE_CONFIRM_MS);
        let message = ToDevice::Deliver { envelope: signed, body: Some(body) };
        turn.now(Output::SayLive { session: agent, id, message });
    }

    pub(super) fn live_over(&mut self, turn: &mut Turn<'_>, id: MessageId, end: End) {
        let Some(live) = self.live.remove(&id) else { return };
        self.timers.stop(Timer::Live(id));
        let code = match end {
            End::Confirmed => Code::Ok,
            End::Lost { given: true } => Code::LiveUnclear,
            End::Lost { given: false } => Code::NotHere,
        };
        if let Some(sender) = self.sessions.get_mut(live.from) {
            sender.live -= 1;
            turn.say_now(live.from, live.lane, ToDevice::LiveResult { id, code });
        }
    }

    /// No confirmation in time: the stream is reset, so that nothing of it arrives later; the shell then says of each
    /// message on it whether it was given.
    pub(super) fn live_due(&mut self, turn: &mut Turn<'_>, id: MessageId) {
        let Some(to) = self.live.get(&id).map(|live| live.to) else { return };
        let mut any = false;
        for live in self.live.values_mut().filter(|live| live.to == to) {
            any |= !live.reset;
            live.reset = true;
        }
        if any {
            turn.now(Output::ResetLive { session: to });
        }
    }

    pub(super) fn live_to(&self, session: SessionKey) -> Vec<MessageId> {
        self.live.iter().filter(|(_, live)| live.to == session).map(|(&id, _)| id).collect()
    }

    pub(super) fn has_live_to(&self, session: SessionKey) -> bool {
        self.live.values().any(|live| live.to == session)
    }
}
