//! What a sender is told of a device that is off, frozen or cut off, and when.

mod support;

use bytes::Bytes;
use rustix::process::Signal;
use std::fs;
use std::time::{Duration, Instant};
use support::sender::Sender;
use support::{World, until};
use towline::mail::{Body, Draft, Submitted};
use towline_proto::ids::MessageId;
use towline_proto::mail::code::Code;
use towline_proto::mail::message::MessageStatus;
use towline_proto::mail::outcome::{Outcome, State};

/// How much later than the deadline the sender may hear.
const TELL: Duration = Duration::from_secs(5);

/// A rule whose command logs its start, waits for a file called `let-go`, and logs its end.
fn patient(world: &World, name: &str, timeout: &str) -> String {
    let handler = world.path("handler");
    support::script(
        &handler,
        "#!/bin/sh\nprintf 'start %s\\n' \"$2\" >> \"$1.runs\"\nwhile [ ! -e \"$1.let-go\" ]; do sleep 0.05; done\n\
         printf 'end %s\\n' \"$2\" >> \"$1.runs\"\n",
    );
    let (handler, log) = (handler.display(), world.path(name));
    format!(
        "[[rule]]\nname = \"wait\"\nfile = [\"*.job\"]\ncommand = [\"{handler}\", \"{}\", \"{{id}}\"]\ntimeout = \"{timeout}\"\n",
        log.display()
    )
}

fn runs(world: &World, name: &str) -> String {
    fs::read_to_string(world.path(&format!("{name}.runs"))).unwrap_or_default()
}

async fn submit(sender: &Sender, to: &str, deadline: Duration) -> MessageId {
    let body = Body::Bytes(Bytes::from_static(b"<order/>"));
    let mut draft = Draft::new(to.parse().unwrap());
    draft.deadline_ms = deadline.as_millis() as u64;
    let (id, envelope) = sender.envelope(draft, &body, "an order.job").await;
    match sender.send(&envelope, &body).await {
        Ok(Submitted::Accepted(_)) => id,
        other => panic!("{other:?}"),
    }
}

/// Asks until `so` holds of the message; panics `patience` later.
async fn until_status(
    sender: &Sender,
    id: MessageId,
    patience: Duration,
    so: impl Fn(&MessageStatus) -> bool,
) -> MessageStatus {
    let start = Instant::now();
    loop {
        let status = sender.status(id).await;
        if so(&status) {
            return status;
        }
        assert!(start.elapsed() < patience, "{id} is still {} after {patience:?}", status.state);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn decided(status: &MessageStatus) -> bool {
    matches!(status.state, State::Decided(_))
}

#[test]
fn p05_a_device_that_is_off_or_frozen_expires_its_message_five_seconds_after_the_deadline_at_the_latest() {
    let deadline = Duration::from_secs(30);
    let mut world = World::with_devices(&["off", "frozen"], |world, name| patient(world, name, "1m"));
    world.join("office");
    for name in ["off", "frozen"] {
        world.until_online(name);
    }
    assert!(world.terminate("off").success());
    world.signal("frozen", Signal::STOP);
    let sender = Sender::load(&world.device("office"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let latest = runtime.block_on(async {
        let start = Instant::now();
        let ids = [submit(&sender, "off", deadline).await, submit(&sender, "frozen", deadline).await];
        for id in ids {
            let status = until_status(&sender, id, deadline + TELL, decided).await;
            assert_eq!(status.state, State::Decided(Outcome::Expired));
            let receipt = status.receipt.unwrap().open(&*sender.identity).unwrap();
            assert_eq!(receipt.code, Code::Offline, "{}", receipt.reason);
            assert!(receipt.reason.starts_with("offline since "), "{}", receipt.reason);
        }
        start.elapsed()
    });
    world.signal("frozen", Signal::CONT);
    world.until_online("frozen");
    assert_eq!(runs(&world, "frozen") + &runs(&world, "off"), "", "nothing may run after the deadline");
    println!("p05: reached told {:.1} s after a deadline of 30 s, 0 late starts", (latest - deadline).as_secs_f64());
}

#[test]
fn p05_a_message_delivered_but_not_started_when_the_device_is_cut_off_never_starts() {
    let deadline = Duration::from_secs(8);
    let world = World::with_devices(&["shop"], |world, name| patient(world, name, "5m"));
    world.join("office");
    let sender = Sender::load(&world.device("office"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        // The first occupies the rule, so the second is delivered and waits for its turn.
        let first = submit(&sender, "shop", Duration::from_secs(300)).await;
        until_status(&sender, first, TELL * 6, |status| status.state == State::Started).await;
        let second = submit(&sender, "shop", deadline).await;
        until_status(&sender, second, deadline, |status| status.state == State::Delivered).await;
        world.signal("shop", Signal::STOP);
        let status = until_status(&sender, second, deadline + TELL, decided).await;
        assert_eq!(status.state, State::Decided(Outcome::Expired));
        fs::write(world.path("shop.let-go"), "").unwrap();
        world.signal("shop", Signal::CONT);
        let status = until_status(&sender, first, TELL * 6, decided).await;
        assert_eq!(status.state, State::Decided(Outcome::Handled));
        // Whatever the agent had planned for the second, it has done by the time a third is handled.
        let third = submit(&sender, "shop", Duration::from_secs(300)).await;
        until_status(&sender, third, TELL * 6, decided).await;
        assert!(!runs(&world, "shop").contains(&second.to_string()), "an expired message has started");
        assert_eq!(sender.status(second).await.state, State::Decided(Outcome::Expired));
    });
}

#[test]
fn p05_a_device_cut_off_after_the_start_is_unclear_and_its_late_word_changes_nothing() {
    let timeout = Duration::from_secs(3);
    let world = World::with_devices(&["shop"], |world, name| patient(world, name, "3s"));
    world.join("office");
    let sender = Sender::load(&world.device("office"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let id = submit(&sender, "shop", Duration::from_secs(60)).await;
        until_status(&sender, id, TELL * 6, |status| status.state == State::Started).await;
        until("the handler runs", || runs(&world, "shop").contains("start"));
        world.signal("shop", Signal::STOP);
        fs::write(world.path("shop.let-go"), "").unwrap();
        let status = until_status(&sender, id, timeout + TELL + TELL, decided).await;
        assert_eq!(status.state, State::Decided(Outcome::Unclear));
        assert!(status.late.is_none());
        world.signal("shop", Signal::CONT);
        let status = until_status(&sender, id, TELL * 6, |status| status.late.is_some()).await;
        assert_eq!(status.state, State::Decided(Outcome::Unclear), "an outcome never changes");
        let late = status.late.unwrap().open(&*sender.identity).unwrap();
        assert!(late.late);
    });
}
