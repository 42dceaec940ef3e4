//! How things end: no hub, SIGTERM, a hub that comes back.

use crate::support::World;

#[test]
fn without_a_hub_the_address_is_named_and_the_exit_code_is_5() {
    let mut world = World::office_and_shop();
    assert_eq!(world.terminate("hub").code(), Some(0));
    let sent = world.ran("office", &["send", "--text", "x", "shop"]);
    assert_eq!(sent.exit, Some(5), "{sent:?}");
    assert!(sent.stderr.contains("127.0.0.1:") && sent.stderr.contains("  do: "), "{}", sent.stderr);
    let operator = world.ran("hub", &["device", "ls"]);
    assert!(operator.exit == Some(5) && operator.stderr.contains("admin.sock"), "{operator:?}");
}

#[test]
fn hub_and_agent_drain_on_sigterm_exit_0_and_keep_what_was_accepted() {
    let mut world = World::office_and_shop();
    let sent = world.ran("office", &["send", "--text", "kept", "--name", "kept.txt", "shop:", "--json"]);
    let id = sent.message()["id"].as_str().expect("an id").to_owned();
    assert_eq!(world.terminate("hub").code(), Some(0), "{}", world.log("hub"));
    world.start_hub();
    world.open("shop");
    assert_eq!(world.ran("office", &["status", &id, "--wait=60s"]).exit, Some(0));
    assert_eq!(world.terminate("shop").code(), Some(0), "{}", world.log("shop"));
    assert_eq!(world.terminate("hub").code(), Some(0), "{}", world.log("hub"));
}

#[test]
fn a_second_hub_or_agent_of_one_home_does_not_start_and_says_why() {
    let world = World::office_and_open_shop();
    let hub = world.ran("hub", &["hub", "--dev", "--listen", "127.0.0.1:0", "--http", "off"]);
    assert!(hub.exit == Some(1) && hub.stderr.contains("  do: "), "{hub:?}");
    let agent = world.ran("shop", &["agent"]);
    assert!(agent.exit.is_some_and(|exit| exit != 0), "{agent:?}");
}

#[test]
fn a_hub_with_another_key_than_the_tickets_is_exit_8() {
    let world = World::office_and_shop();
    let path = world.device("office").join("device.toml");
    let joined = std::fs::read_to_string(&path).expect("joined");
    let key = joined.lines().find_map(|line| line.strip_prefix("hub = \"")?.strip_suffix('"')).expect("the hub's key");
    let other = towline_proto::ids::KeyHash([7; 32]).to_string();
    std::fs::write(&path, joined.replace(key, &other)).expect("written");
    let ran = world.ran("office", &["who", "--json"]);
    assert_eq!((ran.exit, &ran.json()["error"]["code"]), (Some(8), &"wrong-key".into()), "{ran:?}");
}

#[test]
fn joining_twice_from_one_home_says_how_to_have_a_second_device() {
    let world = World::office_and_shop();
    let ticket = world.ran("hub", &["invite", "bar", "--json"]).json()["ticket"].as_str().expect("one").to_owned();
    let ran = world.ran("shop", &["join", &ticket]);
    assert!(ran.exit == Some(4) && ran.stderr.contains("--home DIR"), "{ran:?}");
    assert_eq!(world.ran("bar", &["join", &ticket]).exit, Some(0), "the ticket is not spent by that");
}

#[test]
fn a_time_to_wait_without_its_sign_is_guessed() {
    let world = World::office_and_shop();
    let ran = world.ran("office", &["send", "shop:", "--wait", "30s"]);
    assert!(ran.exit == Some(3) && ran.stderr.contains("`--wait=30s`"), "{ran:?}");
}
