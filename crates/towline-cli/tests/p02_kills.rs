//! Hub and agents are killed with SIGKILL again and again while messages flow; afterwards every accepted message has
//! one outcome, and that outcome is what its handler really did.
//!
//! `TOWLINE_KILLS` and `TOWLINE_MESSAGES` make the run longer; `TOWLINE_SEED` repeats its choices.

mod support;

use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use support::history::{self, Runs};
use support::sender::Sender;
use support::{World, setting};
use towline::mail::{Body, Draft, Submitted};
use towline_proto::ids::MessageId;
use towline_proto::mail::message::MessageStatus;
use towline_proto::mail::outcome::State;

const SENDERS: [&str; 4] = ["till-1", "till-2", "till-3", "till-4"];
const AGENTS: [&str; 2] = ["kitchen", "bar"];
/// How many submissions one sender has under way at once.
const AT_ONCE: usize = 8;
/// How long the outcomes may take after the last kill.
const PATIENCE: Duration = Duration::from_secs(120);

/// Whom a kill takes.
#[derive(Clone, Copy, Debug)]
enum Victim {
    Hub,
    Agent,
    Both,
}

fn config(world: &World, name: &str) -> String {
    let log = world.path(&format!("{name}.runs"));
    let handler = world.path("handler");
    let (handler, log) = (handler.display(), log.display());
    format!(
        "[[rule]]\nname = \"log\"\nfile = [\"*.job\"]\ncommand = [\"{handler}\", \"{log}\", \"{{id}}\"]\n\
         timeout = \"20s\"\nconcurrency = 4\n"
    )
}

/// Messages of one sender to both agents, until there are `at_least` and `enough` is said; returns what was accepted.
async fn stream(sender: Arc<Sender>, at_least: usize, enough: Arc<AtomicBool>) -> Vec<MessageId> {
    let mut accepted = Vec::new();
    let mut sent = 0;
    while sent < at_least || !enough.load(Ordering::Relaxed) {
        let mut batch = tokio::task::JoinSet::new();
        for _ in 0..AT_ONCE {
            let (sender, to) = (sender.clone(), AGENTS[sent % AGENTS.len()]);
            let text = format!("job {sent} of {}", sender.name);
            sent += 1;
            batch.spawn(async move {
                let body = Body::Bytes(Bytes::from(text));
                let draft = Draft::new(to.parse().unwrap());
                let (id, envelope) = sender.envelope(draft, &body, "a.job").await;
                match sender.send(&envelope, &body).await {
                    Ok(Submitted::Accepted(accepted)) => assert_eq!(accepted.id, id),
                    other => panic!("{id}: {other:?}"),
                }
                id
            });
        }
        accepted.extend(batch.join_all().await);
    }
    accepted
}

/// Asks for each message until it has an outcome.
async fn outcomes(sender: &Sender, ids: &[MessageId]) -> BTreeMap<MessageId, MessageStatus> {
    let mut told = BTreeMap::new();
    let start = Instant::now();
    for &id in ids {
        loop {
            let status = sender.status(id).await;
            if matches!(status.state, State::Decided(_)) || start.elapsed() > PATIENCE {
                told.insert(id, status);
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    told
}

/// Small, seeded and good enough to choose victims and moments.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn kill_and_restart(world: &mut World, victim: Victim, dice: &mut Dice) {
    let agent = AGENTS[dice.below(AGENTS.len() as u64) as usize];
    if matches!(victim, Victim::Hub | Victim::Both) {
        world.kill("hub");
    }
    if matches!(victim, Victim::Agent | Victim::Both) {
        world.kill(agent);
        world.start_agent(agent);
    }
    if matches!(victim, Victim::Hub | Victim::Both) {
        world.start_hub();
    }
}

#[test]
fn p02_kills_of_hub_and_agents_lose_nothing_accepted_and_run_nothing_twice() {
    let kills = setting("TOWLINE_KILLS", 150);
    let messages = setting("TOWLINE_MESSAGES", 2_000);
    let seed = setting("TOWLINE_SEED", 1);
    println!("seed {seed}, {kills} kills");
    let mut world = World::new();
    support::script(
        &world.path("handler"),
        "#!/bin/sh\nprintf 'start %s\\n' \"$2\" >> \"$1\"\nprintf 'end %s\\n' \"$2\" >> \"$1\"\n",
    );
    world.start_hub();
    for name in AGENTS {
        world.join(name);
        std::fs::write(world.device(name).join("agent.toml"), config(&world, name)).unwrap();
        world.start_agent(name);
    }
    SENDERS.iter().for_each(|name| world.join(name));

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let enough = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> = SENDERS.iter().map(|name| Arc::new(Sender::load(&world.device(name)))).collect();
    let streams: Vec<_> = senders
        .iter()
        .map(|sender| runtime.spawn(stream(sender.clone(), messages / SENDERS.len(), enough.clone())))
        .collect();

    let mut dice = Dice(seed as u64);
    for round in 0..kills {
        // A random moment of the flow is the point of the test; nothing waits for this time to have passed.
        std::thread::sleep(Duration::from_millis(20 + dice.below(180)));
        let victim = [Victim::Hub, Victim::Agent, Victim::Both][round % 3];
        kill_and_restart(&mut world, victim, &mut dice);
    }
    enough.store(true, Ordering::Relaxed);

    let mut told = BTreeMap::new();
    runtime.block_on(async {
        for (sender, stream) in senders.iter().zip(streams) {
            let ids = stream.await.unwrap();
            told.extend(outcomes(sender, &ids).await);
        }
    });
    let mut runs = BTreeMap::<MessageId, Runs>::new();
    for name in AGENTS {
        for (id, run) in history::runs(&world.path(&format!("{name}.runs"))) {
            let total = runs.entry(id).or_default();
            *total = Runs { starts: total.starts + run.starts, ends: total.ends + run.ends };
        }
    }
    let verdict = history::check(told.iter().map(|(id, status)| (*id, status)), &runs);
    let twice = runs.values().filter(|run| run.starts > 1).count();
    assert!(
        verdict.violations.is_empty(),
        "seed {seed}: {:#?}",
        &verdict.violations[..verdict.violations.len().min(20)]
    );
    assert_eq!(twice, 0, "seed {seed}: handlers ran twice");
    assert!(told.len() >= messages);
    println!(
        "p02: reached {} accepted, {kills} kills, 0 lost, 0 run twice, outcomes {:?}",
        told.len(),
        verdict.outcomes
    );
}
