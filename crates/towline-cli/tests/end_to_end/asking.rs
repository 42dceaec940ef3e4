//! Who is there, where a message stands, and whose word that is.

use crate::support::home::Ran;
use crate::support::{World, until};
use std::process::Stdio;

#[test]
fn who_and_ping_exit_0_online_6_offline_3_unknown() {
    let mut world = World::office_and_shop();
    for (command, device, exit) in
        [("who", "shop", 6), ("ping", "shop", 6), ("who", "nobody", 3), ("ping", "nobody", 3)]
    {
        assert_eq!(world.ran("office", &[command, device]).exit, Some(exit), "{command} {device}");
    }
    world.open("shop");
    let ping = world.ran("office", &["ping", "shop", "--json"]);
    assert_eq!(ping.exit, Some(0), "{ping:?}");
    assert!(ping.json()["rtt_us"].as_u64().is_some_and(|rtt| rtt > 0) && ping.json()["path"].is_string(), "{ping:?}");
    assert_eq!(world.terminate("shop").code(), Some(0));
    until("the shop is offline", || world.ran("office", &["who", "shop"]).exit == Some(6));
}

#[test]
fn an_unknown_device_is_exit_3_and_a_like_one_is_suggested() {
    let world = World::office_and_shop();
    for args in [&["send", "--text", "x", "shpo:"][..], &["who", "shpo"], &["ping", "shpo"]] {
        let ran = world.ran("office", args);
        assert_eq!(ran.exit, Some(3), "{args:?}: {ran:?}");
        let told = ran.stdout.clone() + &ran.stderr;
        assert!(told.contains("no-such-device") && told.contains("did you mean shop?"), "{args:?}: {told}");
    }
}

#[test]
fn a_message_unknown_to_the_hub_is_exit_3() {
    let world = World::office_and_shop();
    let ran = world.ran("office", &["status", "m_06gzrzn9gxs0sb87k66667t5s8"]);
    assert_eq!(ran.exit, Some(3), "{ran:?}");
    assert!(ran.stderr.contains("no-such-message"), "{ran:?}");
}

#[test]
fn status_waits_for_the_outcome_and_ends_with_6_if_there_is_none_by_then() {
    let mut world = World::office_and_shop();
    let sent = world.ran("office", &["send", "--json", "--text", "x", "--name", "x.txt", "shop:"]);
    let id = sent.message()["id"].as_str().expect("an id").to_owned();
    assert_eq!((sent.exit, &sent.message()["state"]), (Some(0), &"accepted".into()));
    let now = world.ran("office", &["status", &id]);
    assert!(now.exit == Some(6) && now.stdout.contains("shop has never been online"), "{now:?}");
    assert_eq!(world.ran("office", &["status", &id, "--wait=200ms"]).exit, Some(6));
    let mut waiting = world.command("office");
    let waiting = waiting.args(["status", &id, "--wait", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let waiting = waiting.spawn().expect("the program starts");
    world.open("shop");
    let told = Ran::of(waiting.wait_with_output().expect("it ends"));
    assert_eq!((told.exit, &told.json()["state"]), (Some(0), &"handled".into()), "{told:?}");
}

#[test]
fn verify_says_the_hubs_word_for_an_expiry_and_the_recipients_for_a_handled_message() {
    let mut world = World::office_and_shop();
    let expired = world.send(&["--text", "x", "shop:", "--deadline", "1s"]);
    let id = expired.message()["id"].as_str().expect("an id").to_owned();
    let told = world.ran("office", &["status", &id, "--verify", "--json"]);
    assert_eq!((told.exit, &told.json()["verified"]), (Some(7), &true.into()), "{told:?}");
    assert!(told.json()["whose_word"].as_str().is_some_and(|whose| whose.starts_with("the hub's word")), "{told:?}");
    world.open("shop");
    let handled = world.send(&["--text", "x", "shop:", "--name", "x.txt"]);
    let id = handled.message()["id"].as_str().expect("an id").to_owned();
    let told = world.ran("office", &["status", &id, "--verify"]);
    assert!(told.exit == Some(0) && told.stdout.contains("verified: the recipient's word"), "{told:?}");
}
