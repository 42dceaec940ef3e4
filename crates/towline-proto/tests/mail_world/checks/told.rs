//! What senders are told: true, provable, in time.

use super::super::history::{Fact, Record};
use super::start::timeout_ms;
use super::{Case, Found};
use towline_proto::mail::outcome::State;

/// How late a word may be, in milliseconds.
const GRACE_MS: u64 = 5_000;

/// Nothing is told before the store has it.
pub(super) fn only_recorded(case: &Case<'_>) -> Found {
    let mut found = Found::new();
    for life in &case.lives {
        for &(told, _, fact) in &life.facts {
            let recorded = |wanted: &dyn Fn(&Record) -> bool| {
                life.records().any(|(place, _, record)| place < told && wanted(record))
            };
            let holds = match fact {
                Fact::ToldAccepted => recorded(&|record| *record == Record::Accepted),
                Fact::Told(State::Delivered) => recorded(&|record| *record == Record::Delivered),
                Fact::Told(State::Started) => recorded(&|record| matches!(record, Record::Started { .. })),
                Fact::ToldOutcome { late: false, .. } => recorded(&|record| matches!(record, Record::Decided { .. })),
                Fact::ToldOutcome { late: true, .. } => recorded(&|record| matches!(record, Record::Late { .. })),
                _ => true,
            };
            if !holds {
                found.push((life.id, format!("told before it was recorded: {fact:?}")));
            }
        }
    }
    found
}

/// By its deadline + 5 s the sender knows that it started or what became of it; by `go` + timeout + 5 s the outcome.
pub(super) fn in_time(case: &Case<'_>) -> Found {
    let mut found = Found::new();
    if !case.history.steady {
        return found;
    }
    for life in case.lives.iter().filter(|life| life.has(|fact| *fact == Fact::ToldAccepted)) {
        let told = |outcome_only: bool| {
            let mut told = life.facts.iter().filter(|(_, _, fact)| match fact {
                Fact::ToldOutcome { .. } => true,
                Fact::Told(State::Started) => !outcome_only,
                _ => false,
            });
            told.next().map(|(_, ms, _)| *ms)
        };
        let by = |ms: Option<u64>, bound: u64| ms.is_some_and(|ms| ms <= bound);
        let due = life.due_at(usize::MAX).unwrap_or_default();
        if !by(told(false), due + GRACE_MS) {
            found.push((life.id, format!("due at {due}, told at {:?}", told(false))));
        }
        let go = life.records().filter(|(_, _, record)| matches!(record, Record::Started { .. })).last();
        if let Some((_, started, _)) = go
            && !by(told(true), (started + timeout_ms(life.way)).max(due) + GRACE_MS)
        {
            found.push((life.id, format!("started at {started}, outcome told at {:?}", told(true))));
        }
    }
    found
}

/// Every receipt that a sender hears proves itself: signature, envelope, output, and a signer who may say it.
pub(super) fn receipts_verify(case: &Case<'_>) -> Found {
    let bad = |life: &&super::Life<'_>| life.has(|fact| matches!(fact, Fact::ToldOutcome { genuine: false, .. }));
    case.lives.iter().filter(bad).map(|life| (life.id, "a receipt does not verify".into())).collect()
}
