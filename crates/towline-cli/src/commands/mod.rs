//! One command one file: parse, apply and print together.

mod agent;
mod completions;
mod config;
mod demo;
mod device;
mod explain;
mod hub;
mod invite;
mod join;
mod man;
mod ping;
mod policy;
mod rule;
mod send;
mod status;
mod who;

use crate::args::Cli;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::help;
use crate::home::Home;
use crate::logging;
use crate::output::Output;
use clap::builder::{FalseyValueParser, TypedValueParser as _};
use clap::{FromArgMatches, Subcommand};

/// What the program can be asked to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the hub
    Hub(hub::Hub),
    /// Make a ticket for a new device, on the hub's machine
    Invite(invite::Invite),
    /// Join a hub with a ticket
    Join(join::Join),
    /// Take this device's messages, run its rules, send what lies in its outbox
    Agent(agent::Agent),
    /// Send files, standard input or a text to devices
    Send(send::Send),
    /// Say where a message stands; the exit code is its outcome's, 6 if there is none yet
    Status(status::Status),
    /// Say which devices are online, and since when
    Who(who::Who),
    /// Have a device's agent answer
    Ping(ping::Ping),
    /// List, rename and revoke devices, on the hub's machine
    Device(device::Device),
    /// Ask the hub's policy, on the hub's machine
    Policy(policy::Policy),
    /// Check or show configuration files
    Config(config::Config),
    /// Play an operator's day here: a hub, two devices, files, a failing handler, a crash
    Demo(demo::Demo),
    /// Look at the rules of this device's agent
    Rule(rule::Rule),
    /// Explain a code: what has happened and what to do
    Explain(explain::Explain),
    /// Print a shell's completion script
    Completions(completions::Completions),
    /// Print the manual page, or write one for every command
    Man(man::Man),
}

/// What every command gets beside its own arguments.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// How to print.
    pub(crate) out: Output,
    /// Where things lie.
    pub(crate) home: Home,
}

/// Reads the command line, does what it says, and tells how that ended.
pub(crate) fn main() -> Exit {
    let parsed = help::command().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    let global = &cli.global;
    let out = Output::new(global.json, global.quiet, global.no_progress, global.color);
    match run(cli, out) {
        Ok(exit) => exit,
        Err(failure) => {
            out.failure(&failure);
            failure.exit
        }
    }
}

/// Help and version on stdout; a mistake on stderr, or as an object on stdout if `--json` stands anywhere or is set.
fn refuse(error: &clap::Error) -> Exit {
    let set = || {
        let value = std::env::var_os("TOWLINE_JSON")?;
        FalseyValueParser::new().parse_ref(&clap::Command::new("towline"), None, &value).ok()
    };
    let json = std::env::args_os().any(|word| word == "--json") || set().unwrap_or(false);
    if error.use_stderr() && json {
        let out = Output::new(true, false, true, crate::output::Color::Never);
        out.failure(&Failure::usage(error.to_string().trim_end()));
    } else {
        // Nobody is left to tell if this cannot be printed.
        let _ = error.print();
    }
    if error.use_stderr() { Exit::Usage } else { Exit::Done }
}

fn run(cli: Cli, out: Output) -> Outcome {
    let default_log = cli.command.default_log();
    logging::start(cli.global.log.as_deref().unwrap_or(default_log), cli.global.json)?;
    let context = Context { out, home: Home::find(cli.global.home)? };
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::new(Exit::Error, format!("cannot start the runtime: {error}")))?;
    runtime.block_on(dispatch(cli.command, &context))
}

async fn dispatch(command: Command, context: &Context) -> Outcome {
    match command {
        Command::Hub(command) => command.run(context).await,
        Command::Invite(command) => command.run(context),
        Command::Device(command) => command.run(context),
        Command::Policy(command) => command.run(context),
        Command::Join(command) => command.run(context).await,
        Command::Config(command) => command.run(context),
        Command::Agent(command) => command.run(context).await,
        Command::Send(command) => command.run(context).await,
        Command::Status(command) => command.run(context).await,
        Command::Who(command) => command.run(context).await,
        Command::Ping(command) => command.run(context).await,
        Command::Rule(command) => command.run(context),
        Command::Demo(command) => command.run(context).await,
        Command::Explain(command) => command.run(context),
        Command::Completions(command) => command.run(context),
        Command::Man(command) => command.run(context),
    }
}

impl Command {
    /// Commands that run on tell what they do; the others are silent unless asked.
    const fn default_log(&self) -> &'static str {
        match self {
            Self::Hub(_) | Self::Agent(_) => "info",
            _ => "error",
        }
    }
}
