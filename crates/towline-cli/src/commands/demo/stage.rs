//! Where the demo plays: a temporary directory, free ports, the processes, and the fault that was asked for.

use super::crew::Crew;
use super::fault::Fault;
use super::program::Program;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use std::fs::DirBuilder;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the hub may take until it listens, and a device until it is online.
const READY: Duration = Duration::from_secs(20);
/// How often something awaited is looked at.
pub(super) const LOOK: Duration = Duration::from_millis(20);
/// How much of a log is shown when something could not start.
const LOG_TAIL_LINES: usize = 15;

/// Everything the scenes share.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) program: Program,
    pub(super) crew: Crew,
    pub(super) fault: Option<Fault>,
    /// How large the large file is, in bytes.
    pub(super) size: u64,
    dir: PathBuf,
    keep: bool,
    port: u16,
    http: u16,
}

impl Stage {
    /// Makes the directory and finds two free ports.
    pub(super) fn build(out: Output, fault: Option<Fault>, size: u64, keep: bool) -> Result<Self, Failure> {
        let dir = fresh_dir()?;
        let (port, http) =
            free_ports().map_err(|error| Failure::new(Exit::Error, format!("no free port on 127.0.0.1: {error}")))?;
        Ok(Self { program: Program::find(out)?, crew: Crew::default(), fault, size, dir, keep, port, http })
    }

    /// The directory.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// A file in the directory.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The home of `hub`, `office` or `shop`.
    pub(super) fn home(&self, who: &str) -> PathBuf {
        self.dir.join(who)
    }

    /// Whether this fault was asked for.
    pub(super) fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// How long a message may wait for its start: short where the fault is that nobody starts anything.
    pub(super) fn deadline(&self) -> &'static str {
        if self.has(Fault::NoAgent) { "--deadline=1s" } else { "--deadline=45s" }
    }

    /// How long the demo itself waits for something to appear.
    pub(super) fn patience(&self) -> Duration {
        if self.has(Fault::NoAgent) { Duration::from_secs(2) } else { Duration::from_secs(30) }
    }

    /// Starts the hub and waits until it listens.
    pub(super) async fn start_hub(&mut self) -> Result<(), Failure> {
        let home = self.home("hub");
        let listen = format!("127.0.0.1:{}", self.port);
        let http = format!("127.0.0.1:{}", self.http);
        let args = ["hub", "--dev", "--listen", &listen, "--http", &http, "--announce", &listen];
        let command = self.program.daemon(&home, &args);
        let log = self.path("hub.log");
        self.crew.start("hub", command, log)?;
        let port = self.port;
        let listens = move || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        if !self.until(READY, listens).await {
            return Err(Failure::new(Exit::Error, format!("the hub does not listen on {listen} after {READY:?}")));
        }
        Ok(())
    }

    /// Starts a device's agent and waits until the hub calls it online.
    pub(super) async fn start_agent(&mut self, name: &'static str) -> Result<(), Failure> {
        let home = self.home(name);
        let command = self.program.daemon(&home, &["agent"]);
        let log = self.path(&format!("{name}.log"));
        self.crew.start(name, command, log)?;
        let start = Instant::now();
        while start.elapsed() < READY && self.crew.fallen().is_none() {
            if self.program.quietly(&home, &["who", name]).await?.exit == Some(0) {
                return Ok(());
            }
        }
        Err(Failure::new(Exit::Error, format!("{name} did not come online")))
    }

    /// Waits until `so` holds; `false` if it did not in time or a process fell.
    pub(super) async fn until(&mut self, patience: Duration, mut so: impl FnMut() -> bool) -> bool {
        let start = Instant::now();
        while start.elapsed() < patience && self.crew.fallen().is_none() {
            if so() {
                return true;
            }
            tokio::time::sleep(LOOK).await;
        }
        so()
    }

    /// Ends every process, politely, and says what was wrong with how they ended.
    pub(super) fn stop_all(&mut self) -> Vec<String> {
        self.crew.names().into_iter().filter_map(|name| self.crew.stop(name)).collect()
    }

    /// Shows the ends of the logs: something did not start.
    pub(super) fn tell_logs(&self) {
        for (name, log) in self.crew.logs() {
            let text = std::fs::read_to_string(log).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let tail = &lines[lines.len().saturating_sub(LOG_TAIL_LINES)..];
            self.program.say(format!("\nthe end of {name}'s log:\n{}", tail.join("\n")));
        }
    }

    /// Leaves the directory if that was asked for.
    pub(super) fn close(self) {
        if self.keep {
            self.program.say(format!("\nkept: {}", self.dir.display()));
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // The processes must be gone before their directory is.
        self.crew = Crew::default();
        if !self.keep {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

/// A new directory that only this user may enter. The name is short: a socket's path has room for 107 bytes.
fn fresh_dir() -> Result<PathBuf, Failure> {
    let parent = std::env::temp_dir();
    let id = uuid::Uuid::now_v7().simple().to_string();
    let dir = parent.join(format!("towline-demo-{}", &id[id.len() - 8..]));
    DirBuilder::new().mode(0o700).create(&dir).map_err(|error| Failure::io("make", &dir, &error))?;
    std::fs::canonicalize(&dir).map_err(|error| Failure::io("find", &dir, &error))
}

/// Two ports that nobody uses now. The hub needs the same one again after its crash, so 0 will not do, nor may they be of those
/// that kernels give to outgoing connections: one of ours could have the hub's while it is down.
fn free_ports() -> std::io::Result<(u16, u16)> {
    const BELOW_THE_KERNELS: std::ops::Range<u16> = 12_000..20_000;
    // Demonstrations that were begun together look at different pairs.
    let begin = 2 * std::process::id() as usize % BELOW_THE_KERNELS.len();
    let ports = BELOW_THE_KERNELS.skip(begin).chain(BELOW_THE_KERNELS.take(begin));
    let mut free = ports.filter(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
    let none = || std::io::Error::from(std::io::ErrorKind::AddrInUse);
    Ok((free.next().ok_or_else(none)?, free.next().ok_or_else(none)?))
}
