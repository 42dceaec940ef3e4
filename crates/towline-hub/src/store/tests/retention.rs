//! What is kept for how long, by a clock that the test holds.

use super::*;
use crate::store::records::{Records, changes};
use towline_proto::ids::MessageId;
use towline_proto::mail::clock::Deadline;
use towline_proto::mail::envelope::SignedEnvelope;
use towline_proto::mail::hub::io::{BootId, Write};
use towline_proto::mail::hub::record::{BodyPlace, Decision, MessageRecord, Phase, Word};
use towline_proto::mail::keys::{PublicKey, Signature};
use towline_proto::mail::outcome::Outcome;
use towline_proto::mail::receipt::SignedReceipt;

const KEEP_FAILED_MS: u64 = 7_000;
const KEEP_RECORDS_MS: u64 = 90_000;
const DECIDED_MS: u64 = 1_000_000;

/// A mailbox with messages that its core has decided, or not, as their phases say.
struct Kept {
    records: Records,
    backend: Sqlite,
    _mailbox: Mailbox,
    _folder: tempfile::TempDir,
}

impl Kept {
    fn with(phases: &[Phase]) -> Self {
        let (folder, path) = folder();
        let mailbox = Mailbox::open(&path).expect("opens");
        let mut backend = mailbox.backend().expect("writes");
        for (number, phase) in (0u8..).zip(phases) {
            let id = MessageId([number; 16]);
            backend.commit(&changes(Write::Accept(Box::new(message(id))))).expect("commits");
            backend.commit(&changes(Write::Phase { id, phase: phase.clone() })).expect("commits");
        }
        let records = Records::new(mailbox.reader().expect("reads"));
        Self { records, backend, _mailbox: mailbox, _folder: folder }
    }

    /// Sweeps at `wall_ms`; says what stands of each message: itself and its body.
    fn sweep<const N: usize>(&mut self, wall_ms: u64) -> [(bool, bool); N] {
        let overdue = self.records.overdue(wall_ms, KEEP_FAILED_MS, KEEP_RECORDS_MS).expect("reads");
        let list: Vec<Change> = overdue.into_iter().flat_map(|overdue| overdue.changes()).collect();
        self.backend.commit(&list).expect("commits");
        std::array::from_fn(|number| {
            let found = self.records.read(MessageId([number as u8; 16])).expect("whole or not there");
            (found.is_some(), found.is_some_and(|record| record.body != BodyPlace::Dropped))
        })
    }
}

fn message(id: MessageId) -> MessageRecord {
    MessageRecord {
        id,
        order: 1,
        envelope: SignedEnvelope { bytes: vec![1; 40], signature: Signature([1; 64]) },
        recipient: PublicKey([2; 32]),
        deadline: Deadline { boot: BootId([3; 16]), boot_ms: 0, wall_ms: 0, length_ms: 1_000 },
        body: BodyPlace::Inline(b"body".to_vec()),
        phase: Phase::Accepted,
        late: None,
    }
}

fn decided(outcome: Outcome) -> Phase {
    let receipt = SignedReceipt { bytes: vec![4; 40], signature: Signature([5; 64]) };
    Phase::Decided(Box::new(Decision { outcome, word: Word { receipt, output: vec![] }, at_ms: DECIDED_MS }))
}

const ALL: (bool, bool) = (true, true);
const WITHOUT_BODY: (bool, bool) = (true, false);
const NOTHING: (bool, bool) = (false, false);

#[test]
fn a_body_that_was_not_handled_is_kept_for_retry_until_keep_failed_is_over() {
    let mut kept = Kept::with(&[decided(Outcome::Failed), decided(Outcome::Expired), Phase::Accepted]);
    assert_eq!(kept.sweep(DECIDED_MS + KEEP_FAILED_MS), [ALL, ALL, ALL]);
    assert_eq!(kept.sweep(DECIDED_MS + KEEP_FAILED_MS + 1), [WITHOUT_BODY, WITHOUT_BODY, ALL]);
}

#[test]
fn records_are_kept_until_keep_records_is_over_and_undecided_ones_for_ever() {
    let mut kept = Kept::with(&[decided(Outcome::Handled), decided(Outcome::Failed), Phase::Delivered]);
    let [handled, _, undecided] = kept.sweep(DECIDED_MS + KEEP_RECORDS_MS);
    assert!(handled.0 && undecided == ALL);
    assert_eq!(kept.sweep(DECIDED_MS + KEEP_RECORDS_MS + 1), [NOTHING, NOTHING, ALL]);
    assert_eq!(kept.sweep(u64::MAX), [NOTHING, NOTHING, ALL]);
}

#[test]
fn a_handled_message_has_no_body_once_its_drop_is_synced() {
    let mut kept = Kept::with(&[decided(Outcome::Handled)]);
    kept.backend.commit(&changes(Write::DropBody { id: MessageId([0; 16]) })).expect("commits");
    assert_eq!(kept.sweep(DECIDED_MS), [WITHOUT_BODY]);
}
