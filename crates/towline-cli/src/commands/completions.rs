//! `towline completions`: a shell's completion script on stdout.

use super::Context;
use crate::exit::Exit;
use crate::failure::Outcome;
use crate::help;
use clap::Args;

/// Print a shell's completion script
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  towline completions bash > ~/.local/share/bash-completion/completions/towline")]
pub(crate) struct Completions {
    /// Which shell
    shell: clap_complete::Shell,
}

impl Completions {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut help::command(), "towline", &mut script);
        let text = String::from_utf8_lossy(&script);
        if context.out.is_json() {
            context.out.result("", &serde_json::json!({ "shell": self.shell.to_string(), "script": text }));
        } else {
            context.out.raw(text.as_bytes());
        }
        Ok(Exit::Done)
    }
}
