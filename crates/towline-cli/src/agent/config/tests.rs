use super::*;
use tempfile::TempDir;

fn parse(text: &str) -> (TempDir, Result<AgentConfig, ConfigError>) {
    let home = tempfile::tempdir().unwrap();
    let config = made(home.path(), text);
    (home, config)
}

/// Reads a file and makes its folders.
fn made(home: &Path, text: &str) -> Result<AgentConfig, ConfigError> {
    let layers = Layers::new(OPTIONS).with_file::<File>(Path::new("agent.toml"), text)?;
    Ok(AgentConfig::resolve(home, layers, Folder::private)?.0)
}

fn refused(text: &str) -> String {
    parse(text).1.unwrap_err().to_string()
}

#[test]
fn nothing_written_is_a_working_configuration() {
    let (home, config) = parse("");
    let config = config.unwrap();
    assert_eq!(config.inbox.path(), home.path().canonicalize().unwrap().join("inbox"));
    assert!(config.outbox.unwrap().path().ends_with("outbox"));
    assert!(config.rules.rules.is_empty());
    assert_eq!(config.drain, Duration::from_secs(30));
}

#[test]
fn what_watches_the_link_can_be_tuned_within_its_bounds() {
    let usual = parse("").1.unwrap().client();
    assert_eq!((usual.probe_period, usual.address_check), (Duration::from_millis(7_500), Duration::from_secs(1)));
    let tuned = parse("probe_period = \"1500ms\"\naddress_check = \"0s\"\n").1.unwrap().client();
    assert_eq!((tuned.probe_period, tuned.address_check), (Duration::from_millis(1_500), Duration::ZERO));
    for bad in ["499ms", "5m1ms"] {
        let error = parse(&format!("probe_period = \"{bad}\"\n")).1.unwrap_err();
        assert!(error.message.contains("500ms to 5m"), "{error}");
    }
}

#[test]
fn rules_are_read_in_their_order() {
    let (_home, config) = parse(
        r#"
        outbox = ""
        outbox_deadline = "10m"
        [[rule]]
        name = "print"
        from = ["shop*"]
        file = ["*.xml"]
        command = ["/usr/bin/lp", "--", "{file}"]
        timeout = "2m"
        concurrency = 3
        repeat = true
        stdin = "file"
        [[rule]]
        name = "legacy"
        save_to = "/tmp"
        "#,
    );
    let config = config.unwrap();
    assert!(config.outbox.is_none());
    assert_eq!(config.outbox_deadline_ms, 600_000);
    assert_eq!(config.rules.rules.iter().map(|rule| rule.name.as_str()).collect::<Vec<_>>(), ["print", "legacy"]);
    let Action::Run(command) = &config.rules.rules[0].action else { panic!("a command") };
    assert_eq!((command.timeout_ms, command.concurrency, command.repeat), (120_000, 3, true));
    assert!(config.commands["print"].body_on_stdin);
    let Action::SaveTo(folder) = &config.rules.rules[1].action else { panic!("a folder") };
    assert!(config.folders.contains_key(folder));
}

#[test]
fn a_misspelt_key_is_named_with_its_line_and_what_was_meant() {
    let text = refused("inbox = \"in\"\n[[rule]]\nname = \"a\"\ncomand = [\"/bin/true\"]\n");
    assert!(text.starts_with("agent.toml:4: ") && text.ends_with("did you mean `command`?"), "{text}");
}

#[test]
fn rules_that_cannot_work_are_refused_by_name() {
    let rule = |rest: &str| format!("[[rule]]\nname = \"a\"\n{rest}\n");
    for (text, part) in [
        (rule(""), "either"),
        (rule("command = [\"/bin/true\"]\nsave_to = \"/tmp\""), "either"),
        (rule("command = []"), "needs a program"),
        (rule("command = [\"lp\"]"), "absolute"),
        (rule("command = [\"/bin/{name}\"]"), "placeholder"),
        (rule("command = [\"/bin/cat\", \"{nmae}\"]"), "unknown placeholder"),
        (rule("command = [\"/bin/true\"]\ntimeout = \"0s\""), "timeout"),
        (rule("command = [\"/bin/true\"]\nconcurrency = 0"), "concurrency"),
        (rule("command = [\"/bin/true\"]\nuser = \"no-such-user\""), "no user"),
        (rule("save_to = \"relative\""), "absolute"),
        (rule("save_to = \"/no/such/folder\""), "No such file"),
        (rule("save_to = \"/tmp\"\ntimeout = \"1s\""), "goes with `command`"),
        (rule("save_to = \"/tmp\"") + &rule("save_to = \"/tmp\""), "name of its own"),
    ] {
        let refused = refused(&text);
        assert!(refused.contains("rule `a`") && refused.contains(part), "{refused}");
    }
}

#[test]
fn a_look_makes_nothing_and_says_where_each_value_came_from() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("agent.toml"), "drain = \"5s\"\n").unwrap();
    let (config, settings) = AgentConfig::look(home.path()).unwrap();
    assert_eq!(config.drain, Duration::from_secs(5));
    let origin = |option: &str| settings.iter().find(|one| one.option == option).unwrap().origin.to_string();
    assert!(origin("drain").ends_with("agent.toml:1"), "{}", origin("drain"));
    assert_eq!(origin("inbox"), "default");
    let names: Vec<_> = std::fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["agent.toml"]);
}

#[test]
fn an_option_of_the_command_line_beats_the_file() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("agent.toml"), "drain = \"5s\"\n").unwrap();
    let config = AgentConfig::load(home.path(), &["drain=7s".into(), "outbox=".into()]).unwrap();
    assert_eq!((config.drain, config.outbox.is_none()), (Duration::from_secs(7), true));
    let error = AgentConfig::load(home.path(), &["drian=7s".into()]).unwrap_err().to_string();
    assert!(error.ends_with("did you mean `drain`?"), "{error}");
}
