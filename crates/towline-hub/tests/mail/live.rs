//! Live messages: handed over, not here, or unclear; and a body's progress.

use crate::proxy::Proxy;
use crate::support::*;
use towline::Lane;
use towline_hub::RunningHub;
use towline_proto::ids::MessageId;
use towline_proto::mail::code::Code;
use towline_proto::mail::envelope::SignedEnvelope;
use towline_proto::mail::keys::Crypto;
use towline_proto::mail::message::{Question, Role, ToDevice, ToHub};

/// Like [`Device::envelope`], but live.
fn live(from: &Device, number: u8, to: &Device, body: &[u8]) -> (MessageId, SignedEnvelope) {
    let (id, kept) = from.envelope(number, to, body);
    let mut envelope = kept.decode().expect("an envelope");
    envelope.kept = false;
    assert_eq!(envelope.root.0, from.identity.digest(body).0);
    (id, envelope.seal(&*from.identity))
}

async fn submit_live(from: &Device, number: u8, to: &Device, body: &[u8]) -> (MessageId, SignedEnvelope) {
    let (id, envelope) = live(from, number, to, body);
    from.say(ToHub::Submit { envelope: envelope.clone(), body: Some(body.to_vec()) }).await;
    (id, envelope)
}

async fn result(device: &Device, id: MessageId) -> Code {
    let word = device.hear(|word| matches!(word, ToDevice::LiveResult { .. })).await;
    let ToDevice::LiveResult { id: of, code } = word else { panic!("a result") };
    assert_eq!(of, id);
    code
}

/// The next live message, past streams that were given up.
async fn hear_live(device: &Device) -> ToDevice {
    let next = async {
        loop {
            let (lane, stream) = device.session.accept().await.expect("a stream");
            assert_eq!(lane, Lane::NORMAL);
            if let Ok(Some(bytes)) = stream.split().1.recv().await {
                return ToDevice::from_bytes(&bytes).expect("a word of mail");
            }
        }
    };
    tokio::time::timeout(PATIENCE, next).await.expect("in time")
}

/// The shop, and a kitchen whose link goes by way of a proxy.
async fn shop_and_proxied_kitchen(hub: &RunningHub) -> (Device, Device, Proxy) {
    let shop = Device::join(hub, "shop", Role::Client).await;
    let mut kitchen = Device::join(hub, "kitchen", Role::Agent).await;
    kitchen.leave(hub).await;
    let proxy = Proxy::start(hub.local_addrs()[0]).await;
    kitchen.again_by_way_of(proxy.address, hub, Role::Agent).await;
    (shop, kitchen, proxy)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_message_is_handed_over_to_who_is_here_and_to_nobody_else() {
    let state = tempfile::tempdir().expect("a folder");
    let hub = start(state.path()).await;
    let shop = Device::join(&hub, "shop", Role::Client).await;
    let kitchen = Device::join(&hub, "kitchen", Role::Agent).await;
    let (id, envelope) = submit_live(&shop, 1, &kitchen, b"now").await;
    assert_eq!(hear_live(&kitchen).await, ToDevice::Deliver { envelope, body: Some(b"now".to_vec()) });
    assert_eq!(result(&shop, id).await, Code::Ok);

    kitchen.leave(&hub).await;
    let (id, _) = submit_live(&shop, 2, &kitchen, b"now").await;
    assert_eq!(result(&shop, id).await, Code::NotHere);
    hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_message_on_a_link_that_dies_is_unclear_and_never_sent_again() {
    let state = tempfile::tempdir().expect("a folder");
    let hub = start(state.path()).await;
    let (shop, kitchen, proxy) = shop_and_proxied_kitchen(&hub).await;

    proxy.swallow();
    let lost = vec![7; 60_000];
    let (id, _) = submit_live(&shop, 1, &kitchen, &lost).await;
    tokio::time::timeout(PATIENCE, proxy.until_swallowed(lost.len() as u64)).await.expect("in time");
    proxy.cut();
    assert_eq!(result(&shop, id).await, Code::LiveUnclear);
    proxy.heal();

    // The same session comes back by itself; what was unclear stays away.
    kitchen.until_online_is(&hub, true).await;
    let (id, envelope) = submit_live(&shop, 2, &kitchen, b"after").await;
    assert_eq!(hear_live(&kitchen).await, ToDevice::Deliver { envelope, body: Some(b"after".to_vec()) });
    assert_eq!(result(&shop, id).await, Code::Ok);
    hub.shutdown().await;
}

/// The device gives its link up and joins with another before the hub has seen the first one end: the hub's session is
/// without a link for no longer than one turn of its task, and live messages are given up all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_replaced_at_once_counts_as_lost() {
    let state = tempfile::tempdir().expect("a folder");
    let hub = start(state.path()).await;
    let (shop, kitchen, proxy) = shop_and_proxied_kitchen(&hub).await;
    shop.say(ToHub::Ask { ask: 1, question: Question::Who { device: Some(kitchen.name.clone()), watch: true } }).await;
    shop.hear(|word| matches!(word, ToDevice::Answer { ask: 1, .. })).await;

    proxy.cut_near();
    for expected in [false, true] {
        let word = shop.hear(|word| matches!(word, ToDevice::Presence { .. })).await;
        assert!(matches!(word, ToDevice::Presence { presence, .. } if presence.online == expected), "{expected}");
    }
    hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recipient_s_progress_reaches_the_sender_and_only_the_recipient_s() {
    let state = tempfile::tempdir().expect("a folder");
    let hub = start(state.path()).await;
    let shop = Device::join(&hub, "shop", Role::Client).await;
    let kitchen = Device::join(&hub, "kitchen", Role::Agent).await;
    let other = Device::join(&hub, "other", Role::Agent).await;
    let (id, envelope) = shop.envelope(3, &kitchen, &large_body(4));
    shop.say(ToHub::Submit { envelope, body: None }).await;
    kitchen.hear(|word| matches!(word, ToDevice::Offer { .. })).await;
    other.say(ToHub::Written { id, written: 66 }).await;
    // Its answer comes behind whatever followed from the word before.
    other
        .say(ToHub::Ask { ask: 1, question: towline_proto::mail::message::Question::Status { id, watch: false } })
        .await;
    other.hear(|word| matches!(word, ToDevice::Answer { ask: 1, .. })).await;
    kitchen.say(ToHub::Written { id, written: 77 }).await;
    let word = shop.hear(|word| matches!(word, ToDevice::Progress { .. })).await;
    assert_eq!(word, ToDevice::Progress { id, written: 77 });
    hub.shutdown().await;
}
