//! Hub core and agent core together, in seeded worlds: whatever crashes or is lost, the history must be true.
//!
//! `TOWLINE_SEEDS=100000` runs more seeds than the default; a failure prints its seed.

#![allow(clippy::disallowed_methods, reason = "how many runs is asked of the environment")]

mod mail_world;

use mail_world::{Faults, Plant, World};

const ALL: Faults = Faults {
    hub_crashes: true,
    agent_crashes: true,
    session_losses: true,
    wall_jumps: true,
    hub_at: None,
    agent_at: None,
};

/// Short stories that are crashed at every ordinal.
const STORIES: u64 = 6;

fn seeds() -> u64 {
    std::env::var("TOWLINE_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(150)
}

fn run(seed: u64, messages: usize, faults: Faults, plant: Plant) -> World {
    let mut world = World::new(seed, messages, faults, plant);
    world.run();
    world
}

fn check(seed: u64, messages: usize, faults: Faults) -> World {
    let world = run(seed, messages, faults, Plant::None);
    let found = world.faults_found();
    assert!(found.is_empty(), "seed {seed} {faults:?}: {found:#?}");
    world
}

#[test]
fn p02_p04_p05_p07_nothing_is_lost_doubled_late_or_out_of_order_whatever_crashes() {
    let (mut messages, mut starts) = (0, 0);
    for seed in 0..seeds() {
        let world = check(seed, 24, ALL);
        messages += world.truth.len();
        starts += world.truth.values().map(|truth| truth.starts_ms.len()).sum::<usize>();
    }
    println!("p02: reached 0 lost, 0 double in {messages} messages ({starts} starts)");
    println!("p04: reached 0 inversions in {messages} messages");
    println!("p05: reached 0 late starts, 0 false expiries in {messages} messages");
    println!("p07: reached every receipt verified, 1 final state for each of {messages} messages");
}

#[test]
fn p02_the_hub_may_crash_at_every_commit() {
    let mut ordinals = 0;
    for seed in 1..=STORIES {
        let commits = check(seed, 8, Faults::default()).commits;
        for at in 1..=commits {
            check(seed, 8, Faults { hub_at: Some(at), ..Faults::default() });
        }
        ordinals += commits;
    }
    println!("p02: reached all {ordinals} commit ordinals of the hub in {STORIES} short stories");
}

#[test]
fn p02_p03_the_agent_may_crash_at_every_sync() {
    let mut ordinals = 0;
    for seed in 1..=STORIES {
        let syncs = check(seed, 8, Faults::default()).syncs;
        for at in 1..=syncs {
            check(seed, 8, Faults { agent_at: Some(at), ..Faults::default() });
        }
        ordinals += syncs;
    }
    println!("p03: reached the declared mode at all {ordinals} sync ordinals of the agent in {STORIES} short stories");
}

#[test]
fn p05_the_sender_is_told_in_time_whatever_its_recipients_do() {
    let faults = Faults { agent_crashes: true, ..Faults::default() };
    let mut messages = 0;
    for seed in 0..seeds() / 2 {
        let world = check(seed, 16, faults);
        let found = world.told_too_late();
        assert!(found.is_empty(), "seed {seed}: {found:#?}");
        messages += world.truth.len();
    }
    println!("p05: reached word by deadline + 5 s and go + timeout + 5 s for {messages} messages");
}

#[test]
fn p16_jumps_of_the_wall_clock_change_nothing() {
    for seed in 0..seeds() / 4 {
        check(seed, 12, Faults { wall_jumps: true, ..Faults::default() });
    }
    println!("p16: reached 0 early or late ends under jumps of up to 10 days");
}

#[test]
fn the_checks_find_planted_faults() {
    for plant in [Plant::HubSpeaksBeforeCommit, Plant::AgentActsBeforeSync, Plant::AgentIgnoresTheBound] {
        let found = (0..400).any(|seed| {
            // A planted fault may also trip an assertion of the world itself.
            std::panic::catch_unwind(|| !run(seed, 24, ALL, plant).faults_found().is_empty()).unwrap_or(true)
        });
        assert!(found, "{plant:?} was not found");
    }
}
