//! The README's two commands, as a newcomer would run them.

use crate::{Faults, root};
use std::path::Path;
use std::process::Command;

/// The comment that stands before the README's block with the two commands.
const MARK: &str = "<!-- fresh: the two commands -->";

pub(crate) fn run() -> Faults {
    match try_run() {
        Ok(()) => Vec::new(),
        Err(fault) => vec![fault],
    }
}

fn try_run() -> Result<(), String> {
    let place = std::env::temp_dir().join(format!("towline-fresh-{}", std::process::id()));
    let result = clone_and_run(&place);
    std::fs::remove_dir_all(&place).map_err(|error| format!("{} stays behind: {error}", place.display()))?;
    result
}

fn clone_and_run(place: &Path) -> Result<(), String> {
    let (clone, home) = (place.join("towline"), place.join("cargo-home"));
    std::fs::create_dir_all(&home).map_err(|error| error.to_string())?;
    run_one(Command::new("git").arg("clone").arg("--quiet").arg("--no-hardlinks").arg(root()).arg(&clone))?;
    carry_registry_settings(&home)?;
    let readme = std::fs::read_to_string(clone.join("README.md")).map_err(|error| format!("README.md: {error}"))?;
    let commands = commands(&readme).ok_or_else(|| format!("README.md has no block of two commands after {MARK}"))?;
    for line in commands {
        println!("$ {line}");
        let mut shell = Command::new("sh");
        shell.args(["-c", &line]).current_dir(&clone).env("CARGO_HOME", &home).env_remove("CARGO_TARGET_DIR");
        // What cargo told us about our own build must not reach the build in the clone.
        for name in ["CARGO", "CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_PKG_VERSION"] {
            shell.env_remove(name);
        }
        run_one(&mut shell)?;
    }
    Ok(())
}

/// An empty cargo home still needs to know which registry this machine may use.
fn carry_registry_settings(home: &Path) -> Result<(), String> {
    let own = std::env::var_os("CARGO_HOME").map(std::path::PathBuf::from);
    let own = own.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    let Some(config) = own.map(|own| own.join("config.toml")).filter(|config| config.exists()) else { return Ok(()) };
    std::fs::copy(config, home.join("config.toml")).map(drop).map_err(|error| format!("config.toml: {error}"))
}

fn run_one(command: &mut Command) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?}: {status}")),
        Err(error) => Err(format!("{command:?}: {error}")),
    }
}

/// The two lines of the first code block after the mark.
fn commands(readme: &str) -> Option<[String; 2]> {
    let mut lines = readme.split_once(MARK)?.1.lines().skip_while(|line| !line.starts_with("```"));
    lines.next()?;
    let commands: Vec<String> = lines
        .take_while(|line| !line.starts_with("```"))
        .map(|line| line.split(" #").next().unwrap_or(line).trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect();
    commands.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_has_its_two_commands() {
        let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
        assert_eq!(
            commands(&readme).unwrap(),
            ["cargo run --release -- demo", "cargo test --workspace"].map(str::to_owned)
        );
    }

    #[test]
    fn remarks_and_empty_lines_are_no_commands() {
        let block = format!("text\n{MARK}\n```sh\na b   # first\n\nc\n```\n");
        assert_eq!(commands(&block), Some(["a b".into(), "c".into()]));
        assert_eq!(commands("```\na\nb\n```"), None);
    }
}
