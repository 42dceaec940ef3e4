//! Fuzzes every target for a bounded time and says how many inputs each was given.

use crate::{Faults, cargo, root};
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;

/// How long one input may take, in seconds, before it counts as found: the sanitizer and a busy machine make a target
/// slower, but no decoder needs seconds.
const INPUT_SECONDS: u32 = 20;

/// The most that a target may ask of the allocator in one call, in MiB. Targets of single decoders hold a tighter bound
/// themselves; this one holds for whole sessions too.
const ALLOCATION_MIB: u32 = 16;

/// The lines of a failed target's output that are shown: the panic and its stack.
const LINES_OF_FAILURE: usize = 40;

/// Fuzzes `only` this target, or all of them, each for `seconds`, as many at once as there are processors.
pub(crate) fn run(seconds: u32, only: Option<&str>) -> Faults {
    let known = match targets(&root().join("fuzz/fuzz_targets")) {
        Ok(known) => known,
        Err(error) => return vec![format!("fuzz/fuzz_targets cannot be read: {error}")],
    };
    let chosen: Vec<String> = known.iter().filter(|name| only.is_none_or(|only| only == *name)).cloned().collect();
    if chosen.is_empty() {
        return vec![format!("there is no fuzz target {}; known: {}", only.unwrap_or_default(), known.join(", "))];
    }
    if let Err(fault) = build() {
        return vec![fault];
    }
    println!("{:<16} {:>14} {:>10}", "target", "executions", "a second");
    let (queue, faults) = (Mutex::new(chosen.into_iter()), Mutex::new(Faults::new()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZeroUsize::get) {
            scope.spawn(|| {
                while let Some(target) = next(&queue) {
                    if let Err(fault) = fuzz(&target, seconds) {
                        faults.lock().expect("no thread panics with it").push(fault);
                    }
                }
            });
        }
    });
    faults.into_inner().expect("no thread panics with it")
}

/// Taken in a statement of its own, so that the queue is free while its target runs.
fn next(queue: &Mutex<impl Iterator<Item = String>>) -> Option<String> {
    queue.lock().expect("no thread panics with it").next()
}

/// The targets' names, sorted.
fn targets(folder: &Path) -> std::io::Result<Vec<String>> {
    let paths =
        std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    let sources = paths.iter().filter(|path| path.extension().is_some_and(|ending| ending == "rs"));
    let mut names: Vec<String> = sources.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    Ok(names)
}

/// libFuzzer's instrumentation is an unstable flag of the compiler; the stable compiler takes it when asked like this.
fn cargo_fuzz() -> Command {
    let mut command = cargo();
    command.arg("fuzz").env("RUSTC_BOOTSTRAP", "1").stdin(Stdio::null());
    command
}

/// Builds all targets with the committed versions of what they use.
fn build() -> Result<(), String> {
    let found = cargo_fuzz().arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        return Err("cargo-fuzz is missing: `cargo install --locked cargo-fuzz`".into());
    }
    // cargo-fuzz has no `--locked` of its own.
    let mut locked = cargo();
    locked.args(["metadata", "--locked", "--format-version", "1", "--manifest-path", "fuzz/Cargo.toml"]);
    let mut targets = cargo_fuzz();
    targets.arg("build");
    for mut command in [locked, targets] {
        match command.stdout(Stdio::null()).status() {
            Ok(status) if status.success() => {}
            Ok(status) => return Err(format!("{command:?}: {status}")),
            Err(error) => return Err(format!("{command:?}: {error}")),
        }
    }
    Ok(())
}

/// Runs one target from its corpus (which it adds to) and its seeds, and prints what it did.
fn fuzz(target: &str, seconds: u32) -> Result<(), String> {
    let (corpus, seeds) = (format!("fuzz/corpus/{target}"), format!("fuzz/seeds/{target}"));
    std::fs::create_dir_all(root().join(&corpus)).map_err(|error| format!("{corpus}: {error}"))?;
    let mut command = cargo_fuzz();
    command.args(["run", target, &corpus]);
    if root().join(&seeds).is_dir() {
        command.arg(&seeds);
    }
    command.args(["--", "-print_final_stats=1"]).args([
        format!("-max_total_time={seconds}"),
        format!("-timeout={INPUT_SECONDS}"),
        format!("-malloc_limit_mb={ALLOCATION_MIB}"),
    ]);
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    match (output.status.success(), executions(&said)) {
        (true, Some(count)) => {
            println!("{target:<16} {count:>14} {:>10}", count / u64::from(seconds).max(1));
            Ok(())
        }
        (true, None) => Err(format!("{target} does not say how often it ran:\n{}", story(&said))),
        (false, _) => Err(format!("{target} failed; its input: {}\n{}", artifact(&said), story(&said))),
    }
}

/// `stat::number_of_executed_units: 1234`.
fn executions(said: &str) -> Option<u64> {
    said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:")?.trim().parse().ok())
}

/// Where the input lies that broke the target: `Test unit written to PATH`.
fn artifact(said: &str) -> &str {
    said.lines().find_map(|line| line.split_once("Test unit written to ")).map_or("none was written", |(_, path)| path)
}

/// The part that tells what broke: from the panic or the sanitizer's word on, else the end.
fn story(said: &str) -> String {
    let lines: Vec<&str> = said.lines().collect();
    let begins = |line: &&str| line.contains("panicked at") || line.contains("ERROR: ");
    let from = lines.iter().position(begins).unwrap_or(lines.len().saturating_sub(LINES_OF_FAILURE));
    lines[from..].iter().take(LINES_OF_FAILURE).copied().collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_found_and_has_its_place_in_the_manifest() {
        let names = targets(&root().join("fuzz/fuzz_targets")).unwrap();
        let manifest = std::fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
        let listed = manifest.lines().filter_map(|line| line.strip_prefix("path = \"fuzz_targets/"));
        let mut listed: Vec<_> = listed.filter_map(|rest| rest.strip_suffix(".rs\"")).map(str::to_owned).collect();
        listed.sort();
        assert!(!names.is_empty());
        assert_eq!(names, listed);
    }

    #[test]
    fn what_libfuzzer_says_is_understood() {
        let done = "Done 812 runs in 3 second(s)\nstat::number_of_executed_units: 812\nstat::peak_rss_mb: 40\n";
        assert_eq!(executions(done), Some(812));
        let broken = "==7==ERROR: libFuzzer: deadly signal\nartifact_prefix='a/'; Test unit written to a/crash-1f\n";
        assert_eq!((executions(broken), artifact(broken)), (None, "a/crash-1f"));
        assert_eq!(story(&format!("INFO: seed\n{broken}")), broken.trim_end());
    }
}
