//! `towline invite`: makes a ticket, with which one machine may join once.

use super::Context;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::operator;
use crate::output::when;
use clap::Args;
use serde_json::json;
use towline_hub::admin::{Answer, Command};
use towline_hub::config::hub::is_address;
use towline_proto::ids::DeviceName;

/// Make a ticket for a new device, on the hub's machine
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  towline invite kitchen\n  towline invite kitchen --host office.example.net:4433")]
pub(crate) struct Invite {
    /// The device's name
    name: DeviceName,
    /// An address to put into the ticket instead of the hub's own; may repeat
    #[arg(long = "host", value_name = "HOST:PORT", value_parser = address)]
    hosts: Vec<String>,
}

fn address(text: &str) -> Result<String, String> {
    if is_address(text) { Ok(text.into()) } else { Err("write HOST:PORT, such as hub.example.net:4433".into()) }
}

impl Invite {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let command = Command::Invite { name: self.name.to_string(), hosts: self.hosts };
        let Answer::Ticket(ticket) = operator::ask(&context.home, &command)? else {
            return Err(Failure::not_understood());
        };
        if !context.out.is_json() {
            let good_for = when::about(ticket.good_for_ms);
            context.out.note(format!("type this on {}, once and within {good_for}:", ticket.name));
        }
        let json = json!({
            "device": ticket.name, "ticket": ticket.ticket, "good_for_ms": ticket.good_for_ms, "hosts": ticket.hosts,
        });
        context.out.result(format!("towline join {}", ticket.ticket), &json);
        Ok(Exit::Done)
    }
}
