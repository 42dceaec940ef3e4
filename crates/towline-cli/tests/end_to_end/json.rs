//! `--json` on everything that prints: one object on one line, for good and for bad.

use crate::support::World;
use std::collections::BTreeSet;

/// Commands that run on; what they print is looked at where they run.
const RUN_ON: [&str; 2] = ["hub", "agent"];

#[test]
fn every_command_prints_one_object_with_json() {
    let world = World::office_and_open_shop();
    let sent = world.ran("office", &["send", "--text", "x", "--name", "x.txt", "shop:", "--wait", "--json"]);
    let id = sent.message()["id"].as_str().expect("an id").to_owned();
    let ticket = world.ran("hub", &["invite", "kiosk", "--json"]).json()["ticket"].as_str().expect("one").to_owned();
    let table: [(&str, &[&str], i32); 31] = [
        ("office", &["send", "--text", "x", "--name", "y.txt", "shop:"], 0),
        ("office", &["send", "no-such-file", "shop:"], 3),
        ("office", &["send"], 2),
        ("office", &["status", &id], 0),
        ("office", &["status", &id, "--verify"], 0),
        ("office", &["status", "no-id"], 2),
        ("office", &["who"], 0),
        ("office", &["who", "office"], 6),
        ("office", &["who", "nobody"], 3),
        ("office", &["ping", "shop"], 0),
        ("office", &["ping", "nobody"], 3),
        ("hub", &["invite", "bar"], 0),
        ("kiosk", &["join", &ticket], 0),
        ("thief", &["join", &ticket], 4),
        ("hub", &["device", "ls"], 0),
        ("hub", &["device", "rename", "kiosk", "stand"], 0),
        ("hub", &["device", "revoke", "stand"], 0),
        ("hub", &["device", "revoke", "nobody"], 3),
        ("hub", &["policy", "test", "office", "shop"], 0),
        ("office", &["policy", "test", "office", "shop"], 5),
        ("hub", &["config", "check"], 0),
        ("shop", &["config", "check"], 0),
        ("shop", &["config", "show"], 0),
        ("shop", &["rule", "test", "order.xml", "--from", "office"], 0),
        ("office", &["explain"], 0),
        ("office", &["explain", "offline"], 0),
        ("office", &["explain", "4"], 0),
        ("office", &["explain", "nonsense"], 3),
        ("office", &["completions", "bash"], 0),
        ("office", &["man"], 0),
        ("office", &["demo", "--fault", "nonsense"], 2),
    ];
    let mut seen = BTreeSet::new();
    for (who, args, exit) in table {
        let ran = world.ran(who, &[args, &["--json"]].concat());
        assert_eq!(ran.exit, Some(exit), "{who} {args:?}: {ran:?}");
        let object = ran.json();
        assert!(object.is_object(), "{who} {args:?}: {object}");
        assert!(
            exit == 0 || object.get("error").is_none_or(|_| object["exit"] == exit || object.get("messages").is_some())
        );
        if object.get("error").is_none_or(serde_json::Value::is_null) {
            stands_in_the_page(args, &object);
        }
        seen.insert(args[0]);
    }
    let help = world.ran("office", &["--help"]).stdout;
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    for command in commands.filter_map(|line| line.split_whitespace().next()) {
        assert!(seen.contains(command) || RUN_ON.contains(&command), "no line here tries `{command} --json`");
    }
}

/// Every field that the command printed has its place in the page about the program.
fn stands_in_the_page(args: &[&str], object: &serde_json::Value) {
    let page = include_str!("../../../../docs/program.md");
    let table = page.split("## What `--json` prints").nth(1).expect("a part about it");
    let two = args.iter().take(2).copied().collect::<Vec<_>>().join(" ");
    let row = table.lines().find(|line| {
        let commands = line.split('|').nth(1).unwrap_or_default();
        [args[0], &two].iter().any(|name| commands.contains(&format!("`{name}`")))
    });
    let row = row.unwrap_or_else(|| panic!("docs/program.md has no row for {args:?}"));
    let mut waiting = vec![object];
    while let Some(value) = waiting.pop() {
        for (field, value) in value.as_object().into_iter().flatten() {
            assert!(row.contains(&format!("`{field}`")), "docs/program.md: {args:?} lacks {field}");
            // Of a list of objects the first stands for all.
            waiting.extend(value.as_array().and_then(|list| list.first()));
        }
    }
}

#[test]
fn a_hub_with_json_prints_lines_of_json_only_from_its_start_to_its_end() {
    let mut world = World::new();
    world.hub_args.push("--json".into());
    world.start_hub();
    world.join("office");
    assert_eq!(world.ran("office", &["who"]).exit, Some(0));
    assert_eq!(world.terminate("hub").code(), Some(0));
    let log = world.log("hub");
    let lines =
        log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|_| panic!("{line}")));
    let events: Vec<String> = lines.filter_map(|line| Some(line.get("event")?.as_str()?.to_owned())).collect();
    let due = ["listening", "invited", "draining", "ended"];
    let told: Vec<&str> = events.iter().map(String::as_str).filter(|event| due.contains(event)).collect();
    assert_eq!(told, due, "{log}");
}
