//! To whom: one or several, a group, the ambiguous, the absent; one message and one outcome each.

use crate::support::World;

/// Two tills that an office may send to as a group, and one that it may not.
const GROUP: &str = "[groups]\ntills = [\"till-1\", \"till-2\"]\n\n[[allow]]\nfrom = [\"office\"]\nto = [\"@tills\"]\n\
                     [[allow]]\nfrom = [\"*\"]\nto = [\"office\"]\n";

fn pairs(told: &[(&str, &str)]) -> Vec<(String, String)> {
    told.iter().map(|(to, state)| ((*to).to_owned(), (*state).to_owned())).collect()
}

#[test]
fn a_group_gets_one_message_and_one_outcome_each() {
    let mut world = World::with_hub_toml(GROUP, &["office", "till-1", "till-2", "till-3"]);
    for name in ["till-1", "till-2", "till-3"] {
        world.start_agent(name);
    }
    let sent = world.send(&["--text", "open", "--name", "open.txt", "@tills"]);
    assert_eq!(sent.exit, Some(0), "{sent:?}");
    assert_eq!(sent.states(), pairs(&[("till-1", "handled"), ("till-2", "handled")]));
    assert!(world.inbox("till-1", "open.txt").exists() && world.inbox("till-2", "open.txt").exists());
    assert!(!world.inbox("till-3", "open.txt").exists());
    let none = world.send(&["--text", "open", "@tilts"]);
    assert_eq!(none.exit, Some(3), "{none:?}");
}

#[test]
fn several_recipients_of_which_only_some_handled_it_end_with_10() {
    let world = World::office_and_open_shop();
    world.join("bar");
    let sent = world.send(&["--text", "x", "--name", "x.txt", "--to", "shop", "--to", "bar", "--deadline", "2s"]);
    assert_eq!(sent.exit, Some(10), "{sent:?}");
    assert_eq!(sent.states(), pairs(&[("shop", "handled"), ("bar", "expired")]));
    let sent = world.send(&["--text", "x", "--name", "x.txt", "shop:", "nobody:", "shop:"]);
    assert_eq!(sent.exit, Some(10), "{sent:?}");
    assert_eq!(sent.states(), pairs(&[("shop", "handled"), ("nobody", "not-accepted")]), "each once");
}

#[test]
fn a_bare_last_word_that_is_a_file_too_is_exit_2_and_names_both_readings() {
    let world = World::office_and_shop();
    world.write("work/order.xml", "<order/>");
    world.write("work/shop", "a file of that name");
    let sent = world.ran("office", &["send", "order.xml", "shop"]);
    assert_eq!(sent.exit, Some(2), "{sent:?}");
    assert!(sent.stderr.contains("the file `./shop`") && sent.stderr.contains("the device `shop`"), "{}", sent.stderr);
    let nobody = world.ran("office", &["send", "order.xml"]);
    assert_eq!(nobody.exit, Some(2), "{nobody:?}");
}

#[test]
fn a_live_message_reaches_who_is_online_and_is_never_kept() {
    let mut world = World::office_and_shop();
    let live = world.ran("office", &["send", "--text", "now", "shop", "--live", "--json"]);
    assert_eq!((live.exit, &live.message()["code"]), (Some(6), &"not-here".into()), "{live:?}");
    world.open("shop");
    let live = world.ran("office", &["send", "--text", "now", "shop", "--live", "--json"]);
    assert_eq!((live.exit, &live.message()["code"]), (Some(0), &"ok".into()), "{live:?}");
    let waiting = world.ran("office", &["who", "shop", "--json"]).json()["devices"][0]["waiting"].clone();
    assert_eq!(waiting, 0, "nothing live waits");
}

#[test]
fn a_message_to_an_offline_device_expires_and_says_since_when() {
    let mut world = World::office_and_shop();
    let expired = |world: &World, why: &str, after: &str| {
        let sent = world.send(&["--text", "late", "shop", "--deadline", "1s"]);
        let summary = sent.message()["summary"].clone();
        assert_eq!(sent.exit, Some(7), "{sent:?}");
        let said = summary.as_str().is_some_and(|summary| summary.starts_with(why) && summary.contains(after));
        assert!(said, "{summary}");
    };
    expired(&world, "expired: offline since ", ", when it joined");
    world.open("shop");
    assert_eq!(world.terminate("shop").code(), Some(0));
    expired(&world, "expired: offline since ", "");
}
