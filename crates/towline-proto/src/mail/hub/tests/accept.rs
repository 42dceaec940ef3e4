//! Acceptance: duplicates, quotas, bounds, policy, withdrawal.

use super::world::{A, B, C, World, open_config};
use crate::ids::Digest;
use crate::mail::code::Code;
use crate::mail::envelope::Envelope;
use crate::mail::hub::HubConfig;
use crate::mail::hub::io::{Input, Output};
use crate::mail::hub::record::Phase;
use crate::mail::limits::{DRAIN_RETRY_MS, QUOTA_RETRY_MS};
use crate::mail::message::{Answer, INLINE_MAX_BYTES, Question, ToDevice, ToHub};
use crate::mail::outcome::{Outcome, State};
use crate::mail::policy::Policy;

#[test]
fn the_same_envelope_again_is_answered_again_and_accepted_once() {
    let mut world = World::new();
    let (a, b) = (world.client(A), world.agent(B));
    let envelope = world.envelope(A, "b", b"hello");
    assert!(world.submit(a, envelope.seal(&A), b"hello").is_accepted(a));
    let again = world.submit(a, envelope.seal(&A), b"hello");
    assert!(again.is_accepted(a) && again.delivered(b).is_empty());
    assert_eq!(world.core.gauges().undecided, 1);
}

#[test]
fn the_same_envelope_after_its_outcome_is_told_the_outcome() {
    let mut world = World::new();
    let (a, b) = (world.client(A), world.agent(B));
    let envelope = world.envelope(A, "b", b"hello");
    world.submit(a, envelope.seal(&A), b"hello");
    world.start(b, envelope.id);
    world.report(b, B, envelope.id);
    let said = world.submit(a, envelope.seal(&A), b"hello");
    assert!(said.is_accepted(a) && said.delivered(b).is_empty());
    assert_eq!(said.outcomes(a), [(Outcome::Handled, Code::Ok)]);
    world.restart();
    let a = world.client(A);
    assert_eq!(world.submit(a, envelope.seal(&A), b"hello").outcomes(a), [(Outcome::Handled, Code::Ok)]);
}

#[test]
fn an_id_is_refused_to_another_envelope_and_to_another_sender() {
    let mut world = World::new();
    let (a, c) = (world.client(A), world.client(C));
    let first = world.envelope(A, "b", b"hello");
    world.submit(a, first.seal(&A), b"hello");
    let changed = Envelope { name: "other".into(), ..first.clone() };
    assert_eq!(world.submit(a, changed.seal(&A), b"hello").refusal(a), Some((Code::IdReused, 0)));
    let foreign = Envelope { id: first.id, ..world.envelope(C, "b", b"hello") };
    let said = world.submit(c, foreign.seal(&C), b"hello");
    assert_eq!(said.refusal(c), Some((Code::IdReused, 0)));
    assert_eq!(world.store.messages[&first.id].envelope, first.seal(&A));
}

#[test]
fn another_devices_envelope_is_refused_however_genuine() {
    let mut world = World::new();
    let c = world.client(C);
    let envelope = world.envelope(A, "b", b"hello");
    assert_eq!(world.submit(c, envelope.seal(&A), b"hello").refusal(c), Some((Code::BadEnvelope, 0)));
    assert_eq!(world.submit(c, envelope.seal(&C), b"hello").refusal(c), Some((Code::BadEnvelope, 0)));
}

#[test]
fn p12_a_recipients_quota_of_messages_refuses_one_past_it_until_one_is_over() {
    let mut world = World::with(HubConfig { max_undecided_per_recipient: 2, ..open_config() });
    let (a, b) = (world.client(A), world.agent(B));
    let first = world.send(a, A, "b");
    world.send(a, A, "b");
    let third = world.envelope(A, "b", b"hello");
    let said = world.submit(a, third.seal(&A), b"hello");
    assert_eq!(said.refusal(a), Some((Code::Quota, QUOTA_RETRY_MS)));
    world.send(a, A, "c");
    world.start(b, first);
    world.report(b, B, first);
    assert!(world.submit(a, third.seal(&A), b"hello").is_accepted(a), "a refused id may be sent again");
    println!("p12: reached a refusal one past the quota, with a time to try again");
}

#[test]
fn p12_the_hubs_quota_of_messages_counts_all_recipients() {
    let mut world = World::with(HubConfig { max_undecided: 2, ..open_config() });
    let a = world.client(A);
    world.send(a, A, "b");
    world.send(a, A, "c");
    let third = world.envelope(A, "b", b"hello");
    assert_eq!(world.submit(a, third.seal(&A), b"hello").refusal(a), Some((Code::Quota, QUOTA_RETRY_MS)));
    println!("p12: reached a refusal one past the hub's quota");
}

#[test]
fn p12_a_quota_of_bytes_is_filled_to_the_byte_and_bodies_on_their_way_count() {
    let mut world = World::with(HubConfig { max_undecided_bytes_per_recipient: 100_005, ..open_config() });
    let a = world.client(A);
    let large = Envelope { size: 100_000, root: Digest([1; 32]), ..world.envelope(A, "b", b"") };
    let said = world.say(a, ToHub::Submit { envelope: large.seal(&A), body: None });
    assert!(said.0.iter().any(|output| matches!(output, Output::TakeBody { .. })));
    world.send(a, A, "b");
    let tiny = world.envelope(A, "b", b"x");
    assert_eq!(world.submit(a, tiny.seal(&A), b"x").refusal(a), Some((Code::Quota, QUOTA_RETRY_MS)));
    world.handle(Input::BodyFailed { id: large.id, code: Code::Integrity });
    assert!(world.submit(a, tiny.seal(&A), b"x").is_accepted(a));
    println!("p12: reached the quota of bytes to the byte");
}

#[test]
fn a_body_is_at_most_the_hubs_bound_and_inline_at_most_64_kib() {
    let mut world = World::with(HubConfig { max_body_bytes: 100_000, ..open_config() });
    let a = world.client(A);
    for (size, refusal) in [(100_000, None), (100_001, Some((Code::TooLarge, 0)))] {
        let envelope = Envelope { size, ..world.envelope(A, "b", b"") };
        let said = world.say(a, ToHub::Submit { envelope: envelope.seal(&A), body: None });
        assert_eq!(said.refusal(a), refusal, "{size}");
    }
    for (len, refusal) in [(INLINE_MAX_BYTES, None), (INLINE_MAX_BYTES + 1, Some((Code::TooLarge, 0)))] {
        let body = vec![7; len];
        let envelope = world.envelope(A, "b", &body).seal(&A);
        assert_eq!(world.submit(a, envelope, &body).refusal(a), refusal, "{len}");
    }
}

#[test]
fn a_body_that_is_not_what_the_envelope_says_is_refused() {
    let mut world = World::new();
    let a = world.client(A);
    let envelope = world.envelope(A, "b", b"hello").seal(&A);
    assert_eq!(world.submit(a, envelope.clone(), b"hellO").refusal(a), Some((Code::Integrity, 0)));
    assert_eq!(world.submit(a, envelope, b"hello!").refusal(a), Some((Code::Integrity, 0)));
}

#[test]
fn a_body_on_a_stream_is_accepted_when_it_has_arrived_and_offered_before() {
    let mut world = World::new();
    let (a, b) = (world.client(A), world.agent(B));
    let envelope = Envelope { size: 1 << 20, ..world.envelope(A, "b", b"") };
    let said = world.say(a, ToHub::Submit { envelope: envelope.seal(&A), body: None });
    assert!(matches!(said.to(b)[..], [ToDevice::Offer { .. }]) && !said.is_accepted(a));
    let said = world.handle(Input::BodyArrived { id: envelope.id });
    assert!(said.is_accepted(a));
    assert_eq!(said.delivered(b), [envelope.id]);
}

#[test]
fn an_upload_goes_on_with_the_session_that_asked_last() {
    let mut world = World::new();
    let (first, second) = (world.client(A), world.client(A));
    let envelope = Envelope { size: 1 << 20, ..world.envelope(A, "b", b"") };
    world.say(first, ToHub::Submit { envelope: envelope.seal(&A), body: None });
    let said = world.say(second, ToHub::Submit { envelope: envelope.seal(&A), body: None });
    assert!(said.0.iter().any(|output| matches!(output, Output::TakeBody { session, .. } if *session == second)));
    world.handle(Input::Closed { session: first });
    assert!(world.handle(Input::BodyArrived { id: envelope.id }).is_accepted(second));
}

#[test]
fn a_sealed_body_is_the_recipients_affair() {
    let mut world = World::new();
    let a = world.client(A);
    let envelope = Envelope { seal: 7, ..world.envelope(A, "b", b"hello") };
    assert!(world.submit(a, envelope.seal(&A), b"hello").is_accepted(a));
}

#[test]
fn a_draining_hub_refuses_for_now_and_still_answers_for_what_it_has() {
    let mut world = World::new();
    let a = world.client(A);
    let old = world.envelope(A, "b", b"hello");
    world.submit(a, old.seal(&A), b"hello");
    world.handle(Input::Drain);
    let new = world.envelope(A, "b", b"hello").seal(&A);
    assert_eq!(world.submit(a, new, b"hello").refusal(a), Some((Code::Draining, DRAIN_RETRY_MS)));
    assert!(world.submit(a, old.seal(&A), b"hello").is_accepted(a));
}

#[test]
fn a_new_policy_refuses_at_once_what_has_not_started() {
    let mut world = World::new();
    let (a, b) = (world.agent(A), world.agent(B));
    let started = world.send(a, A, "b");
    world.start(b, started);
    world.send(a, A, "b");
    let said = world.handle(Input::Policy(Box::default()));
    assert_eq!(said.outcomes(a), [(Outcome::Refused, Code::NotPermitted)]);
    assert_eq!(world.core.gauges().undecided, 1, "what has started goes on");
    let new = world.envelope(A, "b", b"hello").seal(&A);
    assert_eq!(world.submit(a, new, b"hello").refusal(a), Some((Code::NotPermitted, 0)));
    world.handle(Input::Policy(Box::new(Policy::open())));
    world.send(a, A, "b");
}

#[test]
fn a_body_that_arrives_after_the_policy_changed_is_refused() {
    let mut world = World::new();
    let a = world.client(A);
    let envelope = Envelope { size: 1 << 20, ..world.envelope(A, "b", b"") };
    world.say(a, ToHub::Submit { envelope: envelope.seal(&A), body: None });
    world.handle(Input::Policy(Box::default()));
    let said = world.handle(Input::BodyArrived { id: envelope.id });
    assert_eq!(said.refusal(a), Some((Code::NotPermitted, 0)));
    assert_eq!(world.core.gauges().undecided, 0);
}

#[test]
fn a_sender_takes_back_what_has_not_started_and_only_that() {
    let mut world = World::new();
    let (a, b, c) = (world.client(A), world.agent(B), world.client(C));
    let (waiting, started) = (world.send(a, A, "b"), world.send(a, A, "c"));
    let no = world.ask(c, Question::Withdraw { id: waiting }).answer(c);
    assert!(matches!(no, Some(Answer::No { code: Code::NoSuchMessage, .. })), "not another's");
    let said = world.ask(a, Question::Withdraw { id: waiting });
    assert_eq!(said.outcomes(a), [(Outcome::Withdrawn, Code::Withdrawn)]);
    assert!(said.to(b).contains(&&ToDevice::Recall { id: waiting }));
    let agent = world.agent(C);
    world.start(agent, started);
    let Some(Answer::Status(status)) = world.ask(a, Question::Withdraw { id: started }).answer(a) else { panic!() };
    assert_eq!(status.state, State::Started);
}

#[test]
fn a_policy_that_changed_while_the_hub_was_down_refuses_what_has_not_started() {
    let mut world = World::new();
    let (a, b) = (world.agent(A), world.agent(B));
    let started = world.send(a, A, "b");
    world.start(b, started);
    let waiting = world.send(a, A, "b");
    world.config.policy = Policy::default();
    world.restart();
    world.agent(A);
    let outcome = |id| match &world.store.messages[&id].phase {
        Phase::Decided(decision) => Some(decision.outcome),
        _ => None,
    };
    assert_eq!((outcome(waiting), outcome(started)), (Some(Outcome::Refused), None));
    assert_eq!(world.core.gauges().undecided, 1);
}
