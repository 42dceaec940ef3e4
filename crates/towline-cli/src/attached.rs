//! An attached session with the hub, for commands that ask or send.

use crate::exit::Exit;
use crate::failure::Failure;
use crate::hub_link::{self, HubLink, SOFTWARE};
use crate::signals::EndAsked;
use std::time::Duration;
use towline::mail::{AskError, AttachError, Device, Events};
use towline::{Close, CloseCode, Ended, SendError, Session};
use towline_proto::mail::message::Role;

/// How long a command that is done waits until the hub has heard so: many round trips of a bad link, and no wait that
/// anybody minds where the link is gone.
const LEAVE: Duration = Duration::from_secs(1);

/// A session as its command sees it: lost, it may be replaced.
pub(crate) struct Attached<'a> {
    link: &'a HubLink,
    /// The session at present.
    pub(crate) device: Device,
    /// What the hub tells over it.
    pub(crate) events: Events,
}

impl<'a> Attached<'a> {
    async fn new(link: &'a HubLink) -> Result<Self, Failure> {
        let (device, events) = attach(link).await?;
        Ok(Self { link, device, events })
    }

    /// A new session in the place of a lost one.
    pub(crate) async fn again(&mut self) -> Result<(), Failure> {
        (self.device, self.events) = attach(self.link).await?;
        Ok(())
    }
}

async fn attach(link: &HubLink) -> Result<(Device, Events), Failure> {
    let session = link.connect().await?;
    let device = Device::attach(&session, Role::Client, SOFTWARE).await.map_err(not_attached)?;
    let events = device.events().expect("nobody has asked a new device for its events");
    Ok((device, events))
}

/// Does `work` over a session, and takes leave of the hub however that ended: a session that goes without a word is
/// kept for its owner to come back, and a device may have only so many of them.
pub(crate) async fn with<T>(
    link: &HubLink,
    work: impl AsyncFnOnce(&mut Attached<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut attached = Attached::new(link).await?;
    let done = work(&mut attached).await;
    leave(attached.device.session()).await;
    done
}

/// [`with`] for commands that have nothing to tell when Ctrl-C or SIGTERM ends them.
pub(crate) async fn ask<T>(
    link: &HubLink,
    question: impl AsyncFnOnce(&mut Attached<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut asked = EndAsked::listen();
    with(link, async |attached| {
        tokio::select! {
            answer = question(attached) => answer,
            () = asked.wait() => Err(Failure::new(Exit::Interrupted, "interrupted")),
        }
    })
    .await
}

/// Ends a session so that the hub knows.
pub(crate) async fn leave(session: &Session) {
    session.close(Close::new(CloseCode::Done));
    // Where no link is left nobody can be told.
    let _ = tokio::time::timeout(LEAVE, session.parted()).await;
}

/// The hub would not have this device, or the session ended before it could say so.
pub(crate) fn not_attached(error: AttachError) -> Failure {
    match error {
        AttachError::Denied { code, text } => Failure::coded(code, &text),
        AttachError::Protocol => Failure::not_understood(),
        AttachError::Send(error) => lost(&error),
    }
}

/// A question that got no answer.
pub(crate) fn unanswered(error: AskError) -> Failure {
    match error {
        AskError::No { code, text } => Failure::coded(code, &text),
        AskError::Protocol => Failure::not_understood(),
        AskError::Send(error) => lost(&error),
    }
}

/// A session that ended under a command.
fn lost(error: &SendError) -> Failure {
    match error {
        SendError::Ended(Ended { close, .. }) => hub_link::closed(close),
        other => Failure::new(Exit::Unreachable, format!("the session with the hub: {other}")),
    }
}
