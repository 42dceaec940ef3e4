//! Nobody may send to anybody until a rule allows it; quotas; and what a hub without `--dev` says about its file.

use crate::support::World;
use crate::support::home::Home;

const ONE_WAY: &str = "[[allow]]\nfrom = [\"office\"]\nto = [\"shop\"]\n";

#[test]
fn without_a_rule_nobody_may_send_and_the_refusal_names_the_reason() {
    let world = World::with_hub_toml("", &["office", "shop"]);
    let sent = world.send(&["--text", "x", "shop:"]);
    assert_eq!(sent.exit, Some(4), "{sent:?}");
    let message = sent.message();
    assert_eq!(message["code"], "not-permitted", "{message}");
    let text = message["text"].as_str().expect("text");
    assert!(text.contains("no entry of [[allow]]"), "{text}");
}

#[test]
fn a_rule_lets_one_way_through_and_policy_test_says_which_rule_decides() {
    let mut world = World::with_hub_toml(ONE_WAY, &["office", "shop"]);
    world.start_agent("shop");
    assert_eq!(world.send(&["--text", "x", "--name", "x.txt", "shop:"]).exit, Some(0));
    let back = world.ran("shop", &["send", "--text", "x", "office:"]);
    assert_eq!(back.exit, Some(4), "{back:?}");
    let yes = world.ran("hub", &["policy", "test", "office", "shop", "--json"]);
    assert_eq!((yes.exit, &yes.json()["allowed"]), (Some(0), &true.into()), "{yes:?}");
    assert!(yes.json()["why"].as_str().is_some_and(|why| why.contains("entry 1 of [[allow]]")), "{yes:?}");
    let no = world.ran("hub", &["policy", "test", "shop", "office"]);
    assert!(no.exit == Some(4) && no.stdout.contains("denied"), "{no:?}");
    let unknown = world.ran("hub", &["policy", "test", "shop", "nobody"]);
    assert!(matches!(unknown.exit, Some(3 | 4)), "{unknown:?}");
}

#[test]
fn a_full_mailbox_is_exit_9_and_says_when_to_try_again() {
    let toml = format!("{ONE_WAY}\n[quota]\ndevice_messages = 1\n");
    let world = World::with_hub_toml(&toml, &["office", "shop"]);
    assert_eq!(world.ran("office", &["send", "--text", "one", "shop:"]).exit, Some(0));
    let second = world.ran("office", &["send", "--text", "two", "shop:", "--json"]);
    assert_eq!((second.exit, &second.message()["code"]), (Some(9), &"quota".into()), "{second:?}");
}

#[test]
fn a_body_above_the_hubs_limit_is_exit_9() {
    let world = World::with_hub_toml(&format!("max_body = \"1KiB\"\n{ONE_WAY}"), &["office", "shop"]);
    let file = world.write("large.bin", vec![7; 100_000]);
    let sent = world.ran("office", &["send", &file, "shop:"]);
    assert_eq!(sent.exit, Some(9), "{sent:?}");
}

#[test]
fn a_hub_with_a_misspelt_key_exits_2_with_line_and_suggestion() {
    let home = Home::new();
    home.write("hub/hub.toml", "http = \"off\"\n\n[quota]\ndevice_mesages = 1\n");
    let ran = home.run(&["hub", "--listen", "127.0.0.1:0"]);
    assert_eq!(ran.exit, Some(2), "{ran:?}");
    assert!(
        ran.stderr.contains("hub.toml:4") && ran.stderr.contains("did you mean `device_messages`"),
        "{}",
        ran.stderr
    );
}
