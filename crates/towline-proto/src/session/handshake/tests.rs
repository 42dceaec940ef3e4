use super::*;
use crate::wire::hello::{ClientHello, RESERVED_FEATURE, ServerHello, Verdict};
use crate::wire::receive_state::{ReceiveState, StreamState};

/// A keyed sum: enough to show what goes into a proof.
struct Sum;

impl Mac for Sum {
    fn sign(&self, key: &[u8; 32], input: &[u8]) -> [u8; 32] {
        let mut tag = *key;
        for (at, byte) in input.iter().enumerate() {
            tag[at % 32] = tag[at % 32].rotate_left(3).wrapping_add(*byte);
        }
        tag
    }
    fn verify(&self, key: &[u8; 32], input: &[u8], tag: &[u8; 32]) -> bool {
        self.sign(key, input) == *tag
    }
}

const SESSION: SessionId = SessionId([9; 16]);
const SECRET: SessionSecret = SessionSecret([3; 32]);
const EXPORTER: [u8; 32] = [5; 32];

fn offer(versions: RangeInclusive<u64>) -> Offer {
    Offer { versions, ..Offer::default() }
}

fn asked(hello: &[u8], server: Offer) -> Asked {
    match AwaitClientHello::new(server).handle(hello, &mut Vec::new()) {
        Ok(Step::Done { value, .. }) => value,
        other => panic!("{other:?}"),
    }
}

fn newcomer(hello: &[u8], server: Offer) -> Newcomer {
    match asked(hello, server) {
        Asked::New(newcomer) => newcomer,
        Asked::Join(_) => panic!("it asked for a new session"),
    }
}

fn claimant(hello: &[u8]) -> Claimant {
    match asked(hello, Offer::default()) {
        Asked::Join(claimant) => claimant,
        Asked::New(_) => panic!("it asked to join"),
    }
}

fn joining(received: ReceiveState, secret: &SessionSecret, exporter: &[u8; 32]) -> (AwaitServerHello, Vec<u8>) {
    let mut hello = Vec::new();
    let state = begin_join(Offer::default(), SESSION, received, secret, exporter, &Sum, &mut hello);
    (state, hello)
}

fn admission(state: AwaitServerHello, answer: &[u8]) -> Admission {
    match state.handle(answer) {
        Ok(Step::Done { value, used }) => {
            assert_eq!(used, answer.len());
            value
        }
        other => panic!("{other:?}"),
    }
}

fn some_state(id: u64) -> ReceiveState {
    let streams = vec![StreamState { id, contiguous_end: 7, ranges: vec![(9, 12)] }];
    ReceiveState { next_ids: [id + 2, 0], streams }
}

#[test]
fn a_session_begins_with_the_highest_common_version_and_each_others_params() {
    let (mut hello, mut answer) = (Vec::new(), Vec::new());
    let params = Params { max_streams: 3, ..Params::default() };
    let client = begin(Offer { params, ..offer(1..=7) }, &mut hello);
    let newcomer = newcomer(&hello, offer(2..=4));
    assert_eq!((newcomer.version(), newcomer.params()), (4, params));
    newcomer.admit(SESSION, None, &mut answer);
    let params = Params::default();
    assert_eq!(admission(client, &answer), Admission::New { version: 4, session: SESSION, params, features: vec![] });
}

#[test]
fn a_link_joins_and_each_side_learns_what_the_other_received() {
    let (client, hello) = joining(some_state(8), &SECRET, &EXPORTER);
    let claimant = claimant(&hello);
    assert_eq!(claimant.session(), SESSION);
    let joiner = claimant.prove(&SECRET, &EXPORTER, &Sum, &mut Vec::new()).unwrap();
    assert_eq!(joiner.received(), &some_state(8));
    let mut answer = Vec::new();
    joiner.admit(some_state(9), &mut answer);
    assert_eq!(admission(client, &answer), Admission::Joined { version: 1, received: some_state(9), features: vec![] });
}

#[test]
fn a_session_that_is_not_known_is_gone() {
    let (client, hello) = joining(some_state(8), &SECRET, &EXPORTER);
    let mut answer = Vec::new();
    claimant(&hello).gone(&mut answer);
    assert_eq!(admission(client, &answer), Admission::Gone);
}

#[test]
fn a_proof_of_another_link_session_or_secret_is_refused_by_name() {
    let (_, replayed) = joining(some_state(8), &SECRET, &[6; 32]);
    let (_, stranger) = joining(some_state(8), &SessionSecret([4; 32]), &EXPORTER);
    let (client, mut other_session) = joining(some_state(8), &SECRET, &EXPORTER);
    let at = other_session.windows(16).position(|bytes| bytes == SESSION.0).unwrap();
    other_session[at] ^= 1;
    for hello in [replayed, stranger, other_session] {
        let mut answer = Vec::new();
        let failure = claimant(&hello).prove(&SECRET, &EXPORTER, &Sum, &mut answer).unwrap_err();
        assert_eq!(failure.close().code, CloseCode::BadJoinProof);
        let told = client.clone().handle(&answer).unwrap_err();
        assert_eq!(told, Failure::TheySaid(Close::new(CloseCode::BadJoinProof)));
    }
}

#[test]
fn a_proof_covers_exporter_session_and_role_in_this_order() {
    assert_eq!(join_proof_input(&[1; 32], SessionId([2; 16])), [&[1; 32][..], &[2; 16], b"client"].concat());
}

#[test]
fn two_sides_without_a_common_version_both_learn_it() {
    let (mut hello, mut answer) = (Vec::new(), Vec::new());
    let client = begin(offer(1..=2), &mut hello);
    let failure = AwaitClientHello::new(offer(3..=5)).handle(&hello, &mut answer).unwrap_err();
    assert_eq!(failure.to_string(), "version: 3 to 5 here, 1 to 2 there");
    match client.handle(&answer).unwrap_err() {
        Failure::TheySaid(close) => assert_eq!(close.code, CloseCode::Version),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_version_that_was_not_offered_is_not_spoken() {
    let mut answer = Vec::new();
    let verdict = Verdict::New { session: SESSION, params: Params::default() };
    ServerHello { version: 3, verdict, features: vec![] }.encode(&mut answer);
    let failure = begin(offer(1..=2), &mut Vec::new()).handle(&answer).unwrap_err();
    assert!(matches!(failure, Failure::WeSay(close) if close.code == CloseCode::Version));
}

#[test]
fn an_answer_to_another_question_breaks_the_rules() {
    let said = |verdict| {
        let mut answer = Vec::new();
        ServerHello { version: 1, verdict, features: vec![] }.encode(&mut answer);
        answer
    };
    let joined = said(Verdict::Joined { received: some_state(8) });
    let new = said(Verdict::New { session: SESSION, params: Params::default() });
    let begun = || begin(Offer::default(), &mut Vec::new());
    let joining = || joining(some_state(8), &SECRET, &EXPORTER).0;
    for (client, answer) in [(begun(), joined), (begun(), said(Verdict::Gone)), (joining(), new)] {
        assert_eq!(client.handle(&answer).unwrap_err().close().code, CloseCode::Protocol);
    }
}

#[test]
fn what_comes_before_a_hello_is_answered_by_name() {
    let mut answer = Vec::new();
    let failure = AwaitClientHello::new(Offer::default()).handle(b"\x05\x00\x01\x02\x03\x04", &mut answer).unwrap_err();
    assert_eq!(failure.close().code, CloseCode::HelloExpected);
    let told = begin(Offer::default(), &mut Vec::new()).handle(&answer).unwrap_err();
    assert!(matches!(told, Failure::TheySaid(close) if close.code == CloseCode::HelloExpected));
}

#[test]
fn a_malformed_hello_is_answered_by_name() {
    let mut answer = Vec::new();
    let failure = AwaitClientHello::new(Offer::default()).handle(b"\x06TWLC\x02\x01", &mut answer).unwrap_err();
    assert_eq!(failure.to_string(), "hello-malformed: version range is malformed");
    assert!(!answer.is_empty());
}

#[test]
fn features_that_nobody_knows_change_nothing_and_reach_the_other_side() {
    let features = vec![(RESERVED_FEATURE, vec![1, 2, 3])];
    let (mut hello, mut answer) = (Vec::new(), Vec::new());
    let client = begin(Offer { features: features.clone(), ..Offer::default() }, &mut hello);
    let newcomer = newcomer(&hello, Offer { features: features.clone(), ..Offer::default() });
    assert_eq!(newcomer.features(), features);
    newcomer.admit(SESSION, None, &mut answer);
    assert!(matches!(admission(client, &answer), Admission::New { features: told, .. } if told == features));
}

#[test]
fn a_hello_may_come_byte_by_byte() {
    let mut hello = Vec::new();
    let _ = begin(Offer::default(), &mut hello);
    let mut state = AwaitClientHello::new(Offer::default());
    for cut in 0..hello.len() {
        state = match state.handle(&hello[..cut], &mut Vec::new()) {
            Ok(Step::NeedMore(state)) => state,
            other => panic!("{other:?}"),
        };
    }
    assert!(matches!(state.handle(&hello, &mut Vec::new()), Ok(Step::Done { .. })));
    assert!(matches!(ClientHello::decode(&hello), Ok(Some(_))));
}

#[test]
fn a_secret_is_not_shown() {
    assert_eq!(format!("{SECRET:?}"), "SessionSecret");
}
