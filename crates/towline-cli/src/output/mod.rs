//! What the program prints: data on stdout, everything else on stderr; people's words or JSON, never both on stdout.

pub(crate) mod progress;
pub(crate) mod table;
pub(crate) mod when;

use crate::failure::Failure;
use serde::Serialize;
use std::fmt::Display;
use std::io::{IsTerminal, Write};

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How to print. Cheap to copy; every command gets one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    progress: bool,
    color: bool,
}

/// The meaning that a colour stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// As it should be.
    Good,
    /// Not as it should be.
    Bad,
    /// Not decided.
    Open,
    /// To be seen first.
    Strong,
}

impl Output {
    /// Decides once, from the options and from what stdout and stderr are.
    pub(crate) fn new(json: bool, quiet: bool, no_progress: bool, color: Color) -> Self {
        let terminal = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        let color = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        };
        Self { json, quiet, progress: !no_progress && !quiet, color: color && !json }
    }

    /// Whether stdout is for programs.
    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }

    /// Whether bars and the like are wanted.
    pub(crate) const fn shows_progress(&self) -> bool {
        self.progress
    }

    /// Prints a command's one result: `human` for people, or `json` on one line.
    pub(crate) fn result(&self, human: impl Display, json: &impl Serialize) {
        if self.json { self.json_line(json) } else { to_stdout(&human.to_string()) }
    }

    /// Prints what a running command has to tell: JSON lines with `--json`, else a line on stderr.
    pub(crate) fn event(&self, human: impl Display, json: &impl Serialize) {
        if self.json { self.json_line(json) } else { self.note(human) }
    }

    /// Prints one JSON object on a line of stdout.
    fn json_line(&self, json: &impl Serialize) {
        to_stdout(&serde_json::to_string(json).expect("our own types turn into JSON"));
    }

    /// Prints text as it is, for commands whose output is a document of its own.
    pub(crate) fn raw(&self, bytes: &[u8]) {
        let mut stdout = std::io::stdout().lock();
        // A reader that went away (`| head`) is no fault of ours.
        let _ = stdout.write_all(bytes).and_then(|()| stdout.flush());
    }

    /// Tells people something beside the data.
    pub(crate) fn note(&self, text: impl Display) {
        if !self.quiet {
            let _ = writeln!(std::io::stderr().lock(), "{text}");
        }
    }

    /// Prints why the command failed: as an object on stdout with `--json`, else on stderr.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.json {
            self.json_line(&failure.json());
        } else {
            let _ = writeln!(std::io::stderr().lock(), "{}", failure.human());
        }
    }

    /// Tells people why the command failed, where programs find it in the result that was printed.
    pub(crate) fn failure_beside(&self, failure: &Failure) {
        if !self.json {
            self.failure(failure);
        }
    }

    /// The text in the mood's colour, where colours are on.
    pub(crate) fn paint(&self, mood: Mood, text: impl Display) -> String {
        let number = match mood {
            Mood::Good => "32",
            Mood::Bad => "31",
            Mood::Open => "33",
            Mood::Strong => "1",
        };
        if self.color { format!("\x1b[{number}m{text}\x1b[0m") } else { text.to_string() }
    }
}

fn to_stdout(text: &str) {
    let mut stdout = std::io::stdout().lock();
    // As above: `towline who | head -1` ends well.
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}

/// Text from another machine, with everything that could move a terminal's cursor written visibly.
pub(crate) fn visible(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

/// A number of bytes at a glance: `256 MB`, `2.4 MB`, `17 B`.
pub(crate) fn bytes(count: u64) -> String {
    let steps = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    match steps.into_iter().find(|&(unit, _)| count >= unit) {
        Some((unit, name)) if count.is_multiple_of(unit) => format!("{} {name}", count / unit),
        Some((unit, name)) => format!("{:.1} {name}", count as f64 / unit as f64),
        None => format!("{count} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_short() {
        assert_eq!(bytes(256_000_000), "256 MB");
        assert_eq!(bytes(2_408_297), "2.4 MB");
        assert_eq!(bytes(999), "999 B");
    }

    #[test]
    fn names_from_the_network_cannot_drive_the_terminal() {
        assert_eq!(visible("a\u{1b}[2Jb\nc ü"), "a\\u{1b}[2Jb\\nc ü");
    }
}
