//! Questions: status, who, ping, group.

use super::world::{A, B, C, World, name, open_config};
use crate::ids::{DeviceName, MessageId};
use crate::mail::code::Code;
use crate::mail::hub::HubConfig;
use crate::mail::hub::io::{Input, SessionKey};
use crate::mail::limits::{MAX_PRESENCE_WATCHES_PER_SESSION, MAX_WATCHED_MESSAGES_PER_SESSION, PING_WAIT_MS};
use crate::mail::message::{Answer, Question, ToDevice, ToHub};
use crate::mail::outcome::{Outcome, State};
use crate::mail::policy::{Allow, Policy};
use std::collections::BTreeMap;

fn status(id: MessageId, watch: bool) -> Question {
    Question::Status { id, watch }
}

fn who(device: Option<&str>, watch: bool) -> Question {
    Question::Who { device: device.map(name), watch }
}

/// `a` may send to the group `kitchens`: `b`.
fn narrow() -> World {
    let policy = Policy {
        open: false,
        groups: BTreeMap::from([("kitchens".into(), vec!["b".into(), "zed".into()])]),
        allow: vec![Allow { from: vec!["a".into()], to: vec!["@kitchens".into()], lanes: vec![] }],
    };
    World::with(HubConfig { policy, ..open_config() })
}

fn names(answer: Option<Answer>) -> Vec<DeviceName> {
    match answer {
        Some(Answer::Who(list)) => list.into_iter().map(|presence| presence.device).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_watch_tells_every_change_until_the_outcome() {
    let mut world = World::new();
    let (a, b, other) = (world.client(A), world.agent(B), world.client(A));
    let id = world.send(a, A, "b");
    assert!(matches!(world.ask(other, status(id, true)).answer(other), Some(Answer::Status(_))));
    let said = world.say(b, ToHub::Delivered { id });
    assert_eq!(said.to(other), [&ToDevice::Update { id, state: State::Delivered }]);
    assert_eq!(world.start(b, id).to(other), [&ToDevice::Update { id, state: State::Started }]);
    assert_eq!(world.report(b, B, id).outcomes(other), [(Outcome::Handled, Code::Ok)]);
}

#[test]
fn a_question_without_watch_is_answered_once() {
    let mut world = World::new();
    let (a, b, other) = (world.client(A), world.agent(B), world.client(A));
    let id = world.send(a, A, "b");
    world.ask(other, status(id, false));
    assert!(world.say(b, ToHub::Delivered { id }).to(other).is_empty());
}

#[test]
fn a_message_is_shown_to_its_two_ends_only() {
    let mut world = World::new();
    let (a, b, c) = (world.client(A), world.client(B), world.client(C));
    let id = world.send(a, A, "b");
    assert!(matches!(world.ask(b, status(id, false)).answer(b), Some(Answer::Status(_))));
    let no = world.ask(c, status(id, true)).answer(c);
    assert!(matches!(no, Some(Answer::No { code: Code::NoSuchMessage, .. })));
}

#[test]
fn a_session_watches_so_many_messages_and_no_more() {
    let mut world = World::new();
    let (a, other) = (world.client(A), world.client(A));
    for _ in 0..MAX_WATCHED_MESSAGES_PER_SESSION {
        let id = world.send(a, A, "b");
        assert!(matches!(world.ask(other, status(id, true)).answer(other), Some(Answer::Status(_))));
    }
    let id = world.send(a, A, "b");
    let no = world.ask(other, status(id, true)).answer(other);
    assert!(matches!(no, Some(Answer::No { code: Code::Quota, .. })));
}

#[test]
fn a_watch_of_devices_tells_who_comes_and_goes() {
    let mut world = World::new();
    let a = world.client(A);
    assert_eq!(names(world.ask(a, who(Some("b"), true)).answer(a)), [name("b")]);
    let online = |said: &super::world::Said, to: SessionKey| -> Vec<bool> {
        let presences = said.to(to).into_iter().filter_map(|message| match message {
            ToDevice::Presence { ask: 7, presence } => Some(presence.online),
            _ => None,
        });
        presences.collect()
    };
    let b = world.open(B);
    let attach = ToHub::Attach { role: crate::mail::message::Role::Agent, software: String::new() };
    assert_eq!(online(&world.say(b, attach), a), [true]);
    assert_eq!(online(&world.handle(Input::LinkChanged { session: b, links: vec![], rtt_us: 0 }), a), [false]);
    let links = vec!["tcp".into()];
    assert_eq!(online(&world.handle(Input::LinkChanged { session: b, links, rtt_us: 9 }), a), [true]);
    assert_eq!(online(&world.handle(Input::Closed { session: b }), a), [false]);
    let c = world.open(C);
    let attach = ToHub::Attach { role: crate::mail::message::Role::Agent, software: String::new() };
    assert_eq!(online(&world.say(c, attach), a), [] as [bool; 0], "another device");
}

#[test]
fn a_session_has_so_many_watches_of_devices_and_no_more() {
    let mut world = World::new();
    let a = world.client(A);
    for _ in 0..MAX_PRESENCE_WATCHES_PER_SESSION {
        assert!(matches!(world.ask(a, who(None, true)).answer(a), Some(Answer::Who(_))));
    }
    assert!(matches!(world.ask(a, who(None, true)).answer(a), Some(Answer::No { code: Code::Quota, .. })));
}

#[test]
fn a_device_sees_only_whom_it_may_send_to() {
    let mut world = narrow();
    let (a, b) = (world.client(A), world.client(B));
    assert_eq!(names(world.ask(a, who(None, false)).answer(a)), [name("a"), name("b")]);
    assert_eq!(names(world.ask(b, who(None, false)).answer(b)), [name("b")]);
    let no = world.ask(a, who(Some("c"), false)).answer(a);
    assert!(matches!(no, Some(Answer::No { code: Code::NoSuchDevice, .. })));
    let no = world.ask(b, Question::Ping { device: name("a") }).answer(b);
    assert!(matches!(no, Some(Answer::No { code: Code::NoSuchDevice, .. })));
}

#[test]
fn a_group_is_expanded_to_the_devices_that_the_asker_may_send_to() {
    let mut world = narrow();
    let (a, c) = (world.client(A), world.client(C));
    let group = |name: &str| Question::Group { name: name.into() };
    assert_eq!(world.ask(a, group("kitchens")).answer(a), Some(Answer::Group(vec![name("b")])));
    assert_eq!(world.ask(c, group("kitchens")).answer(c), Some(Answer::Group(vec![])));
    assert!(matches!(world.ask(a, group("nobody")).answer(a), Some(Answer::No { code: Code::NoSuchDevice, .. })));
}

/// The number of the ping that an agent was sent.
fn ping_number(said: &super::world::Said, agent: SessionKey) -> Option<u64> {
    said.to(agent).into_iter().find_map(|message| match message {
        ToDevice::Ping { ping } => Some(*ping),
        _ => None,
    })
}

#[test]
fn a_ping_goes_to_the_agent_and_back_and_only_that_agent_answers_it() {
    let mut world = World::new();
    let (a, b, c) = (world.client(A), world.agent(B), world.agent(C));
    let said = world.ask(a, Question::Ping { device: name("b") });
    let ping = ping_number(&said, b).unwrap();
    world.boot_ms += 20;
    assert!(world.say(c, ToHub::Pong { ping }).0.is_empty(), "another's answer");
    let answer = world.say(b, ToHub::Pong { ping }).answer(a);
    assert_eq!(answer, Some(Answer::Pinged { micros: 20_000, path: "tcp".into() }));
    assert!(world.say(b, ToHub::Pong { ping }).0.is_empty(), "answered once");
}

#[test]
fn a_ping_ends_when_its_agent_is_absent_silent_or_goes() {
    let mut world = World::new();
    let a = world.client(A);
    let offline = |answer: Option<Answer>| matches!(answer, Some(Answer::No { code: Code::Offline, .. }));
    assert!(offline(world.ask(a, Question::Ping { device: name("b") }).answer(a)));
    let b = world.agent(B);
    world.ask(a, Question::Ping { device: name("b") });
    assert!(offline(world.wait(PING_WAIT_MS).answer(a)));
    world.ask(a, Question::Ping { device: name("b") });
    assert!(offline(world.handle(Input::Closed { session: b }).answer(a)));
}

#[test]
fn an_asker_that_went_leaves_no_timer_behind() {
    let mut world = World::new();
    let (a, _) = (world.client(A), world.agent(B));
    world.ask(a, Question::Ping { device: name("b") });
    world.handle(Input::Closed { session: a });
    assert_eq!(world.core.poll_timeout(), None);
}
