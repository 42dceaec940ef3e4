//! A hub on loopback, and devices that say exactly what a test has them say.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use towline::{Client, ClientConfig, Close, CloseCode, Identity, Lane, RecvHalf, SendHalf, Session, Ticket};
use towline_hub::admin::{Answer, Command, call};
use towline_hub::config::hub::HubConfig;
use towline_hub::{Hub, RunningHub};
use towline_proto::ids::{DeviceName, Digest, MessageId};
use towline_proto::mail::code::Code;
use towline_proto::mail::envelope::{Envelope, SignedEnvelope};
use towline_proto::mail::keys::Crypto;
use towline_proto::mail::message::{BodyHeader, INLINE_MAX_BYTES, Role, ToDevice, ToHub};
use towline_proto::mail::outcome::Outcome;
use towline_proto::mail::receipt::{Receipt, Signer};

/// No word takes longer on loopback, however busy the machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn config(state: &Path, listen: &str) -> HubConfig {
    HubConfig {
        listen: vec![listen.into()],
        http: "off".into(),
        dev: true,
        drain: "1s".parse().expect("a duration"),
        ..HubConfig::new(state)
    }
}

pub(crate) async fn start(state: &Path) -> RunningHub {
    Hub::start(config(state, "127.0.0.1:0")).await.expect("starts")
}

pub(crate) async fn ask(hub: &RunningHub, command: Command) -> Answer {
    let path = hub.admin_socket().to_owned();
    tokio::task::spawn_blocking(move || call(&path, &command)).await.expect("runs").expect("answers")
}

/// A device that says exactly what a test has it say.
pub(crate) struct Device {
    pub(crate) name: DeviceName,
    pub(crate) identity: Arc<Identity>,
    pub(crate) session: Session,
}

impl Device {
    pub(crate) async fn session(hub: &RunningHub, identity: &Arc<Identity>) -> Session {
        Self::session_by_way_of(hub.local_addrs()[0], hub, identity).await
    }

    async fn session_by_way_of(address: SocketAddr, hub: &RunningHub, identity: &Arc<Identity>) -> Session {
        let hosts = vec![address.to_string()];
        let client = Client::new(identity.clone(), hub.key(), hosts, ClientConfig::default());
        client.connect().await.expect("connects")
    }

    /// Spends a ticket and attaches.
    pub(crate) async fn join(hub: &RunningHub, name: &str, role: Role) -> Self {
        let invite = Command::Invite { name: name.into(), hosts: vec![] };
        let Answer::Ticket(made) = ask(hub, invite).await else { panic!("a ticket") };
        let ticket: Ticket = made.ticket.parse().expect("a ticket");
        let identity = Arc::new(Identity::generate());
        let session = Self::session(hub, &identity).await;
        let device = Self { name: name.parse().expect("a name"), identity, session };
        device.say(ToHub::Join { token: ticket.token, software: "test".into() }).await;
        let joined = device.hear(|word| matches!(word, ToDevice::Joined { .. })).await;
        assert_eq!(joined, ToDevice::Joined { name: device.name.clone() });
        device.attach(role).await;
        device
    }

    /// Comes again by another address.
    pub(crate) async fn again_by_way_of(&mut self, address: SocketAddr, hub: &RunningHub, role: Role) {
        self.session = Self::session_by_way_of(address, hub, &self.identity).await;
        self.attach(role).await;
    }

    /// Leaves, and waits until the hub knows it.
    pub(crate) async fn leave(&self, hub: &RunningHub) {
        self.session.close(Close::new(CloseCode::Done));
        self.until_online_is(hub, false).await;
    }

    pub(crate) async fn until_online_is(&self, hub: &RunningHub, online: bool) {
        let look = async {
            loop {
                let who = Command::Who { device: Some(self.name.to_string()) };
                let Answer::Devices { devices } = ask(hub, who).await else { panic!("a device") };
                if devices[0].online == online {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.expect("in time");
    }

    /// The next stream of a body that the hub opens, and what its header says.
    pub(crate) async fn body(&self) -> (BodyHeader, RecvHalf) {
        let (lane, stream) =
            tokio::time::timeout(PATIENCE, self.session.accept()).await.expect("in time").expect("a stream");
        assert_eq!(lane, Lane::BULK);
        let (_, mut stream) = stream.split();
        let header = stream.recv().await.expect("a message").expect("a header");
        (BodyHeader::from_bytes(&header).expect("a header"), stream)
    }

    /// Begins to send a body from `offset` on.
    pub(crate) async fn send_from(&self, id: MessageId, offset: u64, bytes: &[u8]) -> SendHalf {
        let (mut stream, _) = self.session.open(Lane::BULK).await.expect("opens").split();
        stream.send(BodyHeader { id, offset }.to_bytes()).await.expect("sent");
        stream.write_all(bytes).await.expect("written");
        stream
    }

    /// Comes again with the same key.
    pub(crate) async fn again(&mut self, hub: &RunningHub, role: Role) {
        self.session = Self::session(hub, &self.identity).await;
        self.attach(role).await;
    }

    pub(crate) async fn attach(&self, role: Role) {
        self.say(ToHub::Attach { role, software: "test".into() }).await;
        self.hear(|word| matches!(word, ToDevice::Welcome { .. })).await;
    }

    pub(crate) async fn say(&self, message: ToHub) {
        self.session.send(Lane::NORMAL, message.to_bytes()).await.expect("said");
    }

    /// The next word that `wanted` takes; others are passed over, but never a refusal.
    pub(crate) async fn hear(&self, wanted: impl Fn(&ToDevice) -> bool) -> ToDevice {
        let mut passed_over = Vec::new();
        let listen = async {
            loop {
                let (_, bytes) = self.session.recv_any().await.expect("a word");
                let word = ToDevice::from_bytes(&bytes).expect("a word of mail");
                if wanted(&word) {
                    return word;
                }
                assert!(!matches!(word, ToDevice::Denied { .. } | ToDevice::NotAccepted { .. }), "{word:?}");
                passed_over.push(word);
            }
        };
        let heard = tokio::time::timeout(PATIENCE, listen).await.ok();
        heard.unwrap_or_else(|| panic!("not heard in time; passed over: {passed_over:?}"))
    }

    pub(crate) fn envelope(&self, number: u8, to: &Device, body: &[u8]) -> (MessageId, SignedEnvelope) {
        let id = MessageId([number; 16]);
        let envelope = Envelope {
            id,
            from: self.name.clone(),
            sender: self.identity.public_key(),
            to: to.name.clone(),
            deadline_ms: 60_000,
            lane: Lane::NORMAL,
            kept: true,
            name: "order.xml".into(),
            content_type: String::new(),
            size: body.len() as u64,
            root: Digest(*blake3::hash(body).as_bytes()),
            time_ms: 0,
            seal: 0,
        };
        (id, envelope.seal(&*self.identity))
    }

    /// Has a small message accepted.
    pub(crate) async fn submit(&self, envelope: &SignedEnvelope, body: &[u8]) {
        self.say(ToHub::Submit { envelope: envelope.clone(), body: Some(body.to_vec()) }).await;
        self.hear(is_accepted).await;
    }

    /// From `go` to the outcome, as an agent that handles the message.
    pub(crate) async fn handle(&self, id: MessageId, envelope: &SignedEnvelope) {
        self.say(ToHub::Delivered { id }).await;
        self.say(ToHub::GoRequest { id, request: 1, by: "inbox".into(), timeout_ms: 1_000 }).await;
        self.hear(|word| matches!(word, ToDevice::Go { request: 1, .. })).await;
        self.report(id, envelope).await;
        self.hear(|word| matches!(word, ToDevice::Reported { .. })).await;
    }

    async fn report(&self, id: MessageId, envelope: &SignedEnvelope) {
        let receipt = Receipt {
            envelope: envelope.digest(&*self.identity),
            id,
            outcome: Outcome::Handled,
            by: "inbox".into(),
            code: Code::Ok,
            reason: String::new(),
            exit_code: None,
            output: self.identity.digest(b""),
            time_ms: 1,
            late: false,
            signer: Signer::Recipient,
            key: self.identity.public_key(),
        };
        self.say(ToHub::Report { receipt: receipt.seal(&*self.identity), output: vec![] }).await;
    }
}

/// A hub, a shop that sends and a kitchen that takes.
pub(crate) async fn opening(state: &Path) -> (RunningHub, Device, Device) {
    let hub = start(state).await;
    let shop = Device::join(&hub, "shop", Role::Client).await;
    let kitchen = Device::join(&hub, "kitchen", Role::Agent).await;
    (hub, shop, kitchen)
}

/// After the hub's end: all come again, the sender submits the same envelope, which is the same message, and it is handled.
pub(crate) async fn come_again_and_handle(
    state: &Path,
    (shop, kitchen): (&mut Device, &mut Device),
    (id, envelope, body): (MessageId, &SignedEnvelope, &[u8]),
) {
    let hub = start(state).await;
    kitchen.again(&hub, Role::Agent).await;
    shop.again(&hub, Role::Client).await;
    shop.submit(envelope, body).await;
    kitchen.hear(|word| matches!(word, ToDevice::Deliver { .. })).await;
    kitchen.handle(id, envelope).await;
    expect_handled(shop, id).await;
    hub.shutdown().await;
}

pub(crate) fn is_accepted(word: &ToDevice) -> bool {
    matches!(word, ToDevice::Accepted { .. })
}

pub(crate) async fn expect_handled(sender: &Device, id: MessageId) {
    let word = sender.hear(|word| matches!(word, ToDevice::Outcome { .. })).await;
    let ToDevice::Outcome { receipt, .. } = word else { panic!("an outcome") };
    let receipt = receipt.open(&*sender.identity).expect("signed");
    assert_eq!((receipt.id, receipt.outcome), (id, Outcome::Handled));
}

pub(crate) async fn give(session: Session, id: MessageId, body: Vec<u8>) {
    let mut stream = session.open(Lane::BULK).await.expect("opens");
    let sending = stream.sending();
    sending.send(BodyHeader { id, offset: 0 }.to_bytes()).await.expect("sent");
    sending.write_all(&body).await.expect("written");
    sending.finish().await.expect("taken whole");
}

/// Reads until `length` bytes are there.
pub(crate) async fn read_to(stream: &mut RecvHalf, taken: &mut Vec<u8>, length: usize) {
    let read = async {
        while taken.len() < length {
            let (_, piece) = stream.read().await.expect("bytes").expect("more");
            taken.extend_from_slice(&piece);
        }
    };
    tokio::time::timeout(PATIENCE, read).await.expect("in time");
}

/// A body that repeats itself at no power of two.
pub(crate) fn large_body(inline_sizes: usize) -> Vec<u8> {
    (0..inline_sizes * INLINE_MAX_BYTES).map(|number| (number % 249) as u8).collect()
}
