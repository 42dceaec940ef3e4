//! Files put into an outbox: each sent once, none held up by a large one, none lost by a kill.

use crate::support::{World, until};
use crate::{events, names, told, world};
use rustix::process::Signal;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// The shop's world, and the office with an agent too.
fn offices_world() -> World {
    let mut world = world("");
    world.start_agent("office");
    world.until_online("office");
    world
}

/// Puts a file there as a program does that writes aside and renames.
fn put(world: &World, device: &str, name: &str, bytes: &[u8]) {
    let folder = world.device("office").join("outbox").join(device);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(".aside"), bytes).unwrap();
    fs::rename(folder.join(".aside"), folder.join(name)).unwrap();
}

fn state(world: &World, state: &str) -> Vec<std::path::PathBuf> {
    let folder = world.device("office").join("outbox").join(state);
    fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}

fn settled(world: &World) -> usize {
    state(world, ".sent").iter().filter(|folder| !folder.join(".envelope").exists()).count()
}

#[test]
fn a_small_file_passes_a_large_one_that_was_claimed_first() {
    let mut world = world("");
    put(&world, "shop", "large.img", &vec![7; 64 * 1024 * 1024]);
    put(&world, "shop", "small.txt", b"x");
    // Both have settled in the agent's first look, and are claimed in the order of their names.
    world.start_agent("office");
    until("both are handled", || told(&world, "office", "outbox-handled").len() == 2);
    let sent = told(&world, "office", "outbox-sent");
    assert_eq!([&sent[0]["name"], &sent[1]["name"]], ["small.txt", "large.img"]);
    assert!(sent[0]["id"].as_str() > sent[1]["id"].as_str(), "the large one was claimed first: {sent:?}");
    assert_eq!(settled(&world), 2);
}

#[test]
fn a_refused_file_lies_in_failed_beside_its_reason() {
    let world = offices_world();
    put(&world, "nobody", "a.txt", b"x");
    until("it has failed", || told(&world, "office", "outbox-failed").len() == 1);
    let failed = state(&world, ".failed");
    assert_eq!((failed.len(), names(&failed[0])), (1, vec!["a.txt".to_owned()]));
    let reason = fs::read_to_string(failed[0].join(".reason")).unwrap();
    let event = &told(&world, "office", "outbox-failed")[0];
    assert_eq!((event["to"].as_str(), event["reason"].as_str()), (Some("nobody"), Some(reason.trim_end())));
    assert!(reason.contains("no-such-device"), "{reason}");
}

#[test]
fn p02_an_agent_killed_between_claim_and_acceptance_sends_its_file_once() {
    let mut world = offices_world();
    for round in 0..3 {
        // A hub that stands still has read nothing and answers nothing; what was said to it waits in its socket.
        world.signal("hub", Signal::STOP);
        put(&world, "shop", &format!("{round}.txt"), format!("round {round}").as_bytes());
        let envelope = |folder: &std::path::PathBuf| folder.join(".envelope").exists();
        until("it is claimed and sealed", || state(&world, ".sending").iter().any(envelope));
        // Half of the rounds give it time to be said.
        std::thread::sleep(Duration::from_millis(100 * (round % 2)));
        world.kill("office");
        world.signal("hub", Signal::CONT);
        world.start_agent("office");
        until("its outcome is known", || settled(&world) == round as usize + 1);
    }
    arrived_once(&world, 3);
}

#[test]
fn p02_an_agent_killed_again_and_again_sends_each_file_of_its_outbox_once() {
    const FILES: usize = 40;
    const KILLS: usize = 8;
    let mut world = offices_world();
    for kill in 0..KILLS {
        let first = kill * FILES / KILLS;
        for number in first..first + FILES / KILLS {
            put(&world, "shop", &format!("{number:02}.txt"), format!("round {number}").as_bytes());
        }
        let moved = || !state(&world, ".sending").is_empty() || state(&world, ".sent").len() > first;
        until("something is claimed", moved);
        // Another moment each time, between the claim of the first and the acceptance of the last.
        std::thread::sleep(Duration::from_millis(kill as u64 * 7 % 23));
        world.kill("office");
        world.start_agent("office");
    }
    until("every outcome is known", || settled(&world) == FILES);
    arrived_once(&world, FILES);
}

fn arrived_once(world: &World, files: usize) {
    let inbox = world.device("shop").join("inbox");
    let arrived = names(&inbox);
    assert_eq!(arrived.len(), files, "{arrived:?}");
    for name in &arrived {
        let number: usize = Path::new(name).file_stem().unwrap().to_str().unwrap().parse().unwrap();
        assert_eq!(fs::read_to_string(inbox.join(name)).unwrap(), format!("round {number}"));
    }
    assert!(state(world, ".sending").is_empty() && state(world, ".failed").is_empty());
    assert!(events(world, "office").iter().all(|told| told["event"] != "outbox-failed"));
}
