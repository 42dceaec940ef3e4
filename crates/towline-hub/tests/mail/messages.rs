//! Kept messages, word by word.

use crate::support::*;
use std::sync::Arc;
use towline::{CloseCode, Identity, Lane};
use towline_hub::admin::{Answer, Command};
use towline_proto::mail::code::Code;
use towline_proto::mail::message::{Answer as Said, BodyHeader, INLINE_MAX_BYTES, Question, Role, ToDevice, ToHub};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_accepted_delivered_started_and_handled() {
    let state = tempfile::tempdir().expect("a folder");
    let (hub, shop, kitchen) = opening(state.path()).await;
    let (id, envelope) = shop.envelope(1, &kitchen, b"<order/>");
    shop.submit(&envelope, b"<order/>").await;
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
    let (hub, mut shop, mut kitchen) = opening(state.path()).await;
    kitchen.session.close(towline::Close::new(CloseCode::Done));
    let (id, envelope) = shop.envelope(2, &kitchen, b"body");
    shop.submit(&envelope, b"body").await;
    hub.shutdown().await;

    come_again_and_handle(state.path(), (&mut shop, &mut kitchen), (id, &envelope, b"body")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_body_passes_through_and_is_verified() {
    let state = tempfile::tempdir().expect("a folder");
    let (hub, shop, kitchen) = opening(state.path()).await;
    let body = large_body(40);
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

/// Spoils a record of the running hub's mailbox behind its back.
fn spoil(state: &std::path::Path, table: &str, id: towline_proto::ids::MessageId) {
    let connection = rusqlite::Connection::open(state.join("hub/mail.db")).expect("opens");
    let sql = format!("UPDATE {table} SET record = x'00' WHERE key = ?1");
    assert_eq!(connection.execute(&sql, [&id.0[..]]).expect("spoils"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_decided_message_is_refused_by_name_and_not_served() {
    for table in ["message", "phase"] {
        let state = tempfile::tempdir().expect("a folder");
        let mut hub = start(state.path()).await;
        let mut shop = Device::join(&hub, "shop", Role::Client).await;
        let mut kitchen = Device::join(&hub, "kitchen", Role::Agent).await;
        let (id, envelope) = shop.envelope(1, &kitchen, b"body");
        shop.say(ToHub::Submit { envelope: envelope.clone(), body: Some(b"body".to_vec()) }).await;
        shop.hear(is_accepted).await;
        kitchen.hear(|word| matches!(word, ToDevice::Deliver { .. })).await;
        kitchen.handle(id, &envelope).await;
        expect_handled(&shop, id).await;
        spoil(state.path(), table, id);

        // The same while it runs and after the next start, which set the record aside.
        for restarted in [false, true] {
            if restarted {
                hub.shutdown().await;
                hub = start(state.path()).await;
                assert!(hub.damage().is_some_and(|damage| damage.lost == Some(1)), "{:?}", hub.damage());
                kitchen.again(&hub, Role::Agent).await;
                shop.again(&hub, Role::Client).await;
            }
            let told = ask(&hub, Command::Status { id: id.to_string() }).await;
            assert!(
                matches!(&told, Answer::No { code, text } if code == "hub-storage" && text.contains("damaged")),
                "{told:?}"
            );
            let question = Question::Status { id, watch: false };
            shop.say(ToHub::Ask { ask: 7, question }).await;
            let word = shop.hear(|word| matches!(word, ToDevice::Answer { .. })).await;
            assert!(
                matches!(&word, ToDevice::Answer { answer: Said::No { code: Code::HubStorage, .. }, .. }),
                "{word:?}"
            );
            shop.say(ToHub::Submit { envelope: envelope.clone(), body: Some(b"body".to_vec()) }).await;
            let word = shop.hear(|word| matches!(word, ToDevice::NotAccepted { .. })).await;
            assert!(matches!(word, ToDevice::NotAccepted { code: Code::HubStorage, .. }), "{word:?}");
            // Others are served, and the kitchen gets nothing of the damaged one ahead of the next.
            let (next, _) = shop.envelope(2 + u8::from(restarted), &kitchen, b"next");
            let (_, envelope) = shop.envelope(2 + u8::from(restarted), &kitchen, b"next");
            shop.say(ToHub::Submit { envelope, body: Some(b"next".to_vec()) }).await;
            shop.hear(is_accepted).await;
            let word = kitchen.hear(|word| matches!(word, ToDevice::Deliver { .. })).await;
            let ToDevice::Deliver { envelope, .. } = word else { panic!("a delivery") };
            assert_eq!(envelope.decode().expect("an envelope").id, next);
            kitchen.handle(next, &envelope).await;
        }
        hub.shutdown().await;
    }
}
