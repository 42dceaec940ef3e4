//! How sessions end: revoked, superseded, drained, or never more than a stranger's.

use crate::proxy::Proxy;
use crate::support::*;
use std::sync::Arc;
use towline::{CloseCode, Identity, Lane};
use towline_hub::RunningHub;
use towline_hub::admin::{Answer, Command};
use towline_proto::ids::MessageId;
use towline_proto::mail::code::Code;
use towline_proto::mail::message::{BodyHeader, Question, Role, ToDevice, ToHub};

/// The hub has so many sessions now: who was cut left before the operator heard that it was done.
async fn sessions_are(hub: &RunningHub, wanted: u64) {
    let Answer::Stats(stats) = ask(hub, Command::Stats).await else { panic!("stats") };
    assert_eq!(stats.sessions, wanted);
}

async fn ended(device: &Device) -> CloseCode {
    tokio::time::timeout(PATIENCE, device.session.closed()).await.expect("in time").code()
}

#[tokio::test(flavor = "multi_thread")]
async fn revocation_cuts_a_live_session_that_reads_and_one_that_does_not() {
    let state = tempfile::tempdir().expect("a folder");
    let hub = start(state.path()).await;
    let shop = Device::join(&hub, "shop", Role::Agent).await;
    assert_eq!(ask(&hub, Command::Revoke { name: "shop".into() }).await, Answer::Done);
    sessions_are(&hub, 0).await;
    assert_eq!(ended(&shop).await, CloseCode::Revoked);

    let mut kitchen = Device::join(&hub, "kitchen", Role::Agent).await;
    kitchen.leave(&hub).await;
    let proxy = Proxy::start(hub.local_addrs()[0]).await;
    kitchen.again_by_way_of(proxy.address, &hub, Role::Agent).await;
    proxy.swallow();
    assert_eq!(ask(&hub, Command::Revoke { name: "kitchen".into() }).await, Answer::Done);
    sessions_are(&hub, 0).await;
    // What it says now is heard by nobody: the session is gone, and its key is refused.
    proxy.cut();
    proxy.heal();
    assert!(matches!(ended(&kitchen).await, CloseCode::Gone | CloseCode::Revoked));
    hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_agent_supersedes_the_older_and_gets_what_it_had_not_taken() {
    let state = tempfile::tempdir().expect("a folder");
    let (hub, shop, mut kitchen) = opening(state.path()).await;
    let (id, envelope) = shop.envelope(1, &kitchen, b"body");
    shop.say(ToHub::Submit { envelope: envelope.clone(), body: Some(b"body".to_vec()) }).await;
    kitchen.hear(|word| matches!(word, ToDevice::Deliver { .. })).await;
    let older = kitchen.session.clone();
    kitchen.again(&hub, Role::Agent).await;
    let reason = tokio::time::timeout(PATIENCE, older.closed()).await.expect("in time");
    assert_eq!(reason.code(), CloseCode::Superseded);
    kitchen.hear(|word| matches!(word, ToDevice::Deliver { .. })).await;
    kitchen.handle(id, &envelope).await;
    expect_handled(&shop, id).await;
    hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_ends_tells_its_sessions_and_keeps_what_it_accepted() {
    let state = tempfile::tempdir().expect("a folder");
    let (hub, mut shop, mut kitchen) = opening(state.path()).await;
    let (id, envelope) = shop.envelope(1, &kitchen, b"body");
    shop.submit(&envelope, b"body").await;
    hub.shutdown().await;
    assert_eq!(ended(&shop).await, CloseCode::Draining);
    assert_eq!(ended(&kitchen).await, CloseCode::Draining);
    come_again_and_handle(state.path(), (&mut shop, &mut kitchen), (id, &envelope, b"body")).await;
}

async fn stranger(hub: &RunningHub) -> Device {
    let identity = Arc::new(Identity::generate());
    let session = Device::session(hub, &identity).await;
    Device { name: "stranger".parse().expect("a name"), identity, session }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_can_do_nothing_but_join() {
    let state = tempfile::tempdir().expect("a folder");
    let hub = start(state.path()).await;
    let kitchen = Device::join(&hub, "kitchen", Role::Agent).await;
    let id = MessageId([1; 16]);

    let asker = stranger(&hub).await;
    let (_, envelope) = asker.envelope(1, &kitchen, b"x");
    asker.say(ToHub::Submit { envelope, body: Some(b"x".to_vec()) }).await;
    assert_eq!(ended(&asker).await, CloseCode::Protocol);

    for word in [
        ToHub::Ask { ask: 1, question: Question::Status { id, watch: false } },
        ToHub::SendBody { id, offset: 0 },
        ToHub::Written { id, written: 1 },
        ToHub::Delivered { id },
    ] {
        let asker = stranger(&hub).await;
        asker.say(word).await;
        assert_eq!(ended(&asker).await, CloseCode::Protocol);
    }

    // A body that nobody asked for is stopped.
    let pushing = stranger(&hub).await;
    let (mut stream, _) = pushing.session.open(Lane::BULK).await.expect("opens").split();
    stream.send(BodyHeader { id, offset: 0 }.to_bytes()).await.expect("sent");
    // Whether the end or the stop comes first, nothing of it is kept.
    let _ = tokio::time::timeout(PATIENCE, stream.finish()).await.expect("in time");
    assert_eq!(std::fs::read_dir(state.path().join("hub/spool")).expect("reads").count(), 0);

    let guesser = stranger(&hub).await;
    guesser.say(ToHub::Join { token: [9; 16], software: "test".into() }).await;
    let word = guesser.hear(|word| matches!(word, ToDevice::Denied { .. })).await;
    assert!(matches!(word, ToDevice::Denied { code: Code::BadTicket, .. }), "{word:?}");
    assert_eq!(ended(&guesser).await, CloseCode::NotPermitted);
    hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_says_nothing_is_closed_within_the_handshake_s_time() {
    let state = tempfile::tempdir().expect("a folder");
    let hub = start(state.path()).await;
    let silent = stranger(&hub).await;
    let known = Device::join(&hub, "known", Role::Client).await;
    assert_eq!(ended(&silent).await, CloseCode::HandshakeTimeout);
    // Who has said its first word may be silent for longer.
    known.say(ToHub::Ask { ask: 1, question: Question::Who { device: None, watch: false } }).await;
    known.hear(|word| matches!(word, ToDevice::Answer { ask: 1, .. })).await;
    hub.shutdown().await;
}
