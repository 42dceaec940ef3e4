//! Connections that said one message there and back and are silent since: what each costs the server in memory.

use super::{MEMORY, Output};
use crate::job::{Job, Load, Peer};
use crate::report::{Row, Spread};
use crate::roles::Fault;
use crate::run::once;

pub const CONTENDERS: &[(Peer, bool)] = &[
    (Peer::Connection, false),
    (Peer::Session, true),
    (Peer::Hand, false),
    (Peer::Codec, false),
    (Peer::Codec, true),
    (Peer::Protosocket, false),
    (Peer::TonicUnary, false),
];

const CONNECTIONS: usize = 5_000;

/// Enough to see a connection beside what a process holds anyway.
const QUICK_CONNECTIONS: usize = 500;

pub fn run(out: &mut Output, quick: bool, runs: u32) -> Result<(), Fault> {
    let connections = if quick { QUICK_CONNECTIONS } else { CONNECTIONS };
    let mut held = vec![Vec::new(); CONTENDERS.len()];
    for _ in 0..runs {
        for (&(peer, tls), held) in CONTENDERS.iter().zip(&mut held) {
            let job = Job { peer, load: Load::Idle, tls, connections, bytes: 32, millis: 0 };
            held.push(once(&job)?.server.held_bytes);
        }
    }
    let spreads: Vec<_> = held.into_iter().map(Spread::of).collect();
    let with = || CONTENDERS.iter().zip(&spreads);
    for (&(ours, tls), own) in with().filter(|((peer, _), _)| peer.is_ours()) {
        let case = format!("{}, {}", ours.name(), if tls { "TLS" } else { "plain" });
        for (&(rival, _), spread) in with().filter(|((peer, sealed), _)| !peer.is_ours() && *sealed == tls) {
            out.row(Row::new("idle", &case, MEMORY, *own, rival.name(), *spread));
        }
    }
    Ok(())
}
