//! Accepted means kept; one outcome, and a true one; handled as the rule declares.

use super::super::history::{End, Event, Fact, Record, Way};
use super::{Case, Found};
use std::collections::BTreeMap;
use towline_proto::mail::code::Code;
use towline_proto::mail::outcome::Outcome;

/// What a sender was told to be accepted is in the store, and whatever is there ends in an outcome.
pub(super) fn accepted_is_kept(case: &Case<'_>) -> Found {
    let mut found = Found::new();
    for life in &case.lives {
        if life.has(|fact| *fact == Fact::ToldAccepted) && life.accepted().is_none() {
            found.push((life.id, "told to be accepted, and not in the store".into()));
        } else if life.accepted().is_some() && life.decided().is_none() {
            found.push((life.id, format!("no outcome: {:?}", life.records().last())));
        }
    }
    found
}

pub(super) fn accepted_once(case: &Case<'_>) -> Found {
    let often =
        |life: &&super::Life<'_>| life.records().filter(|(_, _, record)| **record == Record::Accepted).count() > 1;
    case.lives.iter().filter(often).map(|life| (life.id, "accepted twice".into())).collect()
}

/// One outcome is recorded, never another; the sender hears that one and no other.
pub(super) fn one_outcome(case: &Case<'_>) -> Found {
    let mut found = Found::new();
    for life in &case.lives {
        let decisions = life.records().filter(|(_, _, record)| matches!(record, Record::Decided { .. })).count();
        let Some((_, _, _, _, _, recorded)) = life.decided() else { continue };
        let told = life.facts.iter().filter_map(|(_, _, fact)| match fact {
            Fact::ToldOutcome { receipt, late: false, .. } => Some(*receipt),
            _ => None,
        });
        let told: Vec<u64> = told.collect();
        let can_hear = case.history.revoked_at(life.from).is_none();
        if decisions > 1 {
            found.push((life.id, "an outcome was recorded over another".into()));
        } else if told.iter().any(|receipt| *receipt != recorded) {
            found.push((life.id, "the sender was told another outcome than the recorded one".into()));
        } else if told.is_empty() && can_hear && life.has(|fact| *fact == Fact::ToldAccepted) {
            found.push((life.id, "the sender was told no outcome".into()));
        }
    }
    found
}

/// At most once; a `repeat` rule again only after its agent ended.
pub(super) fn handled_as_declared(case: &Case<'_>) -> Found {
    let mut found = Found::new();
    for life in case.lives.iter().filter(|life| life.kept) {
        let begun: Vec<usize> = life.begun().map(|(place, _, _)| place).collect();
        let cut_short = |from: usize, to: usize| {
            let down = Event::AgentDown(life.to);
            case.history.events_of_all().any(|(place, event)| place > from && place < to && *event == down)
        };
        let again = begun.windows(2).any(|pair| life.way != Way::Repeat || !cut_short(pair[0], pair[1]));
        if again {
            found.push((life.id, format!("{:?} began {} times", life.way, begun.len())));
        }
    }
    found
}

/// What the outcome says is what really happened, and `unclear` is said only of what had its `go`.
pub(super) fn outcome_is_true(case: &Case<'_>) -> Found {
    let mut found = Found::new();
    for life in &case.lives {
        let Some((place, _, outcome, code, _, _)) = life.decided() else { continue };
        let began = life.begun().next().is_some();
        let ended = |wanted: End| life.has(|fact| *fact == Fact::Ended(wanted));
        let started = life.records().any(|(at, _, record)| at < place && matches!(record, Record::Started { .. }));
        let shown = life.way == Way::Place && began;
        let holds = match outcome {
            Outcome::Handled => shown || ended(End::Well),
            Outcome::Failed if matches!(code, Code::HandlerExit | Code::HandlerTimeout) => ended(End::Badly),
            Outcome::Failed => !shown,
            Outcome::Unclear => started,
            Outcome::Expired | Outcome::Refused | Outcome::Withdrawn => !began,
        };
        if !holds {
            found.push((life.id, format!("{outcome} ({code}), but began: {began}, {:?}", life.way)));
        }
    }
    found
}

/// The recipient's word after the hub's outcome stands beside it, once, and only there.
pub(super) fn late_word_is_kept(case: &Case<'_>) -> Found {
    let mut found = Found::new();
    for life in &case.lives {
        let late: Vec<usize> = life
            .records()
            .filter(|(_, _, record)| matches!(record, Record::Late { .. }))
            .map(|(place, _, _)| place)
            .collect();
        let Some((decided, _, outcome, _, by_hub, _)) = life.decided() else { continue };
        let spoke = life.has(|fact| *fact == Fact::Word);
        let can_speak = case.history.revoked_at(life.to).is_none();
        let misplaced = !by_hub || late.len() > 1 || late.first().is_some_and(|place| *place < decided);
        if !late.is_empty() && misplaced {
            found.push((life.id, format!("{} late words beside {outcome}", late.len())));
        } else if by_hub && spoke && can_speak && late.is_empty() {
            found.push((life.id, format!("the recipient's word is not kept beside {outcome}")));
        }
    }
    found
}

/// No recipient ever has more undecided messages than its quota.
pub(super) fn within_quota(case: &Case<'_>) -> Found {
    let mut steps = Vec::new();
    for life in &case.lives {
        for (place, _, record) in life.records() {
            match record {
                Record::Accepted => steps.push((place, life, 1)),
                Record::Decided { .. } => steps.push((place, life, -1)),
                _ => {}
            }
        }
    }
    steps.sort_unstable_by_key(|(place, _, _)| *place);
    let mut waiting = BTreeMap::<usize, i64>::new();
    let mut found = Found::new();
    for (_, life, by) in steps {
        let count = waiting.entry(life.to).or_default();
        *count += by;
        if *count > case.history.quota as i64 {
            found.push((life.id, format!("{count} messages wait for device {}", life.to)));
        }
    }
    found
}
