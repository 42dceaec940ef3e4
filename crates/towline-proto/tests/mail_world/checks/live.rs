//! Live messages: handed over once or not at all, and the sender hears which.

use super::super::history::Fact;
use super::{Case, Found};
use towline_proto::mail::code::Code;

pub(super) fn once(case: &Case<'_>) -> Found {
    let mut found = Found::new();
    for life in case.lives.iter().filter(|life| !life.kept) {
        let often = life.facts.iter().filter(|(_, _, fact)| **fact == Fact::HandedOver).count();
        if often > 1 || life.records().next().is_some() {
            found.push((life.id, format!("handed over {often} times, {} records", life.records().count())));
        }
    }
    found
}

/// `ok` only after it was handed over, `not here` only before, and never two different results for what was given.
pub(super) fn result_is_true(case: &Case<'_>) -> Found {
    let mut found = Found::new();
    for life in case.lives.iter().filter(|life| !life.kept) {
        let handed = life.facts.iter().find(|(_, _, fact)| **fact == Fact::HandedOver).map(|(place, _, _)| *place);
        let mut given = None;
        for &(told, _, fact) in &life.facts {
            let Fact::ToldLive(code) = fact else { continue };
            let holds = match code {
                Code::Ok => handed.is_some_and(|handed| handed < told),
                Code::NotHere => handed.is_none_or(|handed| told < handed),
                _ => *code == Code::LiveUnclear,
            };
            let changed = *code != Code::NotHere && given.replace(*code).is_some_and(|before| before != *code);
            if !holds || changed {
                found.push((life.id, format!("told {code}; handed over: {}", handed.is_some())));
            }
        }
    }
    found
}
