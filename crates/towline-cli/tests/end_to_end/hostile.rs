//! Peers that mean no good, before the real hub: each is refused with a reason that `/metrics` counts, and nobody
//! else's session suffers.

use crate::support::{World, until};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// How many of each kind.
const EACH: usize = 20;
/// How much memory the hub may ever have held, in kB: far more than its rest, far less than if peers could fill it.
const HUB_MAX_KB: u64 = 200_000;
/// How many files the starved hub may have open.
const FEW_FILES: &str = "ulimit -n 64; exec \"$0\" \"$@\"";
/// How many connections it is offered.
const MANY: usize = 200;

fn knock(world: &World) -> TcpStream {
    TcpStream::connect(("127.0.0.1", world.port())).expect("the hub listens")
}

/// What `/metrics` says of this line's number, 0 if nothing.
pub(crate) fn metric(world: &World, line: &str) -> u64 {
    let mut socket = TcpStream::connect(world.http()).expect("the hub's HTTP port");
    socket.write_all(b"GET /metrics HTTP/1.1\r\nhost: hub\r\nconnection: close\r\n\r\n").expect("asked");
    let mut page = String::new();
    socket.read_to_string(&mut page).expect("a page");
    let number = page.lines().find_map(|text| text.strip_prefix(line)?.trim().parse().ok());
    number.unwrap_or(0)
}

fn refused(world: &World, word: &str) -> u64 {
    metric(world, &format!("towline_connections_refused{{word=\"{word}\"}}"))
}

/// Seeded bytes without any meaning.
fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..4_096).map(|_| next()).collect()
}

fn most_memory_kb(world: &World) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", world.pid("hub"))).expect("the hub runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a high mark");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn p18_silent_slow_deaf_and_senseless_peers_are_refused_by_name_and_others_are_unharmed() {
    let world = World::office_and_open_shop();
    let before = metric(&world, "towline_connections");
    let silent: Vec<TcpStream> = (0..EACH).map(|_| knock(&world)).collect();
    let mut slow: Vec<TcpStream> = (0..EACH).map(|_| knock(&world)).collect();
    for seed in 0..EACH as u64 {
        // It never reads the answer, and may be cut while it still writes.
        let _ = knock(&world).write_all(&noise(seed));
    }
    let handled = || world.send(&["--text", "x", "--name", "x.txt", "shop:"]).exit == Some(0);
    assert!(handled(), "the shop gets its messages all the while");
    // The first bytes of a TLS record that announces 16 KiB, one at a time.
    let record = [&[0x16_u8, 3, 1, 0x40, 0][..], &[1; 60]].concat();
    let mut step = 0;
    until("silent and slow peers are out", || {
        for peer in &mut slow {
            let _ = peer.write_all(&record[step % record.len()..][..1]);
        }
        step += 1;
        // The slow peers' pace; that it is slow is their whole point.
        std::thread::sleep(Duration::from_millis(500));
        refused(&world, "handshake-timeout") >= 2 * EACH as u64
    });
    assert!(refused(&world, "tls") >= EACH as u64, "random bytes are no TLS");
    drop((silent, slow));
    until("their connections are gone", || metric(&world, "towline_connections") <= before);
    assert!(handled(), "and afterwards");
    let most = most_memory_kb(&world);
    assert!(most < HUB_MAX_KB, "the hub held {most} kB");
    println!("p18: reached {} peers refused by name, at most {most} kB held, 0 others harmed", 3 * EACH);
}

#[test]
fn p18_a_hub_out_of_files_goes_on_accepting_once_there_are_some_again() {
    let mut world = World::new();
    world.wrapped.insert("hub".into(), ["sh", "-c", FEW_FILES].map(String::from).into());
    world.start_hub();
    world.join("office");
    let many: Vec<TcpStream> = (0..MANY).map(|_| knock(&world)).collect();
    until("the hub says that it ran out", || world.log("hub").contains("Too many open files"));
    drop(many);
    until("the hub accepts again", || world.ran("office", &["who"]).exit == Some(0));
    assert!(metric(&world, "towline_accept_errors") > 0);
    assert_eq!(world.terminate("hub").code(), Some(0));
}
