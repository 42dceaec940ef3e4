//! The real binary in a home of its own, with none of the user's variables.

use super::PROGRAM;
use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// How long one command may take, a whole demo on a busy machine included.
const PATIENCE: Duration = Duration::from_secs(120);

/// A home that is gone when the test is over.
pub(crate) struct Home(tempfile::TempDir);

impl Home {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    /// A path in it.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    /// A file in it, written whole with its folders.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("folders");
        std::fs::write(&path, bytes).expect("written");
        path
    }

    /// The program with these arguments, not yet started.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        forget_users(&mut command);
        command.arg("--home").arg(self.0.path()).args(args).current_dir(self.0.path());
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::to_its_end(&mut self.command(args))
    }
}

/// Takes the user's own settings away from a command.
pub(crate) fn forget_users(command: &mut Command) {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"TOWLINE_")) {
        command.env_remove(name);
    }
}

/// How the program ended and what it printed.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) exit: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Runs a command to its end; one that does not end in time is killed and fails its test by its missing exit code.
    pub(crate) fn to_its_end(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let child = child.expect("the program starts");
        let pid = Pid::from_child(&child);
        let (ended, wait) = mpsc::channel::<()>();
        let watchdog = std::thread::spawn(move || {
            if wait.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
                // Its own parent has not waited for it yet, so the number is still its own.
                let _ = kill_process(pid, Signal::KILL);
            }
        });
        let output = child.wait_with_output().expect("it ends");
        drop(ended);
        watchdog.join().expect("the watchdog ends");
        Self::of(output)
    }

    pub(crate) fn of(output: Output) -> Self {
        Self {
            exit: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    /// The object on stdout; it stands on one line.
    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.stdout.lines().count(), 1, "one object on one line: {}", self.stdout);
        serde_json::from_str(&self.stdout).expect("an object")
    }
}
