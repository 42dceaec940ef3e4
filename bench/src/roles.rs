//! The processes of one run: one serves, one drives, each says its figures in a line of JSON.

use std::io::{BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::figures::{Figures, cpu_time, resident_bytes};
use crate::job::{Job, Load, Peer};
use crate::meter::Tally;
use crate::peers;

pub type Fault = Box<dyn std::error::Error + Send + Sync>;

/// What the client must know of the server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Greeting {
    pub address: std::net::SocketAddr,
    /// What to trust: a certificate in hexadecimal, or a key's name. Empty without TLS.
    pub trust: String,
}

/// How long connections may take to end after the client ended, and idle ones to be there.
const SETTLE: Duration = Duration::from_secs(30);

/// How long idle connections are left alone before they are weighed.
const REST: Duration = Duration::from_secs(1);

/// One thread for each of the two processes, as the machine has at least two; every contender gets the same.
fn runtime() -> Result<tokio::runtime::Runtime, Fault> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// Serves until a line comes on standard input.
pub fn serve(job: &str) -> Result<(), Fault> {
    let job: Job = serde_json::from_str(job)?;
    let tally = Arc::new(Tally::default());
    if job.peer == Peer::Blocking {
        return peers::blocking::serve(job);
    }
    runtime()?.block_on(async {
        let greeting = peers::serve(job, &tally).await?;
        say(&greeting)?;
        let (cpu, resident) = (cpu_time(), resident_bytes());
        let asked = tokio::task::spawn_blocking(|| std::io::stdin().lock().read_line(&mut String::new()));
        asked.await??;
        settle(&job, &tally).await?;
        let mut figures = tally.figures();
        if job.load == Load::Idle {
            figures.held_bytes = (resident_bytes() - resident) / job.connections as f64;
        }
        figures.cpu_seconds = (cpu_time() - cpu).as_secs_f64();
        say(&figures)
    })?;
    // Whatever a contender still holds goes with the process.
    std::process::exit(0)
}

async fn settle(job: &Job, tally: &Tally) -> Result<(), Fault> {
    let over = Instant::now() + SETTLE;
    let idle = job.load == Load::Idle;
    let settled = || {
        if idle {
            tally.opened.load(Ordering::Relaxed) == job.connections
        } else {
            tally.open.load(Ordering::Relaxed) == 0
        }
    };
    while !settled() {
        if Instant::now() >= over {
            return Err(format!("the server's connections did not settle within {} s", SETTLE.as_secs()).into());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    if idle {
        tokio::time::sleep(REST).await;
    }
    Ok(())
}

/// Drives the server that greeted.
pub fn drive(job: &str, greeting: &str) -> Result<(), Fault> {
    let (job, greeting): (Job, Greeting) = (serde_json::from_str(job)?, serde_json::from_str(greeting)?);
    let tally = Arc::new(Tally::default());
    let cpu = cpu_time();
    if job.peer == Peer::Blocking {
        peers::blocking::drive(job, &greeting, &tally)?;
    } else {
        runtime()?.block_on(async {
            let held = peers::drive(job, &greeting, &tally).await?;
            if job.load == Load::Idle {
                say(&Figures::default())?;
                tokio::task::spawn_blocking(|| std::io::stdin().lock().read_line(&mut String::new())).await??;
            }
            drop(held);
            Ok::<_, Fault>(())
        })?;
    }
    if job.load != Load::Idle {
        say(&Figures { cpu_seconds: (cpu_time() - cpu).as_secs_f64(), ..tally.figures() })?;
    }
    std::process::exit(0)
}

/// Both sides in this process and on one thread, so that every allocation between is counted.
pub fn count(job: &str) -> Result<(), Fault> {
    let job: Job = serde_json::from_str(job)?;
    let (served, driven) = (Arc::new(Tally::default()), Arc::new(Tally::default()));
    let mut result = Ok(());
    let counted = allocation_counter::measure(|| {
        let run = async {
            let greeting = peers::serve(job, &served).await?;
            drop(peers::drive(job, &greeting, &driven).await?);
            settle(&job, &served).await?;
            Ok(())
        };
        result = runtime().and_then(|runtime| runtime.block_on(run));
    });
    result?;
    let messages = if job.load == Load::OneWay { served.figures().messages } else { driven.figures().messages };
    say(&Figures { messages, allocations: counted.count_total, ..Figures::default() })
}

fn say(what: &impl Serialize) -> Result<(), Fault> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(what)?)?;
    Ok(out.flush()?)
}
