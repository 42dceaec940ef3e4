//! The suites: which contenders meet in which cases, and which rows come of it.

mod idle;
mod oneway;
mod rpc;

use std::collections::BTreeSet;

use crate::Options;
use crate::goals;
use crate::job::{Job, Peer};
use crate::report::{Metric, Row, head};
use crate::roles::Fault;
use crate::run::{Measured, once};

/// Rows are found by case names, and these are made here only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    Rpc,
    Oneway,
    Idle,
}

impl Suite {
    fn name(self) -> &'static str {
        match self {
            Self::Rpc => "rpc",
            Self::Oneway => "oneway",
            Self::Idle => "idle",
        }
    }
}

/// Runs of each contender by default, and of those that take long.
const RUNS: u32 = 9;
const LONG_RUNS: u32 = 5;

/// Runs with `--quick`, which show whether it works and roughly how much.
const QUICK_RUNS: u32 = 3;

const RATE: Metric = Metric { name: "rate", unit: "messages/s", more_is_better: true };
const CPU: Metric = Metric { name: "cpu", unit: "ns/message", more_is_better: false };
const ALLOCATIONS: Metric = Metric { name: "allocations", unit: "per message", more_is_better: false };
const P50: Metric = Metric { name: "p50", unit: "us", more_is_better: false };
const P99: Metric = Metric { name: "p99", unit: "us", more_is_better: false };
const P999: Metric = Metric { name: "p99.9", unit: "us", more_is_better: false };
const MEMORY: Metric = Metric { name: "memory", unit: "bytes/connection", more_is_better: false };

/// A contender as it meets others: with TLS or without.
pub struct Player {
    peer: Peer,
    tls: bool,
    /// Its name as a rival.
    name: &'static str,
}

impl Player {
    const fn new(peer: Peer, tls: bool, name: &'static str) -> Self {
        Self { peer, tls, name }
    }

    /// Its name as ours, or as our yardstick.
    fn title(&self) -> String {
        format!("{}, {}", self.name, if self.tls { "TLS" } else { "plain" })
    }
}

/// Lets every player run in turn, again and again.
fn play<'a>(
    players: impl Iterator<Item = &'a Player>,
    runs: u32,
    job: impl Fn(&Player) -> Job,
) -> Result<Vec<(&'a Player, Vec<Measured>)>, Fault> {
    let mut played: Vec<_> = players.map(|player| (player, Vec::new())).collect();
    for _ in 0..runs {
        for (player, measured) in played.iter_mut() {
            let job = job(player);
            measured.push(once(&job)?);
        }
    }
    Ok(played)
}

/// Where rows go as they come.
struct Output {
    json: bool,
    rows: Vec<Row>,
}

impl Output {
    fn row(&mut self, row: Row) {
        if self.json {
            println!("{}", serde_json::to_string(&row).expect("a row is plain data"));
        } else if row.goal.is_some() || !matches!(row.metric, "cpu" | "p50" | "p99" | "p99.9") {
            // The rest is for programs: a table of all of it hides what matters.
            println!("{}", row.line());
        }
        self.rows.push(row);
    }

    /// A line for people; with `--json` beside the rows.
    fn say(&self, line: &str) {
        if self.json { eprintln!("{line}") } else { println!("{line}") }
    }
}

/// Runs suites; whether all is well.
pub fn run(suites: &[Suite], options: Options) -> Result<bool, Fault> {
    let runs = |default: u32| match (options.runs, options.quick) {
        (Some(runs), _) => runs,
        // What is weighed differs little from run to run, and takes the longest.
        (None, true) if default == LONG_RUNS => 1,
        (None, true) => QUICK_RUNS,
        (None, false) => default,
    };
    for (suite, least) in suites.iter().map(|suite| (suite, if *suite == Suite::Idle { LONG_RUNS } else { RUNS })) {
        if options.check && runs(least) < least {
            return Err(format!("a check of {} needs medians of {least} runs at least", suite.name()).into());
        }
    }
    let mut out = Output { json: options.json, rows: Vec::new() };
    for suite in suites {
        out.say(&format!("\n{}", suite.name()));
        for peer in peers_of(*suite) {
            out.say(&format!("  {:<16} {}", peer.name(), peer.settings()));
        }
        out.say("  all              one thread in each of two processes, TCP_NODELAY, loopback");
        out.say(&head());
        match suite {
            Suite::Rpc => rpc::run(&mut out, options.quick, runs(RUNS))?,
            Suite::Oneway => oneway::run(&mut out, options.quick, runs(RUNS))?,
            Suite::Idle => idle::run(&mut out, options.quick, runs(LONG_RUNS))?,
        }
    }
    judge(suites, options, &out)
}

fn peers_of(suite: Suite) -> BTreeSet<Peer> {
    let players = match suite {
        Suite::Rpc => rpc::PLAYERS,
        Suite::Oneway => oneway::PLAYERS,
        Suite::Idle => idle::PLAYERS,
    };
    players.iter().map(|player| player.peer).collect()
}

fn judge(suites: &[Suite], options: Options, out: &Output) -> Result<bool, Fault> {
    let missed = out.rows.iter().filter(|row| row.met == Some(false)).count();
    let met = out.rows.iter().filter(|row| row.met == Some(true)).count();
    out.say(&format!("\n{met} rows meet their goal, {missed} miss it"));
    if options.quick {
        return Ok(true);
    }
    let names: Vec<_> = suites.iter().map(|suite| suite.name()).collect();
    let seen = |suite: &str, case: &str, metric: &str, rival: &str| {
        let is_it = |row: &&Row| row.suite == suite && row.case == case && row.metric == metric;
        out.rows.iter().filter(is_it).any(|row| rival == "*" || row.rival_name == rival)
    };
    let unmeasured = goals::unmeasured(&names, seen);
    unmeasured.iter().for_each(|goal| out.say(&format!("not measured: {goal}")));
    Ok(!options.check || missed == 0 && unmeasured.is_empty())
}

/// How many connections, in words.
fn connections(count: usize) -> String {
    if count == 1 { "1 connection".into() } else { format!("{count} connections") }
}

/// A message's length, in words.
fn length(bytes: usize) -> String {
    if bytes.is_multiple_of(1024) { format!("{} KiB", bytes / 1024) } else { format!("{bytes} B") }
}
