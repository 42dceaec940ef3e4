//! The wall clock jumps by ten days and back under the running hub and agent. What they go by is the boot clock, which
//! `faketime` does not touch here.

mod support;

use bytes::Bytes;
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};
use support::World;
use support::sender::Sender;
use towline::mail::{Body, Draft, Submitted};
use towline_proto::ids::MessageId;
use towline_proto::mail::message::MessageStatus;
use towline_proto::mail::outcome::{Outcome, State};

/// How much later than the deadline the sender may hear.
const TELL: Duration = Duration::from_secs(5);
/// How much earlier than its deadline a message may expire.
const EARLY: Duration = Duration::from_millis(100);
/// How long a message may take that nothing stands in the way of, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The library that gives a process another wall clock, if it is installed.
fn faketime() -> Option<String> {
    let output = Command::new("faketime").args(["-f", "+0", "printenv", "LD_PRELOAD"]).output().ok()?;
    let library = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !library.is_empty()).then_some(library)
}

/// Gives `who` a wall clock of its own, set by [`jump`].
fn wrap(world: &mut World, library: &str, who: &str) {
    jump(world, who, 0);
    let clock = world.path(&format!("{who}.clock"));
    let words = [
        "env".to_owned(),
        format!("LD_PRELOAD={library}"),
        format!("FAKETIME_TIMESTAMP_FILE={}", clock.display()),
        "FAKETIME_NO_CACHE=1".into(),
        "FAKETIME_DONT_FAKE_MONOTONIC=1".into(),
    ];
    world.wrapped.insert(who.into(), words.into());
}

/// Sets the wall clock of `who` so many days off the true one, at once. By rename, so that no half of it is read.
fn jump(world: &World, who: &str, days: i32) {
    let (new, clock) = (world.path(&format!("{who}.clock.new")), world.path(&format!("{who}.clock")));
    fs::write(&new, format!("{days:+}d\n")).unwrap();
    fs::rename(new, clock).unwrap();
}

/// The days that the log of `who` bears: the first ten letters of its lines' times.
fn days_in_log(world: &World, who: &str) -> Vec<String> {
    let log = world.log(who);
    let days = log.lines().filter_map(|line| line.get(..10)).filter(|day| day.starts_with("20"));
    days.map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect()
}

async fn submit(sender: &Sender, to: &str, name: &str, deadline: Duration) -> (MessageId, Instant) {
    let body = Body::Bytes(Bytes::from_static(b"<order/>"));
    let mut draft = Draft::new(to.parse().unwrap());
    draft.deadline_ms = deadline.as_millis() as u64;
    let (id, envelope) = sender.envelope(draft, &body, name).await;
    match sender.send(&envelope, &body).await {
        Ok(Submitted::Accepted(_)) => (id, Instant::now()),
        other => panic!("{other:?}"),
    }
}

async fn until_status(sender: &Sender, id: MessageId, so: impl Fn(&MessageStatus) -> bool) -> MessageStatus {
    let start = Instant::now();
    loop {
        let status = sender.status(id).await;
        if so(&status) {
            return status;
        }
        assert!(start.elapsed() < PATIENCE, "{id} is still {} after {PATIENCE:?}", status.state);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn decided(status: &MessageStatus) -> bool {
    matches!(status.state, State::Decided(_))
}

/// Holds that the message expired at its deadline, by a clock that did not jump.
async fn expired_in_time(sender: &Sender, (id, accepted): (MessageId, Instant), deadline: Duration) {
    let status = until_status(sender, id, decided).await;
    let took = accepted.elapsed();
    assert_eq!(status.state, State::Decided(Outcome::Expired));
    assert!(took + EARLY >= deadline, "early: expired after {took:?}, the deadline was {deadline:?}");
    assert!(took <= deadline + TELL, "late: told after {took:?}, the deadline was {deadline:?}");
}

#[test]
fn p16_p05_a_wall_clock_that_jumps_ten_days_cuts_no_link_and_moves_no_deadline() {
    let Some(library) = faketime() else { return println!("p16: skipped, faketime is not installed") };
    let mut world = World::new();
    wrap(&mut world, &library, "hub");
    wrap(&mut world, &library, "shop");
    let log = "--log=info,towline=debug".to_owned();
    world.hub_args.push(log.clone());
    world.agent_args.push(log);
    world.start_hub();
    for name in ["office", "branch", "shop", "off"] {
        world.join(name);
    }
    let handler = world.path("handler");
    support::script(
        &handler,
        "#!/bin/sh\nprintf '%s\\n' \"$2\" >> \"$0.runs\"\nwhile [ ! -e \"$0.let-go\" ]; do sleep 0.05; done\n",
    );
    let handler = handler.display().to_string();
    let rule = format!(
        "[[rule]]\nname = \"wait\"\nfile = [\"*.job\"]\ncommand = [\"{handler}\", \"--\", \"{{id}}\"]\ntimeout = \"5m\"\n"
    );
    fs::write(world.device("shop").join("agent.toml"), rule).unwrap();
    world.open("shop");
    // Each sender's messages start in their order, so the branch's need not wait behind the office's.
    let (sender, branch) = (Sender::load(&world.device("office")), Sender::load(&world.device("branch")));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let deadline = Duration::from_secs(15);
    let jumps = runtime.block_on(async {
        // One runs, one waits behind it until its deadline, one is for a device that is off.
        let running = submit(&sender, "shop", "running.job", Duration::from_secs(120)).await;
        until_status(&sender, running.0, |status| status.state == State::Started).await;
        let waiting = submit(&sender, "shop", "waiting.job", deadline).await;
        until_status(&sender, waiting.0, |status| status.state == State::Delivered).await;
        let off = submit(&sender, "off", "off.txt", deadline).await;
        let mut jumps = 0;
        for (hub, shop) in [(10, 0), (10, -10), (-10, 10), (0, 10), (-10, -10), (10, 10)].into_iter().cycle() {
            if off.1.elapsed() + Duration::from_secs(2) > deadline {
                break;
            }
            jumps += 1;
            jump(&world, "hub", hub);
            jump(&world, "shop", shop);
            let during = submit(&branch, "shop", &format!("{hub} {shop}.txt"), PATIENCE).await;
            let status = until_status(&branch, during.0, decided).await;
            assert_eq!(status.state, State::Decided(Outcome::Handled), "with hub {hub} and shop {shop} days off");
        }
        assert!(jumps >= 2, "{jumps} jumps before the deadline");
        tokio::join!(expired_in_time(&sender, off, deadline), expired_in_time(&sender, waiting, deadline));

        // A hub that starts anew on another day of the same boot.
        let off = submit(&sender, "off", "restart.txt", deadline).await;
        jump(&world, "hub", -10);
        world.kill("hub");
        world.start_hub();
        expired_in_time(&sender, off, deadline).await;

        fs::write(format!("{handler}.let-go"), "").unwrap();
        let status = until_status(&sender, running.0, decided).await;
        assert_eq!(status.state, State::Decided(Outcome::Handled));
        let last = submit(&sender, "shop", "last.job", PATIENCE).await;
        until_status(&sender, last.0, decided).await;
        let runs = fs::read_to_string(format!("{handler}.runs")).unwrap();
        assert!(!runs.contains(&waiting.0.to_string()), "an expired message has started");
        jumps + 1
    });
    // That the clocks did jump.
    for who in ["hub", "shop"] {
        let days = days_in_log(&world, who);
        assert!(days.len() >= 2, "{who} saw {days:?}");
    }
    let dead = ["hub", "shop"].map(|who| world.log(who).matches("no word from the peer").count());
    assert_eq!(dead, [0, 0], "links called dead");
    // The one that died with the hub.
    assert_eq!(world.log("shop").matches("link over").count(), 1, "{}", world.log("shop"));
    println!("p16: reached 0 links lost and 0 expiries early or late in {jumps} jumps of up to 20 days");
    println!("p05: reached 0 late starts while the wall clock jumped by 10 days");
}
