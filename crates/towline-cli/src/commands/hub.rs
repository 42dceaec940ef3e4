//! `towline hub`: the hub itself, until it is asked to end.

use super::{Context, config};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::help;
use crate::operator;
use crate::output::Output;
use crate::signals::EndAsked;
use clap::Args;
use serde_json::json;
use std::path::PathBuf;
use towline_hub::admin::{Answer, Command};
use towline_hub::config::hub::{HubConfig, Resolved};
use towline_hub::config::origin::Origin;
use towline_hub::{Hub as TheHub, RunningHub, StartError};

/// How many names are tried for the device that `--dev` invites.
const DEV_NAMES: u32 = 1_000;

/// Run the hub
#[derive(Debug, Args)]
#[command(
    after_help = "`towline hub --dev` needs no file: it prints the line to type on another machine, and lets every \
    joined device send to every other. Without --dev nobody may send to anybody until HOME/hub/hub.toml allows it.\n\n\
    Examples:\n  towline hub --dev --announce office.example.net:4433\n  towline hub --set max_body=1GiB --json"
)]
pub(crate) struct Hub {
    /// Need no file, let every joined device send to every other, and invite a first device
    #[arg(long)]
    dev: bool,
    /// The configuration [default: HOME/hub/hub.toml where it exists]
    #[arg(long, value_name = "FILE", env = "TOWLINE_HUB_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
    /// Where devices connect; may repeat [default: port 4433 on every address]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Vec<String>,
    /// Where health and metrics are served, or `off` [default: 127.0.0.1:4480]
    #[arg(long, value_name = "ADDRESS:PORT")]
    http: Option<String>,
    /// What tickets name as this hub's address; may repeat
    #[arg(long, value_name = "HOST:PORT")]
    announce: Vec<String>,
    /// Set any other option of hub.toml, over file and environment (TOWLINE_HUB_…); may repeat
    #[arg(long, value_name = "OPTION=VALUE")]
    set: Vec<String>,
}

impl Hub {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let config = self.resolve(context)?;
        let open = config.dev;
        help::unknown_variables("HUB").iter().for_each(|what| tracing::warn!("{what}"));
        let mut asked = EndAsked::listen();
        let hub = TheHub::start(config).await.map_err(|error| not_started(&error))?;
        tell_start(&context.out, &hub, open);
        if self.dev {
            invite_first(context).await?;
        }
        tokio::select! {
            () = asked.wait() => {}
            () = hub.shutdown_requested() => {}
        }
        context.out.event("draining", &json!({ "event": "draining" }));
        hub.shutdown().await;
        context.out.event("ended", &json!({ "event": "ended" }));
        Ok(Exit::Done)
    }

    /// Default, file, environment, then the flags.
    fn resolve(&self, context: &Context) -> Result<HubConfig, Failure> {
        let mut layers = config::hub_layers(&context.home, self.config.as_deref())?;
        let lists = [("listen", &self.listen), ("announce", &self.announce)];
        for (name, values) in lists.into_iter().filter(|(_, values)| !values.is_empty()) {
            layers = layers.with_text(name, &values.join(","), Origin::Flag)?;
        }
        if let Some(http) = &self.http {
            layers = layers.with_text("http", http, Origin::Flag)?;
        }
        if self.dev {
            layers = layers.with_text("dev", "true", Origin::Flag)?;
        }
        let Resolved { config, .. } = HubConfig::resolve(layers.with_assignments(&self.set)?)?;
        Ok(config)
    }
}

fn tell_start(out: &Output, hub: &RunningHub, open: bool) {
    let listen: Vec<String> = hub.local_addrs().iter().map(ToString::to_string).collect();
    let http = hub.http_addr().map(|address| format!("http://{address}"));
    let mut human = format!("hub {} listens on {}", hub.key(), listen.join(", "));
    if let Some(http) = &http {
        human.push_str(&format!("; health and metrics on {http}"));
    }
    if let Some(damage) = hub.damage() {
        human.push_str(&format!("\n{damage}"));
    }
    let set_aside: Vec<String> = hub.set_aside().iter().map(|path| path.display().to_string()).collect();
    if !set_aside.is_empty() {
        human.push_str(&format!("\ndegraded: look at what was set aside, then move it away: {}", set_aside.join(", ")));
    }
    if open {
        human.push_str("\ndevelopment hub: every joined device may send to every other");
    }
    let json = json!({
        "event": "listening", "key": hub.key().to_string(), "listen": listen, "http": http,
        "hosts": hub.hosts(), "open_policy": open, "damage": hub.damage().map(ToString::to_string),
        "set_aside": set_aside,
    });
    out.event(human, &json);
}

/// Invites a device under the first free name, and prints the one line to paste on the other machine.
async fn invite_first(context: &Context) -> Result<(), Failure> {
    let home = context.home.clone();
    let invited = tokio::task::spawn_blocking(move || {
        let Answer::Devices { devices } = operator::ask(&home, &Command::Devices)? else {
            return Err(Failure::not_understood());
        };
        let free = |name: &String| devices.iter().all(|device| device.name != *name);
        let name = (1..DEV_NAMES).map(|number| format!("device-{number}")).find(free);
        let name = name.ok_or_else(|| Failure::usage("name a device yourself: `towline invite NAME`"))?;
        match operator::ask(&home, &Command::Invite { name, hosts: Vec::new() })? {
            Answer::Ticket(ticket) => Ok(ticket),
            _ => Err(Failure::not_understood()),
        }
    });
    let ticket = invited.await.map_err(|error| Failure::new(Exit::Error, error.to_string()))??;
    if !context.out.is_json() {
        context.out.note("type this on the other machine, once and within an hour:");
    }
    let line = format!("towline join {}", ticket.ticket);
    context.out.result(line, &json!({ "event": "invited", "device": ticket.name, "ticket": ticket.ticket }));
    Ok(())
}

fn not_started(error: &StartError) -> Failure {
    let failure = |exit| Failure::new(exit, error.to_string());
    match error {
        StartError::Config(_) => failure(Exit::Usage),
        StartError::Running { .. } => {
            failure(Exit::Error).cure("stop it first, or give this one a home of its own with `--home`")
        }
        StartError::Listen(_) => failure(Exit::Error)
            .cure("see what uses the port (`ss -ltnp`), or choose others with `--listen` and `--http`"),
        _ => failure(Exit::Error),
    }
}
