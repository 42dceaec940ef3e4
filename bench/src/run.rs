//! Starting the processes of a run.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::figures::Figures;
use crate::job::{Extent, Job, Load};
use crate::roles::Fault;

/// What both sides said of one run.
pub struct Measured {
    pub server: Figures,
    pub client: Figures,
}

/// A process of a run, killed if it is left.
struct Side {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Side {
    fn start(arguments: &[&str]) -> Result<Self, Fault> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().expect("it was piped"));
        Ok(Self { child, stdin, stdout: BufReader::new(stdout) })
    }

    fn line(&mut self) -> Result<String, Fault> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        if line.is_empty() { Err("a process of the run ended without a word".into()) } else { Ok(line) }
    }

    /// Lets it go on: it waits for a line, or for the end of its input.
    fn nudge(&mut self) -> Result<(), Fault> {
        Ok(self.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(b"\n"))?)
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        // Both are done by themselves after a good run; after a bad one nothing may stay behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How often a run is tried before its fault is taken for the contender's own.
const TRIES: u32 = 3;

/// Runs until it succeeds, a bounded number of times, and says what was repeated: a machine that stands still for a while
/// lets a run come to nothing, and that is no reason to throw the others away.
fn repeated<T>(job: &Job, run: impl Fn() -> Result<T, Fault>) -> Result<T, Fault> {
    let failed = |error: &Fault| format!("{}: {error} ({job:?})", job.peer.name());
    for _ in 1..TRIES {
        match run() {
            Ok(measured) => return Ok(measured),
            Err(error) => eprintln!("repeated: {}", failed(&error)),
        }
    }
    run().map_err(|error| failed(&error).into())
}

/// One run.
pub fn once(job: &Job) -> Result<Measured, Fault> {
    repeated(job, || run(job))
}

fn run(job: &Job) -> Result<Measured, Fault> {
    let text = serde_json::to_string(job)?;
    let mut server = Side::start(&["serve", &text])?;
    let greeting = server.line()?;
    let mut client = Side::start(&["drive", &text, greeting.trim()])?;
    // Idle connections stay open until the server has weighed itself.
    let said = client.line()?;
    server.nudge()?;
    let measured = Measured { server: serde_json::from_str(&server.line()?)?, client: serde_json::from_str(&said)? };
    if job.load == Load::Idle {
        client.nudge()?;
    } else if measured.server.messages + measured.client.messages == 0 {
        return Err("not one message came through".into());
    }
    Ok(measured)
}

/// Messages of a short and of a long run that count allocations.
const SHORT: u64 = 4_000;
const LONG: u64 = 20_000;

/// Allocations per message, both sides together. A longer run less a shorter one: what is set up once falls out. Both are
/// of so many messages, not of a time, so that a machine that stands still for a while changes nothing.
pub fn allocations(job: &Job) -> Result<f64, Fault> {
    let (short, long) = (counted(job, SHORT)?, counted(job, LONG)?);
    let messages = long.messages.checked_sub(short.messages).filter(|more| *more > 0);
    let messages = messages.ok_or_else(|| format!("{}: a longer run brought no more messages", job.peer.name()))?;
    let each = long.allocations.saturating_sub(short.allocations) as f64 / messages as f64;
    // Less than one in a hundred is a buffer that grew.
    Ok((100.0 * each).round() / 100.0)
}

fn counted(job: &Job, messages: u64) -> Result<Figures, Fault> {
    let job = Job { extent: Extent::Messages(messages), ..*job };
    repeated(&job, || {
        let mut side = Side::start(&["count", &serde_json::to_string(&job)?])?;
        Ok(serde_json::from_str(&side.line()?)?)
    })
}
