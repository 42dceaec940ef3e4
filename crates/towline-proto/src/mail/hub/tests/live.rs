//! Live messages: now or never.

use super::world::{A, B, C, Said, World};
use crate::ids::MessageId;
use crate::mail::code::Code;
use crate::mail::envelope::Envelope;
use crate::mail::hub::io::{Input, Output, SessionKey};
use crate::mail::limits::{
    LIVE_CONFIRM_MS, LIVE_REMEMBER_MS, MAX_LIVE_PER_DEVICE, MAX_LIVE_REMEMBERED_PER_DEVICE, QUOTA_RETRY_MS,
};
use crate::mail::message::INLINE_MAX_BYTES;

fn given(said: &Said, session: SessionKey) -> Vec<MessageId> {
    let says = said.0.iter().filter_map(|output| match output {
        Output::SayLive { session: to, id, .. } if *to == session => Some(*id),
        _ => None,
    });
    says.collect()
}

fn resets(said: &Said, session: SessionKey) -> bool {
    said.0.contains(&Output::ResetLive { session })
}

#[test]
fn a_confirmed_live_message_is_handed_over() {
    let mut world = World::new();
    let (a, b) = (world.client(A), world.agent(B));
    let (id, said) = world.send_live(a, A, "b");
    assert_eq!(given(&said, b), [id]);
    assert_eq!(said.live(a), None);
    assert_eq!(world.handle(Input::LiveConfirmed { id }).live(a), Some(Code::Ok));
    assert!(world.store.messages.is_empty(), "nothing is stored");
}

#[test]
fn a_live_message_for_an_absent_device_is_given_to_nobody() {
    let mut world = World::new();
    let a = world.client(A);
    assert_eq!(world.send_live(a, A, "b").1.live(a), Some(Code::NotHere));
    let b = world.agent(B);
    world.handle(Input::LinkChanged { session: b, links: vec![], rtt_us: 0 });
    let (_, said) = world.send_live(a, A, "b");
    assert_eq!((said.live(a), given(&said, b)), (Some(Code::NotHere), vec![]));
}

#[test]
fn a_client_session_takes_no_live_messages() {
    let mut world = World::new();
    let (a, _) = (world.client(A), world.client(B));
    assert_eq!(world.send_live(a, A, "b").1.live(a), Some(Code::NotHere));
}

#[test]
fn after_15_s_without_confirmation_the_stream_is_reset_once_and_the_result_is_unclear() {
    let mut world = World::new();
    let (a, b) = (world.client(A), world.agent(B));
    let (first, _) = world.send_live(a, A, "b");
    let (second, _) = world.send_live(a, A, "b");
    assert!(!resets(&world.wait(LIVE_CONFIRM_MS - 1), b));
    let said = world.wait(1);
    assert_eq!(said.0, [Output::ResetLive { session: b }]);
    assert_eq!(world.handle(Input::LiveLost { id: first, given: true }).live(a), Some(Code::LiveUnclear));
    assert_eq!(world.handle(Input::LiveLost { id: second, given: false }).live(a), Some(Code::NotHere));
    assert!(world.handle(Input::LiveConfirmed { id: first }).0.is_empty(), "told once");
}

#[test]
fn when_the_last_link_dies_the_stream_is_reset() {
    let mut world = World::new();
    let (a, b) = (world.client(A), world.agent(B));
    world.send_live(a, A, "b");
    assert!(resets(&world.handle(Input::LinkChanged { session: b, links: vec![], rtt_us: 0 }), b));
}

#[test]
fn a_lost_session_makes_it_unclear_and_the_next_one_is_not_given_it() {
    let mut world = World::new();
    let (a, b) = (world.client(A), world.agent(B));
    world.send_live(a, A, "b");
    assert_eq!(world.handle(Input::Closed { session: b }).live(a), Some(Code::LiveUnclear));
    let newer = world.open(B);
    let said = world.say(
        newer,
        crate::mail::message::ToHub::Attach { role: crate::mail::message::Role::Agent, software: String::new() },
    );
    assert!(given(&said, newer).is_empty() && said.delivered(newer).is_empty());
}

#[test]
fn a_device_has_so_many_live_messages_unconfirmed_and_no_more_over_all_its_sessions() {
    let mut world = World::new();
    let b = world.agent(B);
    let mut ids = Vec::new();
    for _ in 0..MAX_LIVE_PER_DEVICE {
        // Each on a session of its own, which is gone before its message is confirmed.
        let a = world.client(A);
        let (id, said) = world.send_live(a, A, "b");
        assert_eq!(given(&said, b), [id]);
        world.handle(Input::Closed { session: a });
        ids.push(id);
    }
    let (a, c) = (world.client(A), world.client(C));
    assert_eq!(world.send_live(a, A, "b").1.refusal(a), Some((Code::Quota, QUOTA_RETRY_MS)));
    assert_eq!(world.send_live(c, C, "b").1.refusal(c), None, "the bound is each device's own");
    world.handle(Input::LiveConfirmed { id: ids[0] });
    assert_eq!(world.send_live(a, A, "b").1.refusal(a), None);
}

/// Sends a live message, loses the sender's session, and says the very same again on a new one.
fn said_again(world: &mut World, lost: SessionKey, id: MessageId) -> (SessionKey, Said) {
    world.handle(Input::Closed { session: lost });
    let envelope = Envelope { kept: false, id, ..world.envelope(A, "b", b"now") };
    let newer = world.client(A);
    (newer, world.submit(newer, envelope.seal(&A), b"now"))
}

#[test]
fn a_live_message_that_was_given_is_answered_again_and_never_handed_over_twice() {
    for result in [Code::Ok, Code::LiveUnclear] {
        let mut world = World::new();
        let (a, b) = (world.client(A), world.agent(B));
        let (id, _) = world.send_live(a, A, "b");
        world.handle(match result {
            Code::Ok => Input::LiveConfirmed { id },
            _ => Input::LiveLost { id, given: true },
        });
        world.wait(LIVE_REMEMBER_MS - 1);
        let (newer, said) = said_again(&mut world, a, id);
        assert_eq!((said.live(newer), given(&said, b)), (Some(result), vec![]));
    }
}

#[test]
fn a_live_message_said_again_while_it_is_on_its_way_is_answered_where_it_was_said_last() {
    let mut world = World::new();
    let (a, b) = (world.client(A), world.agent(B));
    let (id, _) = world.send_live(a, A, "b");
    let (newer, said) = said_again(&mut world, a, id);
    assert_eq!((said.live(newer), given(&said, b)), (None, vec![]));
    assert_eq!(world.handle(Input::LiveConfirmed { id }).live(newer), Some(Code::Ok));
}

#[test]
fn a_live_message_that_was_given_to_nobody_may_be_tried_again() {
    let mut world = World::new();
    let a = world.client(A);
    let (id, said) = world.send_live(a, A, "b");
    assert_eq!(said.live(a), Some(Code::NotHere));
    let b = world.agent(B);
    assert_eq!(given(&said_again(&mut world, a, id).1, b), [id]);
}

#[test]
fn live_ids_are_known_for_a_named_time_and_number_and_no_longer() {
    let mut world = World::new();
    let (a, _) = (world.client(A), world.agent(B));
    let mut ids = Vec::new();
    for _ in 0..=MAX_LIVE_REMEMBERED_PER_DEVICE {
        let (id, _) = world.send_live(a, A, "b");
        world.handle(Input::LiveConfirmed { id });
        ids.push(id);
    }
    assert_eq!(world.core.live.envelope_of(ids[0]), None, "the oldest made room");
    assert!(ids[1..].iter().all(|&id| world.core.live.envelope_of(id).is_some()));
    world.wait(LIVE_REMEMBER_MS);
    assert!(ids.iter().all(|&id| world.core.live.envelope_of(id).is_none()));
    assert_eq!(world.core.live.most_of_one_sender(), (0, 0));
}

#[test]
fn a_live_body_has_the_inline_bound() {
    let mut world = World::new();
    let (a, _) = (world.client(A), world.agent(B));
    for (len, refusal) in [(INLINE_MAX_BYTES, None), (INLINE_MAX_BYTES + 1, Some((Code::TooLarge, 0)))] {
        let body = vec![1; len];
        let envelope = Envelope { kept: false, ..world.envelope(A, "b", &body) };
        assert_eq!(world.submit(a, envelope.seal(&A), &body).refusal(a), refusal, "{len}");
    }
}

#[test]
fn a_live_messages_id_is_refused_to_another_message_while_it_is_on_its_way_and_afterwards() {
    let mut world = World::new();
    let (a, c, _) = (world.client(A), world.client(C), world.agent(B));
    let (id, _) = world.send_live(a, A, "b");
    let other = Envelope { id, ..world.envelope(C, "b", b"hello") };
    assert_eq!(world.submit(c, other.seal(&C), b"hello").refusal(c), Some((Code::IdReused, 0)));
    world.handle(Input::LiveConfirmed { id });
    assert_eq!(world.submit(c, other.seal(&C), b"hello").refusal(c), Some((Code::IdReused, 0)));
}
