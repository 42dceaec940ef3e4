//! `towline ping`: has a device's agent answer now, through the hub.

use super::Context;
use super::who::rtt;
use crate::attached;
use crate::exit::Exit;
use crate::failure::Outcome;
use crate::hub_link::HubLink;
use clap::Args;
use towline_proto::ids::DeviceName;

/// Have a device's agent answer: exit 0 online, 6 offline, 3 no such device
#[derive(Debug, Args)]
pub(crate) struct Ping {
    /// Which device
    device: DeviceName,
    /// How often
    #[arg(long, short, default_value_t = 1, value_name = "N")]
    count: u32,
}

impl Ping {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let device = attached::attach(&HubLink::new(&context.home)?).await?;
        for _ in 0..self.count {
            let start = std::time::Instant::now();
            let (micros, path) = device.ping(self.device.clone()).await.map_err(attached::unanswered)?;
            let total = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
            let human =
                format!("{}: {} there and back; hub to agent {} over {path}", self.device, rtt(total), rtt(micros));
            let json = serde_json::json!({
                "device": self.device.as_str(), "rtt_us": total, "hub_to_agent_us": micros, "path": path,
            });
            context.out.result(human, &json);
        }
        device.session().close(towline::Close::new(towline::CloseCode::Done));
        Ok(Exit::Done)
    }
}
