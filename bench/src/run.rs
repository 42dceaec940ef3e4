//! Starting the processes of a run.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::figures::Figures;
use crate::job::{Job, Load};
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

/// One run.
pub fn once(job: &Job) -> Result<Measured, Fault> {
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
        return Err(format!("{}: not one message came through", job.peer.name()).into());
    }
    Ok(measured)
}

/// Allocations per message, both sides together. A longer run less a shorter one: what is set up once falls out.
pub fn allocations(job: &Job) -> Result<f64, Fault> {
    let (short, long) = (counted(job)?, counted(&Job { millis: 3 * job.millis, ..*job })?);
    let messages = long.messages.saturating_sub(short.messages);
    if messages == 0 {
        return Err(format!("{}: three times as long brought no more messages", job.peer.name()).into());
    }
    let each = long.allocations.saturating_sub(short.allocations) as f64 / messages as f64;
    // Less than one in a hundred is a buffer that grew.
    Ok((100.0 * each).round() / 100.0)
}

fn counted(job: &Job) -> Result<Figures, Fault> {
    let mut side = Side::start(&["count", &serde_json::to_string(job)?])?;
    Ok(serde_json::from_str(&side.line()?)?)
}
