//! Each step of a pool, at its limit and one past it.

use super::*;

const MIB: u64 = 1 << 20;
const MESSAGE: u64 = 256 * 1024;

fn bounds() -> Bounds {
    Bounds::new(64 * MIB, MESSAGE).unwrap()
}

fn at(secs: u64) -> Instant {
    Instant::from_nanos(secs * 1_000_000_000)
}

/// A pool with sessions that hold so much.
fn pool(held: &[u64]) -> (Pool, Vec<MemberId>) {
    let mut pool = Pool::new(bounds());
    let ids: Vec<_> = held.iter().map(|_| pool.admit().unwrap()).collect();
    for (&id, &held) in ids.iter().zip(held) {
        pool.report(at(0), id, Usage { held, promised: 0 }, Ask::Nothing);
    }
    (pool, ids)
}

fn told(pool: &mut Pool) -> Vec<MemberId> {
    std::iter::from_fn(|| pool.poll_told()).collect()
}

#[test]
fn a_pool_has_room_for_16_of_its_largest_messages_in_doubled_rings_and_no_smaller_one_begins() {
    assert!(Bounds::new(8 * MIB, MESSAGE).is_ok());
    let small = Bounds::new(8 * MIB - 1, MESSAGE).unwrap_err();
    assert_eq!((small.bound, small.least), (8 * MIB - 1, 8 * MIB));
    assert!(Bounds::new(u64::MAX, u64::MAX).is_ok());
    assert!(Bounds::new(512 * MIB - 1, u64::MAX).is_err());
}

#[test]
fn each_level_begins_at_its_part_of_the_bound_and_not_one_byte_before() {
    let bounds = bounds();
    let steps = [
        (32 * MIB, Level::Free, Level::Used),
        (48 * MIB, Level::Used, Level::Near),
        (56 * MIB, Level::Near, Level::NoStreams),
        (60 * MIB, Level::NoStreams, Level::NoSessions),
        (64 * MIB + 1, Level::NoSessions, Level::Over),
    ];
    for (held, below, from) in steps {
        assert_eq!((bounds.level(held - 1), bounds.level(held)), (below, from), "{held}");
    }
}

#[test]
fn windows_grow_below_near_and_out_of_promises_that_are_left() {
    let bounds = bounds();
    let near = 48 * MIB;
    let spare = |held, promised| bounds.view(held, promised, false).spare;
    assert_eq!((spare(near - 1, 0), spare(near, 0)), (256 * MIB, 0));
    assert_eq!((spare(0, 256 * MIB - 1), spare(0, 256 * MIB), spare(0, u64::MAX)), (1, 0, 0));
    let room = |held| bounds.view(held, 0, false).room;
    assert_eq!((room(0), room(near - 1), room(near), room(u64::MAX)), (near, 1, 0, 0));
}

#[test]
fn the_first_grant_is_what_was_wished_while_more_than_half_is_free_and_the_base_otherwise() {
    let bounds = bounds();
    let wished = Params::default();
    let grants = |held, promised| {
        let params = bounds.view(held, promised, false).first_grants(wished);
        (params.stream_credit, params.session_credit)
    };
    let (full, base) = ((256 * 1024, 288 * 1024), (32 * 1024, 64 * 1024));
    assert_eq!((grants(32 * MIB - 1, 0), grants(32 * MIB, 0)), (full, base));
    assert_eq!((grants(0, 128 * MIB - 1), grants(0, 128 * MIB)), (full, base));
    let small = Params { stream_credit: 1_000, session_credit: 2_000, ..wished };
    assert_eq!(bounds.view(64 * MIB, 0, false).first_grants(small), small, "never more than was wished");
}

#[test]
fn new_sessions_are_refused_from_their_level_on_and_taken_again_below_it() {
    let (mut pool, ids) = pool(&[60 * MIB - 1]);
    let second = pool.admit().unwrap();
    pool.report(at(0), second, Usage { held: 1, promised: 0 }, Ask::Nothing);
    assert_eq!(pool.admit(), Err(Refused { held: 60 * MIB, bound: 64 * MIB }));
    pool.leave(at(0), second);
    assert_eq!((pool.total().held, pool.sessions()), (60 * MIB - 1, 1));
    assert_eq!(pool.admit(), Ok(second), "its place is used again");
    pool.leave(at(0), ids[0]);
    pool.leave(at(0), ids[0]);
    assert_eq!((pool.total(), pool.sessions()), (Usage::default(), 1));
}

#[test]
fn above_the_bound_and_not_at_it_whoever_holds_most_is_cut() {
    let (mut pool, ids) = pool(&[20 * MIB, 30 * MIB, 14 * MIB]);
    assert_eq!(pool.victim(), None);
    pool.report(at(0), ids[2], Usage { held: 14 * MIB + 1, promised: 0 }, Ask::Nothing);
    assert_eq!(pool.victim(), Some((ids[1], Usage { held: 30 * MIB, promised: 0 })));
    pool.ended(ids[1]);
    assert_eq!(pool.victim().unwrap().0, ids[0], "what is over is its application's to read");
}

#[test]
fn what_a_session_is_guaranteed_is_never_cut() {
    let base = SESSION_BASE_BYTES;
    let many = usize::try_from(64 * MIB / base).unwrap();
    let (mut pool, ids) = pool(&vec![0; many + 1]);
    for &id in &ids {
        pool.report(at(0), id, Usage { held: base, promised: 0 }, Ask::Nothing);
    }
    assert_eq!((pool.bounds().level(pool.total().held), pool.victim()), (Level::Over, None));
    pool.report(at(0), ids[7], Usage { held: base + 1, promised: 0 }, Ask::Nothing);
    assert_eq!(pool.victim().unwrap().0, ids[7]);
    // In its turn it is guaranteed its message besides.
    let with_turn = |held| Usage { held: base + held, promised: 0 };
    pool.report(at(0), ids[7], with_turn(2 * MESSAGE), Ask::Turn);
    assert_eq!(pool.victim(), None);
    pool.report(at(0), ids[7], with_turn(2 * MESSAGE + 1), Ask::Using);
    assert_eq!(pool.victim().unwrap().0, ids[7]);
}

#[test]
fn as_many_have_a_turn_as_the_reserve_carries_and_the_others_wait_in_order() {
    // A reserve of 1 MiB carries two messages of 256 KiB in rings that doubled.
    let mut pool = Pool::new(Bounds::new(16 * MIB, MESSAGE).unwrap());
    let ids: Vec<_> = (0..5).map(|_| pool.admit().unwrap()).collect();
    let say = |pool: &mut Pool, secs, id, ask| pool.report(at(secs), id, Usage::default(), ask);
    for &id in &ids[..4] {
        say(&mut pool, 0, id, Ask::Turn);
        say(&mut pool, 0, id, Ask::Turn);
    }
    assert_eq!(told(&mut pool), ids[..2]);
    assert_eq!((pool.view(ids[1]).turn, pool.view(ids[2]).turn, pool.waiting()), (true, false, 2));
    say(&mut pool, 1, ids[0], Ask::Using);
    say(&mut pool, 1, ids[1], Ask::Nothing);
    assert_eq!(told(&mut pool), [ids[2]], "a turn that is given back goes on");
    say(&mut pool, 1, ids[0], Ask::Turn);
    assert_eq!(told(&mut pool), [ids[3]], "who had its turn and wants another waits behind the others");
    assert!(!pool.view(ids[0]).turn);
    pool.leave(at(1), ids[3]);
    assert_eq!(told(&mut pool), [ids[0]], "who leaves gives its turn back");
    assert_eq!(pool.waiting(), 0);
}

#[test]
fn a_turn_is_taken_away_after_its_time_and_only_if_somebody_waits() {
    let mut pool = Pool::new(Bounds::new(8 * MIB, MESSAGE).unwrap());
    let [first, second] = [0, 1].map(|_| pool.admit().unwrap());
    let say = |pool: &mut Pool, millis: u64, id, ask| {
        pool.report(Instant::from_nanos(millis * 1_000_000), id, Usage::default(), ask);
        told(pool)
    };
    assert_eq!(say(&mut pool, 0, first, Ask::Turn), [first]);
    assert_eq!(say(&mut pool, 60_000, first, Ask::Using), []);
    let mut pool = Pool::new(Bounds::new(8 * MIB, MESSAGE).unwrap());
    assert_eq!([pool.admit().unwrap(), pool.admit().unwrap()], [first, second]);
    assert_eq!(say(&mut pool, 0, first, Ask::Turn), [first]);
    assert_eq!(say(&mut pool, 1, first, Ask::Using), []);
    assert_eq!(say(&mut pool, 9_999, second, Ask::Turn), []);
    assert_eq!(say(&mut pool, 10_000, second, Ask::Turn), [first, second], "both look again");
    assert_eq!((pool.view(first).turn, pool.view(second).turn), (false, true));
    // Who lost its turn and does not know it yet says that it uses one.
    assert_eq!(say(&mut pool, 10_001, first, Ask::Using), []);
    assert!(pool.view(second).turn);
}
