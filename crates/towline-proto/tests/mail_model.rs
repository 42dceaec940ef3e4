//! Hub core and agent core together, in seeded worlds: whatever crashes, boots anew, is lost or comes again, the history
//! must be true.
//!
//! `TOWLINE_SEEDS=1000` judges so many worlds in each sample, `TOWLINE_SEED=7` begins with that one; a failure prints
//! its seed. The full figure is the long test (`--ignored`, `cargo xtask promises --row 2 --long`): `TOWLINE_MESSAGES`
//! says of how many messages.

#![allow(clippy::disallowed_methods, reason = "how many runs is asked of the environment")]

mod mail_world;

use mail_world::World;
use mail_world::checks::{Wrong, judge};
use mail_world::history::{Event, Fact, History, Record, What};
use mail_world::plan::{Faults, Plant};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use towline_proto::ids::MessageId;
use towline_proto::mail::code::Code;

/// Worlds in a sample: with the other tests here well below a minute.
const SAMPLE: u64 = 60;
/// Messages in a world.
const MESSAGES: usize = 24;
/// Short stories that are struck at every ordinal, and their messages.
const STORIES: u64 = 4;
const SHORT: usize = 8;
/// The full figure of rows 2 and 4.
const MILLION: u64 = 1_000_000;
/// So many worlds at most, until a planted fault is found.
const PATIENCE: u64 = 150;

/// What the sender's side can be promised times in: only recipients fail.
const RECIPIENTS_FAIL: Faults = Faults {
    agent_crashes: true,
    clock_jumps: true,
    store_failures: true,
    clients: true,
    hub_crashes: false,
    session_losses: false,
    operator: false,
    small_quota: false,
    hub_at: None,
    agent_at: None,
    commit_fails_at: None,
};

/// Clocks jump and machines boot anew, and nothing else is done to anyone.
const CLOCKS: Faults = Faults { hub_crashes: true, store_failures: false, ..RECIPIENTS_FAIL };

fn asked(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn seeds() -> Range<u64> {
    let first = asked("TOWLINE_SEED", 0);
    first..first + asked("TOWLINE_SEEDS", SAMPLE)
}

fn live_through(seed: u64, messages: usize, faults: Faults, plant: Plant) -> World {
    let mut world = World::new(seed, messages, faults, plant);
    world.run();
    world
}

fn check(seed: u64, messages: usize, faults: Faults) -> World {
    let world = live_through(seed, messages, faults, Plant::None);
    let wrong = judge(&world.history);
    if let Some(first) = wrong.first() {
        panic!("seed {seed} {faults:?}: {wrong:#?}\n{}", told_of(&world.history, first.id));
    }
    world
}

/// What happened to one message, and to all, for whoever looks into a failure.
fn told_of(history: &History, id: MessageId) -> String {
    let concerns = |what: &What| matches!(what, What::All(_)) || matches!(what, What::Of(of, _) if *of == id);
    let lines = history.events.iter().filter(|(_, what)| concerns(what));
    lines.map(|(ms, what)| format!("{ms:>7} ms  {what:?}\n")).collect()
}

/// What histories held, for the figures.
#[derive(Default)]
struct Figures {
    worlds: AtomicU64,
    kept: AtomicU64,
    begun: AtomicU64,
    told: AtomicU64,
}

impl Figures {
    fn count(&self, history: &History) {
        let of = |wanted: fn(&Fact) -> bool| {
            history.events.iter().filter(|(_, what)| matches!(what, What::Of(_, fact) if wanted(fact))).count() as u64
        };
        self.worlds.fetch_add(1, Ordering::Relaxed);
        self.kept.fetch_add(of(|fact| *fact == Fact::Recorded(Record::Accepted)), Ordering::Relaxed);
        self.begun.fetch_add(of(|fact| matches!(fact, Fact::Began { .. })), Ordering::Relaxed);
        self.told.fetch_add(of(|fact| matches!(fact, Fact::ToldOutcome { .. })), Ordering::Relaxed);
    }

    fn kept(&self) -> u64 {
        self.kept.load(Ordering::Relaxed)
    }

    fn print(&self) {
        let (kept, worlds) = (self.kept(), self.worlds.load(Ordering::Relaxed));
        let (begun, told) = (self.begun.load(Ordering::Relaxed), self.told.load(Ordering::Relaxed));
        println!("p02: reached 0 lost, 0 double in {kept} accepted messages of {worlds} worlds");
        println!("p03: reached the declared mode in {begun} starts, 0 outcomes guessed");
        println!("p04: reached 0 inversions in {kept} messages");
        println!("p05: reached 0 late starts, 0 early ends in {kept} messages");
        println!("p07: reached {told} receipts verified, 1 final state for each of {kept} messages");
        println!("p16: reached 0 early or late ends under reboots and jumps of 10 days in {worlds} worlds");
    }
}

#[test]
fn p02_p03_p04_p05_p07_p16_nothing_is_lost_doubled_late_or_out_of_order_whatever_happens() {
    let figures = Figures::default();
    for seed in seeds() {
        figures.count(&check(seed, MESSAGES, Faults::ALL).history);
    }
    figures.print();
}

#[test]
#[ignore = "long: the full figure takes minutes with --release, an hour without"]
fn p02_p03_p04_p05_p07_p16_the_full_figure_of_a_million_messages() {
    let wanted = asked("TOWLINE_MESSAGES", MILLION);
    let (figures, next) = (Figures::default(), AtomicU64::new(asked("TOWLINE_SEED", 0)));
    let said = Mutex::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while figures.kept() < wanted {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    figures.count(&check(seed, MESSAGES, Faults::ALL).history);
                    let mut said = said.lock().unwrap();
                    let percent = figures.kept() * 100 / wanted;
                    if percent > *said {
                        *said = percent;
                        println!("{percent} %: {} of {wanted} messages", figures.kept());
                    }
                }
            });
        }
    });
    figures.print();
}

/// Strikes short stories at every ordinal of `all`, with the change on the disk and without it.
fn at_every_ordinal(all: fn(&World) -> u64, strike: fn((u64, bool)) -> Faults) -> u64 {
    let mut ordinals = 0;
    for seed in 1..=STORIES {
        let count = all(&check(seed, SHORT, Faults::default()));
        for at in 1..=count {
            check(seed, SHORT, strike((at, false)));
            check(seed, SHORT, strike((at, true)));
        }
        ordinals += count;
    }
    ordinals
}

#[test]
fn p02_the_hub_may_crash_at_every_commit() {
    let strike = |at| Faults { hub_at: Some(at), ..Faults::default() };
    let ordinals = at_every_ordinal(|world| world.commits, strike);
    println!("p02: reached all {ordinals} commit ordinals of the hub, synced and not, in {STORIES} short stories");
}

#[test]
fn p02_the_hubs_store_may_fail_at_every_commit() {
    let strike = |at| Faults { commit_fails_at: Some(at), ..Faults::default() };
    let ordinals = at_every_ordinal(|world| world.commits, strike);
    println!("p02: reached a failing store at all {ordinals} commit ordinals, synced all the same and not");
}

#[test]
fn p02_p03_the_agent_may_crash_at_every_sync() {
    let strike = |at| Faults { agent_at: Some(at), ..Faults::default() };
    let ordinals = at_every_ordinal(|world| world.syncs, strike);
    println!("p03: reached the declared mode at all {ordinals} sync ordinals of the agent, synced and not");
}

#[test]
fn p05_the_sender_is_told_in_time_whatever_its_recipients_do() {
    let figures = Figures::default();
    for seed in seeds() {
        let world = check(seed, 16, RECIPIENTS_FAIL);
        assert!(world.history.steady, "the promised times hold here");
        figures.count(&world.history);
    }
    println!("p05: reached word by deadline + 5 s and go + timeout + 5 s for {} messages", figures.kept());
}

#[test]
fn p16_reboots_and_jumps_of_the_wall_clock_end_nothing_early_or_late() {
    for seed in seeds() {
        check(seed, 12, CLOCKS);
    }
    println!("p16: reached 0 early or late ends where only clocks jump and machines boot anew");
}

/// Worlds in which nothing happens show nothing: what the promises speak of occurs in the sample.
#[test]
fn the_sample_holds_everything_that_the_promises_speak_of() {
    let (mut codes, mut live, mut others) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for seed in 0..SAMPLE {
        for (_, what) in live_through(seed, MESSAGES, Faults::ALL, Plant::None).history.events {
            match what {
                What::Of(_, Fact::Recorded(Record::Decided { code, .. })) => drop(codes.insert(code.as_str())),
                What::Of(_, Fact::ToldLive(code)) => drop(live.insert(code.as_str())),
                What::Of(_, Fact::Recorded(Record::Late { .. })) => drop(others.insert("a late word")),
                What::Of(_, Fact::ToldOutcome { late: true, .. }) => drop(others.insert("told of a late word")),
                What::Of(_, Fact::Submitted { whole: false, .. }) => drop(others.insert("a body of its own")),
                What::All(Event::Revoked(_)) => drop(others.insert("a revocation")),
                What::All(Event::Forbidden(Some(_))) => drop(others.insert("a policy that forbids")),
                What::All(Event::AgentDown(_)) => drop(others.insert("an agent's end")),
                _ => {}
            }
        }
    }
    for code in [
        Code::Ok,
        Code::HandlerExit,
        Code::HandlerTimeout,
        Code::HandlerStart,
        Code::BadName,
        Code::DeviceStorage,
        Code::Offline,
        Code::NotStartedInTime,
        Code::NoWord,
        Code::Interrupted,
        Code::Withdrawn,
        Code::NotPermitted,
        Code::Revoked,
    ] {
        assert!(codes.contains(code.as_str()), "no message ended with {code}: {codes:?}");
    }
    assert_eq!(live, BTreeSet::from(["ok", "not-here", "live-unclear"]));
    assert_eq!(others.len(), 6, "{others:?}");
}

/// A fault in the machines around the cores, and the check that must name it.
const PLANTED: [(Plant, &str); 18] = [
    (Plant::HubSpeaksBeforeCommit, "told only what is recorded"),
    (Plant::GoBeforeCommit, "no start without a recorded go"),
    (Plant::StoreLosesMessages, "accepted is kept"),
    (Plant::DuplicatesNotFound, "accepted once"),
    (Plant::StoreLosesOutcomes, "one outcome"),
    (Plant::StoreLosesLateWords, "a late word is kept beside"),
    (Plant::BootIdIgnored, "no late start"),
    (Plant::HubClockAhead, "no early end"),
    (Plant::HubTimerLate, "told in time"),
    (Plant::QuotaForgotten, "within the quota"),
    (Plant::PolicyForgotten, "no start without permission"),
    (Plant::StartNotJournalled, "handled as declared"),
    (Plant::AgentIgnoresTheBound, "no late start"),
    (Plant::AgentGuesses, "the outcome is true"),
    (Plant::ReceiptsChanged, "receipts verify"),
    (Plant::LanesReordered, "in order"),
    (Plant::LiveTwice, "a live message is handed over once"),
    (Plant::LiveConfirmedUnseen, "a live result is true"),
];

#[test]
fn each_planted_fault_is_found_by_the_check_that_names_it() {
    for (plant, check) in PLANTED {
        let faults = if plant == Plant::HubTimerLate { RECIPIENTS_FAIL } else { Faults::ALL };
        let names_it = |seed: &u64| {
            let wrong: Vec<Wrong> = judge(&live_through(*seed, MESSAGES, faults, plant).history);
            wrong.iter().any(|wrong| wrong.check == check)
        };
        let found = (0..PATIENCE).find(names_it);
        println!("{plant:?}: {check:?} names it in world {found:?}");
        assert!(found.is_some(), "{plant:?} was not found by {check:?} in {PATIENCE} worlds");
    }
    let named: BTreeSet<&str> = PLANTED.iter().map(|(_, check)| *check).collect();
    let checks: BTreeSet<&str> = mail_world::checks::CHECKS.iter().map(|(name, _)| *name).collect();
    assert_eq!(named, checks, "each check has a fault of its own");
}
