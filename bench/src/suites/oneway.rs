//! Messages one way: the client sends as fast as it can, the server counts what arrives.

use super::{ALLOCATIONS, CPU, Output, Player, RATE, connections, length, play};
use crate::job::{Extent, Job, Load, Peer};
use crate::report::{Row, Spread};
use crate::roles::Fault;
use crate::run::{Measured, allocations};

/// Who meets here.
pub const PLAYERS: &[Player] = &[
    Player::new(Peer::Connection, false, "connection"),
    Player::new(Peer::ConnectionSender, false, "connection by sender"),
    Player::new(Peer::Hand, false, "hand"),
    Player::new(Peer::Codec, false, "codec"),
    Player::new(Peer::Protosocket, false, "protosocket"),
    Player::new(Peer::TonicStream, false, "tonic stream"),
    Player::new(Peer::Connection, true, "connection"),
    Player::new(Peer::Session, true, "session"),
    Player::new(Peer::SessionBatches, true, "session in batches"),
    Player::new(Peer::Codec, true, "codec TLS"),
];

const SUITE: &str = "oneway";

/// Connections, bytes.
type Case = (usize, usize);

const CASES: &[Case] = &[(1, 32), (1, 1024), (1, 65_536), (64, 32), (64, 1024)];

const QUICK_CASES: &[Case] = &[(1, 32), (1, 1024), (1, 65_536)];

pub fn run(out: &mut Output, quick: bool, runs: u32) -> Result<(), Fault> {
    for &case in if quick { QUICK_CASES } else { CASES } {
        meet(out, quick, runs, case)?;
    }
    Ok(())
}

fn meet(out: &mut Output, quick: bool, runs: u32, (count, bytes): Case) -> Result<(), Fault> {
    let (load, extent) = (Load::OneWay, Extent::Millis(if quick { 200 } else { 400 }));
    let job = |player: &Player| Job { peer: player.peer, load, tls: player.tls, connections: count, bytes, extent };
    let played = play(PLAYERS.iter(), runs, job)?;
    let rate = |runs: &[Measured]| Spread::of(runs.iter().map(|run| run.server.messages as f64 / run.server.seconds));
    let cpu = |runs: &[Measured]| {
        let seconds = |run: &Measured| run.server.cpu_seconds + run.client.cpu_seconds;
        Spread::of(runs.iter().map(|run| seconds(run) * 1e9 / run.server.messages as f64))
    };
    let case = |player: &Player| format!("{}, {}, {}", player.title(), connections(count), length(bytes));
    let of = |peer| played.iter().find(|(player, _)| player.peer == peer).expect("it plays");
    let ((hand, by_hand), (codec, by_codec)) = (of(Peer::Hand), of(Peer::Codec));
    out.row(Row::new(SUITE, &case(hand), RATE, rate(by_hand), codec.name, rate(by_codec)));
    for (ours, own) in played.iter().filter(|(player, _)| player.peer.is_ours()) {
        for (rival, other) in played.iter().filter(|(player, _)| !player.peer.is_ours()) {
            out.row(Row::new(SUITE, &case(ours), RATE, rate(own), rival.name, rate(other)));
            if ours.tls != rival.tls {
                continue; // The rate has goals across; what TLS costs is no news.
            }
            out.row(Row::new(SUITE, &case(ours), CPU, cpu(own), rival.name, cpu(other)));
            if (count, bytes) == (1, 32) && !ours.tls {
                let each = |player| allocations(&job(player)).map(|each| Spread::of([each]));
                out.row(Row::new(SUITE, &case(ours), ALLOCATIONS, each(ours)?, rival.name, each(rival)?));
            }
        }
    }
    Ok(())
}
