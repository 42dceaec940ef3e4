//! What the kernel was asked to run for messages whose words look like commands: the rule's program, once each.

mod support;

use bytes::Bytes;
use std::fs;
use std::process::Command;
use std::time::Duration;
use support::sender::Sender;
use support::{PROGRAM, World, until};
use towline::mail::{Body, Draft, Submitted};
use towline_proto::ids::MessageId;
use towline_proto::mail::outcome::{Outcome, State};

/// Names, media types and bodies that do harm wherever a shell reads them.
const HOSTILE: [&str; 16] = [
    "; touch owned",
    "$(touch owned).job",
    "`touch owned`",
    "a\ntouch owned\n.job",
    "-rf",
    "--help",
    "-",
    "| sh",
    "&& sh -c 'touch owned'",
    "> owned",
    "'; touch owned; '",
    "\" $(touch owned) \"",
    "${IFS}touch${IFS}owned",
    "*",
    "~root/%s%n",
    "order.sh",
];

fn strace_works() -> bool {
    Command::new("strace").args(["-o", "/dev/null", "true"]).output().is_ok_and(|output| output.status.success())
}

/// Starts the shop's agent under `strace`, which writes every execve to `shop.execve`.
fn start_traced(world: &mut World) {
    let log = world.path("shop.execve").display().to_string();
    // With -D the tracer is the grandchild, so that signals to the agent reach the agent.
    let strace =
        ["strace", "-D", "-f", "-q", "-s", "4096", "-e", "trace=execve,execveat", "-e", "signal=none", "-o", &log];
    world.wrapped.insert("shop".into(), strace.map(str::to_owned).into());
    world.start_agent("shop");
    world.wrapped.remove("shop");
    world.until_online("shop");
}

/// Sends one message of hostile words; its id if the hub took it and the recipient handled it.
async fn handled(sender: &Sender, words: &str) -> Option<MessageId> {
    let body = Body::Bytes(Bytes::copy_from_slice(words.as_bytes()));
    let mut draft = Draft::new("shop".parse().unwrap());
    draft.deadline_ms = 60_000;
    draft.content_type = words.into();
    let (id, envelope) = sender.envelope(draft, &body, words).await;
    let Ok(Submitted::Accepted(_)) = sender.send(&envelope, &body).await else { return None };
    loop {
        match sender.status(id).await.state {
            State::Decided(Outcome::Handled) => return Some(id),
            State::Decided(_) => return None,
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

#[test]
fn p29_words_that_look_like_commands_make_one_execve_a_message_and_no_other() {
    if !strace_works() {
        return println!("p29: skipped, strace is not installed or may not trace here");
    }
    let mut world = World::office_and_shop();
    let handler = world.path("handler");
    support::script(&handler, "#!/bin/sh\nprintf '%s\\n' \"$2\" >> \"$0.runs\"\n");
    let handler = handler.display().to_string();
    let rule = format!(
        "[[rule]]\nname = \"all\"\ncommand = [\"{handler}\", \"--\", \"{{id}}\", \"{{name}}\", \"{{type}}\", \"{{file}}\"]\n"
    );
    fs::write(world.device("shop").join("agent.toml"), rule).unwrap();
    start_traced(&mut world);
    let sender = Sender::load(&world.device("office"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ids: Vec<MessageId> = runtime.block_on(async {
        let mut ids = Vec::new();
        for words in HOSTILE {
            ids.extend(handled(&sender, words).await);
        }
        ids
    });
    let pid = world.pid("shop");
    assert!(world.terminate("shop").success());
    let log = world.path("shop.execve");
    let read = || fs::read_to_string(&log).unwrap_or_default();
    until("strace has seen the agent's end", || {
        read().lines().any(|line| line.starts_with(&pid.to_string()) && line.contains("+++ exited"))
    });
    let trace = read();
    let mut asked: Vec<&str> =
        trace.lines().filter(|line| line.contains("execve(") || line.contains("execveat(")).collect();
    let agent = asked.remove(0);
    assert!(agent.contains(PROGRAM), "{agent}");
    for id in &ids {
        let wanted = format!("execve(\"{handler}\", [\"{handler}\", \"--\", \"{id}\", ");
        let own: Vec<&&str> = asked.iter().filter(|line| line.contains(&wanted)).collect();
        assert_eq!(own.len(), 1, "{id}: {own:?}");
    }
    assert_eq!(asked.len(), ids.len(), "processes that no rule names: {asked:#?}");
    assert!(ids.len() >= HOSTILE.len() / 2, "only {} of {} were handled", ids.len(), HOSTILE.len());
    assert_eq!(fs::read_to_string(format!("{handler}.runs")).unwrap().lines().count(), ids.len());
    println!(
        "p29: reached {} execve for {} messages handled of {} hostile ones, 0 other processes",
        asked.len(),
        ids.len(),
        HOSTILE.len()
    );
}
