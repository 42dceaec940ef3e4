//! The processes that run beside the demo, and the promise that none outlives it.

use crate::exit::Exit;
use crate::failure::Failure;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a process may take to drain after SIGTERM before it is killed.
const DRAIN: Duration = Duration::from_secs(10);
/// How often an ending process is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// Named processes. Dropping the crew (also on a panic or Ctrl-C) ends every one of them.
#[derive(Debug, Default)]
pub(super) struct Crew {
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Crew {
    /// Starts a process that writes to `log`, behind what an earlier one of that name wrote.
    pub(super) fn start(&mut self, name: &'static str, mut command: Command, log: PathBuf) -> Result<(), Failure> {
        let io = |error: std::io::Error| Failure::io("write", &log, &error);
        let file = File::options().create(true).append(true).open(&log).map_err(io)?;
        let errors = file.try_clone().map_err(io)?;
        let child = command.stdin(Stdio::null()).stdout(file).stderr(errors).spawn();
        let child = child.map_err(|error| Failure::new(Exit::Error, format!("cannot start the {name}: {error}")))?;
        self.members.push(Member { name, child, log });
        Ok(())
    }

    /// Kills it as a power cut would.
    pub(super) fn kill(&mut self, name: &str) {
        for mut member in self.take(name) {
            member.end(Signal::KILL, DRAIN);
        }
    }

    /// Asks it to end, and says what was wrong with how it did.
    pub(super) fn stop(&mut self, name: &str) -> Option<String> {
        self.take(name).into_iter().find_map(|mut member| {
            let status = member.end(Signal::TERM, DRAIN);
            match status {
                Some(status) if status.success() => None,
                Some(status) => Some(format!("the {} ended with {status} instead of 0", member.name)),
                None => Some(format!("the {} was still running {} s after SIGTERM", member.name, DRAIN.as_secs())),
            }
        })
    }

    /// The name of a process that ended by itself, and its log.
    pub(super) fn fallen(&mut self) -> Option<(&'static str, PathBuf)> {
        let gone = |member: &mut Member| matches!(member.child.try_wait(), Ok(Some(_)));
        self.members.iter_mut().find_map(|member| gone(member).then(|| (member.name, member.log.clone())))
    }

    /// The names of all, the youngest first.
    pub(super) fn names(&self) -> Vec<&'static str> {
        self.members.iter().rev().map(|member| member.name).collect()
    }

    /// Every log there is.
    pub(super) fn logs(&self) -> impl Iterator<Item = (&'static str, &PathBuf)> {
        self.members.iter().map(|member| (member.name, &member.log))
    }

    fn take(&mut self, name: &str) -> Vec<Member> {
        self.members.extract_if(.., |member| member.name == name).collect()
    }
}

impl Member {
    /// Sends `signal`, waits, kills if need be. `None` if it had to be killed.
    fn end(&mut self, signal: Signal, patience: Duration) -> Option<ExitStatus> {
        // A process that is gone already cannot be signalled; `try_wait` tells how it went.
        let _ = kill_process(Pid::from_child(&self.child), signal);
        let start = Instant::now();
        while start.elapsed() < patience {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            std::thread::sleep(LOOK);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        None
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for member in self.members.iter_mut().rev() {
            member.end(Signal::TERM, Duration::from_secs(2));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    fn alive(pid: u32) -> bool {
        std::path::Path::new(&format!("/proc/{pid}")).exists()
    }

    #[test]
    fn a_dropped_crew_leaves_nothing_running_even_what_ignores_sigterm() {
        let dir = tempfile::tempdir().unwrap();
        let mut crew = Crew::default();
        crew.start("sleeper", sleeper("exec sleep 600"), dir.path().join("a")).unwrap();
        crew.start("deaf", sleeper("trap '' TERM; echo ready; exec sleep 600"), dir.path().join("b")).unwrap();
        let pids: Vec<u32> = crew.members.iter().map(|member| member.child.id()).collect();
        assert!(pids.iter().all(|&pid| alive(pid)));
        drop(crew);
        assert!(!pids.iter().any(|&pid| alive(pid)));
    }

    #[test]
    fn a_bad_end_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let mut crew = Crew::default();
        crew.start("hub", sleeper("exec sleep 600"), dir.path().join("a")).unwrap();
        assert!(crew.stop("hub").unwrap().contains("the hub ended with"));
        assert_eq!(crew.stop("hub"), None, "it is no member any more");
    }
}
