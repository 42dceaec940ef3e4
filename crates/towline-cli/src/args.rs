//! The command line: what is common to all commands. Each command's own arguments stand in its own file.

use crate::commands::Command;
use crate::output::Color;
use clap::{Args, Parser};
use std::path::PathBuf;

/// Messages and files to named machines, with an honest answer about what became of each.
#[derive(Debug, Parser)]
#[command(
    name = "towline",
    version,
    propagate_version = true,
    disable_help_subcommand = true,
    infer_long_args = false,
    max_term_width = 100,
    after_help = "Examples:\n  towline demo\n  towline hub --dev\n  towline send order.xml shop: --wait\n\n\
                  See `towline COMMAND --help` for a command, and `towline explain CODE` for a word in an answer."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every command takes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The folder for keys, stores and inboxes [default: $XDG_STATE_HOME/towline, else ~/.local/state/towline]
    #[arg(long, global = true, env = "TOWLINE_HOME", value_name = "DIR", hide_env_values = true)]
    pub(crate) home: Option<PathBuf>,
    /// Print one JSON object (JSON lines from commands that run on)
    #[arg(long, global = true, env = "TOWLINE_JSON", value_parser = clap::builder::FalseyValueParser::new(), hide_env_values = true)]
    pub(crate) json: bool,
    /// Say nothing but the result and errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Show no bar
    #[arg(long, global = true, env = "TOWLINE_NO_PROGRESS", value_parser = clap::builder::FalseyValueParser::new(), hide_env_values = true)]
    pub(crate) no_progress: bool,
    /// Colours; NO_COLOR turns them off too
    #[arg(
        long,
        global = true,
        env = "TOWLINE_COLOR",
        value_enum,
        default_value_t,
        value_name = "WHEN",
        hide_env_values = true
    )]
    pub(crate) color: Color,
    /// What to log on stderr: a level, or a filter such as `towline=debug` [default: info for hub and agent, else error]
    #[arg(long, global = true, env = "TOWLINE_LOG", value_name = "FILTER", hide_env_values = true)]
    pub(crate) log: Option<String>,
}
