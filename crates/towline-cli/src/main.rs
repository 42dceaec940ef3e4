//! The program `towline`: hub, agent, and the commands that people and scripts give.

mod agent;
mod args;
mod commands;
mod exit;
mod failure;
mod home;
mod logging;
mod output;
mod value;

use std::process::ExitCode;

fn main() -> ExitCode {
    commands::main().into()
}
