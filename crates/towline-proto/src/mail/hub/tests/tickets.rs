//! Tickets, joining, revoking, renaming.

use super::world::{A, B, STRANGER, World, name};
use crate::ids::MessageId;
use crate::mail::code::Code;
use crate::mail::hub::io::{AdminAnswer, Command, Cut, SessionKey};
use crate::mail::limits::TICKET_LIFE_MS;
use crate::mail::message::{ToDevice, ToHub};
use crate::mail::outcome::Outcome;

const TOKEN: [u8; 16] = [42; 16];

fn invite(world: &mut World, text: &str) {
    let (answer, _) = world.admin(Command::Invite { name: name(text), token: TOKEN });
    assert_eq!(answer, AdminAnswer::Done);
}

fn join(token: [u8; 16]) -> ToHub {
    ToHub::Join { token, software: "test".into() }
}

/// A stranger tries the ticket on a session of its own.
fn try_ticket(world: &mut World, token: [u8; 16]) -> Option<Code> {
    let session = world.open(STRANGER);
    world.say(session, join(token)).denial(session)
}

#[test]
fn a_ticket_is_spent_once_and_its_holder_may_say_so_again() {
    let mut world = World::new();
    invite(&mut world, "kitchen");
    for _ in 0..2 {
        let session = world.open(STRANGER);
        let said = world.say(session, join(TOKEN));
        assert_eq!(said.to(session), [&ToDevice::Joined { name: name("kitchen") }]);
    }
    world.restart();
    assert_eq!(try_ticket(&mut world, TOKEN), None, "the same key, after a restart");
    let other = world.open(super::crypto::TestCrypto(crate::mail::keys::PublicKey([10; 32])));
    let said = world.say(other, join(TOKEN));
    assert_eq!((said.denial(other), said.cut(other)), (Some(Code::BadTicket), Some(Cut::Denied)));
    assert!(world.core.gauges().devices == 4);
}

#[test]
fn a_ticket_lives_an_hour_and_not_a_millisecond_longer() {
    let mut world = World::new();
    invite(&mut world, "kitchen");
    world.wait(TICKET_LIFE_MS);
    assert_eq!(try_ticket(&mut world, TOKEN), Some(Code::BadTicket));
    assert!(world.store.tickets.is_empty(), "a past ticket leaves the store");
    invite(&mut world, "kitchen");
    world.wait(TICKET_LIFE_MS - 1);
    assert_eq!(try_ticket(&mut world, TOKEN), None);
}

#[test]
fn a_restart_does_not_lengthen_a_tickets_life() {
    let mut world = World::new();
    invite(&mut world, "kitchen");
    world.wait(TICKET_LIFE_MS / 2);
    world.restart();
    world.wait(TICKET_LIFE_MS / 2);
    assert_eq!(try_ticket(&mut world, TOKEN), Some(Code::BadTicket));
}

#[test]
fn a_wrong_ticket_is_denied_and_a_taken_name_gets_none() {
    let mut world = World::new();
    invite(&mut world, "kitchen");
    assert_eq!(try_ticket(&mut world, [43; 16]), Some(Code::BadTicket));
    let (answer, _) = world.admin(Command::Invite { name: name("a"), token: TOKEN });
    assert!(matches!(answer, AdminAnswer::No { code: Code::NameTaken, .. }));
}

#[test]
fn the_stores_tickets_hold_no_secret() {
    let mut world = World::new();
    invite(&mut world, "kitchen");
    let bytes: Vec<u8> = world.store.tickets.values().flat_map(|ticket| ticket.to_bytes()).collect();
    assert!(!bytes.windows(16).any(|window| window == TOKEN));
}

/// A message from `a` to `b` that waits, one that has started, and both agents.
fn two_messages(world: &mut World) -> (SessionKey, SessionKey, MessageId, MessageId) {
    let (a, b) = (world.agent(A), world.agent(B));
    let started = world.send(a, A, "b");
    world.start(b, started);
    let waiting = world.send(a, A, "b");
    (a, b, started, waiting)
}

#[test]
fn p33_revoking_a_recipient_cuts_it_at_once_and_decides_what_was_for_it() {
    let mut world = World::new();
    let (a, b, ..) = two_messages(&mut world);
    let (answer, said) = world.admin(Command::Revoke { name: name("b") });
    assert_eq!(answer, AdminAnswer::Done);
    assert_eq!(said.cut(b), Some(Cut::Revoked));
    assert_eq!(said.outcomes(a), [(Outcome::Unclear, Code::Revoked), (Outcome::Refused, Code::Revoked)]);
    assert_eq!(world.core.gauges().undecided, 0);
    let again = world.open(B);
    let said = world.say(again, ToHub::Attach { role: crate::mail::message::Role::Agent, software: String::new() });
    assert_eq!((said.denial(again), said.cut(again)), (Some(Code::Revoked), Some(Cut::Denied)));
    let envelope = world.envelope(A, "b", b"hello").seal(&A);
    assert_eq!(world.submit(a, envelope, b"hello").refusal(a), Some((Code::NoSuchDevice, 0)));
    println!("p33: reached the cut and every decision in the step that revokes");
}

#[test]
fn p33_revoking_a_sender_takes_back_what_has_not_started() {
    let mut world = World::new();
    let (a, b, started, waiting) = two_messages(&mut world);
    let (_, said) = world.admin(Command::Revoke { name: name("a") });
    assert_eq!(said.cut(a), Some(Cut::Revoked));
    assert!(said.to(b).contains(&&ToDevice::Recall { id: waiting }));
    assert_eq!(world.core.gauges().undecided, 1, "what has started goes on");
    let said = world.report(b, B, started);
    assert!(said.to(b).contains(&&ToDevice::Reported { id: started }));
    assert_eq!(world.core.gauges().undecided, 0);
}

#[test]
fn a_revoked_device_may_join_again_under_a_new_ticket_only() {
    let mut world = World::new();
    world.admin(Command::Invite { name: name("kitchen"), token: TOKEN });
    assert_eq!(try_ticket(&mut world, TOKEN), None);
    world.admin(Command::Revoke { name: name("kitchen") });
    assert_eq!(try_ticket(&mut world, TOKEN), Some(Code::BadTicket));
    world.admin(Command::Invite { name: name("kitchen"), token: [44; 16] });
    assert_eq!(try_ticket(&mut world, [44; 16]), None);
}

#[test]
fn what_waits_for_a_renamed_device_still_reaches_it() {
    let mut world = World::new();
    let (a, watcher) = (world.agent(A), world.client(B));
    let id = world.send(a, A, "b");
    let (answer, said) = world.admin(Command::Rename { from: name("b"), to: name("bar") });
    assert_eq!(answer, AdminAnswer::Done);
    assert!(matches!(said.to(watcher)[..], [ToDevice::Welcome { name: now, .. }] if *now == name("bar")));
    let session = world.open(B);
    let attach = ToHub::Attach { role: crate::mail::message::Role::Agent, software: String::new() };
    assert_eq!(world.say(session, attach).delivered(session), [id]);
    let (answer, _) = world.admin(Command::Rename { from: name("a"), to: name("bar") });
    assert!(matches!(answer, AdminAnswer::No { code: Code::NameTaken, .. }));
}
