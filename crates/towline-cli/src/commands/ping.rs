//! `towline ping`: has a device's agent answer now, through the hub.

use super::Context;
use super::who::rtt;
use crate::attached;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::hub_link::HubLink;
use clap::Args;
use std::time::Instant;
use towline::mail::{AskError, Device};
use towline_proto::ids::DeviceName;
use towline_proto::mail::code::Code;

/// Have a device's agent answer: exit 0 online, 6 offline, 3 no such device
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  towline ping kitchen --count 3")]
pub(crate) struct Ping {
    /// Which device
    device: DeviceName,
    /// How many times, one after the other
    #[arg(long, short, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
}

impl Ping {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let link = HubLink::new(&context.home)?;
        attached::ask(&link, async |hub| {
            for _ in 0..self.count {
                self.once(context, &hub.device).await?;
            }
            Ok(Exit::Done)
        })
        .await
    }

    async fn once(&self, context: &Context, hub: &Device) -> Result<(), Failure> {
        let start = Instant::now();
        let (micros, path) = hub.ping(self.device.clone()).await.map_err(no_answer)?;
        let total = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        let human = format!("{}: {} there and back; hub to agent {} over {path}", self.device, rtt(total), rtt(micros));
        let json = serde_json::json!({
            "device": self.device.as_str(), "rtt_us": total, "hub_to_agent_us": micros, "path": path,
        });
        context.out.result(human, &json);
        Ok(())
    }
}

/// An offline device is an answer here, not an expired message: it has the exit code of `who`.
fn no_answer(error: AskError) -> Failure {
    let offline = matches!(error, AskError::No { code: Code::Offline, .. });
    let failure = attached::unanswered(error);
    if offline { Failure { exit: Exit::Offline, ..failure } } else { failure }
}
