//! A large body on its way to an agent that is killed again and again.

use crate::support::setting;
use crate::{names, outcome, world};
use serde_json::Value;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How large the body is where nobody asks for more, in bytes.
const BODY_BYTES: u64 = 100_000_000;
/// How long one life may take to bring the body on.
const PATIENCE: Duration = Duration::from_secs(30);

/// What one kill may cost at most, in bytes: what was granted and not yet written, and what the network held.
const RESENT_BYTES: u64 = 4 * 1024 * 1024;

/// Passes connections on to the hub and counts what comes from it.
fn counted_way(hub_port: u16) -> (u16, Arc<AtomicU64>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (port, count) = (listener.local_addr().unwrap().port(), Arc::new(AtomicU64::new(0)));
    let counter = count.clone();
    std::thread::spawn(move || {
        for near in listener.incoming().flatten() {
            let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, hub_port)) else { continue };
            let (near_too, far_too) = (near.try_clone().unwrap(), far.try_clone().unwrap());
            let counter = counter.clone();
            std::thread::spawn(move || pass(near, far, &AtomicU64::new(0)));
            std::thread::spawn(move || pass(far_too, near_too, &counter));
        }
    });
    (port, count)
}

/// Passes bytes on until either end is gone, and then ends both.
fn pass(mut from: TcpStream, mut to: TcpStream, count: &AtomicU64) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
        count.fetch_add(read as u64, Ordering::Relaxed);
    }
    // One that is closed already is what is wanted.
    let _ = from.shutdown(std::net::Shutdown::Both);
    let _ = to.shutdown(std::net::Shutdown::Both);
}

/// Has a device reach its hub at another port.
fn lead(device: &Path, from: u16, to: u16) -> io::Result<()> {
    let file = device.join("device.toml");
    let text = fs::read_to_string(&file)?;
    fs::write(&file, text.replace(&format!(":{from}"), &format!(":{to}")))
}

/// `TOWLINE_BODY_KILLS` kills it more often.
#[test]
fn p08_a_body_arrives_whole_and_once_at_an_agent_killed_again_and_again() {
    let kills = setting("TOWLINE_BODY_KILLS", 20) as u64;
    let mut world = world("");
    let file = world.path("large.bin");
    let mut noise = Vec::new();
    blake3::Hasher::new().finalize_xof().take(BODY_BYTES).read_to_end(&mut noise).unwrap();
    fs::write(&file, &noise).unwrap();
    world.kill("shop");
    let (way, carried) = counted_way(world.port());
    lead(&world.device("shop"), world.port(), way).unwrap();
    let said = world.ask("office", &["--json", "send", file.to_str().unwrap(), "shop:"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    let id = said["messages"][0]["id"].as_str().unwrap().to_owned();

    let body = world.device("shop").join(format!("store/{id}.body"));
    let held = || fs::metadata(&body).map_or(0, |found| found.len());
    let step = BODY_BYTES / (kills * 2);
    let mut before = 0;
    for kill in 0..kills {
        world.start_agent("shop");
        let start = Instant::now();
        while held() < before + step {
            assert!(start.elapsed() < PATIENCE, "life {kill} brings nothing: {before} of {BODY_BYTES} bytes are held");
            std::thread::sleep(Duration::from_millis(1));
        }
        world.kill("shop");
        let now = held();
        assert!(now > before, "life {kill} took up what was held: {now} after {before}");
        assert_eq!(names(&world.device("shop").join("inbox")), [""; 0], "nothing is seen before it is whole");
        assert!(now < BODY_BYTES, "kill {kill} came too late");
        before = now;
    }
    world.start_agent("shop");
    assert_eq!(outcome(&world, &id)["state"], "handled");
    assert_eq!(names(&world.device("shop").join("inbox")), ["large.bin"]);
    assert!(fs::read(world.device("shop").join("inbox/large.bin")).unwrap() == noise, "not what was sent");
    let carried = carried.load(Ordering::Relaxed);
    let per_kill = carried.saturating_sub(BODY_BYTES) / kills;
    assert!(carried >= BODY_BYTES, "{carried} bytes were counted: the agent came another way");
    assert!(per_kill <= RESENT_BYTES, "{per_kill} bytes were sent again for each kill");
    println!("p08: reached {kills} kills during {BODY_BYTES} bytes, 0 wrong, 1 file, {per_kill} B sent again per kill");
}
