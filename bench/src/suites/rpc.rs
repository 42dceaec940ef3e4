//! Round trips: each answer brings the next request.

use super::{ALLOCATIONS, CPU, Output, P50, P99, P999, RATE, connections, length};
use crate::job::{Job, Load, Peer};
use crate::report::{Row, Spread};
use crate::roles::Fault;
use crate::run::{Measured, allocations, alternate};

pub const CONTENDERS: &[Peer] = &[
    Peer::Connection,
    Peer::Session,
    Peer::Hand,
    Peer::Codec,
    Peer::Protosocket,
    Peer::ProtosocketRpc,
    Peer::TonicUnary,
    Peer::TonicStream,
    Peer::Blocking,
];

const SUITE: &str = "rpc";

/// Connections, requests in flight on each, bytes.
const CASES: &[(usize, usize, usize)] =
    &[(1, 1, 32), (1, 16, 32), (1, 256, 32), (64, 1, 32), (64, 16, 32), (1, 1, 1024), (1, 16, 1024), (1, 256, 1024), (64, 1, 1024)];

const QUICK_CASES: &[(usize, usize, usize)] = &[(1, 1, 32), (1, 256, 32), (64, 1, 32)];

pub fn run(out: &mut Output, quick: bool, runs: u32) -> Result<(), Fault> {
    for &(count, in_flight, bytes) in if quick { QUICK_CASES } else { CASES } {
        case(out, quick, runs, count, in_flight, bytes)?;
    }
    Ok(())
}

fn case(out: &mut Output, quick: bool, runs: u32, count: usize, in_flight: usize, bytes: usize) -> Result<(), Fault> {
    let millis = if quick { 200 } else { 1_000 };
    let job = |peer: Peer| Job {
        peer,
        load: Load::RoundTrips { in_flight },
        tls: peer == Peer::Session,
        connections: count,
        bytes,
        millis,
    };
    // One thread that blocks can wait for one answer only.
    let plays = |peer: &&Peer| **peer != Peer::Blocking || (count, in_flight) == (1, 1);
    let jobs: Vec<Job> = CONTENDERS.iter().filter(plays).map(|&peer| job(peer)).collect();
    let all = alternate(&jobs, runs)?;
    let spread = |peer: Peer, each: &dyn Fn(&Measured) -> f64| Spread::of(all[&peer].iter().map(each));
    let rate = |run: &Measured| run.client.messages as f64 / run.client.seconds;
    let cpu = |run: &Measured| (run.server.cpu_seconds + run.client.cpu_seconds) * 1e9 / run.client.messages as f64;
    for ours in [Peer::Connection, Peer::Session] {
        let sealed = if ours == Peer::Session { "TLS" } else { "plain" };
        let name = format!("{}, {sealed}, {}, {in_flight} in flight, {}", ours.name(), connections(count), length(bytes));
        for rival in CONTENDERS.iter().filter(|peer| !peer.is_ours()).filter(plays) {
            let mut row = |metric, each: &dyn Fn(&Measured) -> f64| {
                out.row(Row::new(SUITE, &name, metric, spread(ours, each), rival.name(), spread(*rival, each)));
            };
            row(RATE, &rate);
            row(P50, &|run| run.client.p50_us);
            row(P99, &|run| run.client.p99_us);
            row(P999, &|run| run.client.p999_us);
            row(CPU, &cpu);
        }
        if (count, in_flight, bytes) == (1, 1, 32) {
            let counted = |peer| allocations(&job(peer)).map(|each| Spread::of([each]));
            let each = counted(ours)?;
            for rival in CONTENDERS.iter().filter(|peer| !peer.is_ours() && **peer != Peer::Blocking) {
                out.row(Row::new(SUITE, &name, ALLOCATIONS, each, rival.name(), counted(*rival)?));
            }
        }
    }
    Ok(())
}
