//! Shutting out: one device by the operator, or a pair of devices by a new policy.

use super::HubCore;
use super::accept::Refusal;
use super::decide::Reason;
use super::io::{Cut, Write};
use super::record::Phase;
use super::turn::Turn;
use crate::ids::{DeviceName, MessageId};
use crate::mail::code::Code;
use crate::mail::keys::PublicKey;
use crate::mail::outcome::Outcome;
use crate::mail::policy::Policy;

impl HubCore {
    pub(super) fn revoke(&mut self, turn: &mut Turn<'_>, name: &DeviceName) -> bool {
        let Some(device) = self.devices.named(name) else { return false };
        let key = device.record.key;
        let mut record = device.record.clone();
        record.revoked_ms = Some(turn.now.wall_ms);
        if record.online {
            (record.online, record.since_ms) = (false, turn.now.wall_ms);
        }
        // First the record, so that nothing below takes the device for one of ours.
        turn.write(Write::Device(record.clone()));
        self.devices.put(record);
        for session in self.sessions.of_key(&key).collect::<Vec<_>>() {
            self.drop_session(turn, session, Cut::Revoked);
        }
        self.drop_tickets_of(turn, name);
        self.decide_revoked(turn, &key);
        self.tell_presence(turn, &key);
        true
    }

    /// What has not started never will; what started at the revoked device can send no word any more; what it sent
    /// and another has started goes on to its outcome.
    fn decide_revoked(&mut self, turn: &mut Turn<'_>, key: &PublicKey) {
        let uploads: Vec<MessageId> = self
            .uploads
            .iter()
            .filter(|(_, upload)| upload.recipient == *key || upload.envelope.sender == *key)
            .map(|(&id, _)| id)
            .collect();
        for id in uploads {
            self.drop_upload(turn, id, Refusal::new(Code::Revoked, "the device was revoked"));
        }
        for id in self.concerning(key) {
            let Some(kept) = self.kept.get(&id) else { continue };
            let started = matches!(kept.phase, Phase::Started(_));
            let (is_recipient, whose) = if kept.recipient == *key {
                (true, "the recipient was revoked")
            } else {
                (false, "the sender was revoked")
            };
            let reason = Reason::new(Code::Revoked, whose);
            match (started, is_recipient) {
                (false, _) => self.decide(turn, id, Outcome::Refused, reason),
                (true, true) => self.decide(turn, id, Outcome::Unclear, reason),
                (true, false) => {}
            }
        }
    }

    /// A new policy holds at once.
    pub(super) fn policy_changed(&mut self, turn: &mut Turn<'_>, policy: Policy) {
        self.config.policy = policy;
        self.refuse_forbidden(turn);
    }

    /// What the policy no longer permits and has not started is refused.
    pub(super) fn refuse_forbidden(&mut self, turn: &mut Turn<'_>) {
        let unstarted = self.kept.values().filter(|kept| !matches!(kept.phase, Phase::Started(_)));
        let refused: Vec<(MessageId, String)> = unstarted
            .filter_map(|kept| {
                let from = &self.devices.get(&kept.sender)?.record.name;
                let to = &self.devices.get(&kept.recipient)?.record.name;
                let verdict = self.config.policy.judge(from, to, kept.lane);
                (!verdict.is_allowed()).then(|| (kept.id, verdict.text()))
            })
            .collect();
        for (id, text) in refused {
            self.decide(turn, id, Outcome::Refused, Reason::new(Code::NotPermitted, text));
        }
    }
}
