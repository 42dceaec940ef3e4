//! How commands take leave: the hub keeps no session for them, and what they know is told however they are ended.

use crate::hostile::metric;
use crate::support::home::Ran;
use crate::support::{World, until};
use rustix::process::{Pid, Signal, kill_process};
use std::process::Stdio;

#[test]
fn a_command_leaves_no_session_behind_whether_it_succeeded_or_failed() {
    let world = World::office_and_shop();
    let commands: [(&[&str], i32); 7] = [
        (&["who"], 0),
        (&["who", "nobody"], 3),
        (&["ping", "nobody"], 3),
        (&["ping", "shop"], 6),
        (&["send", "--text", "x", "@nobody"], 3),
        (&["status", "m_06gzrzn9gxs0sb87k66667t5s8"], 3),
        (&["send", "--text", "x", "shop:", "--wait=100ms"], 6),
    ];
    for (args, exit) in commands {
        assert_eq!(world.ran("office", args).exit, Some(exit), "{args:?}");
    }
    until("the hub has no session left", || metric(&world, "towline_sessions ") == 0);
}

/// The program, started, and sent this signal once the hub has accepted its message.
fn interrupted(world: &World, signal: Signal, args: &[&str]) -> Ran {
    let accepted = metric(world, "towline_accepted_total ");
    let mut command = world.command("office");
    command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("the program starts");
    until("the message is accepted", || metric(world, "towline_accepted_total ") > accepted);
    // The hub counts before the sender hears; an answer that is on its way makes no difference to what is told.
    kill_process(Pid::from_child(&child), signal).expect("it runs");
    Ran::of(child.wait_with_output().expect("it ends"))
}

#[test]
fn an_interrupted_send_tells_what_it_knows_in_one_object_and_ends_with_130() {
    let world = World::office_and_shop();
    for signal in [Signal::INT, Signal::TERM] {
        let ran = interrupted(&world, signal, &["send", "--text", "x", "shop:", "--wait", "--json"]);
        assert_eq!((ran.exit, &ran.json()["exit"]), (Some(130), &130.into()), "{ran:?}");
        assert!(ran.message()["id"].is_string() && ran.json()["error"]["do"].is_string(), "{ran:?}");
        let ran = interrupted(&world, signal, &["send", "--text", "x", "shop:", "--wait"]);
        assert!(ran.exit == Some(130) && ran.stdout.starts_with("m_") && ran.stderr.contains("  do: "), "{ran:?}");
    }
    until("the hub has no session left", || metric(&world, "towline_sessions ") == 0);
}
