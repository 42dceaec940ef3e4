//! `towline device`: the operator looks at the hub's devices, renames and revokes them.

use super::{Context, who};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::operator;
use crate::output::table::Table;
use crate::output::{Mood, visible, when};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use towline_hub::admin::{Answer, Command, DeviceView};
use towline_proto::ids::DeviceName;

/// List, rename and revoke devices, on the hub's machine
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  towline device ls")]
pub(crate) struct Device {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the devices
    #[command(visible_alias = "list", after_help = "Example:\n  towline device ls --json")]
    Ls,
    /// Give a device another name; what waits for it stays its own
    #[command(after_help = "Example:\n  towline device rename kitchen kitchen-berlin")]
    Rename {
        /// Its present name
        from: DeviceName,
        /// Its new name
        to: DeviceName,
    },
    /// Cut a device off, at once and for good; what waits for it is refused
    #[command(after_help = "Example:\n  towline device revoke kitchen")]
    Revoke {
        /// Which device
        name: DeviceName,
    },
}

impl Device {
    pub(super) fn run(self, context: &Context) -> Outcome {
        match self.action {
            Action::Ls => list(context),
            Action::Rename { from, to } => {
                let command = Command::Rename { from: from.to_string(), to: to.to_string() };
                done(context, &command, format!("{from} is now called {to}"))
            }
            Action::Revoke { name } => done(
                context,
                &Command::Revoke { name: name.to_string() },
                format!("{name} is cut off and refused from now on"),
            ),
        }
    }
}

fn done(context: &Context, command: &Command, human: String) -> Outcome {
    match operator::ask(&context.home, command)? {
        Answer::Done => {
            context.out.result(human, &json!({ "done": true }));
            Ok(Exit::Done)
        }
        _ => Err(Failure::not_understood()),
    }
}

fn list(context: &Context) -> Outcome {
    let Answer::Devices { devices } = operator::ask(&context.home, &Command::Devices)? else {
        return Err(Failure::not_understood());
    };
    let mut table = Table::new(["device", "state", "since", "path", "rtt", "waiting", "key"]);
    for device in &devices {
        let (mood, state) = if device.online { (Mood::Good, "online") } else { (Mood::Bad, "offline") };
        let rtt = if device.rtt_us == 0 { "-".into() } else { who::rtt(device.rtt_us) };
        let path = if device.links.is_empty() { "-".into() } else { visible(&device.links.join(", ")) };
        let state = context.out.paint(mood, state);
        let since = when::utc(device.since_ms);
        table.row([device.name.clone(), state, since, path, rtt, device.waiting.to_string(), device.key.clone()]);
    }
    let devices: Vec<Value> = devices.iter().map(object).collect();
    context.out.result(table, &json!({ "devices": devices }));
    Ok(Exit::Done)
}

/// A device for programs, under the names that `who` gives them.
fn object(device: &DeviceView) -> Value {
    json!({
        "device": device.name, "key": device.key, "online": device.online, "since_ms": device.since_ms,
        "links": device.links, "rtt_us": device.rtt_us, "software": device.software, "waiting": device.waiting,
    })
}
