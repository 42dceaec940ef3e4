//! The way from this device to its hub: one session, or a failure that says which addresses were tried.

use crate::device::{self, DeviceConfig};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::home::Home;
use std::sync::Arc;
use towline::client::Tried;
use towline::{Client, ClientConfig, ConnectError, Identity, PostQuantum, Session};
use towline_proto::ids::KeyHash;
use towline_proto::wire::close::Close;

/// What this program calls itself towards the hub.
pub(crate) const SOFTWARE: &str = concat!("towline ", env!("CARGO_PKG_VERSION"));

/// What is needed to speak with the hub, again and again.
#[derive(Clone, Debug)]
pub(crate) struct HubLink {
    /// This device's key.
    pub(crate) identity: Arc<Identity>,
    /// What `join` noted.
    pub(crate) device: DeviceConfig,
    client: Client,
}

impl HubLink {
    /// Reads key and `device.toml`; nothing is connected yet.
    pub(crate) fn new(home: &Home) -> Result<Self, Failure> {
        let device = DeviceConfig::load(home)?;
        let identity = device::identity(home)?;
        let client = client(&identity, device.hub_key()?, device.hosts.clone(), device.pq.0);
        Ok(Self { identity, device, client })
    }

    /// A session with the hub.
    pub(crate) async fn connect(&self) -> Result<Session, Failure> {
        self.client.connect().await.map_err(|error| failure(&error, &self.device.hosts))
    }
}

/// A client with the program's usual limits.
pub(crate) fn client(identity: &Arc<Identity>, hub: KeyHash, hosts: Vec<String>, pq: PostQuantum) -> Client {
    let mut config = ClientConfig::default();
    config.post_quantum = pq;
    Client::new(identity.clone(), hub, hosts, config)
}

/// Why there is no session, with what was tried and what to do.
pub(crate) fn failure(error: &ConnectError, hosts: &[String]) -> Failure {
    let hub = hosts.join(", ");
    let coded = |cure: &str| {
        let exit = Exit::from_number(error.code().exit_code()).unwrap_or(Exit::Error);
        Failure { code: Some(error.code().word()), ..Failure::new(exit, format!("{hub}: {error}")) }.cure(cure)
    };
    match error {
        ConnectError::Unreachable(tried) => Failure::new(Exit::Unreachable, format!("no hub answers at {hub}"))
            .tried(tried.iter().map(one_try))
            .cure("see that `towline hub` runs there and that its port is open; then give the command again"),
        ConnectError::WrongKey { .. } => coded(
            "join again with a new ticket if the hub was set up anew; otherwise something stands between you and it",
        ),
        ConnectError::Refused(close) => closed(close),
        ConnectError::Memory(_) => Failure::new(Exit::Unreachable, error.to_string())
            .cure("wait until what came is read, or end other sessions of this program"),
        ConnectError::Tls(_) | ConnectError::Protocol(_) => {
            coded("see that this address is a Towline hub of the same version")
        }
        ConnectError::Timeout(_) | ConnectError::Broken(_) => coded("try again, or look at the hub's log"),
    }
}

/// An address that did not answer, and why.
fn one_try((host, address, error): &Tried) -> String {
    match address {
        Some(address) if address.to_string() != *host => format!("{host} ({address}): {error}"),
        _ => format!("{host}: {error}"),
    }
}

/// Why the hub ended the session.
pub(crate) fn closed(close: &Close) -> Failure {
    let exit = Exit::from_number(close.code.exit_code()).unwrap_or(Exit::Error);
    let what = if close.text().is_empty() { close.code.cause().to_owned() } else { close.text().to_owned() };
    Failure { code: Some(close.code.word()), ..Failure::new(exit, format!("the hub ended the session: {what}")) }
        .cure(close.code.cure())
}
