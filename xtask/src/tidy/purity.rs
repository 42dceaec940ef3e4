//! towline-proto has no runtime, no sockets, no clock, no chance and no C, neither in its tree nor in its text; what runs in
//! build scripts and what runs in programs stay apart.

use super::Source;
use crate::{Faults, cargo};

const CORE: &str = "crates/towline-proto/src/";

/// Crates that must never be in the protocol's tree: runtimes, sockets, chance, C.
const BANNED_CRATES: &[&str] = &[
    "tokio",
    "async-std",
    "smol",
    "mio",
    "socket2",
    "ring",
    "aws-lc-rs",
    "aws-lc-sys",
    "openssl-sys",
    "libc",
    "cc",
    "rand",
    "getrandom",
    "chrono",
    "time",
    "jiff",
    "quanta",
    "rustix",
    "nix",
    "rustls",
];

/// Whose trees must be without what: those of build scripts without us, ours without those of build scripts.
const TREES: &[(&str, &[&str])] = &[
    ("towline-proto", BANNED_CRATES),
    ("towline-build", &["towline", "towline-proto", "tokio"]),
    ("towline-cli", &["towline-build", "prost-build", "protox"]),
];

/// What the protocol's files must not name.
const BANNED_WORDS: &[&str] = &[
    "std::time::Instant",
    "std::time::SystemTime",
    "std::time::{",
    "SystemTime",
    "std::net",
    "std::thread",
    "std::fs",
    "std::process",
    "std::env",
    "std::io",
    "rand::",
    "thread_local!",
    "println!",
    "eprintln!",
];

pub(super) fn check(sources: &[Source]) -> Faults {
    let mut faults: Faults = TREES.iter().flat_map(|(package, banned)| tree(package, banned)).collect();
    for source in sources.iter().filter(|source| source.path.starts_with(CORE) && !source.is_test()) {
        for (at, line) in source.bare_lines() {
            for word in BANNED_WORDS.iter().filter(|word| line.contains(**word)) {
                faults.push(format!("{}:{at}: the core must not use `{word}`", source.path));
            }
        }
    }
    faults
}

fn tree(package: &str, banned: &[&str]) -> Faults {
    let arguments =
        ["tree", "--package", package, "--edges", "normal,build", "--prefix", "none", "--format", "{lib} {p}"];
    let output = match cargo().args(arguments).output() {
        Ok(output) if output.status.success() => output,
        Ok(output) => return vec![format!("cargo tree: {}", String::from_utf8_lossy(&output.stderr))],
        Err(error) => return vec![format!("cargo tree: {error}")],
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let named = |line: &str, name: &str| line.split_whitespace().any(|word| word == name);
    let found = banned.iter().filter(|name| text.lines().any(|line| named(line, name)));
    found.map(|name| format!("{package}'s tree holds {name}")).collect()
}
