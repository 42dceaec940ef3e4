//! A large body on its way to an agent that is killed again and again.

use crate::support::setting;
use crate::{names, outcome, world};
use serde_json::Value;
use std::fs;
use std::io::Read as _;
use std::time::{Duration, Instant};

/// How large the body is where nobody asks for more, in bytes.
const BODY_BYTES: u64 = 100_000_000;
/// How long one life may take to bring the body on.
const PATIENCE: Duration = Duration::from_secs(30);

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
    println!("p08: reached {kills} kills during {BODY_BYTES} bytes, 0 wrong, 1 file");
}
