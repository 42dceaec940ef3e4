//! An attached session with the hub, for commands that ask or send.

use crate::exit::Exit;
use crate::failure::Failure;
use crate::hub_link::{self, HubLink, SOFTWARE};
use towline::mail::{AskError, AttachError, Device};
use towline::{Ended, SendError};
use towline_proto::mail::message::Role;

/// Connects and attaches.
pub(crate) async fn attach(link: &HubLink) -> Result<Device, Failure> {
    let session = link.connect().await?;
    Device::attach(&session, Role::Client, SOFTWARE).await.map_err(not_attached)
}

/// The hub would not have this device, or the session ended before it could say so.
pub(crate) fn not_attached(error: AttachError) -> Failure {
    match error {
        AttachError::Denied { code, text } => Failure::coded(code, &text),
        AttachError::Protocol => not_understood(),
        AttachError::Send(error) => lost(&error),
    }
}

/// A question that got no answer.
pub(crate) fn unanswered(error: AskError) -> Failure {
    match error {
        AskError::No { code, text } => Failure::coded(code, &text),
        AskError::Protocol => not_understood(),
        AskError::Send(error) => lost(&error),
    }
}

/// A session that ended under a command.
pub(crate) fn lost(error: &SendError) -> Failure {
    match error {
        SendError::Ended(ended) => ended_by(ended),
        other => Failure::new(Exit::Unreachable, format!("the session with the hub: {other}")),
    }
}

/// A session that is over.
pub(crate) fn ended_by(ended: &Ended) -> Failure {
    hub_link::closed(&ended.close)
}

fn not_understood() -> Failure {
    Failure::new(Exit::Error, "the hub's answer is not understood").cure("see that hub and program are of one version")
}
