//! Commands that the demo gives: shown so that they can be typed again, then run by this very program.

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Mood, Output};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// No command of the demo takes longer; one that does hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// This program, as the demo runs it.
#[derive(Clone, Debug)]
pub(super) struct Program {
    exe: PathBuf,
    out: Output,
}

/// How a command went.
#[derive(Clone, Debug)]
pub(super) struct Ran {
    /// Its exit code; `None` if a signal or our patience ended it.
    pub(super) exit: Option<i32>,
    /// What it printed.
    pub(super) stdout: String,
    /// How long it took.
    pub(super) time: Duration,
}

impl Program {
    pub(super) fn find(out: Output) -> Result<Self, Failure> {
        let exe = std::env::current_exe()
            .map_err(|error| Failure::new(Exit::Error, format!("cannot tell where this program lies: {error}")))?;
        Ok(Self { exe, out })
    }

    /// Where this program lies.
    pub(super) fn exe(&self) -> &Path {
        &self.exe
    }

    /// Tells people what happens: on stdout, or beside the data with `--json`.
    pub(super) fn say(&self, text: impl std::fmt::Display) {
        if self.out.is_json() { self.out.note(text) } else { self.out.result(text, &()) }
    }

    /// Shows a command line.
    pub(super) fn show(&self, line: &str) {
        self.say(self.out.paint(Mood::Strong, format!("$ {line}")));
    }

    /// Opens a scene.
    pub(super) fn scene(&self, title: &str) {
        self.say(format!("\n{}", self.out.paint(Mood::Good, format!("# {title}"))));
    }

    /// The command, shown, for a process that runs on.
    pub(super) fn daemon(&self, home: &Path, args: &[&str]) -> std::process::Command {
        self.show(&format!("{} &", line(home, args)));
        let mut command = std::process::Command::new(&self.exe);
        command.arg("--home").arg(home).args(args);
        for name in own_variables() {
            command.env_remove(name);
        }
        command
    }

    /// Shows a command, runs it to its end, and shows what it printed. Its progress goes to the terminal directly.
    pub(super) async fn run(&self, home: &Path, args: &[&str]) -> Result<Ran, Failure> {
        self.show(&line(home, args));
        let ran = self.spawn(home, args, Stdio::inherit()).await?;
        if !ran.stdout.is_empty() {
            self.say(ran.stdout.trim_end());
        }
        Ok(ran)
    }

    /// Runs a command without a word.
    pub(super) async fn quietly(&self, home: &Path, args: &[&str]) -> Result<Ran, Failure> {
        self.spawn(home, args, Stdio::null()).await
    }

    /// Runs a command without a word and reads the object it prints.
    pub(super) async fn ask(&self, home: &Path, args: &[&str]) -> Result<serde_json::Value, Failure> {
        let ran = self.quietly(home, &[args, &["--json"]].concat()).await?;
        serde_json::from_str(&ran.stdout)
            .map_err(|error| Failure::new(Exit::Error, format!("`{}` printed no object: {error}", line(home, args))))
    }

    async fn spawn(&self, home: &Path, args: &[&str], stderr: Stdio) -> Result<Ran, Failure> {
        let start = Instant::now();
        let mut command = tokio::process::Command::new(&self.exe);
        command.arg("--home").arg(home).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).kill_on_drop(true);
        for name in own_variables() {
            command.env_remove(name);
        }
        // Not `output()`: that one takes stderr too, and with it the bar.
        let running = async { command.spawn()?.wait_with_output().await };
        let output = tokio::time::timeout(PATIENCE, running).await;
        let (exit, stdout) = match output {
            Ok(Ok(output)) => (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned()),
            Ok(Err(error)) => {
                return Err(Failure::new(Exit::Error, format!("cannot run `{}`: {error}", line(home, args))));
            }
            Err(_) => (None, format!("still running after {} s; killed", PATIENCE.as_secs())),
        };
        Ok(Ran { exit, stdout, time: start.elapsed() })
    }
}

/// This program's variables in the environment: what the user set for himself must not steer the demo.
fn own_variables() -> impl Iterator<Item = std::ffi::OsString> {
    std::env::vars_os().map(|(name, _)| name).filter(|name| name.as_encoded_bytes().starts_with(b"TOWLINE_"))
}

/// The command as a shell reads it.
fn line(home: &Path, args: &[&str]) -> String {
    let mut words = vec!["towline".into(), "--home".into(), quoted(&home.to_string_lossy())];
    words.extend(args.iter().map(|word| quoted(word)));
    words.join(" ")
}

/// A word as a shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=./:@,+%".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) { word.into() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_commands_can_be_typed_again() {
        assert_eq!(
            line(Path::new("/tmp/d"), &["send", "a b.xml", "shop:"]),
            "towline --home /tmp/d send 'a b.xml' shop:"
        );
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
