//! What really happened, as senders, hub and handlers saw it, and whether that is what was promised.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use towline_proto::ids::MessageId;
use towline_proto::mail::message::MessageStatus;
use towline_proto::mail::outcome::{Outcome, State};

/// What a handler's log says of one message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Runs {
    pub starts: usize,
    pub ends: usize,
}

/// Reads a log of lines `start ID` and `end ID`.
pub fn runs(log: &Path) -> BTreeMap<MessageId, Runs> {
    let mut runs = BTreeMap::<MessageId, Runs>::new();
    for line in fs::read_to_string(log).unwrap_or_default().lines() {
        let (what, id) = line.split_once(' ').unwrap_or_else(|| panic!("a torn line in the handler's log: {line:?}"));
        let run = runs.entry(id.parse().unwrap()).or_default();
        match what {
            "start" => run.starts += 1,
            "end" => run.ends += 1,
            other => panic!("a strange line in the handler's log: {other:?}"),
        }
    }
    runs
}

/// How many messages ended how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    pub outcomes: BTreeMap<&'static str, usize>,
    pub violations: Vec<String>,
}

/// Holds each accepted message's one outcome against what its handler wrote down.
pub fn check<'a>(
    told: impl IntoIterator<Item = (MessageId, &'a MessageStatus)>,
    runs: &BTreeMap<MessageId, Runs>,
) -> Verdict {
    let mut verdict = Verdict::default();
    for (id, status) in told {
        let ran = runs.get(&id).copied().unwrap_or_default();
        let State::Decided(outcome) = status.state else {
            verdict.violations.push(format!("{id} is still {}", status.state));
            continue;
        };
        *verdict.outcomes.entry(outcome.as_str()).or_default() += 1;
        let as_promised = match outcome {
            Outcome::Handled => ran == Runs { starts: 1, ends: 1 },
            Outcome::Unclear | Outcome::Failed => ran.starts <= 1 && ran.ends <= ran.starts,
            Outcome::Expired | Outcome::Refused | Outcome::Withdrawn => ran.starts == 0,
        };
        if !as_promised {
            verdict.violations.push(format!("{id} is {outcome}, and its handler wrote {ran:?}"));
        }
    }
    verdict
}
