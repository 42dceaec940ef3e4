//! An agent is killed with SIGKILL between the start and the finish of its commands, again and again: a rule's command
//! runs once and is `unclear`, or runs again under `repeat = true` until its end is known, and nothing is guessed.
//!
//! `TOWLINE_KILLS` says how often.

mod support;

use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::Duration;
use support::history::{self, Runs};
use support::sender::Sender;
use support::{World, setting, until};
use tokio::runtime::Runtime;
use towline::mail::{Body, Draft, Submitted};
use towline_proto::ids::MessageId;
use towline_proto::mail::code::Code;
use towline_proto::mail::message::MessageStatus;
use towline_proto::mail::outcome::{Outcome, State};

/// Kills by default, and of the full figure.
const SAMPLE: usize = 10;
const FULL: usize = 1_000;
/// Kills after which a long run says how far it is.
const REPORT: usize = 50;

/// The first run of a message goes on until its agent is dead, so every kill falls between start and finish; a later
/// run ends well.
const HANDLER: &str = "#!/bin/sh\n\
    [ -e \"$1.$2\" ] && again=1\n\
    : > \"$1.$2\"\n\
    printf 'start %s\\n' \"$2\" >> \"$1\"\n\
    if [ -z \"$again\" ]; then while kill -0 \"$PPID\" 2>/dev/null; do sleep 0.02; done; exit 1; fi\n\
    printf 'end %s\\n' \"$2\" >> \"$1\"\n";

/// The two modes that a rule may declare, as names of files.
const MODES: [&str; 2] = ["a.once", "a.repeat"];

fn config(world: &World) -> String {
    let (handler, log) = (world.path("handler"), world.path("runs"));
    let rule = |mode: &str| {
        format!(
            "[[rule]]\nname = \"{mode}\"\nfile = [\"*.{mode}\"]\ncommand = [\"{}\", \"{}\", \"{{id}}\"]\n\
             timeout = \"60s\"\nconcurrency = 4\nrepeat = {}\n",
            handler.display(),
            log.display(),
            mode == "repeat"
        )
    };
    rule("once") + &rule("repeat")
}

fn send(runtime: &Runtime, sender: &Sender, name: &str) -> MessageId {
    runtime.block_on(async {
        let body = Body::Bytes(Bytes::from_static(b"a job"));
        let (id, envelope) = sender.envelope(Draft::new("kitchen".parse().unwrap()), &body, name).await;
        match sender.send(&envelope, &body).await {
            Ok(Submitted::Accepted(_)) => id,
            other => panic!("{id}: {other:?}"),
        }
    })
}

/// Asks until there is an outcome.
fn outcome(runtime: &Runtime, sender: &Sender, id: MessageId) -> MessageStatus {
    loop {
        let status = runtime.block_on(sender.status(id));
        if matches!(status.state, State::Decided(_)) {
            return status;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Kills the agent so often, each time while a command of either mode runs, and holds what was told against what ran.
fn kill_between_start_and_finish(kills: usize) {
    let mut world = World::new();
    support::script(&world.path("handler"), HANDLER);
    world.start_hub();
    world.join("till");
    world.join("kitchen");
    std::fs::write(world.device("kitchen").join("agent.toml"), config(&world)).unwrap();
    world.start_agent("kitchen");
    let runtime = Runtime::new().unwrap();
    let sender = Sender::load(&world.device("till"));
    let log = world.path("runs");

    let mut sent: BTreeMap<MessageId, &str> = BTreeMap::new();
    for kill in 1..=kills {
        let round: Vec<MessageId> = MODES.iter().map(|name| send(&runtime, &sender, name)).collect();
        sent.extend(round.iter().copied().zip(MODES));
        until("the commands have started", || {
            let runs = history::runs(&log);
            round.iter().all(|id| runs.get(id).is_some_and(|run| run.starts > 0))
        });
        world.kill("kitchen");
        world.start_agent("kitchen");
        if kill % REPORT == 0 {
            println!("{kill} of {kills} kills");
        }
    }

    let told: Vec<_> = sent.iter().map(|(&id, &name)| (id, name, outcome(&runtime, &sender, id))).collect();
    let runs = history::runs(&log);
    for (id, name, status) in told {
        let code = status.receipt.expect("a receipt").decode().unwrap().code;
        let run = runs[&id];
        // A repeated run may be hit by the next kill too.
        let (wanted, as_declared) = match name {
            "a.once" => ((Outcome::Unclear, Code::Interrupted), run == Runs { starts: 1, ends: 0 }),
            _ => ((Outcome::Handled, Code::Ok), run.starts >= 2 && run.ends >= 1),
        };
        assert_eq!((status.state, code), (State::Decided(wanted.0), wanted.1), "{id} {name}: {run:?}");
        assert!(as_declared, "{id} {name}: {run:?}");
    }
    println!("p03: reached the declared mode, once and repeat, in {kills} kills between start and finish, 0 guessed");
}

#[test]
fn p03_commands_cut_short_by_kills_of_the_agent_keep_to_their_rules_mode() {
    kill_between_start_and_finish(setting("TOWLINE_KILLS", SAMPLE));
}

#[test]
#[ignore = "long: a thousand kills take minutes"]
fn p03_the_full_figure_of_a_thousand_kills_between_start_and_finish() {
    kill_between_start_and_finish(setting("TOWLINE_KILLS", FULL));
}
