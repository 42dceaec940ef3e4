//! What the demo shows at its end: what, size, time, outcome, exit code; and whatever was not as it should be.

use crate::output::table::Table;
use crate::output::{Mood, Output, bytes, when};
use serde::Serialize;
use std::time::Duration;

/// The whole day.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Report {
    /// A row for each scene.
    pub(super) rows: Vec<Row>,
    /// What went wrong beside the scenes.
    pub(super) problems: Vec<String>,
}

/// One scene.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    /// What was done.
    pub(super) what: &'static str,
    /// How many bytes travelled.
    pub(super) size: u64,
    /// How long it took, in milliseconds.
    pub(super) time_ms: u64,
    /// What the sender was told.
    pub(super) outcome: String,
    /// The exit code of the sender's command, where there was one.
    pub(super) exit: Option<i32>,
    /// What differs from how it should be.
    pub(super) problem: Option<String>,
}

impl Report {
    pub(super) fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Whether all went as it should.
    pub(super) fn is_good(&self) -> bool {
        self.problems.is_empty() && self.rows.iter().all(|row| row.problem.is_none())
    }

    /// The table and the verdict.
    pub(super) fn human(&self, out: &Output) -> String {
        let mut table = Table::new(["what", "size", "time", "outcome", "exit", ""]);
        for row in &self.rows {
            let mark = if row.problem.is_none() { (Mood::Good, "ok") } else { (Mood::Bad, "WRONG") };
            let exit = row.exit.map_or("-".into(), |exit| exit.to_string());
            let time = when::about(row.time_ms);
            table.row([row.what.into(), bytes(row.size), time, row.outcome.clone(), exit, out.paint(mark.0, mark.1)]);
        }
        let mut text = format!("\n{table}\n");
        let in_rows = self.rows.iter().filter_map(|row| Some(format!("{}: {}", row.what, row.problem.as_ref()?)));
        let problems: Vec<String> = in_rows.chain(self.problems.iter().cloned()).collect();
        for problem in &problems {
            text.push_str(&format!("\n{}", out.paint(Mood::Bad, problem)));
        }
        text.push_str(if problems.is_empty() {
            "\nEverything arrived unchanged, every sender was told the truth, and nothing is left running."
        } else {
            "\nThis is not as it should be."
        });
        text
    }
}

impl Row {
    /// A row that is as it should be until [`Row::expect`] says otherwise.
    pub(super) fn new(what: &'static str, size: u64, time: Duration) -> Self {
        let time_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self { what, size, time_ms, outcome: String::new(), exit: None, problem: None }
    }

    /// The sender's command must have ended so.
    pub(super) fn expect_exit(&mut self, due: i32) {
        let told = self.exit.map_or("none at all".into(), |exit| exit.to_string());
        self.expect(self.exit == Some(due), || format!("exit code {due} was due, not {told}"));
    }

    /// Notes the first thing that is not so.
    pub(super) fn expect(&mut self, so: bool, problem: impl FnOnce() -> String) {
        if !so && self.problem.is_none() {
            self.problem = Some(problem());
        }
    }
}
