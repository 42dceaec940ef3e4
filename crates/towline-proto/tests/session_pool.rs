//! What one session does with what a pool allows it: each decision at its limit and one past it.

mod sessions;

use sessions::Bare;
use towline_proto::ids::Lane;
use towline_proto::limits::{BASE_WINDOW_BYTES, LANE_CREDIT_BYTES};
use towline_proto::session::pool::{Ask, Level, View};
use towline_proto::session::{EndReason, Event, OpenError, Order, RecvError, SendError, Side, StreamKey};
use towline_proto::time::Instant;
use towline_proto::wire::close::{Close, CloseCode};
use towline_proto::wire::cursor::MAX_VARINT;
use towline_proto::wire::frame::{Frame, Open};
use towline_proto::wire::hello::Params;

const BASE: u64 = BASE_WINDOW_BYTES;
const OPEN: Option<Open> = Some(Open { lane: Lane::BULK, as_complete: false });
const NEAR: View = View { level: Level::Near, room: 0, spare: 0, half_free: false, turn: false, message: 1 << 18 };
const TURN: View = View { turn: true, ..NEAR };

fn server() -> Bare {
    Bare::new(Side::Server, Params::default(), Params::default())
}

/// Takes raw bytes on a stream of the peer's, as long as they are.
fn come(bare: &mut Bare, stream: u64, from: u64, count: u64) {
    let bytes = vec![7; usize::try_from(count).unwrap()];
    bare.hear(Frame::Bytes { stream, open: OPEN, offset: from, bytes: &bytes }).unwrap();
}

fn opened(bare: &mut Bare) -> StreamKey {
    let of = |event| if let Event::Opened(key, _) = event { Some(key) } else { None };
    bare.events().into_iter().find_map(of).expect("a stream was opened")
}

fn read_all(bare: &mut Bare, key: StreamKey) {
    while let Ok(Some(_)) = bare.session.read(key) {}
}

/// The limits that the session tells for a stream, which all arrive.
fn told(bare: &mut Bare, stream: u64) -> Vec<u64> {
    let frames = bare.pull_all();
    frames.iter().for_each(|&(frame, _)| bare.confirm(frame));
    let limit = |bytes: &Vec<u8>| match Frame::decode(bytes).unwrap() {
        Frame::StreamCredit { stream: of, limit } if of == stream => Some(limit),
        _ => None,
    };
    frames.iter().filter_map(|(_, bytes)| limit(bytes)).collect()
}

#[test]
fn near_the_bound_a_window_is_renewed_to_the_base_and_not_one_byte_more() {
    let mut bare = server();
    come(&mut bare, 8, 0, 100_000);
    let key = opened(&mut bare);
    bare.session.allow(NEAR);
    read_all(&mut bare, key);
    assert_eq!(told(&mut bare, 8), [], "of its first window more than the base is left");
    let granted = Params::default().stream_credit;
    come(&mut bare, 8, 100_000, granted - 100_000);
    read_all(&mut bare, key);
    assert_eq!(told(&mut bare, 8).last(), Some(&(granted + BASE)));
    bare.session.allow(View::UNSHARED);
    come(&mut bare, 8, granted, BASE);
    read_all(&mut bare, key);
    assert_eq!(told(&mut bare, 8).last(), Some(&(granted + BASE + granted)), "and to its own size when there is room");
}

#[test]
fn the_base_is_the_sessions_and_each_stream_keeps_a_little_of_its_own() {
    let mut bare = server();
    bare.session.allow(NEAR);
    let granted = Params::default().stream_credit;
    come(&mut bare, 8, 0, granted);
    opened(&mut bare);
    // The first stream is unread and has used up the base many times; the second one's reader goes on all the same.
    bare.pull_all();
    let mut limit = granted;
    let mut at = 0;
    let mut second = None;
    for _ in 0..200 {
        let count = (limit - at).min(LANE_CREDIT_BYTES);
        come(&mut bare, 10, at, count);
        at += count;
        let key = *second.get_or_insert_with(|| opened(&mut bare));
        read_all(&mut bare, key);
        limit = told(&mut bare, 10).last().copied().unwrap_or(limit);
        assert!(limit > at, "an unread stream blocks no other");
    }
    assert_eq!(limit - at, LANE_CREDIT_BYTES);
}

#[test]
fn what_is_promised_above_the_base_is_what_the_pool_has_to_spare() {
    let granted = Params::default().stream_credit;
    for (spare, expected) in [(0, BASE), (BASE, BASE), (BASE + 1_000, BASE + 1_000), (u64::MAX, granted)] {
        let mut bare = server();
        come(&mut bare, 8, 0, granted);
        let key = opened(&mut bare);
        bare.session.allow(View { spare, ..View::UNSHARED });
        read_all(&mut bare, key);
        assert_eq!(told(&mut bare, 8).last(), Some(&(granted + expected)), "{spare}");
    }
}

/// A sender that always waits, over a path of 20 ms, and a reader that keeps up: what its window becomes.
fn window_after(rounds: u32, view: View) -> u64 {
    let mut bare = server();
    let (mut at, mut limit, mut key) = (0, Params::default().stream_credit, None);
    for _ in 0..rounds {
        bare.session.allow(view);
        come(&mut bare, 8, at, limit - at);
        at = limit;
        let key = *key.get_or_insert_with(|| opened(&mut bare));
        read_all(&mut bare, key);
        bare.hear(Frame::Blocked { stream: 8, open: OPEN, need: at + 1_000 }).unwrap();
        limit = *told(&mut bare, 8).last().expect("the reader keeps up");
        bare.now = Instant::from_nanos(bare.now.as_nanos() + 20_000_000);
    }
    limit - at
}

#[test]
fn a_window_grows_while_its_sender_waits_and_not_near_the_bound() {
    let first = Params::default().stream_credit;
    assert!(window_after(8, View::UNSHARED) > 8 * first);
    assert!(window_after(20, View::UNSHARED) <= 16 << 20);
    assert_eq!(window_after(12, NEAR), BASE);
}

#[test]
fn a_window_does_not_grow_for_a_reader_that_is_slower_than_the_path() {
    let mut bare = server();
    let first = Params::default().stream_credit;
    let (mut at, mut limit, mut key) = (0, first, None);
    for _ in 0..50 {
        // Credit comes back as bytes in 1 ms, the reader takes 100 ms for them.
        let count = limit - at;
        come(&mut bare, 8, at, count);
        at = limit;
        bare.hear(Frame::Blocked { stream: 8, open: OPEN, need: at + 1_000 }).unwrap();
        bare.now = Instant::from_nanos(bare.now.as_nanos() + 100_000_000);
        let key = *key.get_or_insert_with(|| opened(&mut bare));
        read_all(&mut bare, key);
        limit = *told(&mut bare, 8).last().expect("it was read");
        assert!(limit - at <= first, "{}", limit - at);
        bare.now = Instant::from_nanos(bare.now.as_nanos() + 1_000_000);
    }
}

#[test]
fn near_the_bound_the_base_may_be_unconfirmed_and_not_one_byte_more() {
    let mut bare = server();
    bare.session.allow(NEAR);
    let lane = bare.session.lane(Lane::NORMAL);
    assert_eq!(bare.session.write(lane, &[1; 100_000]), Ok(BASE as usize));
    assert_eq!(bare.session.write(lane, &[1; 1]), Err(SendError::Full));
    assert_eq!(bare.session.asks(), Ask::Nothing, "raw bytes go on as what is sent is confirmed");
    let said = bare.pull_all();
    assert!(
        said.iter().all(|(_, bytes)| !matches!(Frame::decode(bytes), Ok(Frame::Blocked { .. }))),
        "no want of credit"
    );
    said.into_iter().for_each(|(frame, _)| bare.confirm(frame));
    assert_eq!(bare.events(), [Event::Writable(lane)]);
    assert_eq!(bare.session.write(lane, &[1; 100_000]), Ok(BASE as usize));
}

#[test]
fn what_is_sent_is_taken_as_far_as_the_rings_fit_the_room_of_the_pool() {
    let mut bare = server();
    bare.hear(Frame::StreamCredit { stream: 1, limit: MAX_VARINT }).unwrap();
    bare.hear(Frame::SessionCredit { limit: MAX_VARINT }).unwrap();
    let lane = bare.session.lane(Lane::NORMAL);
    bare.session.allow(View { room: 300_000, ..View::UNSHARED });
    let before = bare.session.usage().held;
    assert_eq!(bare.session.write(lane, &[1; 1_000_000]), Ok(262_144), "the largest ring within 300,000 bytes");
    assert!(bare.session.usage().held - before <= 300_000);
    assert_eq!(bare.session.write(lane, &[1; 1]), Err(SendError::Full), "it would double the ring");
    bare.session.allow(View { room: 262_144, ..View::UNSHARED });
    assert_eq!(bare.session.write(lane, &[1; 1_000_000]), Ok(262_144));
}

#[test]
fn a_message_above_the_base_waits_for_a_turn_is_sent_in_it_and_gives_it_back_when_confirmed() {
    let mut bare = server();
    bare.session.allow(NEAR);
    let lane = bare.session.lane(Lane::NORMAL);
    let largest_at_base = vec![1; BASE as usize - 4];
    bare.session.send(lane, &largest_at_base).unwrap();
    bare.pull_all().into_iter().for_each(|(frame, _)| bare.confirm(frame));
    let above = vec![2; BASE as usize - 3];
    assert_eq!(bare.session.send(lane, &above), Err(SendError::Full));
    assert_eq!((bare.session.asks(), bare.session.waits_for_pool()), (Ask::Turn, true));
    bare.session.allow(NEAR);
    assert_eq!(bare.events(), []);
    bare.session.allow(TURN);
    assert_eq!(bare.events(), [Event::Writable(lane)]);
    assert_eq!(bare.session.asks(), Ask::Using);
    bare.session.send(lane, &above).unwrap();
    assert_eq!(bare.session.send(lane, &above), Err(SendError::Full), "one message a turn");
    let said = bare.pull_all();
    assert_eq!(bare.session.asks(), Ask::Using);
    said.into_iter().for_each(|(frame, _)| bare.confirm(frame));
    assert_eq!(bare.session.asks(), Ask::Turn, "the second one waits for another");
}

#[test]
fn a_message_that_no_turn_is_large_enough_for_waits_for_room_and_takes_nobodys_turn() {
    let large = Params { max_message: 1 << 20, stream_credit: 1 << 21, session_credit: 1 << 22, ..Params::default() };
    let mut bare = Bare::new(Side::Server, large, large);
    let lane = bare.session.lane(Lane::NORMAL);
    bare.session.allow(TURN);
    assert_eq!(bare.session.send(lane, &vec![1; (1 << 18) + 5]), Err(SendError::Full));
    assert_eq!((bare.session.asks(), bare.session.waits_for_pool(), bare.events()), (Ask::Nothing, true, vec![]));
    bare.session.allow(View { room: 1 << 20, ..View::UNSHARED });
    assert_eq!(bare.events(), [Event::Writable(lane)]);
    bare.session.send(lane, &vec![1; (1 << 18) + 5]).unwrap();
    assert!(!bare.session.waits_for_pool());
}

#[test]
fn a_stated_need_above_the_base_is_met_in_a_turn_which_lasts_until_it_is_read() {
    let mut bare = server();
    let granted = Params::default().stream_credit;
    come(&mut bare, 8, 0, granted);
    let key = opened(&mut bare);
    bare.session.allow(NEAR);
    let need = granted + 200_000;
    bare.hear(Frame::Blocked { stream: 8, open: OPEN, need }).unwrap();
    assert_eq!(bare.session.asks(), Ask::Nothing, "its reader has enough to do");
    read_all(&mut bare, key);
    assert_eq!((told(&mut bare, 8).last(), bare.session.asks()), (Some(&(granted + BASE)), Ask::Turn));
    bare.session.allow(TURN);
    assert_eq!((told(&mut bare, 8).last(), bare.session.asks()), (Some(&need), Ask::Using));
    come(&mut bare, 8, granted, 200_000);
    assert_eq!(bare.session.asks(), Ask::Using);
    bare.session.allow(TURN);
    read_all(&mut bare, key);
    assert_eq!(bare.session.asks(), Ask::Nothing);
}

#[test]
fn a_need_is_told_behind_the_bytes_that_are_there_also_after_they_were_lost() {
    let mut bare = Bare::new(Side::Client, Params::default(), Params { stream_credit: 5_000, ..Params::default() });
    let lane = bare.session.lane(Lane::NORMAL);
    bare.session.write(lane, &[1; 4_000]).unwrap();
    assert_eq!(bare.session.send(lane, &[2; 2_000]), Err(SendError::Full));
    let is_need = |bytes: &[u8]| matches!(Frame::decode(bytes), Ok(Frame::Blocked { need: 6_002, .. }));
    let said = bare.pull_all();
    assert_eq!(said.iter().position(|(_, bytes)| is_need(bytes)), Some(said.len() - 1));
    assert!(said.len() > 3);
    said.into_iter().for_each(|(frame, _)| bare.lose(frame));
    let again = bare.pull_all();
    assert_eq!(again.iter().position(|(_, bytes)| is_need(bytes)), Some(again.len() - 1));
}

#[test]
fn a_turn_that_is_taken_away_is_not_in_use_any_more() {
    let mut bare = server();
    let lane = bare.session.lane(Lane::NORMAL);
    bare.session.allow(TURN);
    assert_eq!(bare.session.asks(), Ask::Nothing, "nothing needs it");
    bare.session.send(lane, &[1; 100_000]).unwrap();
    assert_eq!(bare.session.asks(), Ask::Using);
    bare.session.allow(NEAR);
    assert_eq!(bare.session.asks(), Ask::Nothing);
    assert_eq!(bare.session.send(lane, &[1; 100_000]), Err(SendError::Full));
    assert_eq!(bare.session.asks(), Ask::Turn);
    // With room for all it needs no turn.
    bare.session.allow(View { room: 1 << 20, ..View::UNSHARED });
    assert_eq!((bare.session.asks(), bare.events()), (Ask::Nothing, vec![Event::Writable(lane)]));
}

#[test]
fn near_the_bound_new_streams_are_refused_by_name_and_the_peers_are_withheld() {
    let params = Params { max_streams: 1, ..Params::default() };
    let mut bare = Bare::new(Side::Server, params, Params::default());
    bare.session.allow(NEAR);
    let ours = bare.session.open(Lane::BULK, Order::Sequence).expect("below that level");
    let none = View { level: Level::NoStreams, ..NEAR };
    bare.session.allow(none);
    assert_eq!(bare.session.open(Lane::BULK, Order::Sequence), Err(OpenError::Memory));
    bare.session.reset(ours, 0);

    bare.hear(Frame::End { stream: 8, open: OPEN, final_offset: 0 }).unwrap();
    let theirs = opened(&mut bare);
    assert_eq!(bare.session.recv(theirs), Err(RecvError::Ended));
    bare.session.finish(theirs).unwrap();
    bare.pull_all().into_iter().for_each(|(frame, _)| bare.confirm(frame));
    assert!(bare.session.streams_are_withheld() && bare.session.waits_for_pool() && !bare.session.wants_to_send());
    assert!(bare.pull().is_none());
    bare.session.allow(NEAR);
    assert!(bare.session.wants_to_send() && !bare.session.waits_for_pool());
    let (_, said) = bare.pull().expect("the place is given back");
    assert_eq!(Frame::decode(&said), Ok(Frame::StreamsCredit { count: 2 }));
}

#[test]
fn a_cut_session_lets_go_of_what_came_at_once_and_of_what_was_to_go_when_it_was_handed_back() {
    let mut bare = server();
    come(&mut bare, 8, 0, 200_000);
    let key = opened(&mut bare);
    bare.hear(Frame::End { stream: 8, open: OPEN, final_offset: 200_000 }).unwrap();
    bare.session.send(bare.session.lane(Lane::NORMAL), &[5; 100_000]).unwrap();
    let before = bare.session.usage().held;
    let close = Close::new(CloseCode::Memory);
    bare.session.cut(close.clone());
    assert_eq!(bare.events().pop(), Some(Event::Ended(EndReason::Closed(close))));
    assert!(bare.session.usage().held + 200_000 <= before);
    assert_eq!(bare.session.read(key), Err(RecvError::Closed), "what was dropped is never taken for an end");
    assert_eq!(bare.session.undecided().count(), 1);
    bare.session.drop_undecided();
    let left = bare.session.usage();
    assert!(left.held < 16_000 && left.promised == 0, "{left:?}");
    assert_eq!((bare.session.asks(), bare.session.waits_for_pool()), (Ask::Nothing, false));
}

#[test]
fn a_session_that_ended_in_order_keeps_what_came_until_it_is_read() {
    let mut bare = server();
    come(&mut bare, 8, 0, 50_000);
    let key = opened(&mut bare);
    bare.hear(Frame::Close(Close::new(CloseCode::Done))).unwrap();
    bare.session.cut(Close::new(CloseCode::Memory));
    bare.session.drop_undecided();
    assert_eq!(bare.session.read(key).unwrap().unwrap().1.len(), 50_000);
}
