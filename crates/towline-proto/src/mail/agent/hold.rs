//! Messages come: offered while they arrive at the hub, delivered once accepted, stored before that is said.

use super::held::{At, Held};
use super::io::{JournalWrite, Output};
use super::record::{HeldRecord, Stage};
use super::word::Said;
use super::{AgentCore, Turn};
use crate::ids::MessageId;
use crate::mail::code::Code;
use crate::mail::envelope::{Envelope, SignedEnvelope};
use crate::mail::limits::{MAX_HELD, MAX_OFFERS};
use crate::mail::message::ToHub;
use crate::mail::outcome::Outcome;

/// A body that is fetched before its message is accepted. Only in memory.
#[derive(Debug)]
pub(super) struct Offer {
    signed: SignedEnvelope,
    ready: bool,
    /// When it is dropped, by the boot-time clock in milliseconds: set when its session ends.
    pub(super) stale_ms: Option<u64>,
}

pub(super) fn fetch(envelope: &Envelope) -> Output {
    Output::Fetch { id: envelope.id, lane: envelope.lane, size: envelope.size, root: envelope.root }
}

impl AgentCore {
    pub(super) fn offered(&mut self, turn: &mut Turn<'_>, signed: SignedEnvelope) {
        let Ok(envelope) = signed.open(&turn.crypto) else { return };
        let id = envelope.id;
        if self.held.contains_key(&id) || (self.offers.len() >= MAX_OFFERS && !self.offers.contains_key(&id)) {
            return;
        }
        let ready = self.offers.get(&id).is_some_and(|before| before.ready && before.signed == signed);
        self.offers.insert(id, Offer { signed, ready, stale_ms: None });
        if !ready {
            turn.now(fetch(&envelope));
        }
    }

    pub(super) fn delivered(&mut self, turn: &mut Turn<'_>, signed: SignedEnvelope, body: Option<Vec<u8>>) {
        let Ok(envelope) = signed.decode() else { return };
        let id = envelope.id;
        if !envelope.kept {
            return self.live(turn, signed, envelope, body);
        }
        if self.held.contains_key(&id) {
            return self.delivered_again(turn, id, body);
        }
        if let Some(before) = self.remembered.get(&id) {
            let message = match &before.word {
                Some(word) => super::word::report(word),
                None => ToHub::Interrupted { id, request: 0 },
            };
            return self.say(turn, envelope.lane, message);
        }
        if self.held.len() < MAX_HELD {
            self.hold(turn, signed, envelope, body);
        }
    }

    fn hold(&mut self, turn: &mut Turn<'_>, signed: SignedEnvelope, envelope: Envelope, body: Option<Vec<u8>>) {
        let id = envelope.id;
        let order = self.next_order;
        self.next_order += 1;
        let ready = self.offers.remove(&id).is_some_and(|offer| offer.ready && offer.signed == signed);
        let genuine = signed.open(&turn.crypto).is_ok();
        let whole = ready || body.as_deref().is_some_and(|body| is_whole(turn, &envelope, body));
        let stage = if whole { Stage::Stored { ran: false } } else { Stage::Incoming };
        let at = if whole { At::Stored { ran: false } } else { At::Incoming };
        let record = HeldRecord { id, order, envelope: signed.clone(), stage };
        turn.journal(JournalWrite::Hold { record, body: body.filter(|_| whole) });
        let mut held = Held::new(order, signed, envelope, at);
        held.request = self.incarnation << super::REQUEST_BITS;
        let flow = held.flow();
        let line = self.lines.entry(flow).or_default();
        line.untold.insert(order, id);
        line.unasked.insert(order, id);
        if !whole && genuine {
            turn.now(fetch(&held.envelope));
        }
        self.held.insert(id, held);
        if !genuine {
            let said = Said::new("agent", Outcome::Refused, Code::BadEnvelope, "the envelope is not its sender's");
            self.done(turn, id, said);
        }
        self.advance(turn, flow);
    }

    fn delivered_again(&mut self, turn: &mut Turn<'_>, id: MessageId, body: Option<Vec<u8>>) {
        let Some(held) = self.held.get(&id) else { return };
        let flow = held.flow();
        match (&held.at, body) {
            (At::Incoming, Some(body)) if is_whole(turn, &held.envelope, &body) => {
                let record = HeldRecord {
                    id,
                    order: held.order,
                    envelope: held.signed.clone(),
                    stage: Stage::Stored { ran: false },
                };
                turn.journal(JournalWrite::Hold { record, body: Some(body) });
                self.stored(id);
                self.advance(turn, flow);
            }
            (At::Incoming, _) => turn.now(fetch(&held.envelope)),
            (At::Stored { .. } | At::Asking(_), _) if held.told => {
                self.say(turn, held.envelope.lane, ToHub::Delivered { id });
            }
            (At::Done(_) | At::Interrupted { .. }, _) => self.say_again(turn, id),
            _ => {}
        }
    }

    pub(super) fn body_ready(&mut self, turn: &mut Turn<'_>, id: MessageId) {
        if let Some(offer) = self.offers.get_mut(&id) {
            offer.ready = true;
            return;
        }
        let Some(held) = self.held.get(&id) else { return };
        if matches!(held.at, At::Incoming) {
            let flow = held.flow();
            turn.journal(JournalWrite::Stage { id, stage: Stage::Stored { ran: false } });
            self.stored(id);
            self.advance(turn, flow);
        }
    }

    fn stored(&mut self, id: MessageId) {
        if let Some(held) = self.held.get_mut(&id) {
            held.at = At::Stored { ran: false };
        }
    }

    pub(super) fn body_failed(&mut self, turn: &mut Turn<'_>, id: MessageId, code: Code) {
        self.offers.remove(&id);
        if self.held.get(&id).is_some_and(|held| matches!(held.at, At::Incoming)) {
            self.done(turn, id, Said::new("agent", Outcome::Failed, code, code.cause()));
        }
    }

    pub(super) fn drop_stale_offers(&mut self, turn: &mut Turn<'_>) {
        let now_ms = turn.now.boot_ms;
        self.offers.retain(|&id, offer| {
            let stale = offer.stale_ms.is_some_and(|stale_ms| stale_ms <= now_ms);
            if stale {
                turn.step.now.push(Output::Discard { id });
            }
            !stale
        });
    }

    pub(super) fn drop_offer(&mut self, turn: &mut Turn<'_>, id: MessageId) {
        if self.offers.remove(&id).is_some() {
            turn.now(Output::Discard { id });
        }
    }

    fn live(&self, turn: &mut Turn<'_>, signed: SignedEnvelope, envelope: Envelope, body: Option<Vec<u8>>) {
        let body = body.unwrap_or_default();
        if signed.open(&turn.crypto).is_ok() && is_whole(turn, &envelope, &body) {
            let plan = self.rules.plan(&envelope);
            turn.now(Output::Live { envelope: signed, body, plan });
        }
    }
}

fn is_whole(turn: &Turn<'_>, envelope: &Envelope, body: &[u8]) -> bool {
    body.len() as u64 == envelope.size && turn.crypto.digest(body) == envelope.root
}
