//! Deadlines over restarts and reboots.

use super::world::{A, B, HUB, WALL_MS, World};
use crate::mail::clock::{BootId, utc_text};
use crate::mail::code::Code;
use crate::mail::hub::io::Input;
use crate::mail::hub::record::Phase;
use crate::mail::limits::RESTART_GRACE_MS;
use crate::mail::message::{Answer, Question, ToDevice};
use crate::mail::outcome::Outcome;

const HOUR_MS: u64 = 3_600_000;

/// The outcomes that the sender's agent is told by this wait.
fn told_after(world: &mut World, ms: u64) -> Vec<(Outcome, Code)> {
    let a = world.agent(A);
    world.wait(ms).outcomes(a)
}

#[test]
fn p16_a_restart_in_the_same_boot_goes_by_the_boot_clock_alone() {
    let mut world = World::new();
    let a = world.client(A);
    world.send(a, A, "b");
    world.wait(20_000);
    world.wall_ms += 240 * HOUR_MS;
    world.restart();
    assert_eq!(told_after(&mut world, 39_999), []);
    assert_eq!(told_after(&mut world, 1), [(Outcome::Expired, Code::Offline)]);
    println!("p16: reached the deadline to the millisecond over a restart and a jump of the wall clock");
}

#[test]
fn p16_a_reboot_goes_by_the_wall_clock_clamped_to_the_original_length() {
    for (wall_jump_ms, left_ms) in [(20_000, 40_000), (-(HOUR_MS as i64), 60_000), (HOUR_MS as i64, 0)] {
        let mut world = World::new();
        let a = world.client(A);
        world.send(a, A, "b");
        world.boot = BootId([2; 16]);
        world.boot_ms = 5_000;
        world.wall_ms = world.wall_ms.saturating_add_signed(wall_jump_ms);
        world.restart();
        assert_eq!(world.core.poll_timeout(), Some(5_000 + left_ms), "{wall_jump_ms}");
        assert_eq!(told_after(&mut world, left_ms).len(), usize::from(left_ms > 0));
        assert_eq!(world.core.gauges().undecided, 0);
    }
    println!("p16: reached the clamp over a reboot");
}

#[test]
fn p16_after_a_reboot_too_a_later_jump_of_the_wall_clock_changes_nothing() {
    for jump_ms in [240 * HOUR_MS as i64, -240 * HOUR_MS as i64] {
        let mut world = World::new();
        let a = world.client(A);
        let id = world.send(a, A, "b");
        world.wall_ms += 20_000;
        (world.boot, world.boot_ms) = (BootId([2; 16]), 5_000);
        world.restart();
        world.wall_ms = world.wall_ms.saturating_add_signed(jump_ms);
        let (a, b) = (world.client(A), world.agent(B));
        let said = world.ask(a, Question::Status { id, watch: true });
        let Some(Answer::Status(status)) = said.answer(a) else { panic!("no status: {:?}", said.0) };
        assert_eq!((status.deadline_left_ms, status.accepted_ms), (40_000, WALL_MS));
        world.wait(10_000);
        let said = world.start(b, id);
        let left = said.to(b).into_iter().find_map(|message| match message {
            ToDevice::Go { left_ms, .. } => Some(*left_ms),
            _ => None,
        });
        assert_eq!(left, Some(30_000), "a jump of {jump_ms} ms");
    }
    println!("p16: reached what was left to the millisecond under jumps of 10 days after a reboot");
}

#[test]
fn an_expired_message_says_since_when_its_recipient_is_offline() {
    let told = |world: &mut World| {
        let a = world.client(A);
        let id = world.send(a, A, "b");
        world.wait(60_000);
        let Phase::Decided(decision) = world.store.messages[&id].phase.clone() else { panic!("undecided") };
        decision.word.receipt.open(&HUB).unwrap().reason
    };
    let mut world = World::new();
    let joined = utc_text(world.store.devices[&B.0].joined_ms);
    assert_eq!(told(&mut world), format!("offline since {joined}, when it joined"));
    let b = world.agent(B);
    let left = utc_text(world.wall_ms);
    world.handle(Input::Closed { session: b });
    assert_eq!(told(&mut world), format!("offline since {left}"));
    let page = include_str!("../../../../../../docs/model.md");
    assert!(page.contains("`offline since TIME`") && page.contains("`offline since TIME, when it joined`"));
}

#[test]
fn a_run_whose_time_passed_while_the_hub_was_down_still_has_a_grace() {
    let mut world = World::new();
    let (a, b) = (world.client(A), world.agent(B));
    let id = world.send(a, A, "b");
    world.start(b, id);
    world.boot_ms += HOUR_MS;
    world.restart();
    let b = world.agent(B);
    assert_eq!(told_after(&mut world, RESTART_GRACE_MS - 1), []);
    let said = world.report(b, B, id);
    assert!(said.to(b).contains(&&ToDevice::Reported { id }));
    assert_eq!(world.core.gauges().undecided, 0);
}

#[test]
fn a_run_without_a_word_is_unclear_and_never_guessed() {
    let mut world = World::new();
    let (a, b) = (world.client(A), world.agent(B));
    let id = world.send(a, A, "b");
    world.start(b, id);
    assert_eq!(world.wait(1_000 + crate::mail::limits::UNCLEAR_GRACE_MS - 1).outcomes(a), []);
    assert_eq!(world.wait(1).outcomes(a), [(Outcome::Unclear, Code::NoWord)]);
    let said = world.report(b, B, id);
    assert!(said.to(b).contains(&&ToDevice::Late { id }), "a later word is asked for as late: {:?}", said.0);
    assert!(world.store.messages[&id].late.is_none());
}
