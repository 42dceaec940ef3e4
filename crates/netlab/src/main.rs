//! `netlab`: runs programs over an emulated link between two network namespaces, and shows that the link is what was asked for.

use clap::{Parser, Subcommand};
use netlab::{FAR, Lab, NEAR, Unable, check, remove_own};
use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::ExitCode;
use std::sync::Mutex;
use towline_sim::{PROFILES, Profile};

/// The link is not what was asked for, or something failed.
const OFF: u8 = 1;
/// The link is faster than this machine can emulate.
const REFUSED: u8 = 3;
/// This machine has no namespaces or TUN devices for us; what a test that needs them should call "skipped".
const CANNOT: u8 = 77;

/// An emulated link between two network namespaces.
///
/// A link is P1 to P9, or words such as rate=100Mbit,rtt=100ms,loss=1%,burst=1,jitter=0ms,reorder=0%/0ms,queue=1bdp, or a name
/// and what differs from it (P3,loss=0%). Needs root. Exit codes: 0 as asked, 1 off, 2 usage, 3 faster than this machine
/// can emulate, 77 no namespaces or TUN devices here; `run` otherwise ends with its command's code.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    work: Work,
}

#[derive(Subcommand)]
enum Work {
    /// Measure links against what was asked, and the rate up to which the emulator can be believed.
    Check {
        /// The links; all named ones if none is given.
        links: Vec<Profile>,
        /// What chance is drawn from.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Run a command on the near side of a link.
    ///
    /// NETLAB_NEAR and NETLAB_FAR name the two namespaces (for `ip netns exec`), NETLAB_NEAR_ADDRESS and NETLAB_FAR_ADDRESS
    /// their addresses.
    Run {
        /// The link.
        link: Profile,
        /// What chance is drawn from.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Run even if this machine cannot keep the link's times now: to try a program, not to measure it.
        #[arg(long)]
        untimed: bool,
        /// The command and its arguments.
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
}

/// The process group of the command that runs, for a signal to reach.
static RUNNING: Mutex<Option<Pid>> = Mutex::new(None);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Err(why) = leave_nothing_behind_on_signals() {
        eprintln!("netlab: signals cannot be handled here: {why}");
        return OFF.into();
    }
    let done = match arguments.work {
        Work::Check { links, seed, json } => check_links(&links, seed, json),
        Work::Run { link, seed, untimed, command } => run(&link, seed, untimed, &command),
    };
    done.unwrap_or_else(|why| {
        eprintln!("netlab: {why}");
        if why.is::<Unable>() { CANNOT } else { OFF }.into()
    })
}

type Done = Result<ExitCode, Box<dyn std::error::Error>>;

/// From now on a thread waits for the signals that would end us, and cleans up first. They are caught and not blocked: what is
/// blocked would stay so in the command.
fn leave_nothing_behind_on_signals() -> std::io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    std::thread::spawn(move || {
        let Some(signal) = signals.forever().next() else { return };
        // Held to the end: who waits for the command must not go on and end with another code.
        let running = RUNNING.lock().expect("no holder panics");
        if let Some(group) = *running {
            _ = kill_process_group(group, Signal::TERM);
        }
        remove_own();
        std::process::exit(128 + signal);
    });
    Ok(())
}

fn check_links(links: &[Profile], seed: u64, json: bool) -> Done {
    let links = if links.is_empty() { &PROFILES } else { links };
    let lab = Lab::build([links[0].conditions(); 2], seed)?;
    let limit = check::honest_rate(&lab, check::highest_tried())?;
    if !json {
        println!("The emulator keeps its times up to {} Mbit/s on this machine as it is now.", limit / 1_000_000);
    }
    let mut rows = Vec::new();
    let mut refused = Vec::new();
    for link in links {
        if link.rate_bits_per_second > limit {
            refused.push(link.to_string());
            continue;
        }
        rows.extend(check::check(&lab, link)?);
    }
    let ok = rows.iter().all(|row| row.ok);
    if json {
        let report = serde_json::json!({
            "honest_rate_bits_per_second": limit, "rows": rows, "refused": refused, "ok": ok && refused.is_empty(),
        });
        println!("{report}");
    } else {
        print_rows(&rows);
        refused.iter().for_each(|link| println!("refused, faster than the emulator: {link}"));
    }
    Ok(if !ok {
        OFF.into()
    } else if !refused.is_empty() {
        REFUSED.into()
    } else {
        ExitCode::SUCCESS
    })
}

fn print_rows(rows: &[check::Row]) {
    println!("{:<6} {:<30} {:>10} {:>10} {:>8} unit", "link", "what", "asked", "measured", "may be");
    for row in rows {
        let check::Row { link, what, unit, asked, measured, tolerance, ok } = row;
        let verdict = if *ok { "" } else { "  OFF" };
        println!(
            "{link:<6} {what:<30} {asked:>10.3} {measured:>10.3} {:>8} {unit}{verdict}",
            format!("±{tolerance:.3}")
        );
    }
}

fn run(link: &Profile, seed: u64, untimed: bool, command: &[String]) -> Done {
    if !untimed && let Some(limit) = limit_below(link, seed)? {
        eprintln!("netlab: refused: here and now the emulator keeps its times up to {} Mbit/s only", limit / 1_000_000);
        return Ok(REFUSED.into());
    }
    // A fresh one, so that the seed's first draw meets the command's first packet.
    let lab = Lab::build([link.conditions(); 2], seed)?;
    let status = run_inside(&lab, command)?;
    tell(&lab);
    // Of a command that a signal ended, what a shell would say.
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    Ok(ExitCode::from(code as u8))
}

/// The rate up to which the emulator can be believed, if that is less than the link's.
fn limit_below(link: &Profile, seed: u64) -> Result<Option<u64>, Box<dyn std::error::Error>> {
    let lab = Lab::build([link.conditions(); 2], seed)?;
    if check::keeps(&lab, link.rate_bits_per_second)? {
        return Ok(None);
    }
    Ok(Some(check::honest_rate(&lab, link.rate_bits_per_second)?))
}

/// Runs a command in a process group of its own on the near side, and ends whatever it left running.
fn run_inside(lab: &Lab, command: &[String]) -> std::io::Result<std::process::ExitStatus> {
    // Held until the group is written down, so that no signal finds the command begun and its group unknown.
    let mut running = RUNNING.lock().expect("no holder panics");
    let mut child = lab
        .near()
        .command(&command[0])
        .args(&command[1..])
        .env("NETLAB_NEAR", lab.near().name())
        .env("NETLAB_FAR", lab.far().name())
        .env("NETLAB_NEAR_ADDRESS", NEAR.to_string())
        .env("NETLAB_FAR_ADDRESS", FAR.to_string())
        .process_group(0)
        .spawn()?;
    let group = Pid::from_child(&child);
    *running = Some(group);
    drop(running);
    let status = child.wait();
    *RUNNING.lock().expect("no holder panics") = None;
    _ = kill_process_group(group, Signal::TERM);
    status
}

/// What the link did, and whether the emulator can be believed.
fn tell(lab: &Lab) {
    for (way, name) in lab.snapshots().iter().zip(["near to far", "far to near"]) {
        let counts = &way.counts;
        eprintln!(
            "netlab: {name}: {} packets offered, {} delivered, {} lost, {} dropped at the queue",
            counts.offered, counts.delivered, counts.lost, counts.overflowed
        );
    }
    let late = lab.take_lateness();
    let [p99, worst] = [late.quantile(0.99), late.worst()].map(|late| late as f64 / 1e6);
    let missed: u64 = lab.overrun().iter().sum();
    eprintln!(
        "netlab: handed over late: 99 of 100 by at most {p99:.2} ms, worst {worst:.2} ms; {missed} never reached the link"
    );
    if late.quantile(0.99) > check::PUNCTUAL || missed > 0 {
        eprintln!("netlab: do not believe this run: the machine was too busy for the emulator");
    }
}
