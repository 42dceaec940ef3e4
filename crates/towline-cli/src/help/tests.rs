use super::*;

/// Every command with its path, the program itself first.
fn all() -> Vec<(String, Command)> {
    let mut list = Vec::new();
    let mut waiting = vec![("towline".to_owned(), command())];
    while let Some((path, command)) = waiting.pop() {
        waiting.extend(command.get_subcommands().map(|below| (format!("{path} {}", below.get_name()), below.clone())));
        list.push((path, command));
    }
    list
}

#[test]
fn every_commands_help_has_an_example_of_itself_and_its_exit_codes() {
    for (path, mut command) in all() {
        let help = command.render_long_help().to_string();
        assert!(help.contains("Example"), "`{path} --help` has no example");
        assert!(help.lines().any(|line| line.contains(&format!("  {path}"))), "`{path} --help` shows another command");
        for exit in exits_of(&path) {
            assert!(help.contains(exit.meaning()), "`{path} --help` lacks {}", exit.number());
        }
        assert!(exits_of(&path).is_sorted(), "{path}");
    }
}

#[test]
fn every_value_says_its_unit_or_its_form() {
    for (path, command) in all() {
        for argument in command.get_arguments().filter(|argument| argument.get_action().takes_values()) {
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(!help.is_empty(), "`{path}`: {} has no help", argument.get_id());
            let form = argument.get_value_names().unwrap_or_default().first().map(ToString::to_string);
            let unit = match form.as_deref() {
                Some("DURATION") => "30s",
                Some("SIZE") => "MiB",
                _ => continue,
            };
            assert!(help.contains(unit), "`{path}`: {} does not say how it is written", argument.get_id());
        }
    }
}

#[test]
fn the_page_about_the_program_names_every_variable_command_and_option() {
    let page = include_str!("../../../../docs/program.md");
    for (name, _) in variables() {
        assert!(page.contains(&format!("`{name}`")), "docs/program.md lacks {name}");
    }
    for (path, command) in all() {
        let last = path.rsplit(' ').next().expect("a word");
        assert!(
            command.has_subcommands() || page.contains(&format!("`{path}")),
            "docs/program.md lacks {path} ({last})"
        );
        for option in command.get_arguments().filter_map(|argument| argument.get_long()) {
            let usual = ["help", "version"].contains(&option);
            assert!(usual || page.contains(&format!("`--{option}")), "docs/program.md lacks --{option} of {path}");
        }
    }
    let known = [variables().into_iter().map(|(name, _)| name).collect(), of_a_command()].concat();
    for word in page.split('`').filter(|word| word.starts_with("TOWLINE_")) {
        assert!(known.iter().any(|name| name == word), "docs/program.md names {word}, which nobody reads or sets");
    }
    let options = all().into_iter().flat_map(|(_, command)| {
        let names = command.get_arguments().filter_map(|argument| argument.get_long()).map(str::to_owned);
        names.collect::<Vec<_>>()
    });
    let options: Vec<String> = options.chain(["help".into(), "version".into()]).collect();
    let words = page.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '-'));
    let named = words.filter_map(|word| word.strip_prefix("--")).filter(|name| name.starts_with(char::is_alphabetic));
    for name in named {
        assert!(options.iter().any(|option| option == name), "docs/program.md names --{name}, which no command has");
    }
}

#[test]
fn the_page_about_the_program_has_a_row_for_every_option_of_the_two_files() {
    let page = include_str!("../../../../docs/program.md");
    for option in hub::OPTIONS.iter().chain(agent::OPTIONS) {
        let default = if option.default.is_empty() { String::new() } else { format!("`{}`", option.default) };
        let row = format!("| `{}` | `{}` | {default} | {} |", option.name, option.variable(), option.meaning);
        assert!(page.contains(&row), "docs/program.md lacks: {row}");
    }
}

/// The variables that a rule's command finds.
fn of_a_command() -> Vec<String> {
    use towline_proto::ids::{Digest, Lane, MessageId};
    use towline_proto::mail::agent::template::{Values, environment};
    use towline_proto::mail::envelope::Envelope;
    use towline_proto::mail::keys::PublicKey;
    let envelope = Envelope {
        id: MessageId([0; 16]),
        from: "office".parse().unwrap(),
        sender: PublicKey([0; 32]),
        to: "shop".parse().unwrap(),
        deadline_ms: 0,
        lane: Lane::NORMAL,
        kept: true,
        name: String::new(),
        content_type: String::new(),
        size: 0,
        root: Digest([0; 32]),
        time_ms: 0,
        seal: 0,
    };
    let values = Values { envelope: &envelope, file: "", name: "" };
    environment(&values).into_iter().map(|(name, _)| name).collect()
}
