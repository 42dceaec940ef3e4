//! One run of a rule's command: argv as it stands (no shell), in a process group of its own, for a bounded time.
//!
//! The sender's data reaches the command as environment, as standard input, or as the one argument that the operator's
//! template gives it; never as a program, and never as text that anything would parse.

use super::tail::Tail;
use process_wrap::tokio::{ChildWrapper, CommandWrap, ProcessGroup};
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

/// How long a process group has between being asked to end (SIGTERM) and being made to (SIGKILL): promise 30 gives 2 s
/// in all.
const TERM_GRACE: Duration = Duration::from_secs(1);

/// How long output is still read after the command itself has ended: what it left running may hold the pipe for ever.
const OUTPUT_GRACE: Duration = Duration::from_millis(200);

/// How much output is read at once, in bytes.
const READ_BYTES: usize = 8 * 1024;

/// Variables of ours that commands do not inherit: a ticket, a home, an id of another message.
const OWN_PREFIX: &str = "TOWLINE_";

/// What standard input is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Nothing: `/dev/null`.
    Null,
    /// The message's body.
    File(PathBuf),
}

/// Somebody else to run as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct User {
    /// User id.
    pub(crate) uid: u32,
    /// Group id.
    pub(crate) gid: u32,
}

/// What to run.
#[derive(Clone, Debug)]
pub(crate) struct Command {
    /// Program and arguments; the program is an absolute path or is looked for in `PATH`.
    pub(crate) argv: Vec<String>,
    /// `TOWLINE_…` for this message.
    pub(crate) env: Vec<(String, String)>,
    /// Standard input.
    pub(crate) input: Input,
    /// How long it may take.
    pub(crate) timeout: Duration,
    /// Somebody else to run as.
    pub(crate) user: Option<User>,
}

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By itself, with this code.
    Exited(i32),
    /// By a signal that we did not send.
    Signalled(i32),
    /// Killed with its whole group: it took too long.
    TimedOut,
    /// Killed with its whole group: the agent ends.
    Interrupted,
    /// It never ran.
    NotStarted(io::ErrorKind, String),
}

/// What a run left.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// How it ended.
    pub(crate) end: End,
    /// The last bytes of its standard output and error, in the order printed.
    pub(crate) output: Vec<u8>,
}

/// Runs `command` to its end, its timeout, or until `interrupt` becomes true (or its sender is gone).
pub(crate) async fn run(command: &Command, mut interrupt: watch::Receiver<bool>) -> Report {
    let (mut child, output) = match spawn(command) {
        Ok(spawned) => spawned,
        Err(error) => return Report { end: End::NotStarted(error.kind(), error.to_string()), output: Vec::new() },
    };
    let deadline = Instant::now() + command.timeout;
    let mut output = Output { pipe: output, tail: Tail::default() };
    let interrupted = async move {
        // A sender that is gone is an agent that is gone.
        let _ = interrupt.wait_for(|&stop| stop).await;
    };
    let end = tokio::select! {
        status = output.read_while(child.wait()) => ended(status),
        () = tokio::time::sleep_until(deadline) => End::TimedOut,
        () = interrupted => End::Interrupted,
    };
    if matches!(end, End::TimedOut | End::Interrupted) {
        end_group(&mut *child, &mut output).await;
    }
    Report { end, output: output.rest().await }
}

fn spawn(command: &Command) -> io::Result<(Box<dyn ChildWrapper>, pipe::Receiver)> {
    let [program, arguments @ ..] = command.argv.as_slice() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the command is empty"));
    };
    // One pipe for both streams keeps their lines in the order printed.
    let (reader, writer) = io::pipe()?;
    let mut process = tokio::process::Command::new(program);
    process.args(arguments).current_dir("/").stdin(stdin(&command.input)?);
    process.stdout(writer.try_clone()?).stderr(writer);
    for name in own_variables() {
        process.env_remove(name);
    }
    process.envs(command.env.iter().map(|(name, value)| (name, value)));
    if let Some(user) = command.user {
        process.uid(user.uid).gid(user.gid);
    }
    let mut wrapped = CommandWrap::from(process);
    let child = wrapped.wrap(ProcessGroup::leader()).spawn()?;
    let reader = pipe::Receiver::from_owned_fd(OwnedFd::from(reader))?;
    Ok((child, reader))
}

fn stdin(input: &Input) -> io::Result<Stdio> {
    match input {
        Input::Null => Ok(Stdio::null()),
        Input::File(path) => Ok(open_body(path)?.into()),
    }
}

fn open_body(path: &Path) -> io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new().read(true).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed()).open(path)
}

fn own_variables() -> Vec<OsString> {
    let own = |name: &OsString| name.to_str().is_some_and(|name| name.starts_with(OWN_PREFIX));
    std::env::vars_os().map(|(name, _)| name).filter(own).collect()
}

fn ended(status: io::Result<ExitStatus>) -> End {
    match status.map(|status| (status.code(), status.signal())) {
        Ok((Some(code), _)) => End::Exited(code),
        Ok((None, signal)) => End::Signalled(signal.unwrap_or(0)),
        // It ran, and its end cannot be told: the same word as for a run that we lost.
        Err(_) => End::Interrupted,
    }
}

/// Asks the whole group to end, and makes it after [`TERM_GRACE`].
async fn end_group(child: &mut dyn ChildWrapper, output: &mut Output) {
    // A group that is gone already has ended, which is what is wanted.
    let _ = child.signal(rustix::process::Signal::TERM.as_raw());
    let _ = timeout(TERM_GRACE, output.read_while(child.wait())).await;
    // Also when the leader has ended: what it started may have ignored the question.
    let _ = child.start_kill();
    let _ = timeout(TERM_GRACE, output.read_while(child.wait())).await;
}

/// The pipe and what came out of it last.
struct Output {
    pipe: pipe::Receiver,
    tail: Tail,
}

impl Output {
    /// Reads until `done` is, so that a full pipe never holds the command up.
    async fn read_while<T>(&mut self, done: impl Future<Output = T>) -> T {
        let mut done = std::pin::pin!(done);
        loop {
            let more = tokio::select! {
                result = &mut done => return result,
                more = self.read() => more,
            };
            if !more {
                return done.await;
            }
        }
    }

    /// What was printed in all, once the command has ended.
    async fn rest(mut self) -> Vec<u8> {
        let until = Instant::now() + OUTPUT_GRACE;
        while timeout_at(until, self.read()).await == Ok(true) {}
        self.tail.into_bytes()
    }

    /// Reads once; whether there may be more. Dropped half way it has read nothing.
    async fn read(&mut self) -> bool {
        let mut buffer = [0; READ_BYTES];
        match self.pipe.read(&mut buffer).await {
            Ok(0) | Err(_) => false,
            Ok(n) => {
                self.tail.push(&buffer[..n]);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests;
