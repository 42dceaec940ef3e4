//! The operator's requests: from JSON's words to the core's and back.

use super::HubInfo;
use crate::admin::{Answer, Command, DeviceView, StatsView, TicketView};
use crate::metrics::Metrics;
use std::collections::HashMap;
use tokio::sync::oneshot;
use towline::{Lane, Ticket};
use towline_proto::ids::DeviceName;
use towline_proto::mail::hub::io::{self, AdminAnswer, Input, RequestKey};
use towline_proto::mail::limits::TICKET_LIFE_MS;

/// Requests that wait for the core's answer.
#[derive(Default)]
pub(super) struct Desk {
    next: u64,
    waiting: HashMap<RequestKey, Waiting>,
}

struct Waiting {
    reply: oneshot::Sender<Answer>,
    shape: Shape,
}

/// How the core's answer is shown.
enum Shape {
    Plain,
    Ticket(Ticket),
    OneDevice(String),
}

impl Desk {
    /// The input for the core; none if the answer needs it not.
    pub(super) fn take(
        &mut self,
        command: Command,
        reply: oneshot::Sender<Answer>,
        info: &HubInfo,
        metrics: &Metrics,
    ) -> Option<Input> {
        let translated = match command {
            Command::Stats => {
                let _ = reply.send(Answer::Stats(stats(info, metrics)));
                return None;
            }
            Command::Shutdown => {
                info.shutdown.notify_one();
                let _ = reply.send(Answer::Done);
                return None;
            }
            command => translate(command, info),
        };
        match translated {
            Ok((command, shape)) => {
                self.next += 1;
                let request = RequestKey(self.next);
                self.waiting.insert(request, Waiting { reply, shape });
                Some(Input::Admin { request, command })
            }
            Err(text) => {
                let _ = reply.send(Answer::no("usage", text));
                None
            }
        }
    }

    /// Gives the core's answer to the operator.
    pub(super) fn reply(&mut self, request: RequestKey, answer: AdminAnswer) {
        let Some(Waiting { reply, shape }) = self.waiting.remove(&request) else { return };
        // Whoever asked may have gone.
        let _ = reply.send(shape.answer(answer));
    }
}

impl Shape {
    fn answer(self, answer: AdminAnswer) -> Answer {
        match (self, answer) {
            (Self::Ticket(ticket), AdminAnswer::Done) => Answer::Ticket(TicketView {
                ticket: ticket.to_string(),
                name: ticket.name.to_string(),
                good_for_ms: TICKET_LIFE_MS,
                hosts: ticket.hosts,
            }),
            (Self::OneDevice(name), AdminAnswer::Devices(list)) => {
                let mut devices = list.into_iter().map(DeviceView::from).filter(|device| device.name == name);
                match devices.next() {
                    Some(device) => Answer::Devices { devices: vec![device] },
                    None => Answer::no("no-such-device", format!("the hub knows no device {name:?}")),
                }
            }
            (_, answer) => answer.into(),
        }
    }
}

fn translate(command: Command, info: &HubInfo) -> Result<(io::Command, Shape), String> {
    let name = |text: String| text.parse::<DeviceName>().map_err(|error| error.to_string());
    let id = |text: String| text.parse().map_err(|error: towline_proto::ids::NotAnId| error.to_string());
    Ok(match command {
        Command::Invite { name: device, hosts } => {
            let (name, token) = (name(device)?, *uuid::Uuid::new_v4().as_bytes());
            let hosts = if hosts.is_empty() { info.hosts.clone() } else { hosts };
            let ticket = Ticket { hosts, hub: info.key, token, name: name.clone() };
            (io::Command::Invite { name, token }, Shape::Ticket(ticket))
        }
        Command::Devices | Command::Who { device: None } => (io::Command::Devices, Shape::Plain),
        Command::Who { device: Some(device) } => (io::Command::Devices, Shape::OneDevice(device)),
        Command::Rename { from, to } => (io::Command::Rename { from: name(from)?, to: name(to)? }, Shape::Plain),
        Command::Revoke { name: device } => (io::Command::Revoke { name: name(device)? }, Shape::Plain),
        Command::Status { id: text } => (io::Command::Status { id: id(text)? }, Shape::Plain),
        Command::Withdraw { id: text } => (io::Command::Withdraw { id: id(text)? }, Shape::Plain),
        Command::PolicyTest { from, to, lane } => {
            let lane = lane.map_or(Ok(Lane::NORMAL), |lane| lane.parse()).map_err(|error| error.to_string())?;
            (io::Command::PolicyTest { from: name(from)?, to: name(to)?, lane }, Shape::Plain)
        }
        Command::Stats | Command::Shutdown => return Err("answered elsewhere".into()),
    })
}

fn stats(info: &HubInfo, metrics: &Metrics) -> StatsView {
    StatsView {
        software: info.software.clone(),
        key: info.key.to_string(),
        listen: info.listen.iter().map(ToString::to_string).collect(),
        http: info.http.map(|address| address.to_string()),
        sessions: u64::try_from(metrics.sessions.get()).unwrap_or(0),
        accepted: metrics.accepted.get(),
        outcomes: metrics.outcomes(),
        commits: metrics.commits.get(),
        store_errors: metrics.store_errors.get(),
        set_aside: info.set_aside.iter().map(|path| path.display().to_string()).collect(),
        open_policy: info.open_policy,
    }
}
