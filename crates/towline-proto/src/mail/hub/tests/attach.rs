//! Who may say what on which session.

use super::world::{A, B, STRANGER, World};
use crate::mail::code::Code;
use crate::mail::hub::io::Cut;
use crate::mail::limits::MAX_SESSIONS_PER_DEVICE;
use crate::mail::message::{Role, ToDevice, ToHub};

fn attach(role: Role) -> ToHub {
    ToHub::Attach { role, software: "test".into() }
}

#[test]
fn a_newer_agent_supersedes_an_older_and_gets_what_that_had_not_stored() {
    let mut world = World::new();
    let (a, older) = (world.client(A), world.agent(B));
    let id = world.send(a, A, "b");
    let newer = world.open(B);
    let said = world.say(newer, attach(Role::Agent));
    assert_eq!((said.denial(older), said.cut(older)), (Some(Code::Superseded), Some(Cut::Superseded)));
    assert_eq!(said.delivered(newer), [id]);
    assert!(world.say(older, ToHub::Delivered { id }).0.is_empty(), "the older is not heard any more");
    assert_eq!(world.core.gauges().online, 1);
}

#[test]
fn clients_stand_beside_the_agent() {
    let mut world = World::new();
    let agent = world.agent(B);
    let client = world.open(B);
    let said = world.say(client, attach(Role::Client));
    assert_eq!(said.cut(agent), None);
    assert!(matches!(said.to(client)[..], [ToDevice::Welcome { .. }]));
}

#[test]
fn an_unknown_key_is_denied() {
    let mut world = World::new();
    let session = world.open(STRANGER);
    let said = world.say(session, attach(Role::Agent));
    assert_eq!((said.denial(session), said.cut(session)), (Some(Code::UnknownKey), Some(Cut::Denied)));
}

#[test]
fn the_first_word_is_attach_or_join_and_said_once() {
    let mut world = World::new();
    let session = world.open(A);
    assert_eq!(world.say(session, ToHub::Pong { ping: 0 }).cut(session), Some(Cut::Protocol));
    let session = world.client(A);
    assert_eq!(world.say(session, attach(Role::Agent)).cut(session), Some(Cut::Protocol));
}

#[test]
fn a_client_cannot_speak_for_its_devices_agent() {
    let mut world = World::new();
    let (a, agent, client) = (world.client(A), world.agent(B), world.client(B));
    let id = world.send(a, A, "b");
    assert!(world.say(client, ToHub::Delivered { id }).0.is_empty());
    assert!(world.report(client, B, id).0.is_empty());
    world.start(agent, id);
}

#[test]
fn a_device_has_so_many_sessions_and_no_more() {
    let mut world = World::new();
    for _ in 0..MAX_SESSIONS_PER_DEVICE {
        world.client(A);
    }
    let session = world.open(A);
    assert_eq!(world.say(session, attach(Role::Client)).denial(session), Some(Code::Quota));
    world.client(B);
}
