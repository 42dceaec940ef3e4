//! `towline who`: which devices are there, and since when.

use super::Context;
use crate::attached;
use crate::exit::Exit;
use crate::failure::Outcome;
use crate::hub_link::HubLink;
use crate::output::table::Table;
use crate::output::{Mood, visible, when};
use clap::Args;
use serde_json::{Value, json};
use towline_proto::ids::DeviceName;
use towline_proto::mail::message::Presence;

/// Say which devices are online, and since when; with DEVICE exit 0 online, 6 offline, 3 no such device
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  towline who\n  towline who kitchen && echo it is online")]
pub(crate) struct Who {
    /// One device only
    device: Option<DeviceName>,
}

impl Who {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let link = HubLink::new(&context.home)?;
        let one = self.device.is_some();
        let devices = attached::ask(&link, async |hub| {
            hub.device.who(self.device, false).await.map(|(_, devices)| devices).map_err(attached::unanswered)
        })
        .await?;
        let objects: Vec<Value> = devices.iter().map(object).collect();
        context.out.result(table(context, &devices), &json!({ "devices": objects }));
        let offline = one && devices.iter().any(|device| !device.online);
        Ok(if offline { Exit::Offline } else { Exit::Done })
    }
}

fn table(context: &Context, devices: &[Presence]) -> Table {
    let mut table = Table::new(["device", "state", "since", "path", "rtt", "waiting", "software"]);
    for device in devices {
        let (mood, state) = if device.online { (Mood::Good, "online") } else { (Mood::Bad, "offline") };
        let rtt = if device.rtt_us == 0 { "-".into() } else { rtt(device.rtt_us) };
        let path = if device.links.is_empty() { "-".into() } else { visible(&device.links.join(", ")) };
        let since = when::utc(device.since_ms);
        let state = context.out.paint(mood, state);
        table.row([
            device.device.to_string(),
            state,
            since,
            path,
            rtt,
            device.waiting.to_string(),
            visible(&device.software),
        ]);
    }
    table
}

/// A round trip in milliseconds, with the digits that matter.
pub(super) fn rtt(micros: u64) -> String {
    format!("{:.1} ms", micros as f64 / 1_000.0)
}

/// A device for programs.
pub(super) fn object(device: &Presence) -> Value {
    json!({
        "device": device.device.as_str(), "key": device.key.to_string(), "online": device.online,
        "since_ms": device.since_ms, "links": device.links, "rtt_us": device.rtt_us, "software": device.software,
        "waiting": device.waiting,
    })
}
