//! Round trips: each answer brings the next request.

use super::{ALLOCATIONS, CPU, Output, P50, P99, P999, Player, RATE, connections, length, play};
use crate::job::{Job, Load, Peer};
use crate::report::{Row, Spread};
use crate::roles::Fault;
use crate::run::{Measured, allocations};

/// Who meets here.
pub const PLAYERS: &[Player] = &[
    Player::new(Peer::Connection, false, "connection"),
    Player::new(Peer::Connection, true, "connection"),
    Player::new(Peer::Session, true, "session"),
    Player::new(Peer::Hand, false, "hand"),
    Player::new(Peer::Codec, false, "codec"),
    Player::new(Peer::Codec, true, "codec TLS"),
    Player::new(Peer::Protosocket, false, "protosocket"),
    Player::new(Peer::ProtosocketRpc, false, "protosocket-rpc"),
    Player::new(Peer::TonicUnary, false, "tonic unary"),
    Player::new(Peer::TonicStream, false, "tonic stream"),
    Player::new(Peer::Blocking, false, "blocking"),
];

const SUITE: &str = "rpc";

/// Connections, requests in flight on each, bytes.
type Case = (usize, usize, usize);

const CASES: &[Case] = &[
    (1, 1, 32),
    (1, 16, 32),
    (1, 256, 32),
    (64, 1, 32),
    (64, 16, 32),
    (1, 1, 1024),
    (1, 16, 1024),
    (1, 256, 1024),
    (64, 1, 1024),
];

const QUICK_CASES: &[Case] = &[(1, 1, 32), (64, 1, 32)];

pub fn run(out: &mut Output, quick: bool, runs: u32) -> Result<(), Fault> {
    for &case in if quick { QUICK_CASES } else { CASES } {
        meet(out, quick, runs, case)?;
    }
    Ok(())
}

fn meet(out: &mut Output, quick: bool, runs: u32, case: Case) -> Result<(), Fault> {
    let (count, in_flight, bytes) = case;
    let millis = if quick { 200 } else { 1_000 };
    let load = Load::RoundTrips { in_flight };
    let job = |player: &Player| Job { peer: player.peer, load, tls: player.tls, connections: count, bytes, millis };
    // One thread that blocks can wait for one answer only.
    let players = PLAYERS.iter().filter(|player| player.peer != Peer::Blocking || (count, in_flight) == (1, 1));
    let played = play(players, runs, job)?;
    let rate = |run: &Measured| run.client.messages as f64 / run.client.seconds;
    let cpu = |run: &Measured| (run.server.cpu_seconds + run.client.cpu_seconds) * 1e9 / run.client.messages as f64;
    for (ours, own) in played.iter().filter(|(player, _)| player.peer.is_ours()) {
        let case = format!("{}, {}, {in_flight} in flight, {}", ours.title(), connections(count), length(bytes));
        for (rival, other) in played.iter().filter(|(player, _)| !player.peer.is_ours()) {
            let mut row = |metric, each: &dyn Fn(&Measured) -> f64| {
                let (own, other) = (Spread::of(own.iter().map(each)), Spread::of(other.iter().map(each)));
                out.row(Row::new(SUITE, &case, metric, own, rival.name, other));
            };
            row(RATE, &rate);
            row(P50, &|run| run.client.p50_us);
            row(P99, &|run| run.client.p99_us);
            row(P999, &|run| run.client.p999_us);
            row(CPU, &cpu);
            if (count, in_flight, bytes) == (1, 1, 32) && rival.peer != Peer::Blocking {
                let each = |player| allocations(&job(player)).map(|each| Spread::of([each]));
                out.row(Row::new(SUITE, &case, ALLOCATIONS, each(ours)?, rival.name, each(rival)?));
            }
        }
    }
    Ok(())
}
