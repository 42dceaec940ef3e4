//! The operator renames and revokes devices; tickets work once.

use crate::hostile::metric;
use crate::support::{World, until};

#[test]
fn a_renamed_device_gets_what_waited_for_it_and_what_is_sent_to_its_new_name() {
    let mut world = World::office_and_shop();
    let before = world.ran("office", &["send", "--text", "1", "--name", "before.txt", "shop:", "--json"]);
    assert_eq!(before.exit, Some(0), "{before:?}");
    world.ask("hub", &["device", "rename", "shop", "store"]);
    world.start_agent("shop");
    let after = world.send(&["--text", "2", "--name", "after.txt", "store:"]);
    assert_eq!(after.exit, Some(0), "{after:?}");
    let id = before.message()["id"].as_str().expect("an id").to_owned();
    assert_eq!(world.ran("office", &["status", &id, "--wait=60s"]).exit, Some(0));
    assert!(world.inbox("shop", "before.txt").exists() && world.inbox("shop", "after.txt").exists());
    assert_eq!(world.ran("office", &["send", "--text", "3", "shop:"]).exit, Some(3), "the old name is nobody's");
    let taken = world.ran("hub", &["device", "rename", "office", "store"]);
    assert!(taken.exit != Some(0) && taken.stderr.contains("name-taken"), "{taken:?}");
}

#[test]
fn a_revoked_device_is_cut_before_the_command_ends_and_refused_with_exit_4() {
    let mut world = World::office_and_open_shop();
    world.ask("hub", &["device", "revoke", "shop"]);
    // No waiting: when the command has ended, the hub hears the device no more.
    assert!(metric(&world, "towline_cuts_total{word=\"revoked\"}") >= 1);
    until("the shop's agent ends", || world.ended("shop").is_some());
    assert_eq!(world.ended("shop").and_then(|status| status.code()), Some(4), "{}", world.log("shop"));
    assert_eq!(world.ran("shop", &["who"]).exit, Some(4));
    assert_eq!(world.ran("shop", &["agent"]).exit, Some(4));
    let sent = world.send(&["--text", "x", "shop:"]);
    assert!(matches!(sent.exit, Some(3 | 4 | 13)), "{sent:?}");
}

#[test]
fn a_ticket_works_once() {
    let world = World::office_and_shop();
    let invited = world.ran("hub", &["invite", "bar", "--json"]);
    let ticket = invited.json()["ticket"].as_str().expect("a ticket").to_owned();
    assert_eq!(world.ran("bar", &["join", &ticket]).exit, Some(0));
    let again = world.ran("thief", &["join", &ticket]);
    assert_eq!(again.exit, Some(4), "{again:?}");
}

#[test]
fn a_device_that_joins_with_pq_prefer_notes_it_and_shows_it() {
    let world = World::office_and_shop();
    let joined = |name: &str, more: &[&str]| {
        let invited = world.ran("hub", &["invite", name, "--json"]);
        let ticket = invited.json()["ticket"].as_str().expect("a ticket").to_owned();
        world.ran(name, &[&["join", &ticket], more].concat())
    };
    assert_eq!(joined("bar", &["--pq", "prefer"]).exit, Some(0));
    assert!(world.ask("bar", &["config", "show"]).contains("device.pq = prefer"));
    assert!(world.ask("shop", &["config", "show"]).contains("device.pq = require"));
    assert_eq!(world.ran("bar", &["who", "shop"]).exit, Some(6), "it reaches the hub, where the shop is offline");
    let misspelt = joined("pub", &["--pq", "perfer"]);
    assert!(misspelt.exit == Some(2) && misspelt.stderr.contains("neither `require` nor `prefer`"), "{misspelt:?}");
}
