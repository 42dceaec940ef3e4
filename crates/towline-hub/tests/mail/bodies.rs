//! Bodies above the inline size: passed through while they are stored, kept for who is away, resumed.

use crate::support::*;
use towline_proto::mail::message::{BodyHeader, Role, ToDevice, ToHub};

#[tokio::test(flavor = "multi_thread")]
async fn a_body_reaches_its_recipient_before_its_sender_has_sent_the_rest() {
    let state = tempfile::tempdir().expect("a folder");
    let (hub, shop, kitchen) = opening(state.path()).await;
    let body = large_body(16);
    let half = body.len() / 2;
    let (id, envelope) = shop.envelope(1, &kitchen, &body);
    shop.say(ToHub::Submit { envelope, body: None }).await;
    shop.hear(|word| *word == ToDevice::SendBody { id, offset: 0 }).await;
    kitchen.hear(|word| matches!(word, ToDevice::Offer { .. })).await;
    kitchen.say(ToHub::SendBody { id, offset: 0 }).await;

    let mut sending = shop.send_from(id, 0, &body[..half]).await;
    let (header, mut stream) = kitchen.body().await;
    assert_eq!(header, BodyHeader { id, offset: 0 });
    let mut taken = Vec::new();
    read_to(&mut stream, &mut taken, half).await;
    sending.write_all(&body[half..]).await.expect("written");
    sending.finish().await.expect("taken whole");
    read_to(&mut stream, &mut taken, body.len()).await;
    assert_eq!(blake3::hash(&taken), blake3::hash(&body));
    shop.hear(is_accepted).await;
    hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_waits_for_a_recipient_that_is_away_and_goes_on_where_its_copy_ends() {
    let state = tempfile::tempdir().expect("a folder");
    let (hub, shop, mut kitchen) = opening(state.path()).await;
    kitchen.leave(&hub).await;
    let body = large_body(5);
    let (id, envelope) = shop.envelope(2, &kitchen, &body);
    shop.say(ToHub::Submit { envelope: envelope.clone(), body: None }).await;
    shop.hear(|word| *word == ToDevice::SendBody { id, offset: 0 }).await;
    give(shop.session.clone(), id, body.clone()).await;
    shop.hear(is_accepted).await;

    kitchen.again(&hub, Role::Agent).await;
    kitchen.hear(|word| matches!(word, ToDevice::Deliver { body: None, .. })).await;
    kitchen.say(ToHub::SendBody { id, offset: 0 }).await;
    let (_, mut stream) = kitchen.body().await;
    let mut taken = Vec::new();
    read_to(&mut stream, &mut taken, 100_000).await;
    drop(stream);
    let offset = taken.len() as u64;
    kitchen.say(ToHub::SendBody { id, offset }).await;
    let (header, mut stream) = kitchen.body().await;
    assert_eq!(header, BodyHeader { id, offset });
    read_to(&mut stream, &mut taken, body.len()).await;
    assert_eq!(blake3::hash(&taken), blake3::hash(&body));
    let files = || std::fs::read_dir(state.path().join("hub/bodies")).expect("a folder").count();
    assert_eq!(files(), 1);
    kitchen.handle(id, &envelope).await;
    expect_handled(&shop, id).await;
    assert_eq!(files(), 0, "a body leaves when it is handled");
    hub.shutdown().await;
}

/// A sender stops in the middle of a body; with `restart`, so does the hub.
async fn a_body_goes_on(restart: bool) {
    let state = tempfile::tempdir().expect("a folder");
    let (mut hub, mut shop, mut kitchen) = opening(state.path()).await;
    let body = large_body(16);
    let half = body.len() / 2;
    let (id, envelope) = shop.envelope(3, &kitchen, &body);
    shop.say(ToHub::Submit { envelope: envelope.clone(), body: None }).await;
    shop.hear(|word| *word == ToDevice::SendBody { id, offset: 0 }).await;
    kitchen.hear(|word| matches!(word, ToDevice::Offer { .. })).await;
    kitchen.say(ToHub::SendBody { id, offset: 0 }).await;
    let sending = shop.send_from(id, 0, &body[..half]).await;
    // What the recipient has stands in the spool.
    let (_, mut stream) = kitchen.body().await;
    let mut taken = Vec::new();
    read_to(&mut stream, &mut taken, half).await;
    drop(sending);
    if restart {
        drop(stream);
        hub.shutdown().await;
        hub = start(state.path()).await;
        kitchen.again(&hub, Role::Agent).await;
    }
    shop.again(&hub, Role::Client).await;
    shop.say(ToHub::Submit { envelope: envelope.clone(), body: None }).await;
    let offset = half as u64;
    shop.hear(|word| *word == ToDevice::SendBody { id, offset }).await;
    let mut sending = shop.send_from(id, offset, &body[half..]).await;
    sending.finish().await.expect("taken whole");
    shop.hear(is_accepted).await;
    kitchen.hear(|word| matches!(word, ToDevice::Deliver { body: None, .. })).await;
    kitchen.say(ToHub::SendBody { id, offset }).await;
    let (_, mut stream) = kitchen.body().await;
    read_to(&mut stream, &mut taken, body.len()).await;
    assert_eq!(blake3::hash(&taken), blake3::hash(&body));
    kitchen.handle(id, &envelope).await;
    expect_handled(&shop, id).await;
    hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_body_goes_on_where_it_stopped() {
    a_body_goes_on(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_interrupted_by_the_hub_s_restart_goes_on_where_it_stopped() {
    a_body_goes_on(true).await;
}
