//! A sender in the test's own process: the library, with a device's real key, writing down what was accepted.

use serde::Deserialize;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use towline::mail::{AskError, Body, Device, Draft, SubmitError, Submitted};
use towline::{Client, ClientConfig, Identity};
use towline_proto::ids::{DeviceName, MessageId};
use towline_proto::mail::envelope::SignedEnvelope;
use towline_proto::mail::message::{MessageStatus, Role};

/// How long to wait before the hub is tried again.
const AGAIN: Duration = Duration::from_millis(20);

#[derive(Deserialize)]
struct Joined {
    name: DeviceText,
    hub: String,
    hosts: Vec<String>,
}

#[derive(Deserialize)]
#[serde(transparent)]
struct DeviceText(String);

/// A device that sends through whatever happens to its hub.
pub(crate) struct Sender {
    pub(crate) identity: Arc<Identity>,
    pub(crate) name: DeviceName,
    client: Client,
    device: tokio::sync::Mutex<Option<Device>>,
}

impl Sender {
    /// The device whose folder this is.
    pub(crate) fn load(folder: &Path) -> Self {
        let joined: Joined = toml::from_str(&fs::read_to_string(folder.join("device.toml")).unwrap()).unwrap();
        let identity = Arc::new(Identity::load(folder.join("device.key")).unwrap());
        let client = Client::new(identity.clone(), joined.hub.parse().unwrap(), joined.hosts, ClientConfig::default());
        Self { identity, name: joined.name.0.parse().unwrap(), client, device: tokio::sync::Mutex::default() }
    }

    /// The attached device, on a new session if the last one was lost.
    async fn device(&self) -> Device {
        let mut device = self.device.lock().await;
        loop {
            if let Some(device) = &*device {
                return device.clone();
            }
            if let Ok(session) = self.client.connect().await
                && let Ok(attached) = Device::attach(&session, Role::Client, "test").await
            {
                *device = Some(attached);
                continue;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Forgets a device whose session is over.
    async fn lost(&self, lost: &Device) {
        let mut device = self.device.lock().await;
        if device.as_ref().is_some_and(|device| device.session().id() == lost.session().id()) {
            *device = None;
        }
    }

    /// A signed envelope for a small body.
    pub(crate) async fn envelope(&self, mut draft: Draft, body: &Body, name: &str) -> (MessageId, SignedEnvelope) {
        draft.name = name.into();
        let id = Draft::new_id();
        let measured = body.measure().await.unwrap();
        (id, draft.seal(id, self.name.clone(), measured, &*self.identity))
    }

    /// Submits until the hub has answered, however often it dies meanwhile.
    pub(crate) async fn send(&self, envelope: &SignedEnvelope, body: &Body) -> Result<Submitted, SubmitError> {
        loop {
            let device = self.device().await;
            match device.submit(envelope, body).await {
                Err(SubmitError::Lost(_)) => self.lost(&device).await,
                Err(SubmitError::NotAccepted { retry_after_ms, .. }) if retry_after_ms > 0 => {
                    tokio::time::sleep(Duration::from_millis(retry_after_ms.min(200))).await;
                }
                answer => return answer,
            }
        }
    }

    /// Asks until the hub has answered.
    pub(crate) async fn status(&self, id: MessageId) -> MessageStatus {
        loop {
            let device = self.device().await;
            match device.status(id, false).await {
                Ok(status) => return status,
                Err(AskError::No { code, text }) => panic!("{id} was accepted, and the hub says {code}: {text}"),
                Err(_) => self.lost(&device).await,
            }
        }
    }
}
