//! Round trips, where each answer brings the next request; and calls that are answered with many items.

use super::{ALLOCATIONS, CPU, Output, P50, P99, P999, Player, RATE, connections, length, play};
use crate::job::{Extent, Job, Load, Peer};
use crate::report::{Row, Spread};
use crate::roles::Fault;
use crate::run::{Measured, allocations};

/// Who meets here.
pub const PLAYERS: &[Player] = &[
    Player::new(Peer::Connection, false, "connection"),
    Player::new(Peer::Connection, true, "connection"),
    Player::new(Peer::Calls, false, "calls on a connection"),
    Player::new(Peer::Calls, true, "calls on a connection"),
    Player::new(Peer::Session, true, "session"),
    Player::new(Peer::SessionCalls, true, "calls over a session"),
    Player::new(Peer::SessionCalls, false, "calls over a session"),
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
    (64, 256, 32),
    (1, 1, 1024),
    (1, 16, 1024),
    (1, 256, 1024),
    (64, 1, 1024),
    (64, 16, 1024),
    (64, 256, 1024),
];

/// Those that have goals.
const QUICK_CASES: &[Case] = &[(1, 1, 32), (64, 1, 32), (1, 256, 32)];

/// Bytes of streamed items.
const ITEMS: &[usize] = &[32, 1024];

const QUICK_ITEMS: &[usize] = &[32];

pub fn run(out: &mut Output, quick: bool, runs: u32) -> Result<(), Fault> {
    for &case in if quick { QUICK_CASES } else { CASES } {
        round_trips(out, quick, runs, case)?;
    }
    for &bytes in if quick { QUICK_ITEMS } else { ITEMS } {
        items(out, quick, runs, bytes)?;
    }
    Ok(())
}

/// A session over a link without TLS, which the library has for measurements only.
fn is_test_link(player: &Player) -> bool {
    player.peer == Peer::SessionCalls && !player.tls
}

fn extent(quick: bool) -> Extent {
    Extent::Millis(if quick { 200 } else { 400 })
}

fn round_trips(out: &mut Output, quick: bool, runs: u32, case: Case) -> Result<(), Fault> {
    let (count, in_flight, bytes) = case;
    let (load, extent) = (Load::RoundTrips { in_flight }, extent(quick));
    let job = |player: &Player| Job { peer: player.peer, load, tls: player.tls, connections: count, bytes, extent };
    // One thread that blocks can wait for one answer only.
    // A session without TLS is no product: it says once what TLS costs.
    let only_once = |player: &Player| is_test_link(player) || player.peer == Peer::Blocking;
    let players = PLAYERS.iter().filter(|player| !only_once(player) || (count, in_flight) == (1, 1));
    let played = play(players, runs, job)?;
    let title =
        |ours: &Player| format!("{}, {}, {in_flight} in flight, {}", ours.title(), connections(count), length(bytes));
    let rate = |run: &Measured| run.client.messages as f64 / run.client.seconds;
    let cpu = |run: &Measured| (run.server.cpu_seconds + run.client.cpu_seconds) * 1e9 / run.client.messages as f64;
    for (ours, own) in played.iter().filter(|(player, _)| player.peer.is_ours()) {
        let case = title(ours);
        for (rival, other) in played.iter().filter(|(player, _)| !player.peer.is_ours()) {
            let mut row = |metric, each: &dyn Fn(&Measured) -> f64| {
                let (own, other) = (Spread::of(own.iter().map(each)), Spread::of(other.iter().map(each)));
                let row = Row::new(SUITE, &case, metric, own, rival.name, other);
                // Some goals go across; what TLS costs otherwise is no news.
                if ours.tls == rival.tls || row.goal.is_some() {
                    out.row(row);
                }
            };
            row(RATE, &rate);
            row(P50, &|run| run.client.p50_us);
            row(P99, &|run| run.client.p99_us);
            row(P999, &|run| run.client.p999_us);
            row(CPU, &cpu);
        }
    }
    if case == (1, 1, 32) {
        let playing = PLAYERS.iter().filter(|player| player.peer != Peer::Blocking);
        let each = playing.map(|player| allocations(&job(player)).map(|each| (player, Spread::of([each]))));
        let each = each.collect::<Result<Vec<_>, _>>()?;
        for (ours, own) in each.iter().filter(|(player, _)| player.peer.is_ours()) {
            for (rival, other) in each.iter().filter(|(player, _)| !player.peer.is_ours() && player.tls == ours.tls) {
                out.row(Row::new(SUITE, &title(ours), ALLOCATIONS, *own, rival.name, *other));
            }
        }
    }
    Ok(())
}

fn items(out: &mut Output, quick: bool, runs: u32, bytes: usize) -> Result<(), Fault> {
    let extent = extent(quick);
    let job =
        |player: &Player| Job { peer: player.peer, load: Load::Items, tls: player.tls, connections: 1, bytes, extent };
    let streams = [Peer::Calls, Peer::SessionCalls, Peer::ProtosocketRpc, Peer::TonicStream];
    let played =
        play(PLAYERS.iter().filter(|player| streams.contains(&player.peer) && !is_test_link(player)), runs, job)?;
    let rate = |runs: &[Measured]| Spread::of(runs.iter().map(|run| run.client.messages as f64 / run.client.seconds));
    let cpu = |run: &Measured| (run.server.cpu_seconds + run.client.cpu_seconds) * 1e9 / run.client.messages as f64;
    let cpu = |runs: &[Measured]| Spread::of(runs.iter().map(cpu));
    for (ours, own) in played.iter().filter(|(player, _)| player.peer.is_ours()) {
        let case = format!("{}, {}, streamed items, {}", ours.title(), connections(1), length(bytes));
        for (rival, other) in played.iter().filter(|(player, _)| !player.peer.is_ours()) {
            out.row(Row::new(SUITE, &case, RATE, rate(own), rival.name, rate(other)));
            out.row(Row::new(SUITE, &case, CPU, cpu(own), rival.name, cpu(other)));
        }
    }
    Ok(())
}
