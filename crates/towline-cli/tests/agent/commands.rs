//! Rules that run a command: killed, timed out, drained, repeated, at once, as somebody else.

use crate::support::{World, script, until};
use crate::{lines, outcome, post, told, world};
use rustix::process::{Pid, Signal, kill_process_group};
use std::path::Path;

/// A rule whose command writes a line `PID` to `DIR/starts` and then waits for `DIR/release`.
const WAITS: &str = r#"
[[rule]]
name = "slow"
file = ["*.job"]
command = ["/bin/sh", "-c", "echo $$ >> DIR/starts; while [ ! -e DIR/release ]; do sleep 0.05; done"]
"#;

/// Ends the commands that outlived an agent which was killed: nobody else knows of them.
fn end_orphans(world: &World) {
    for pid in std::fs::read_to_string(world.path("starts")).unwrap_or_default().lines() {
        // One that has ended is what is wanted.
        let _ = kill_process_group(Pid::from_raw(pid.parse().unwrap()).unwrap(), Signal::KILL);
    }
}

fn kill_during_a_run(rule: &str) -> (World, String) {
    let mut world = world(rule);
    let id = post(&world, "a.job", "x", &[]);
    until("the command runs", || lines(&world.path("starts")) == 1);
    world.kill("shop");
    end_orphans(&world);
    std::fs::write(world.path("release"), "").unwrap();
    world.start_agent("shop");
    (world, id)
}

#[test]
fn p03_a_command_cut_short_by_a_kill_is_unclear_and_never_runs_again() {
    let (world, id) = kill_during_a_run(WAITS);
    let said = outcome(&world, &id);
    assert_eq!((&said["state"], &said["receipt"]["signer"]), (&"unclear".into(), &"hub".into()), "{said}");
    // The next message of the same rule would come after a second run.
    let next = outcome(&world, &post(&world, "b.job", "x", &[]));
    assert_eq!(next["state"], "handled", "{next}");
    assert_eq!(lines(&world.path("starts")), 2, "one run of each message");
    let interrupted = told(&world, "shop", "message-interrupted");
    assert_eq!((interrupted.len(), &interrupted[0]["id"]), (1, &id.into()));
    assert_eq!((&interrupted[0]["rule"], &interrupted[0]["from"]), (&"slow".into(), &"office".into()));
}

#[test]
fn p03_a_command_that_may_repeat_runs_again_after_a_kill_and_ends_handled() {
    let (world, id) = kill_during_a_run(&format!("{WAITS}repeat = true\n"));
    let said = outcome(&world, &id);
    assert_eq!(said["state"], "handled", "{said}");
    assert_eq!(lines(&world.path("starts")), 2);
}

/// Whether a process still does something; one that has ended and was not waited for does not.
fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[test]
fn p30_a_command_that_takes_too_long_is_killed_with_what_it_started() {
    let world = world(
        r#"
        [[rule]]
        name = "stuck"
        command = ["/bin/sh", "-c", "sleep 600 & echo $! >> DIR/starts; echo working; wait"]
        timeout = "1s"
        "#,
    );
    let said = outcome(&world, &post(&world, "a.job", "x", &[]));
    assert_eq!((&said["state"], &said["receipt"]["code"]), (&"failed".into(), &"handler-timeout".into()), "{said}");
    assert_eq!(said["output"], "working\n");
    let grandchild = std::fs::read_to_string(world.path("starts")).unwrap();
    assert!(!lives(grandchild.trim()), "{grandchild} still runs");
}

#[test]
fn a_drain_waits_for_the_command_that_runs_and_starts_no_other() {
    let mut world = world(WAITS);
    let first = post(&world, "a.job", "x", &[]);
    let second = post(&world, "b.job", "x", &[]);
    until("the command runs", || lines(&world.path("starts")) == 1);
    world.signal("shop", Signal::TERM);
    until("it drains", || !told(&world, "shop", "draining").is_empty());
    std::fs::write(world.path("release"), "").unwrap();
    assert_eq!(world.terminate("shop").code(), Some(0));
    assert_eq!(outcome(&world, &first)["state"], "handled");
    assert_eq!(lines(&world.path("starts")), 1, "nothing starts while it drains");
    world.start_agent("shop");
    assert_eq!(outcome(&world, &second)["state"], "handled");
    assert_eq!(lines(&world.path("starts")), 2);
}

#[test]
fn a_drain_that_takes_too_long_ends_the_command_and_says_unclear() {
    let mut world = world(&format!("drain = \"1s\"\n{WAITS}"));
    let id = post(&world, "a.job", "x", &[]);
    until("the command runs", || lines(&world.path("starts")) == 1);
    assert_eq!(world.terminate("shop").code(), Some(0));
    let pid = std::fs::read_to_string(world.path("starts")).unwrap();
    assert!(!lives(pid.trim()), "no command outlives its agent's end");
    world.start_agent("shop");
    assert_eq!(outcome(&world, &id)["state"], "unclear");
    assert_eq!(lines(&world.path("starts")), 1);
}

#[test]
fn a_rules_concurrency_is_used_and_not_exceeded() {
    let world = world(&format!("{WAITS}concurrency = 3\n"));
    let ids: Vec<String> = (0..5).map(|n| post(&world, &format!("{n}.job"), "x", &[])).collect();
    until("three commands run", || lines(&world.path("starts")) == 3);
    // What comes later on another lane is placed meanwhile, so the agent is not merely slow.
    let other = outcome(&world, &post(&world, "note.txt", "x", &["--lane", "urgent"]));
    assert_eq!((&other["state"], lines(&world.path("starts"))), (&"handled".into(), 3), "{other}");
    std::fs::write(world.path("release"), "").unwrap();
    ids.iter().for_each(|id| assert_eq!(outcome(&world, id)["state"], "handled"));
    assert_eq!(lines(&world.path("starts")), 5);
}

#[test]
fn a_rule_with_a_user_runs_as_that_user_and_reads_its_message() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root may run a command as somebody else");
        return;
    }
    let mut world = World::new();
    let open = |path: &Path| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o711)).unwrap();
    };
    // The operator's part: somebody else must get as far as the device's folder.
    open(&world.path(""));
    world.start_hub();
    ["office", "shop"].iter().for_each(|name| world.join(name));
    open(&world.path("shop"));
    script(
        &world.path("who"),
        "#!/bin/sh\nid -un\ncat \"$1\"\ncat \"$2/device.key\" \"$2/journal.db\"\nls \"$2\"\ntrue\n",
    );
    let (who, device) = (world.path("who"), world.device("shop"));
    let rule = format!(
        "[[rule]]\nname = \"as\"\nuser = \"nobody\"\ncommand = [\"{}\", \"{{file}}\", \"{}\"]\n",
        who.display(),
        device.display()
    );
    std::fs::write(device.join("agent.toml"), rule).unwrap();
    world.start_agent("shop");
    let said = outcome(&world, &post(&world, "a.job", "for nobody\n", &[]));
    let output = said["output"].as_str().unwrap();
    assert!(output.starts_with("nobody\nfor nobody\n"), "{output}");
    assert_eq!(output.matches("Permission denied").count(), 3, "neither key nor journal nor the folder: {output}");
}
