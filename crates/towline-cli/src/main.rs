//! The program `towline`: hub, agent, and the commands that people and scripts give.

mod agent;
mod args;
mod attached;
mod commands;
mod device;
mod exit;
mod failure;
mod help;
mod home;
mod hub_link;
mod logging;
mod operator;
mod output;
mod proof;
mod signals;
mod value;
mod word;

use std::process::ExitCode;

fn main() -> ExitCode {
    commands::main().into()
}
