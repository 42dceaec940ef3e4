//! `towline man`: manual pages, made from the same definitions as the help.

use super::Context;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::help;
use clap::Args;
use clap_mangen::Man as Page;
use clap_mangen::roff::{Roff, bold, roman};
use std::path::{Path, PathBuf};

/// Print the manual page, or write one for every command
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  towline man | man -l -\n  towline man --out /usr/local/share/man/man1")]
pub(crate) struct Man {
    /// Write one page for every command into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Man {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let mut root = help::command();
        root.build();
        match self.out {
            Some(dir) => {
                let written = write_all(&root, &dir)?;
                let human = format!("{} pages written to {}", written.len(), dir.display());
                context.out.result(human, &serde_json::json!({ "written": written }));
            }
            None if context.out.is_json() => {
                let text = String::from_utf8_lossy(&page(&root)?).into_owned();
                context.out.result("", &serde_json::json!({ "page": text }));
            }
            None => context.out.raw(&page(&root)?),
        }
        Ok(Exit::Done)
    }
}

/// One page: the help's words, then exit codes, and on the program's own page the environment.
fn page(command: &clap::Command) -> Result<Vec<u8>, Failure> {
    let path = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let mut sections = Roff::new();
    let exits = help::exits_of(path).iter().map(|exit| (exit.number().to_string(), exit.meaning().to_owned()));
    section(&mut sections, "EXIT STATUS", exits);
    if command.has_subcommands() && path == command.get_name() {
        section(&mut sections, "ENVIRONMENT", help::variables());
    }
    let mut bytes = Vec::new();
    // The long help ends with the exit codes, which have their section here.
    let words = command.get_after_help().cloned().unwrap_or_default();
    Page::new(command.clone().after_long_help(words))
        .render(&mut bytes)
        .and_then(|()| sections.to_writer(&mut bytes))
        .map_err(|error| Failure::new(Exit::Error, format!("cannot make the page: {error}")))?;
    Ok(bytes)
}

fn section(page: &mut Roff, title: &str, entries: impl IntoIterator<Item = (String, String)>) {
    page.control("SH", [format!("\"{title}\"").as_str()]);
    for (name, meaning) in entries {
        page.control("TP", []);
        page.text([bold(name)]);
        page.text([roman(meaning)]);
    }
}

/// Pages for the command and all below it, named as clap names them: `towline-device-ls.1`.
fn write_all(command: &clap::Command, dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    std::fs::create_dir_all(dir).map_err(|error| Failure::io("make", dir, &error))?;
    let mut written = Vec::new();
    let mut waiting = vec![command];
    while let Some(command) = waiting.pop() {
        let name = command.get_display_name().unwrap_or_else(|| command.get_name());
        let path = dir.join(format!("{name}.1"));
        std::fs::write(&path, page(command)?).map_err(|error| Failure::io("write", &path, &error))?;
        written.push(path);
        waiting.extend(command.get_subcommands().filter(|below| !below.is_hide_set()));
    }
    written.sort();
    Ok(written)
}
