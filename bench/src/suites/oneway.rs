//! Messages one way: the client sends as fast as it can, the server counts what arrives.

use std::collections::BTreeMap;

use super::{ALLOCATIONS, CPU, Output, RATE, connections, length};
use crate::job::{Job, Load, Peer};
use crate::report::{Row, Spread};
use crate::roles::Fault;
use crate::run::{Measured, allocations, alternate};

pub const CONTENDERS: &[Peer] =
    &[Peer::Connection, Peer::ConnectionSender, Peer::Session, Peer::Hand, Peer::Codec, Peer::Protosocket, Peer::TonicStream];

/// Contenders of a run, with TLS or without, and the name each has as a rival beside others.
const PLAYERS: &[(Peer, bool, &str)] = &[
    (Peer::Connection, false, "connection"),
    (Peer::ConnectionSender, false, "connection by sender"),
    (Peer::Hand, false, "hand"),
    (Peer::Codec, false, "codec"),
    (Peer::Protosocket, false, "protosocket"),
    (Peer::TonicStream, false, "tonic stream"),
    (Peer::Session, true, "session"),
    (Peer::Codec, true, "codec TLS"),
];

const SUITE: &str = "oneway";

pub fn run(out: &mut Output, quick: bool, runs: u32) -> Result<(), Fault> {
    let cases: &[(usize, usize)] =
        if quick { &[(1, 32), (1, 1024), (1, 65_536)] } else { &[(1, 32), (1, 1024), (1, 65_536), (64, 32), (64, 1024)] };
    for &(count, bytes) in cases {
        case(out, quick, runs, count, bytes)?;
    }
    Ok(())
}

fn case(out: &mut Output, quick: bool, runs: u32, count: usize, bytes: usize) -> Result<(), Fault> {
    let job = |peer, tls| Job { peer, load: Load::OneWay, tls, connections: count, bytes, millis: if quick { 200 } else { 1_000 } };
    let plain: Vec<Job> = PLAYERS.iter().filter(|player| !player.1).map(|player| job(player.0, false)).collect();
    let sealed: Vec<Job> = PLAYERS.iter().filter(|player| player.1).map(|player| job(player.0, true)).collect();
    // One turn after the other, so that plain and sealed alternate, too.
    let mut all: BTreeMap<(Peer, bool), Vec<Measured>> = BTreeMap::new();
    for _ in 0..runs {
        for (jobs, tls) in [(&plain, false), (&sealed, true)] {
            for (peer, measured) in alternate(jobs, 1)? {
                all.entry((peer, tls)).or_default().extend(measured);
            }
        }
    }
    let rate = |key: (Peer, bool)| Spread::of(all[&key].iter().map(|run| run.server.messages as f64 / run.server.seconds));
    let cpu = |key: (Peer, bool)| {
        let each = |run: &Measured| (run.server.cpu_seconds + run.client.cpu_seconds) * 1e9 / run.server.messages as f64;
        Spread::of(all[&key].iter().map(each))
    };
    let name = |who: &str, tls| format!("{who}, {}, {}, {}", if tls { "TLS" } else { "plain" }, connections(count), length(bytes));
    out.row(Row::new(SUITE, &name("hand", false), RATE, rate((Peer::Hand, false)), "codec", rate((Peer::Codec, false))));
    for &(ours, tls, who) in PLAYERS.iter().filter(|player| player.0.is_ours()) {
        let rivals = PLAYERS.iter().filter(|player| !player.0.is_ours());
        for &(rival, rival_tls, rival_name) in rivals {
            // A session, which has TLS, is held against the plain rate of one rival, too.
            let rival_name = match (tls, rival_tls, rival) {
                (true, false, Peer::Protosocket) => "protosocket plain",
                _ if tls == rival_tls => rival_name,
                _ => continue,
            };
            let (ours, rival) = ((ours, tls), (rival, rival_tls));
            out.row(Row::new(SUITE, &name(who, tls), RATE, rate(ours), rival_name, rate(rival)));
            out.row(Row::new(SUITE, &name(who, tls), CPU, cpu(ours), rival_name, cpu(rival)));
        }
    }
    if count == 1 && bytes == 32 {
        let counted = |peer| allocations(&job(peer, false)).map(|each| Spread::of([each]));
        let ours = counted(Peer::Connection)?;
        for rival in [Peer::Hand, Peer::Codec, Peer::Protosocket, Peer::TonicStream] {
            out.row(Row::new(SUITE, &name("connection", false), ALLOCATIONS, ours, rival.name(), counted(rival)?));
        }
    }
    Ok(())
}
