//! `towline policy test`: may this device send to that one, and which rule says so.

use super::Context;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::operator;
use clap::{Args, Subcommand};
use serde_json::json;
use towline_hub::admin::{Answer, Command};
use towline_proto::ids::{DeviceName, Lane};

/// Ask the hub's policy, on the hub's machine
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  towline policy test office kitchen")]
pub(crate) struct Policy {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say whether FROM may send to TO, and why; exit 0 yes, 4 no
    #[command(after_help = "Example:\n  towline policy test office kitchen --lane bulk")]
    Test {
        /// The sender
        from: DeviceName,
        /// The recipient
        to: DeviceName,
        /// On which lane: urgent, normal or bulk
        #[arg(long, default_value = "normal")]
        lane: Lane,
    },
}

impl Policy {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let Action::Test { from, to, lane } = self.action;
        let (from, to, lane) = (from.to_string(), to.to_string(), Some(lane.to_string()));
        let command = Command::PolicyTest { from: from.clone(), to: to.clone(), lane };
        let Answer::Verdict(verdict) = operator::ask(&context.home, &command)? else {
            return Err(Failure::not_understood());
        };
        let human = format!("{from} to {to}: {}", verdict.text);
        context.out.result(human, &json!({ "from": from, "to": to, "allowed": verdict.allowed, "why": verdict.text }));
        Ok(if verdict.allowed { Exit::Done } else { Exit::NotPermitted })
    }
}
