//! What is to be reached, all in one place.

use std::fmt;

/// What a row must show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// The ratio is at least this.
    Ratio(f64),
    /// Our figure is at most this.
    AtMost(f64),
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ratio(least) => write!(f, "ratio ≥ {least}"),
            Self::AtMost(most) => write!(f, "≤ {most}"),
        }
    }
}

/// Suite, case, metric, rival, goal. A rival of `*` means whichever rival stands in the row.
type Entry = (&'static str, &'static str, &'static str, &'static str, Goal);

const GOALS: &[Entry] = &[
    // Our own yardstick must be worth something.
    ("oneway", "hand, plain, 1 connection, 32 B", "rate", "codec", Goal::Ratio(3.0)),
    // One way, a connection.
    ("oneway", "connection, plain, 1 connection, 32 B", "rate", "protosocket", Goal::Ratio(5.0)),
    ("oneway", "connection, plain, 1 connection, 1 KiB", "rate", "protosocket", Goal::Ratio(2.0)),
    ("oneway", "connection, plain, 1 connection, 64 KiB", "rate", "hand", Goal::Ratio(0.98)),
    // One way, a whole session, which has TLS.
    ("oneway", "session in batches, TLS, 1 connection, 32 B", "rate", "protosocket", Goal::Ratio(2.0)),
    ("oneway", "session in batches, TLS, 1 connection, 1 KiB", "rate", "codec TLS", Goal::Ratio(1.5)),
    // One way, a connection with TLS.
    ("oneway", "connection, TLS, 1 connection, 1 KiB", "rate", "codec TLS", Goal::Ratio(1.8)),
    ("oneway", "connection, TLS, 1 connection, 64 KiB", "rate", "codec TLS", Goal::Ratio(1.4)),
    // Round trips.
    ("rpc", "connection, plain, 1 connection, 1 in flight, 32 B", "rate", "hand", Goal::Ratio(0.98)),
    ("rpc", "connection, TLS, 1 connection, 1 in flight, 32 B", "rate", "hand", Goal::Ratio(0.92)),
    ("rpc", "connection, TLS, 1 connection, 1 in flight, 32 B", "rate", "codec TLS", Goal::Ratio(1.05)),
    ("rpc", "connection, plain, 64 connections, 1 in flight, 32 B", "rate", "hand", Goal::Ratio(0.98)),
    ("rpc", "connection, plain, 64 connections, 1 in flight, 32 B", "rate", "tonic unary", Goal::Ratio(4.4)),
    ("rpc", "connection, plain, 64 connections, 1 in flight, 32 B", "p99.9", "protosocket", Goal::Ratio(1.0)),
    // Calls: round trips with one in flight, many in flight, items.
    ("rpc", "calls on a connection, plain, 1 connection, 1 in flight, 32 B", "rate", "hand", Goal::Ratio(0.94)),
    (
        "rpc",
        "calls on a connection, plain, 1 connection, 1 in flight, 32 B",
        "rate",
        "protosocket-rpc",
        Goal::Ratio(1.06),
    ),
    ("rpc", "calls on a connection, plain, 1 connection, 1 in flight, 32 B", "rate", "tonic unary", Goal::Ratio(2.5)),
    ("rpc", "calls over a session, TLS, 1 connection, 1 in flight, 32 B", "rate", "hand", Goal::Ratio(0.88)),
    ("rpc", "calls over a session, plain, 1 connection, 1 in flight, 32 B", "rate", "hand", Goal::Ratio(0.92)),
    ("rpc", "calls over a session, plain, 1 connection, 1 in flight, 32 B", "rate", "tonic unary", Goal::Ratio(2.5)),
    (
        "rpc",
        "calls on a connection, plain, 1 connection, 256 in flight, 32 B",
        "rate",
        "protosocket-rpc",
        Goal::Ratio(4.0),
    ),
    (
        "rpc",
        "calls on a connection, plain, 1 connection, streamed items, 32 B",
        "rate",
        "protosocket-rpc",
        Goal::Ratio(3.0),
    ),
    // Memory, in bytes a connection.
    ("idle", "connection, plain", "memory", "*", Goal::AtMost(3_000.0)),
    ("idle", "connection, TLS", "memory", "*", Goal::AtMost(8_000.0)),
    ("idle", "session, TLS", "memory", "*", Goal::AtMost(8_000.0)),
    // Allocations of both sides together.
    ("oneway", "connection, plain, 1 connection, 32 B", "allocations", "*", Goal::AtMost(0.0)),
    ("rpc", "connection, plain, 1 connection, 1 in flight, 32 B", "allocations", "*", Goal::AtMost(0.0)),
    ("rpc", "calls on a connection, plain, 1 connection, 1 in flight, 32 B", "allocations", "*", Goal::AtMost(1.0)),
    ("rpc", "calls over a session, TLS, 1 connection, 1 in flight, 32 B", "allocations", "*", Goal::AtMost(1.0)),
];

/// The goal of a row, if it has one.
pub fn of(suite: &str, case: &str, metric: &str, rival: &str) -> Option<Goal> {
    let is_it =
        |entry: &&Entry| (entry.0, entry.1, entry.2) == (suite, case, metric) && (entry.3 == rival || entry.3 == "*");
    GOALS.iter().find(is_it).map(|entry| entry.4)
}

/// Goals of a suite that no row has met or missed: a goal that is not measured is not reached.
pub fn unmeasured<'a>(suites: &[&str], seen: impl Fn(&str, &str, &str, &str) -> bool + 'a) -> Vec<String> {
    let asked = GOALS.iter().filter(|entry| suites.contains(&entry.0));
    let missing = asked.filter(|entry| !seen(entry.0, entry.1, entry.2, entry.3));
    missing
        .map(|(suite, case, metric, rival, goal)| format!("{suite}: {case}: {metric} against {rival}: {goal}"))
        .collect()
}
