//! Order within sender, recipient and lane.

use super::super::history::{Fact, Life, Record, Way};
use super::{Case, Found};
use std::collections::BTreeMap;
use towline_proto::ids::Lane;

/// Where in the history a message took a step, if it did.
type Place = fn(&Life<'_>) -> Option<usize>;
/// Sender, recipient, lane.
type Flow = (usize, usize, Lane);

/// Whole messages are accepted in the order of their sends; all are delivered, and given `go`, in the order of their
/// acceptance; commands of a rule that runs one at a time begin in that order.
pub(super) fn in_order(case: &Case<'_>) -> Found {
    let mut found = Found::new();
    for flow in flows(case).values() {
        let steps: [(&str, Place); 3] = [
            ("delivered", |life| first(life, |record| *record == Record::Delivered)),
            ("given go", |life| first(life, |record| matches!(record, Record::Started { .. }))),
            ("begun", |life| if life.way == Way::Once { life.begun().next().map(|(place, _, _)| place) } else { None }),
        ];
        for (what, place) in steps {
            inversions(flow, |life| life.accepted(), place, what, &mut found);
        }
        sends_in_order(flow, &mut found);
    }
    found
}

fn flows<'a, 'b>(case: &'b Case<'a>) -> BTreeMap<Flow, Vec<&'b Life<'a>>> {
    let mut flows = BTreeMap::<Flow, Vec<&Life<'_>>>::new();
    for life in case.lives.iter().filter(|life| life.kept) {
        flows.entry((life.from, life.to, life.lane)).or_default().push(life);
    }
    flows
}

fn first(life: &Life<'_>, wanted: impl Fn(&Record) -> bool) -> Option<usize> {
    life.records().find(|(_, _, record)| wanted(record)).map(|(place, _, _)| place)
}

/// Those whose `later` step is not in the order of their `earlier` one.
fn inversions(
    flow: &[&Life<'_>],
    earlier: impl Fn(&Life<'_>) -> Option<usize>,
    later: impl Fn(&Life<'_>) -> Option<usize>,
    what: &str,
    found: &mut Found,
) {
    let mut both: Vec<(usize, usize, &Life<'_>)> =
        flow.iter().filter_map(|life| Some((earlier(life)?, later(life)?, *life))).collect();
    both.sort_unstable_by_key(|(earlier, _, _)| *earlier);
    let overtaken = both.windows(2).filter(|pair| pair[0].1 > pair[1].1);
    found.extend(overtaken.map(|pair| (pair[0].2.id, format!("{what} after {}", pair[1].2.id))));
}

/// Only messages that were said once, whole, can be compared: what is said again is accepted at some other time.
fn sends_in_order(flow: &[&Life<'_>], found: &mut Found) {
    let mut by_session = BTreeMap::<u64, Vec<&Life<'_>>>::new();
    for life in flow {
        let mut said = life.facts.iter().filter_map(|(_, _, fact)| match fact {
            Fact::Submitted { session, whole } => Some((*session, *whole)),
            _ => None,
        });
        if let (Some((session, true)), None) = (said.next(), said.next()) {
            by_session.entry(session).or_default().push(life);
        }
    }
    let submitted = |life: &Life<'_>| {
        life.facts.iter().find(|(_, _, fact)| matches!(fact, Fact::Submitted { .. })).map(|(place, _, _)| *place)
    };
    for lives in by_session.values() {
        inversions(lives, submitted, |life| life.accepted(), "accepted", found);
    }
}
