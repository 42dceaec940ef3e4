//! `towline rule test`: which rule would decide about a file, and which command it would run. Nothing is run.

use super::Context;
use crate::agent::AgentConfig;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::output::visible;
use clap::{Args, Subcommand};
use std::path::PathBuf;
use towline_hub::config::units::Span;
use towline_proto::ids::{DeviceName, Digest, Lane, MessageId};
use towline_proto::mail::agent::record::Target;
use towline_proto::mail::agent::rules::{Plan, PlannedRun};
use towline_proto::mail::envelope::Envelope;
use towline_proto::mail::keys::PublicKey;

/// Look at the rules of this device's agent
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  towline rule test order.xml --from office")]
pub(crate) struct Rule {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say which rule decides about a file and which command it runs; nothing is run
    Test(Test),
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  towline rule test order.xml --from office --type application/xml")]
struct Test {
    /// The file as it would arrive; it need not exist, then it counts as empty
    file: PathBuf,
    /// The sender's name
    #[arg(long, value_name = "DEVICE")]
    from: DeviceName,
    /// The name it would be sent under [default: the file's]
    #[arg(long)]
    name: Option<String>,
    /// Its media type
    #[arg(long = "type", value_name = "TYPE", default_value = "")]
    content_type: String,
}

impl Rule {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let Action::Test(test) = self.action;
        let config = AgentConfig::look(&context.home.device())?.0;
        let envelope = test.envelope()?;
        let (human, json) = told(config.rules.plan(&envelope), &config.inbox.path().display().to_string());
        context.out.result(human, &json);
        Ok(Exit::Done)
    }
}

impl Test {
    /// The envelope that such a file would have; who signs it plays no part in the rules.
    fn envelope(self) -> Result<Envelope, Failure> {
        let own_name = || self.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let size = std::fs::metadata(&self.file).map_or(0, |file| file.len());
        let name = self.name.clone().unwrap_or_else(own_name);
        let to = "this-device".parse().expect("a device name");
        Ok(Envelope {
            id: MessageId([0; 16]),
            from: self.from,
            sender: PublicKey([0; 32]),
            to,
            deadline_ms: 0,
            lane: Lane::NORMAL,
            kept: true,
            name,
            content_type: self.content_type,
            size,
            root: Digest([0; 32]),
            time_ms: 0,
            seal: 0,
        })
    }
}

fn told(plan: Plan, inbox: &str) -> (String, serde_json::Value) {
    match plan {
        Plan::Place { target, name } => {
            let (by, folder) = match target {
                Target::Inbox => ("inbox".to_owned(), inbox.to_owned()),
                Target::SaveTo { rule, folder } => (format!("rule {rule}"), folder),
            };
            let human = format!("{by}: would be placed into {folder} as {:?}", visible(&name));
            (human, serde_json::json!({ "by": by, "action": "place", "folder": folder, "name": name }))
        }
        Plan::Run(run) => (run_words(&run), run_json(&run)),
        Plan::Refuse { by, code, reason } => {
            let human = format!("{by}: would be refused: {reason} [{code}]\n  do: {}", code.cure());
            let json = serde_json::json!({ "by": by, "action": "refuse", "code": code.as_str(), "reason": reason });
            (human, json)
        }
    }
}

fn run_words(run: &PlannedRun) -> String {
    let timeout = Span(std::time::Duration::from_millis(run.timeout_ms));
    let mut lines =
        vec![format!("rule {}: would run (timeout {timeout}, at most {} at once)", run.rule, run.concurrency)];
    lines.extend(run.argv.iter().enumerate().map(|(number, word)| format!("  argv[{number}] {word:?}")));
    lines.join("\n")
}

fn run_json(run: &PlannedRun) -> serde_json::Value {
    serde_json::json!({
        "by": format!("rule {}", run.rule), "action": "run", "argv": run.argv, "timeout_ms": run.timeout_ms,
        "concurrency": run.concurrency, "repeat": run.repeat,
    })
}
