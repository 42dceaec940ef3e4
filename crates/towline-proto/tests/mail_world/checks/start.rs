//! What must hold before anything begins, and before anything is given up.

use super::super::history::{Event, Record, Way};
use super::{Case, Found};
use towline_proto::mail::code::Code;
use towline_proto::mail::outcome::Outcome;

/// How long the rules of every story let a command run, in milliseconds.
pub(crate) const RUN_MS: u64 = 3_000;
/// How long a placing may take, in milliseconds.
pub(crate) const PLACE_MS: u64 = 600_000;

/// The longest that what was started may take.
pub(crate) fn timeout_ms(way: Way) -> u64 {
    if way == Way::Place { PLACE_MS } else { RUN_MS }
}

/// Nothing begins but under a request whose `go` the hub has synced.
pub(super) fn recorded_go(case: &Case<'_>) -> Found {
    let mut found = Found::new();
    for life in &case.lives {
        for (began, _, request) in life.begun() {
            let go = life.records().any(|(at, _, record)| at < began && *record == Record::Started { request });
            if !go {
                found.push((life.id, format!("began under request {request}, which has no recorded go")));
            }
        }
    }
    found
}

/// Nothing begins at or after the deadline that was in force when its `go` was recorded.
pub(super) fn in_time(case: &Case<'_>) -> Found {
    let mut found = Found::new();
    for life in &case.lives {
        for (began, ms, request) in life.begun() {
            let go = life.records().find(|(_, _, record)| **record == Record::Started { request });
            let due = life.due_at(go.map_or(began, |(place, _, _)| place));
            if due.is_some_and(|due| ms >= due) {
                found.push((life.id, format!("began at {ms}, due at {due:?}")));
            }
        }
    }
    found
}

/// Nothing expires before its deadline, and nothing is given up before its time for a word is over.
pub(super) fn no_early_end(case: &Case<'_>) -> Found {
    let mut found = Found::new();
    for life in &case.lives {
        let Some((place, ms, outcome, code, true, _)) = life.decided() else { continue };
        let go =
            life.records().filter(|(at, _, record)| *at < place && matches!(record, Record::Started { .. })).last();
        if outcome == Outcome::Expired && life.due_at(place).is_some_and(|due| ms < due) {
            found.push((life.id, format!("expired at {ms}, due at {:?}", life.due_at(place))));
        }
        if code == Code::NoWord && go.is_some_and(|(_, started, _)| ms < started + timeout_ms(life.way)) {
            found.push((life.id, format!("given up at {ms}, started at {go:?}")));
        }
    }
    found
}

/// No first `go` for what the policy forbids, nor from or to a revoked device.
pub(super) fn permitted(case: &Case<'_>) -> Found {
    let mut found = Found::new();
    for life in &case.lives {
        let go = life.records().find(|(_, _, record)| matches!(record, Record::Started { .. }));
        let Some((go, _, _)) = go else { continue };
        let before = |device| case.history.revoked_at(device).is_some_and(|place| place < go);
        let events = case.history.events_of_all().take_while(|(place, _)| *place < go);
        let forbidden = events.fold(None, |now, (_, event)| match event {
            Event::Forbidden(pair) => *pair,
            _ => now,
        });
        if before(life.from) || before(life.to) || forbidden == Some((life.from, life.to)) {
            found.push((life.id, "was given go without permission".into()));
        }
    }
    found
}
