//! The promises, each as one check that reads a history and says what in it breaks the promise.

mod delivery;
mod live;
mod order;
mod start;
mod told;

use super::history::{History, Life};
use towline_proto::ids::MessageId;

/// What one check looks at: the history, and each message's part of it.
pub(crate) struct Case<'a> {
    pub(crate) history: &'a History,
    pub(crate) lives: Vec<Life<'a>>,
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) check: &'static str,
    pub(crate) id: MessageId,
    pub(crate) text: String,
}

/// What a check found: the message and what is wrong with it.
type Found = Vec<(MessageId, String)>;
type Check = fn(&Case<'_>) -> Found;

/// Every check by its name, in the order in which a reader wants to hear of them.
pub(crate) const CHECKS: [(&str, Check); 17] = [
    ("accepted is kept", delivery::accepted_is_kept),
    ("accepted once", delivery::accepted_once),
    ("one outcome", delivery::one_outcome),
    ("handled as declared", delivery::handled_as_declared),
    ("the outcome is true", delivery::outcome_is_true),
    ("a late word is kept beside", delivery::late_word_is_kept),
    ("within the quota", delivery::within_quota),
    ("in order", order::in_order),
    ("no start without a recorded go", start::recorded_go),
    ("no late start", start::in_time),
    ("no early end", start::no_early_end),
    ("no start without permission", start::permitted),
    ("told only what is recorded", told::only_recorded),
    ("told in time", told::in_time),
    ("receipts verify", told::receipts_verify),
    ("a live message is handed over once", live::once),
    ("a live result is true", live::result_is_true),
];

/// Everything that is wrong with a history.
pub(crate) fn judge(history: &History) -> Vec<Wrong> {
    let case = Case { history, lives: history.lives() };
    let mut wrong = Vec::new();
    for (check, find) in CHECKS {
        wrong.extend(find(&case).into_iter().map(|(id, text)| Wrong { check, id, text }));
    }
    wrong
}
