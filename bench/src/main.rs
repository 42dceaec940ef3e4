//! Towline beside its rivals, on the loopback, in one run: `towline-bench SUITE [--quick] [--json] [--check] [--runs N]`.
//!
//! Every figure comes from two processes, one that serves and one that drives; this program starts itself for both. Runs
//! of us and of each rival alternate, so that a machine that is slow for a while is slow for all. `docs/bench.md` says
//! what each row means.

mod figures;
mod goals;
mod job;
mod meter;
mod peers;
mod report;
mod roles;
mod run;
mod suites;
mod tls;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Towline beside its rivals", name = "towline-bench")]
struct Arguments {
    #[command(subcommand)]
    suite: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Round trips: how many a second, how long each, what they cost
    Rpc(Options),
    /// Messages one way: how many a second, what they cost
    Oneway(Options),
    /// What connections cost that say nothing
    Idle(Options),
    /// Every suite
    All(Options),
    /// One side of a run; the program starts itself so
    #[command(hide = true)]
    Serve { job: String },
    /// The other side of a run
    #[command(hide = true)]
    Drive { job: String, greeting: String },
    /// Both sides on one thread, counting allocations
    #[command(hide = true)]
    Count { job: String },
}

/// How to run a suite.
#[derive(Args, Clone, Copy)]
struct Options {
    /// Fewer cases and short runs: all suites within two minutes, good for a first look only
    #[arg(long, conflicts_with = "check")]
    quick: bool,
    /// One JSON object a row instead of a table
    #[arg(long)]
    json: bool,
    /// Exit 1 when a row misses its goal
    #[arg(long)]
    check: bool,
    /// Runs of each contender; the default is 9, for idle 5; with --quick 3 and 1
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    runs: Option<u32>,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().suite {
        Command::Rpc(options) => suites::run(&[suites::Suite::Rpc], options),
        Command::Oneway(options) => suites::run(&[suites::Suite::Oneway], options),
        Command::Idle(options) => suites::run(&[suites::Suite::Idle], options),
        Command::All(options) => {
            suites::run(&[suites::Suite::Rpc, suites::Suite::Oneway, suites::Suite::Idle], options)
        }
        Command::Serve { job } => roles::serve(&job).map(|()| true),
        Command::Drive { job, greeting } => roles::drive(&job, &greeting).map(|()| true),
        Command::Count { job } => roles::count(&job).map(|()| true),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("towline-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
