//! Messages through a real hub on loopback, spoken word by word over real sessions.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use towline::{Client, ClientConfig, CloseCode, Identity, Lane, Session, Ticket};
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
const PATIENCE: Duration = Duration::from_secs(20);

fn config(state: &Path, listen: &str) -> HubConfig {
    HubConfig {
        listen: vec![listen.into()],
        http: "off".into(),
        dev: true,
        drain: "1s".parse().expect("a duration"),
        ..HubConfig::new(state)
    }
}

async fn start(state: &Path) -> RunningHub {
    Hub::start(config(state, "127.0.0.1:0")).await.expect("starts")
}

async fn ask(hub: &RunningHub, command: Command) -> Answer {
    let path = hub.admin_socket().to_owned();
    tokio::task::spawn_blocking(move || call(&path, &command)).await.expect("runs").expect("answers")
}

/// A device that says exactly what a test has it say.
struct Device {
    name: DeviceName,
    identity: Arc<Identity>,
    session: Session,
}

impl Device {
    async fn session(hub: &RunningHub, identity: &Arc<Identity>) -> Session {
        let hosts = vec![hub.local_addrs()[0].to_string()];
        let client = Client::new(identity.clone(), hub.key(), hosts, ClientConfig::default());
        client.connect().await.expect("connects")
    }

    /// Spends a ticket and attaches.
    async fn join(hub: &RunningHub, name: &str, role: Role) -> Self {
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

    /// Comes again with the same key.
    async fn again(&mut self, hub: &RunningHub, role: Role) {
        self.session = Self::session(hub, &self.identity).await;
        self.attach(role).await;
    }

    async fn attach(&self, role: Role) {
        self.say(ToHub::Attach { role, software: "test".into() }).await;
        self.hear(|word| matches!(word, ToDevice::Welcome { .. })).await;
    }

    async fn say(&self, message: ToHub) {
        self.session.send(Lane::NORMAL, message.to_bytes()).await.expect("said");
    }

    /// The next word that `wanted` takes; others are passed over, but never a refusal.
    async fn hear(&self, wanted: impl Fn(&ToDevice) -> bool) -> ToDevice {
        let listen = async {
            loop {
                let (_, bytes) = self.session.recv_any().await.expect("a word");
                let word = ToDevice::from_bytes(&bytes).expect("a word of mail");
                if wanted(&word) {
                    return word;
                }
                assert!(!matches!(word, ToDevice::Denied { .. } | ToDevice::NotAccepted { .. }), "{word:?}");
            }
        };
        tokio::time::timeout(PATIENCE, listen).await.expect("in time")
    }

    fn envelope(&self, number: u8, to: &Device, body: &[u8]) -> (MessageId, SignedEnvelope) {
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

    /// From `go` to the outcome, as an agent that handles the message.
    async fn handle(&self, id: MessageId, envelope: &SignedEnvelope) {
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

fn is_accepted(word: &ToDevice) -> bool {
    matches!(word, ToDevice::Accepted { .. })
}

async fn expect_handled(sender: &Device, id: MessageId) {
    let word = sender.hear(|word| matches!(word, ToDevice::Outcome { .. })).await;
    let ToDevice::Outcome { receipt, .. } = word else { panic!("an outcome") };
    let receipt = receipt.open(&*sender.identity).expect("signed");
    assert_eq!((receipt.id, receipt.outcome), (id, Outcome::Handled));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_accepted_delivered_started_and_handled() {
    let state = tempfile::tempdir().expect("a folder");
    let hub = start(state.path()).await;
    let shop = Device::join(&hub, "shop", Role::Client).await;
    let kitchen = Device::join(&hub, "kitchen", Role::Agent).await;
    let (id, envelope) = shop.envelope(1, &kitchen, b"<order/>");
    shop.say(ToHub::Submit { envelope: envelope.clone(), body: Some(b"<order/>".to_vec()) }).await;
    shop.hear(is_accepted).await;
    let word = kitchen.hear(|word| matches!(word, ToDevice::Deliver { .. })).await;
    assert_eq!(word, ToDevice::Deliver { envelope: envelope.clone(), body: Some(b"<order/>".to_vec()) });
    kitchen.handle(id, &envelope).await;
    expect_handled(&shop, id).await;
    let Answer::Message(view) = ask(&hub, Command::Status { id: id.to_string() }).await else { panic!("a message") };
    assert_eq!((view.state.as_str(), view.to.as_str()), ("handled", "kitchen"));
    hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p01_what_was_accepted_is_delivered_after_a_restart() {
    let state = tempfile::tempdir().expect("a folder");
    let hub = start(state.path()).await;
    let mut shop = Device::join(&hub, "shop", Role::Client).await;
    let mut kitchen = Device::join(&hub, "kitchen", Role::Agent).await;
    kitchen.session.close(towline::Close::new(CloseCode::Done));
    let (id, envelope) = shop.envelope(2, &kitchen, b"body");
    shop.say(ToHub::Submit { envelope: envelope.clone(), body: Some(b"body".to_vec()) }).await;
    shop.hear(is_accepted).await;
    hub.shutdown().await;

    let hub = start(state.path()).await;
    kitchen.again(&hub, Role::Agent).await;
    shop.again(&hub, Role::Client).await;
    // The same word again is the same message.
    shop.say(ToHub::Submit { envelope: envelope.clone(), body: Some(b"body".to_vec()) }).await;
    shop.hear(is_accepted).await;
    kitchen.hear(|word| matches!(word, ToDevice::Deliver { .. })).await;
    kitchen.handle(id, &envelope).await;
    expect_handled(&shop, id).await;
    hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_body_passes_through_and_is_verified() {
    let state = tempfile::tempdir().expect("a folder");
    let hub = start(state.path()).await;
    let shop = Device::join(&hub, "shop", Role::Client).await;
    let kitchen = Device::join(&hub, "kitchen", Role::Agent).await;
    let body: Vec<u8> = (0..40 * INLINE_MAX_BYTES).map(|number| (number % 249) as u8).collect();
    let (id, envelope) = shop.envelope(3, &kitchen, &body);
    shop.say(ToHub::Submit { envelope: envelope.clone(), body: None }).await;
    shop.hear(|word| *word == ToDevice::SendBody { id, offset: 0 }).await;
    kitchen.hear(|word| matches!(word, ToDevice::Offer { .. })).await;
    kitchen.say(ToHub::SendBody { id, offset: 0 }).await;
    let giving = tokio::spawn(give(shop.session.clone(), id, body.clone()));
    // The recipient has it all before it is accepted or after: either way byte for byte.
    let (lane, mut stream) =
        tokio::time::timeout(PATIENCE, kitchen.session.accept()).await.expect("in time").expect("a stream");
    assert_eq!(lane, Lane::BULK);
    let header = stream.receiving().recv().await.expect("a message").expect("a header");
    assert_eq!(BodyHeader::from_bytes(&header), Ok(BodyHeader { id, offset: 0 }));
    let mut taken = Vec::new();
    while let Some((_, piece)) = stream.receiving().read().await.expect("bytes") {
        taken.extend_from_slice(&piece);
    }
    assert_eq!(blake3::hash(&taken), blake3::hash(&body));
    giving.await.expect("runs");
    shop.hear(is_accepted).await;
    kitchen.hear(|word| matches!(word, ToDevice::Deliver { body: None, .. })).await;
    kitchen.handle(id, &envelope).await;
    expect_handled(&shop, id).await;
    let left = std::fs::read_dir(state.path().join("hub/spool")).expect("reads").count();
    assert_eq!(left, 0, "nothing stays in the spool");
    hub.shutdown().await;
    assert_eq!(std::fs::read_dir(state.path().join("hub/bodies")).expect("reads").count(), 0, "a handled body leaves");
}

async fn give(session: Session, id: MessageId, body: Vec<u8>) {
    let mut stream = session.open(Lane::BULK).await.expect("opens");
    let sending = stream.sending();
    sending.send(BodyHeader { id, offset: 0 }.to_bytes()).await.expect("sent");
    sending.write_all(&body).await.expect("written");
    sending.finish().await.expect("taken whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_with_another_hash_is_not_accepted() {
    let state = tempfile::tempdir().expect("a folder");
    let hub = start(state.path()).await;
    let shop = Device::join(&hub, "shop", Role::Client).await;
    let kitchen = Device::join(&hub, "kitchen", Role::Client).await;
    let mut body = vec![7; 3 * INLINE_MAX_BYTES];
    let (id, envelope) = shop.envelope(4, &kitchen, &body);
    body[100_000] ^= 1;
    shop.say(ToHub::Submit { envelope, body: None }).await;
    shop.hear(|word| matches!(word, ToDevice::SendBody { .. })).await;
    give(shop.session.clone(), id, body).await;
    let word = shop.hear(|word| matches!(word, ToDevice::NotAccepted { .. })).await;
    assert!(matches!(word, ToDevice::NotAccepted { code: Code::Integrity, .. }), "{word:?}");
    hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_device_is_cut_and_a_stranger_is_denied() {
    let state = tempfile::tempdir().expect("a folder");
    let hub = start(state.path()).await;
    let shop = Device::join(&hub, "shop", Role::Agent).await;
    assert_eq!(ask(&hub, Command::Revoke { name: "shop".into() }).await, Answer::Done);
    let ended = tokio::time::timeout(PATIENCE, shop.session.closed()).await.expect("in time");
    assert_eq!(ended.code(), CloseCode::Revoked);
    for identity in [shop.identity.clone(), Arc::new(Identity::generate())] {
        let session = Device::session(&hub, &identity).await;
        let stranger = Device { name: "x".parse().expect("a name"), identity, session };
        stranger.say(ToHub::Attach { role: Role::Agent, software: "test".into() }).await;
        let word = stranger.hear(|word| matches!(word, ToDevice::Denied { .. })).await;
        assert!(matches!(word, ToDevice::Denied { .. }));
        tokio::time::timeout(PATIENCE, stranger.session.closed()).await.expect("in time");
    }
    hub.shutdown().await;
}
