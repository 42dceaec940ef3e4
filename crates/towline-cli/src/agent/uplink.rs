//! The session to the hub, made again whenever it is over.

use crate::hub_link::SOFTWARE;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use towline::Client;
use towline::mail::{AttachError, Device};
use towline_proto::mail::code::Code;
use towline_proto::mail::message::Role;

/// The first pause after a failure; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause: a hub that is back is noticed within half a minute.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// News of the session.
#[derive(Debug)]
pub(crate) enum News {
    /// A session is attached.
    Up(Device),
    /// It is over, and why.
    Down(String),
    /// A try failed, and why.
    Not(String),
    /// The hub will not have this device, now or later.
    Denied(Code, String),
}

/// Connects and attaches for ever, telling `news`; ends when nobody listens any more.
pub(crate) async fn keep(client: Client, news: mpsc::Sender<News>, device: watch::Sender<Option<Device>>) {
    let mut pause = FIRST_PAUSE;
    loop {
        match connect(&client).await {
            Ok(up) => {
                pause = FIRST_PAUSE;
                device.send_replace(Some(up.clone()));
                let session = up.session().clone();
                if news.send(News::Up(up)).await.is_err() {
                    return;
                }
                let ended = session.closed().await;
                device.send_replace(None);
                if news.send(News::Down(ended.to_string())).await.is_err() {
                    return;
                }
            }
            Err(Refused::ForGood(code, text)) => {
                let _ = news.send(News::Denied(code, text)).await;
                return;
            }
            Err(Refused::ForNow(why)) => {
                if news.send(News::Not(why)).await.is_err() {
                    return;
                }
            }
        }
        tokio::time::sleep(jittered(pause)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

enum Refused {
    ForNow(String),
    ForGood(Code, String),
}

async fn connect(client: &Client) -> Result<Device, Refused> {
    let session = client.connect().await.map_err(|error| Refused::ForNow(error.to_string()))?;
    Device::attach(&session, Role::Agent, SOFTWARE).await.map_err(|error| match error {
        AttachError::Denied { code: code @ (Code::Revoked | Code::NotPermitted | Code::Superseded), text } => {
            Refused::ForGood(code, text)
        }
        other => Refused::ForNow(other.to_string()),
    })
}

/// Half to all of `pause`, so that the devices of a hub that restarted do not all come at once.
fn jittered(pause: Duration) -> Duration {
    let random = uuid::Uuid::new_v7(uuid::Timestamp::now(uuid::NoContext)).into_bytes()[15];
    pause / 2 + pause / 2 * u32::from(random) / 255
}
