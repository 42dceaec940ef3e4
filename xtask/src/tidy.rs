//! Holds the code against the rules that ARCHITECTURE.md states.

mod coverage;
mod levels;
mod purity;
mod size;

use crate::{Faults, root};
use std::path::{Path, PathBuf};

pub(crate) fn run() -> Faults {
    let sources = sources();
    [size::check(&sources), levels::check(&sources), purity::check(&sources), coverage::check(&sources)].concat()
}

/// A file of the workspace.
struct Source {
    /// Its path from the root, with `/`.
    path: String,
    text: String,
}

impl Source {
    fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    /// The lines before the tests that stand at the file's end.
    fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let inline_tests = |line: &&str| line.trim_end() != "mod tests {";
        self.text.lines().take_while(inline_tests).enumerate().map(|(at, line)| (at + 1, line))
    }

    /// The code lines without remarks and documentation.
    fn bare_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code_lines().map(|(at, line)| (at, line.split("//").next().unwrap_or(line)))
    }
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    for folder in ["crates", "xtask"] {
        collect(&root().join(folder), &mut found);
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn collect(folder: &Path, found: &mut Vec<Source>) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    for path in paths {
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let path = path.strip_prefix(root()).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            found.push(Source { path, text });
        }
    }
}
