//! The program as a shell sees it, where no hub is needed: help, usage errors, configuration, explanations, pages.

mod support;

use support::home::{Home, Ran};
use towline_proto::mail::code::CODES;
use towline_proto::mail::outcome::OUTCOMES;
use towline_proto::wire::close::CloseCode;

#[test]
fn help_ends_with_the_exit_codes_of_the_page() {
    let help = Home::new().run(&["--help"]);
    assert_eq!(help.exit, Some(0));
    let page = include_str!("../../../docs/program.md");
    let rows = page.lines().filter_map(|line| {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let number: u8 = cells.next()?.parse().ok()?;
        Some((number, cells.next()?))
    });
    let mut count = 0;
    for (number, meaning) in rows {
        assert!(help.stdout.contains(&format!("{number:>3}  {meaning}")), "help lacks exit code {number}");
        count += 1;
    }
    assert_eq!(count, 15);
}

#[test]
fn every_command_has_its_help() {
    let home = Home::new();
    let help = home.run(&["--help"]).stdout;
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names: Vec<&str> = commands.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.contains(&"explain"), "{names:?}");
    for name in names {
        let ran = home.run(&[name, "--help"]);
        assert_eq!((ran.exit, ran.stderr.as_str()), (Some(0), ""), "{name}");
        assert!(ran.stdout.contains("Usage:"), "{name}: {}", ran.stdout);
    }
}

#[test]
fn a_usage_error_exits_2_and_is_an_object_with_json() {
    let home = Home::new();
    let plain = home.run(&["explode"]);
    assert_eq!((plain.exit, plain.stdout.as_str()), (Some(2), ""));
    assert!(plain.stderr.contains("explode"), "{}", plain.stderr);
    let json = home.run(&["explode", "--json"]);
    assert_eq!((json.exit, &json.json()["exit"]), (Some(2), &serde_json::json!(2)));
}

#[test]
fn a_misspelt_key_exits_2_with_line_and_suggestion() {
    let home = Home::new();
    home.write("hub/hub.toml", "http = \"off\"\nlissten = [\"127.0.0.1:1\"]\n");
    let ran = home.run(&["config", "check"]);
    assert_eq!(ran.exit, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("hub.toml:2"), "{}", ran.stderr);
    assert!(ran.stderr.contains("did you mean `listen`"), "{}", ran.stderr);
}

#[test]
fn a_misspelt_key_of_a_rule_exits_2_with_line_and_suggestion() {
    let home = Home::new();
    home.write("device/agent.toml", "[[rule]]\nname = \"print\"\ncomand = [\"/bin/true\"]\n");
    let ran = home.run(&["config", "check", "--json"]);
    assert_eq!(ran.exit, Some(2), "{ran:?}");
    let what = ran.json()["error"]["what"].as_str().expect("text").to_owned();
    assert!(what.contains("agent.toml:3") && what.contains("did you mean `command`"), "{what}");
}

#[test]
fn config_show_says_where_each_value_came_from() {
    let home = Home::new();
    home.write("hub/hub.toml", "http = \"off\"\nmax_body = \"1MiB\"\n");
    let ran = home.command(&["config", "show", "--origin"]).env("TOWLINE_HUB_MAX_BODY", "2MiB").output().expect("runs");
    let text = String::from_utf8(ran.stdout).expect("UTF-8");
    let row = |option: &str| text.lines().find(|line| line.starts_with(option)).expect(option).to_owned();
    assert!(row("hub.http").contains("hub.toml:1"), "{text}");
    assert!(row("hub.max_body").contains("2MiB") && row("hub.max_body").contains("$TOWLINE_HUB_MAX_BODY"), "{text}");
    assert!(row("hub.keep_failed").ends_with("default"), "{text}");
}

#[test]
fn every_code_is_explained_with_cause_and_cure() {
    let home = Home::new();
    let listed = home.run(&["explain", "--json"]).json()["codes"].clone();
    assert_eq!(listed.as_array().map(Vec::len), Some(OUTCOMES.len() + CODES.len() + CloseCode::ALL.len()));
    // One process for each of the words would be slow; the first, the last and one of each kind stand for the way there.
    for word in ["unclear", "ok", "name-taken", "offline", "wrong-key"] {
        let ran = home.run(&["explain", word]);
        assert_eq!(ran.exit, Some(0), "{word}");
        assert!(ran.stdout.contains("cause:") && ran.stdout.contains("cure:"), "{}", ran.stdout);
    }
    for entry in listed.as_array().expect("a list") {
        for field in ["cause", "cure"] {
            assert!(entry[field].as_str().is_some_and(|text| text.ends_with('.')), "{entry}");
        }
    }
}

#[test]
fn an_unknown_code_exits_3_and_suggests() {
    let ran = Home::new().run(&["explain", "ofline"]);
    assert_eq!(ran.exit, Some(3));
    assert!(ran.stderr.contains("did you mean `offline`"), "{}", ran.stderr);
}

#[test]
fn completions_and_pages_are_made_for_every_shell_and_command() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = home.run(&["completions", shell]);
        assert!(ran.exit == Some(0) && ran.stdout.contains("towline") && ran.stdout.contains("explain"), "{shell}");
    }
    let page = home.run(&["man"]);
    assert!(page.exit == Some(0) && page.stdout.contains(".TH") && page.stdout.contains("EXIT STATUS"), "{page:?}");
    let written = home.run(&["man", "--out", "pages", "--json"]).json()["written"].clone();
    let names: Vec<&str> = written.as_array().expect("a list").iter().filter_map(|path| path.as_str()).collect();
    for page in ["pages/towline.1", "pages/towline-join.1", "pages/towline-config-check.1"] {
        assert!(names.contains(&page), "{names:?}");
    }
}

#[test]
fn a_device_that_never_joined_is_told_what_to_do() {
    let ran = Home::new().run(&["join", "no-ticket"]);
    assert_eq!(ran.exit, Some(2));
    assert!(ran.stderr.contains("towline invite"), "{}", ran.stderr);
}

#[test]
fn rule_test_tells_rule_and_arguments_and_runs_nothing() {
    let home = Home::new();
    let rules = "[[rule]]\nname = \"print\"\nfile = [\"*.xml\"]\nfrom = [\"shop*\"]\ncommand = [\"/usr/bin/touch\", \"--\", \"{file}\"]\n";
    home.write("device/agent.toml", rules);
    let order = home.write("order.xml", "<order/>");
    let ran = home.run(&["rule", "test", &order.to_string_lossy(), "--from", "shop-7", "--json"]);
    let json = ran.json();
    assert_eq!((&json["by"], &json["action"]), (&"rule print".into(), &"run".into()), "{json}");
    assert_eq!(json["argv"][0], "/usr/bin/touch");
    assert!(
        json["argv"][2].as_str().is_some_and(|path| path.ends_with("/order.xml") && path.starts_with('/')),
        "{json}"
    );
    let other = home.run(&["rule", "test", "order.csv", "--from", "shop-7"]);
    assert!(other.stdout.starts_with("inbox:"), "{other:?}");
}

#[test]
fn looking_at_the_configuration_makes_no_folders() {
    let home = Home::new();
    home.write("device/agent.toml", "drain = \"5s\"\n");
    for args in [&["config", "check"][..], &["config", "show"], &["rule", "test", "a.xml", "--from", "shop"]] {
        assert_eq!(home.run(args).exit, Some(0), "{args:?}");
    }
    let names = |path: std::path::PathBuf| -> Vec<String> {
        let entries = std::fs::read_dir(path).expect("a folder");
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into()).collect()
    };
    assert_eq!((names(home.path("")), names(home.path("device"))), (vec!["device".into()], vec!["agent.toml".into()]));
}

#[test]
fn every_option_has_a_default_that_the_file_and_then_the_environment_beats() {
    let home = Home::new();
    let file = |name: &str| match name {
        "listen" => "listen = [\"127.0.0.1:9\"]",
        "drain" => "drain = \"9s\"",
        _ => "",
    };
    home.write("hub/hub.toml", format!("{}\n{}\n[quota]\nmessages = 9\n", file("listen"), file("drain")));
    home.write("device/agent.toml", format!("{}\ninbox = \"in\"\n", file("drain")));
    let show = |variables: &[(&str, &str)]| {
        let ran = home.command(&["config", "show", "--json"]).envs(variables.iter().copied()).output().expect("runs");
        let told: serde_json::Value = serde_json::from_slice(&ran.stdout).expect("an object");
        told["settings"].as_array().expect("a list").clone()
    };
    let origin = |settings: &[serde_json::Value], option: &str| {
        let one =
            settings.iter().find(|one| one["option"] == option).unwrap_or_else(|| panic!("{option} is not shown"));
        one["origin"].as_str().expect("text").to_owned()
    };
    let plain = show(&[]);
    for (option, ends) in [
        ("hub.http", "default"),
        ("hub.listen", "hub.toml:1"),
        ("hub.quota.messages", "hub.toml:4"),
        ("agent.drain", "agent.toml:1"),
        ("agent.inbox", "agent.toml:2"),
        ("agent.outbox", "default"),
    ] {
        assert!(origin(&plain, option).ends_with(ends), "{option}: {}", origin(&plain, option));
    }
    let told = show(&[("TOWLINE_HUB_QUOTA_MESSAGES", "8"), ("TOWLINE_AGENT_DRAIN", "8s")]);
    assert_eq!(origin(&told, "hub.quota.messages"), "$TOWLINE_HUB_QUOTA_MESSAGES");
    assert_eq!(origin(&told, "agent.drain"), "$TOWLINE_AGENT_DRAIN");
    let wrong = home.run(&["hub", "--set", "quota.mesages=7"]);
    assert_eq!(wrong.exit, Some(2), "{wrong:?}");
    assert!(wrong.stderr.contains("did you mean `quota.messages`"), "{}", wrong.stderr);
}

#[test]
fn an_exit_code_names_each_of_its_words_once() {
    let words = Home::new().run(&["explain", "5", "--json"]).json()["codes"].clone();
    let words: Vec<&str> = words.as_array().expect("a list").iter().filter_map(|word| word.as_str()).collect();
    let distinct: std::collections::BTreeSet<&&str> = words.iter().collect();
    assert!(words.contains(&"draining") && distinct.len() == words.len(), "{words:?}");
}

#[test]
fn what_can_only_be_a_slip_is_a_usage_error_that_says_so() {
    let home = Home::new();
    let table: [(&[&str], &str); 8] = [
        (&["send", "--text", "x", "shop:", "--deadline", "0s"], "nothing can start within no time"),
        (&["send", "--text", "x", "shop:", "--deadline", "5"], "such as 500ms, 30s"),
        (&["send", "--text", "x", "shop:", "--deadline", "5s", "--live"], "cannot be used with '--live'"),
        (&["ping", "shop", "--count", "0"], "0 is not in 1.."),
        (&["status", "m_06gzrzn9gxs0sb87k66667t5s8", "--wait", "5s"], "[--wait[=DURATION]]"),
        (&["invite", "shop", "--host", "office"], "HOST:PORT"),
        (&["hub", "--listen", "127.0.0.1"], "`listen`: \"127.0.0.1\" is not HOST:PORT"),
        (&["hub", "--http", "on"], "`http`: \"on\" is not HOST:PORT"),
    ];
    for (args, words) in table {
        let ran = home.run(args);
        assert!(ran.exit == Some(2) && ran.stderr.contains(words), "{args:?}: {ran:?}");
    }
}

#[test]
fn a_usage_error_is_an_object_where_the_environment_wants_json_too() {
    let home = Home::new();
    let asked = |value: &str| Ran::to_its_end(home.command(&["explode"]).env("TOWLINE_JSON", value));
    assert_eq!((asked("1").exit, &asked("1").json()["exit"]), (Some(2), &serde_json::json!(2)));
    assert_eq!((asked("0").exit, asked("0").stdout.as_str()), (Some(2), ""));
}

#[test]
fn a_variable_that_looks_like_an_option_and_is_none_is_warned_of() {
    let home = Home::new();
    let mut command = home.command(&["config", "check"]);
    let ran = Ran::to_its_end(command.env("TOWLINE_HUB_DRIAN", "3s").env("TOWLINE_HUB_DRAIN", "3s"));
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    let line = "warning: $TOWLINE_HUB_DRIAN is no option of the hub, did you mean $TOWLINE_HUB_DRAIN?\n";
    assert_eq!(ran.stderr, line);
}

#[test]
fn config_show_gives_programs_values_of_their_own_type_and_shows_the_devices_key() {
    let home = Home::new();
    let value = |settings: &serde_json::Value, option: &str| {
        let one = settings.as_array().expect("a list").iter().find(|one| one["option"] == option).cloned();
        one.map(|one| one["value"].clone())
    };
    let settings = home.run(&["config", "show", "--json"]).json()["settings"].clone();
    assert_eq!(value(&settings, "hub.quota.messages"), Some(100_000.into()));
    assert_eq!(value(&settings, "hub.default_deadline"), Some("1h".into()));
    assert_eq!(value(&settings, "hub.dev"), Some(false.into()));
    assert_eq!(value(&settings, "device.key"), None, "looking makes no key");
}

#[test]
fn rule_test_names_the_inbox() {
    let home = Home::new();
    let ran = home.run(&["rule", "test", "order.csv", "--from", "shop", "--json"]);
    assert_eq!(ran.json()["folder"], home.path("device/inbox").to_str().expect("UTF-8"), "{ran:?}");
}

#[test]
fn a_commands_page_has_its_exit_codes_and_the_programs_page_the_environment() {
    let home = Home::new();
    assert_eq!(home.run(&["man", "--out", "pages"]).exit, Some(0));
    let page = |name: &str| std::fs::read_to_string(home.path("pages").join(name)).expect("a page");
    let (whole, who, send) = (page("towline.1"), page("towline-who.1"), page("towline-send.1"));
    assert!(whole.contains("ENVIRONMENT") && whole.contains("TOWLINE_AGENT_DRAIN"), "{whole}");
    assert!(who.contains("EXIT STATUS") && !who.contains("quota or size") && send.contains("quota or size"), "{who}");
    assert_eq!(whole.matches("no such device, message or file").count(), 1, "the table stands once");
}

#[test]
fn a_rules_program_that_is_not_there_is_warned_of() {
    let home = Home::new();
    let rule = |program: &str| format!("[[rule]]\nname = \"{program}\"\ncommand = [\"{program}\", \"{{file}}\"]\n");
    home.write("device/agent.toml", rule("/bin/true") + &rule("/nowhere/lp"));
    let ran = home.run(&["config", "check"]);
    let line = "warning: rule `/nowhere/lp`: /nowhere/lp is not there, or may not be executed\n";
    assert_eq!((ran.exit, ran.stderr.as_str()), (Some(0), line), "{ran:?}");
}
