//! The command line as a whole, and what its help and manual pages say beside each command's own words: exit codes and
//! environment variables.

use crate::agent;
use crate::args::Cli;
use crate::exit::{self, Exit};
use clap::{Command, CommandFactory};
use towline_hub::config::hub;

/// The program's command line. Each command's long help ends with the exit codes that it can end with.
pub(crate) fn command() -> Command {
    let root = Cli::command();
    let name = root.get_name().to_owned();
    with_exits(root, &name)
}

fn with_exits(command: Command, path: &str) -> Command {
    let own = command.get_after_help().map(|text| format!("{text}\n\n")).unwrap_or_default();
    let command = command.after_long_help(format!("{own}Exit codes:\n{}", exit::list(exits_of(path))));
    command.mut_subcommands(|below| {
        let path = format!("{path} {}", below.get_name());
        with_exits(below, &path)
    })
}

/// How a command can end, beside [`Exit::Error`] (whatever has no number of its own), in the order of the numbers.
pub(crate) fn exits_of(path: &str) -> &'static [Exit] {
    use Exit::{
        Done, Error, Expired, Failed, Integrity, Interrupted, NotFound, NotPermitted, Offline, Quota, Refused, Unclear,
        Unreachable, Usage,
    };
    match path {
        "towline hub" => &[Done, Usage, NotPermitted],
        "towline invite" => &[Done, Usage, NotPermitted, Unreachable],
        "towline join" => &[Done, Usage, NotFound, NotPermitted, Unreachable, Integrity],
        "towline agent" => &[Done, Usage, NotPermitted],
        "towline status" => &[
            Done,
            Usage,
            NotFound,
            NotPermitted,
            Unreachable,
            Offline,
            Expired,
            Integrity,
            Failed,
            Unclear,
            Refused,
            Interrupted,
        ],
        "towline who" | "towline ping" => {
            &[Done, Usage, NotFound, NotPermitted, Unreachable, Offline, Integrity, Interrupted]
        }
        "towline device" | "towline device rename" => &[Done, Usage, NotFound, NotPermitted, Unreachable],
        "towline device ls" => &[Done, Usage, Unreachable],
        "towline device revoke" => &[Done, Usage, NotFound, Unreachable],
        "towline policy" | "towline policy test" => &[Done, Usage, NotFound, NotPermitted, Unreachable],
        "towline config" | "towline config check" => &[Done, Usage, NotFound],
        "towline rule" | "towline rule test" | "towline completions" | "towline config show" => &[Done, Usage],
        "towline explain" => &[Done, Usage, NotFound],
        "towline demo" => &[Done, Error, Usage, Interrupted],
        "towline man" => &[Done, Usage, NotFound, NotPermitted, Quota],
        "towline" | "towline send" => exit::EXITS,
        other => unreachable!("a test goes through every command, and `{other}` is none"),
    }
}

/// Every environment variable that steers the program, with its meaning, in the order of the pages.
pub(crate) fn variables() -> Vec<(String, String)> {
    let mut list = Vec::new();
    of_arguments(&command(), &mut list);
    let system = [
        ("XDG_STATE_HOME", "where `towline/` lies that stands for --home [default: ~/.local/state]"),
        ("NO_COLOR", "no colours, whatever it is set to"),
    ];
    list.extend(system.map(|(name, meaning)| (name.to_owned(), meaning.to_owned())));
    let options = hub::OPTIONS.iter().chain(agent::OPTIONS);
    list.extend(options.map(|option| {
        let file = format!("{}.toml", option.owner.to_lowercase());
        (option.variable(), format!("`{}` of {file}: {}", option.name, option.meaning))
    }));
    list
}

fn of_arguments(command: &Command, list: &mut Vec<(String, String)>) {
    for argument in command.get_arguments() {
        let (Some(name), Some(help)) = (argument.get_env(), argument.get_help()) else { continue };
        let name = name.to_string_lossy().into_owned();
        if list.iter().all(|(known, _)| *known != name) {
            let what = argument.get_long().map_or_else(|| argument.get_id().to_string(), |long| format!("--{long}"));
            list.push((name, format!("`{what}`: {help}")));
        }
    }
    command.get_subcommands().for_each(|below| of_arguments(below, list));
}

/// What is wrong with variables that look like options of `owner` (`HUB`, `AGENT`) and are none. A word of warning and no
/// error: some systems set such names by themselves for a service that is called so.
pub(crate) fn unknown_variables(owner: &str) -> Vec<String> {
    let known: Vec<String> = variables().into_iter().map(|(name, _)| name).collect();
    let start = format!("TOWLINE_{owner}_");
    let set = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let strange = set.filter(|name| name.starts_with(&start) && !known.contains(name));
    strange
        .map(|name| {
            let near = towline_hub::config::strict::nearest(&name, known.iter().map(String::as_str));
            let hint = near.map(|near| format!(", did you mean ${near}?")).unwrap_or_default();
            format!("${name} is no option of the {}{hint}", owner.to_lowercase())
        })
        .collect()
}

#[cfg(test)]
mod tests;
