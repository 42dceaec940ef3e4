//! Every step in and out of its place, every bound at its number and one past it.

use super::*;
use std::hash::BuildHasher;

const WINDOW: u64 = 100;

fn pair() -> (Exchange, Exchange) {
    (Exchange::new(true, 2, WINDOW), Exchange::new(false, 2, WINDOW))
}

const ALL: Step = Step::Begin { ends: true };
const FIRST: Step = Step::Begin { ends: false };

#[test]
fn a_call_goes_its_way_and_leaves_nothing_behind() {
    let (mut caller, mut answering) = pair();
    let id = caller.begin(10, false, ()).unwrap();
    assert_eq!(answering.received(id, FIRST, 10), Ok(Arrival::New(&mut ())));
    assert!(caller.send(id, 5));
    assert_eq!(answering.received(id, Step::Item, 5), Ok(Arrival::Deliver(&mut ())));
    caller.end(id);
    assert!(!caller.is_sending(id));
    assert_eq!(answering.received(id, Step::End, 0), Ok(Arrival::Deliver(&mut ())));
    assert!(answering.send(id, 7));
    assert_eq!(caller.received(id, Step::Item, 7), Ok(Arrival::Deliver(&mut ())));
    assert!(answering.close(id));
    assert_eq!(caller.received(id, Step::Last, 1), Ok(Arrival::Deliver(&mut ())));
    assert!(!caller.close(id), "its last word ended it");
    assert_eq!((caller.open(), answering.open()), (0, 0));
    assert_eq!((caller.forget(id), answering.forget(id), caller.forget(id)), (Some(()), Some(()), None));
    assert_eq!(caller.received(id, Step::Credit(500), 0), Ok(Arrival::Late));
    assert_eq!(answering.received(id, Step::GiveUp, 0), Ok(Arrival::Late));
}

#[test]
fn both_sides_call_and_ids_never_meet() {
    let (mut one, mut other) = pair();
    let (a, b) = (one.begin(1, true, ()).unwrap(), other.begin(1, true, ()).unwrap());
    assert_ne!(a, b);
    assert_eq!(other.received(a, ALL, 1), Ok(Arrival::New(&mut ())));
    assert_eq!(one.received(b, ALL, 1), Ok(Arrival::New(&mut ())));
    assert_eq!((one.open(), other.open()), (2, 2));
}

#[test]
fn p10_a_writer_stands_still_at_its_window_and_goes_on_as_its_reader_takes() {
    let (mut caller, mut answering) = pair();
    let id = caller.begin(1, true, ()).unwrap();
    answering.received(id, ALL, 1).unwrap();
    // 99 bytes leave one byte of credit: one more item may begin, whatever its length.
    assert!(answering.send(id, 99));
    assert!(answering.may_send(id));
    assert_eq!(caller.received(id, Step::Item, 99), Ok(Arrival::Deliver(&mut ())));
    assert!(answering.send(id, 30));
    assert!(!answering.may_send(id) && !answering.send(id, 1));
    assert_eq!(caller.received(id, Step::Item, 30), Ok(Arrival::Deliver(&mut ())));
    assert_eq!(caller.received(id, Step::Item, 1), Err(Fault::NoCredit(id.0)));

    assert_eq!(caller.took(id, 49), None, "less than half a window is not worth a packet");
    assert_eq!(caller.took(id, 1), Some(150));
    assert_eq!(answering.received(id, Step::Credit(150), 0), Ok(Arrival::Writable(&mut ())));
    assert!(answering.may_send(id));
    assert_eq!(answering.received(id, Step::Credit(10), 0), Ok(Arrival::Writable(&mut ())), "credit only grows");
    assert!(answering.may_send(id));
}

#[test]
fn as_many_calls_as_agreed_are_open_and_one_more_is_refused_by_name() {
    let (mut caller, mut answering) = pair();
    let ids: Vec<_> = (0..2).map(|_| caller.begin(1, true, ()).unwrap()).collect();
    assert_eq!(caller.begin(1, true, ()), Err(TooMany));
    for id in &ids {
        assert_eq!(answering.received(*id, ALL, 1), Ok(Arrival::New(&mut ())));
    }
    // A peer that does not hold to the bound.
    assert_eq!(answering.received(CallId(4), ALL, 1), Ok(Arrival::Refuse(Code::ResourceExhausted)));
    assert!(answering.close(ids[0]));
    assert_eq!(answering.received(CallId(6), ALL, 1), Ok(Arrival::New(&mut ())));
    assert!(caller.close(ids[0]));
    assert!(caller.begin(1, true, ()).is_ok());
}

#[test]
fn p18_packets_out_of_place_are_faults_and_never_a_panic() {
    let (mut caller, mut answering) = pair();
    let id = caller.begin(1, true, ()).unwrap();
    answering.received(id, ALL, 1).unwrap();
    // An id again, one of this side, one that no packet may have before its beginning.
    assert_eq!(answering.received(id, ALL, 1), Err(Fault::BadId(id.0)));
    assert_eq!(answering.received(CallId(1), ALL, 1), Err(Fault::BadId(1)));
    assert_eq!(answering.received(CallId(8), Step::Item, 1), Err(Fault::BadStep(8)));
    assert_eq!(answering.received(CallId(u64::MAX - 1), ALL, 1), Err(Fault::BadId(u64::MAX - 1)));
    // Words of the other role, and words after the end.
    assert_eq!(answering.received(id, Step::Last, 1), Err(Fault::BadStep(id.0)));
    assert_eq!(answering.received(id, Step::Status, 0), Err(Fault::BadStep(id.0)));
    assert_eq!(answering.received(id, Step::Item, 1), Err(Fault::BadStep(id.0)));
    assert_eq!(answering.received(id, Step::End, 0), Err(Fault::BadStep(id.0)));
    assert_eq!(caller.received(id, Step::End, 0), Err(Fault::BadStep(id.0)));
    assert_eq!(caller.received(id, Step::Status, 0), Ok(Arrival::Deliver(&mut ())));
    assert_eq!(caller.received(id, Step::Status, 0), Ok(Arrival::Late), "the call is over, and told once");
}

#[test]
fn whoever_gives_up_is_heard_and_what_is_on_its_way_is_late() {
    let (mut caller, mut answering) = pair();
    let id = caller.begin(1, false, ()).unwrap();
    answering.received(id, FIRST, 1).unwrap();
    assert!(caller.close(id));
    assert_eq!(caller.received(id, Step::Item, 1), Ok(Arrival::Late));
    assert_eq!(answering.received(id, Step::GiveUp, 0), Ok(Arrival::Over(&mut ())));
    assert!(!answering.is_open(id) && !answering.may_send(id));
    assert_eq!((caller.open(), answering.open()), (0, 0));
}

#[test]
fn ids_of_a_sequence_spread_over_the_table() {
    const PLACES: u64 = 1_024;
    for first in [0, 1, 1 << 40] {
        let mut loads = vec![0; PLACES as usize];
        let ids = (0..PLACES).map(|number| CallId(first + 2 * number).0);
        ids.for_each(|id| loads[(BuildHasherDefault::<IdHasher>::default().hash_one(id) % PLACES) as usize] += 1);
        // Chance would put up to seven or so into one place.
        assert!(loads.iter().max() <= Some(&8), "{:?} in one place", loads.iter().max());
    }
}
