//! Connections that said one message there and back and are silent since: what each costs the server in memory.

use super::{MEMORY, Output, Player, play};
use crate::job::{Extent, Job, Load, Peer};
use crate::report::{Row, Spread};
use crate::roles::Fault;
use crate::run::Measured;

/// Who meets here.
pub const PLAYERS: &[Player] = &[
    Player::new(Peer::Connection, false, "connection"),
    Player::new(Peer::Connection, true, "connection"),
    Player::new(Peer::Session, true, "session"),
    Player::new(Peer::Hand, false, "hand"),
    Player::new(Peer::Codec, false, "codec"),
    Player::new(Peer::Codec, true, "codec TLS"),
    Player::new(Peer::Protosocket, false, "protosocket"),
    Player::new(Peer::TonicUnary, false, "tonic unary"),
];

const CONNECTIONS: usize = 5_000;

/// Enough to see a connection beside what a process holds anyway.
const QUICK_CONNECTIONS: usize = 500;

pub fn run(out: &mut Output, quick: bool, runs: u32) -> Result<(), Fault> {
    let connections = if quick { QUICK_CONNECTIONS } else { CONNECTIONS };
    let job = |player: &Player| Job {
        peer: player.peer,
        load: Load::Idle,
        tls: player.tls,
        connections,
        bytes: 32,
        extent: Extent::Millis(0),
    };
    let played = play(PLAYERS.iter(), runs, job)?;
    let held = |runs: &[Measured]| Spread::of(runs.iter().map(|run| run.server.held_bytes));
    for (ours, own) in played.iter().filter(|(player, _)| player.peer.is_ours()) {
        for (rival, other) in played.iter().filter(|(player, _)| !player.peer.is_ours() && player.tls == ours.tls) {
            out.row(Row::new("idle", &ours.title(), MEMORY, held(own), rival.name, held(other)));
        }
    }
    Ok(())
}
