//! Chores around the workspace; `cargo xtask help` lists them.

mod fresh;
mod fuzz;
mod msrv;
mod promises;
mod tidy;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
#[command(about = "Chores around the workspace", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Run the tests that show promises and print row, figure asked, figure reached
    Promises {
        /// One row only
        #[arg(long)]
        row: Option<u32>,
        /// Also the tests that take long (`#[ignore]`), to the full figures
        #[arg(long)]
        long: bool,
    },
    /// Hold the code against the rules of ARCHITECTURE.md: sizes, directions, what the protocol crate must not use
    Tidy,
    /// Run the README's two commands in a clean clone with an empty cargo home
    Fresh,
    /// Check that no dependency asks for a newer compiler than the workspace states
    Msrv,
    /// Fuzz every target for a bounded time on this compiler, and say how many inputs each was given
    Fuzz {
        /// How long each target runs, in seconds
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
        seconds: u32,
        /// One target only
        #[arg(long)]
        target: Option<String>,
    },
}

/// What a chore found wrong, a line each; empty is well.
type Faults = Vec<String>;

fn main() -> ExitCode {
    let faults = match Arguments::parse().chore {
        Chore::Promises { row, long } => promises::run(row, long),
        Chore::Tidy => tidy::run(),
        Chore::Fresh => fresh::run(),
        Chore::Msrv => msrv::run(),
        Chore::Fuzz { seconds, target } => fuzz::run(seconds, target.as_deref()),
    };
    for fault in &faults {
        eprintln!("{fault}");
    }
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The workspace's root.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").into()
}

/// The cargo that started us.
fn cargo() -> std::process::Command {
    let mut command = std::process::Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}
