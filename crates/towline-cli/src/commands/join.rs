//! `towline join`: spends a ticket; from then on this machine is a device of that hub.

use super::Context;
use crate::attached;
use crate::device::{self, DeviceConfig};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::home::Home;
use crate::hub_link;
use clap::Args;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;
use towline::{PostQuantum, Session, Ticket};
use towline_proto::ids::DeviceName;
use towline_proto::mail::code::Code;

/// The longest ticket that is read from a file or from standard input, in bytes: far above any that a hub makes.
const TICKET_MAX_BYTES: u64 = 4_096;
/// How long the hub may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// Join a hub with a ticket
#[derive(Debug, Args)]
#[command(after_help = "A ticket works once and for an hour. Where others can read command lines, hand it over by \
                        `towline join -`, TOWLINE_TICKET or TOWLINE_TICKET_FILE.\n\n\
                        Examples:\n  towline join towline1…\n  ssh office towline invite shop | towline join -")]
pub(crate) struct Join {
    /// The ticket that `towline invite` printed, or `-` to read it from standard input
    #[arg(env = "TOWLINE_TICKET", hide_env_values = true)]
    ticket: Option<String>,
    /// Read the ticket from this file
    #[arg(long, env = "TOWLINE_TICKET_FILE", value_name = "FILE", hide_env_values = true)]
    ticket_file: Option<PathBuf>,
    /// Post-quantum key exchange: `require`, or `prefer` for a hub that lacks it; noted in device.toml
    #[arg(long, env = "TOWLINE_PQ", value_name = "CHOICE", default_value_t, hide_env_values = true)]
    pq: PostQuantum,
}

impl Join {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let ticket = self.ticket()?;
        let identity = device::identity(&context.home)?;
        let client = hub_link::client(&identity, ticket.hub, ticket.hosts.clone(), self.pq);
        let session = client.connect().await.map_err(|error| hub_link::failure(&error, &ticket.hosts))?;
        let joined = match spend(&session, &ticket).await {
            // Noted before anything else: the ticket is spent.
            Ok(name) => DeviceConfig::of(&ticket, &name, self.pq).save(&context.home).map(|()| name),
            Err(failure) => Err(joined_before(failure, &context.home, &ticket)),
        };
        attached::leave(&session).await;
        let name = joined?;
        let home = context.home.device();
        let human = format!(
            "joined as {name}; key {}\nnext: `towline agent` takes what others send to it",
            identity.key_hash()
        );
        let json = serde_json::json!({
            "device": name.as_str(), "key": identity.key_hash().to_string(), "hub": ticket.hub.to_string(),
            "hosts": ticket.hosts, "folder": home,
        });
        context.out.result(human, &json);
        Ok(Exit::Done)
    }

    fn ticket(&self) -> Result<Ticket, Failure> {
        let text = match (&self.ticket, &self.ticket_file) {
            (Some(word), _) if word == "-" => read_ticket(std::io::stdin(), "standard input")?,
            (Some(word), _) => word.clone(),
            (None, Some(path)) => {
                let file = std::fs::File::open(path).map_err(|error| Failure::io("read", path, &error))?;
                read_ticket(file, &path.display().to_string())?
            }
            (None, None) => {
                return Err(Failure::usage(
                    "no ticket: give it as an argument, as `-`, or by TOWLINE_TICKET or TOWLINE_TICKET_FILE",
                )
                .cure("`towline invite NAME` on the hub makes one"));
            }
        };
        parse(&text)
    }
}

/// Takes the ticket alone or the whole line that `invite` prints.
fn parse(text: &str) -> Result<Ticket, Failure> {
    let word = text.split_whitespace().last().unwrap_or_default();
    word.parse().map_err(|error| {
        Failure::usage(format!("not a ticket: {error}")).cure("copy the whole line that `towline invite NAME` printed")
    })
}

fn read_ticket(from: impl Read, name: &str) -> Result<String, Failure> {
    let mut text = String::new();
    from.take(TICKET_MAX_BYTES)
        .read_to_string(&mut text)
        .map_err(|error| Failure::usage(format!("cannot read a ticket from {name}: {error}")))?;
    Ok(text)
}

/// Gives the ticket's secret to the hub, which answers with the device's name.
async fn spend(session: &Session, ticket: &Ticket) -> Result<DeviceName, Failure> {
    let joining = towline::mail::join(session, ticket.token, hub_link::SOFTWARE);
    match tokio::time::timeout(PATIENCE, joining).await {
        Ok(joined) => joined.map_err(attached::not_attached),
        Err(_) => {
            let what = format!("no answer to the ticket in {} s", PATIENCE.as_secs());
            Err(Failure::new(Exit::Unreachable, what)
                .cure("give the command again: a ticket that was not taken is still good"))
        }
    }
}

/// Whoever joins the same hub twice from one home probably wants a second device.
fn joined_before(failure: Failure, home: &Home, ticket: &Ticket) -> Failure {
    let here = DeviceConfig::load(home).is_ok_and(|joined| joined.hub == ticket.hub.to_string());
    let cure = "nothing if this device is meant; a second one on this machine needs a home of its own: `--home DIR`";
    if here && failure.code == Some(Code::NameTaken.as_str()) { failure.cure(cure) } else { failure }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_ticket_is_a_usage_error() {
        assert_eq!(parse("hello").unwrap_err().exit, Exit::Usage);
        assert_eq!(parse("").unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn the_whole_pasted_line_is_a_ticket_too() {
        let ticket = Ticket {
            hosts: vec!["h:4433".into()],
            hub: towline_proto::ids::KeyHash([1; 32]),
            token: [2; 16],
            name: "shop".parse().unwrap(),
        };
        assert_eq!(parse(&format!("towline join {ticket}\n")).unwrap().token, ticket.token);
    }
}
