//! What the application sees of a session: giving up, urgency, memory, order, the end.

mod sessions;

use bytes::Bytes;
use sessions::{Bare, Pair, take_all};
use towline_proto::ids::Lane;
use towline_proto::session::pool::{Level, View};
use towline_proto::session::{EndReason, Event, OpenError, Order, RecvError, SendError, Side};
use towline_proto::time::Duration;
use towline_proto::wire::close::{Close, CloseCode};
use towline_proto::wire::frame::Frame;
use towline_proto::wire::hello::Params;

fn streams(pair: &Pair) -> [usize; 2] {
    [0, 1].map(|side| pair.sides[side].stats().streams - Lane::COUNT)
}

#[test]
fn a_reset_reaches_the_reader_even_if_all_bytes_are_there_and_is_never_taken_for_an_end() {
    let mut pair = Pair::new(Params::default(), 1);
    let ours = pair.sides[0].open(Lane::BULK, Order::Sequence).unwrap();
    pair.sides[0].write(ours, &[1; 10_000]).unwrap();
    pair.steps(20);
    pair.sides[0].reset(ours, 77);
    pair.steps(20);
    let theirs = pair.opened(1);
    assert_eq!(pair.sides[1].read(theirs), Err(RecvError::Reset(77)));
    assert_eq!(pair.sides[0].write(ours, b"x"), Err(SendError::Reset));
    assert_eq!(pair.sides[0].stats().unconfirmed_bytes, 0);
    // The other direction lives on.
    pair.sides[1].send(theirs, b"pity").unwrap();
    pair.sides[1].finish(theirs).unwrap();
    pair.steps(20);
    assert_eq!(pair.sides[0].recv(ours).unwrap().unwrap(), &b"pity"[..]);
    assert_eq!(pair.sides[0].recv(ours), Err(RecvError::Ended));
    pair.steps(20);
    assert_eq!(streams(&pair), [0, 0]);
}

#[test]
fn an_end_that_was_told_before_a_reset_keeps_what_came_whole() {
    let mut bare = Bare::new(Side::Server, Params::default(), Params::default());
    let open = Some(towline_proto::wire::frame::Open { lane: Lane::BULK, as_complete: false });
    bare.hear(Frame::Bytes { stream: 8, open, offset: 0, bytes: b"whole" }).unwrap();
    bare.hear(Frame::End { stream: 8, open, final_offset: 5 }).unwrap();
    bare.hear(Frame::Reset { stream: 8, open, final_offset: 5, code: 1 }).unwrap();
    let Some(Event::Opened(key, _)) = bare.events().into_iter().next() else { panic!("it was opened") };
    assert_eq!(bare.session.read(key).unwrap().unwrap().1, &b"whole"[..]);
    assert_eq!(bare.session.read(key), Err(RecvError::Ended));
}

#[test]
fn a_stop_makes_the_sender_reset_and_both_sides_forget_the_stream() {
    let mut pair = Pair::new(Params::default(), 2);
    let ours = pair.sides[0].open(Lane::BULK, Order::Sequence).unwrap();
    while pair.sides[0].write(ours, &[1; 50_000]).is_ok() {}
    pair.steps(30);
    let theirs = pair.opened(1);
    pair.sides[1].stop(theirs, 5);
    pair.sides[1].finish(theirs).unwrap();
    pair.steps(30);
    assert!(pair.events(0).contains(&Event::Stopped(ours, 5)));
    assert_eq!(pair.sides[0].write(ours, b"x"), Err(SendError::Reset));
    assert_eq!(pair.sides[0].recv(ours), Err(RecvError::Ended));
    pair.steps(30);
    assert_eq!(streams(&pair), [0, 0]);
    assert_eq!(pair.sides[1].stats().unread_bytes, 0);
    // Its credit is free again: streams like it follow one another without end.
    for _ in 0..50 {
        let ours = pair.sides[0].open(Lane::BULK, Order::Sequence).unwrap();
        assert!(pair.sides[0].write(ours, &[1; 100_000]).unwrap() >= 32 * 1024);
        pair.steps(10);
        let theirs = pair.opened(1);
        pair.sides[1].stop(theirs, 5);
        pair.sides[1].finish(theirs).unwrap();
        pair.steps(10);
        let _ = pair.sides[0].recv(ours);
        pair.steps(10);
    }
    assert_eq!(streams(&pair), [0, 0]);
}

#[test]
fn a_stream_given_up_before_its_first_frame_has_no_number_and_frees_its_place() {
    let mut bare = Bare::new(Side::Client, Params::default(), Params { max_streams: 1, ..Params::default() });
    for _ in 0..10 {
        let key = bare.session.open(Lane::NORMAL, Order::Sequence).unwrap();
        bare.session.send(key, b"never mind").unwrap();
        assert_eq!(bare.session.open(Lane::NORMAL, Order::Sequence), Err(OpenError::TooMany));
        bare.session.reset(key, 0);
        let mut events = core::iter::from_fn(|| bare.session.poll_event());
        assert!(events.any(|event| event == Event::Openable), "who waits for a place hears of it");
    }
    let key = bare.session.open(Lane::NORMAL, Order::Sequence).unwrap();
    bare.session.send(key, b"this one").unwrap();
    let frames = bare.pull_all();
    let numbers = frames.iter().filter_map(|(_, frame)| match Frame::decode(frame).unwrap() {
        Frame::Run { stream, .. } => Some(stream),
        _ => None,
    });
    assert_eq!(numbers.collect::<Vec<_>>(), [8]);
}

#[test]
fn p11_an_urgent_message_is_served_first_and_no_lane_starves() {
    let huge = Params { stream_credit: 1 << 24, session_credit: 1 << 26, ..Params::default() };
    let mut bare = Bare::new(Side::Client, huge, huge);
    let [urgent, normal, bulk] = [Lane::URGENT, Lane::NORMAL, Lane::BULK].map(|lane| bare.session.lane(lane));
    for lane in [normal, bulk] {
        (0..10).for_each(|_| _ = bare.session.write(lane, &[1; 100_000]).unwrap());
    }
    let stream_of = |frame: &[u8]| match Frame::decode(frame).unwrap() {
        Frame::Run { stream, messages, .. } => Some((stream, messages.len())),
        Frame::Bytes { stream, bytes, .. } => Some((stream, bytes.len())),
        _ => None,
    };
    // In the middle of a large transfer an urgent message is the very next frame.
    for _ in 0..200 {
        bare.pull().unwrap();
        bare.session.send(urgent, b"now").unwrap();
        let next = std::iter::from_fn(|| bare.pull()).find_map(|(_, frame)| stream_of(&frame));
        assert_eq!(next, Some((0, 4)));
    }
    // A lane that never falls silent leaves each lower one its share.
    let mut served = [0; 3];
    for _ in 0..500 {
        let _ = bare.session.write(urgent, &[2; 3_000]);
        let _ = bare.session.write(normal, &[2; 3_000]);
        let Some((_, frame)) = bare.pull() else { break };
        let Some((stream, len)) = stream_of(&frame) else { continue };
        served[stream as usize] += len;
    }
    let all: usize = served.iter().sum();
    assert!(served[0] > all / 2 && served[1] > all / 20 && served[2] > all / 20, "{served:?}");
    println!("p11: reached: urgent is the next frame in 200 of 200; shares of three full lanes {served:?} bytes");
}

#[test]
fn p10_a_peer_that_never_reads_costs_bounded_memory_on_both_sides() {
    let mut pair = Pair::new(Params::default(), 1);
    let mut keys: Vec<_> = (0..8).map(|lane| pair.sides[0].lane(Lane(lane))).collect();
    keys.extend((0..10).map(|_| pair.sides[0].open(Lane::BULK, Order::Sequence).unwrap()));
    let (mut taken, mut after) = (0, 0);
    for round in 0..600 {
        for &key in &keys {
            while pair.sides[0].send(key, &[3; 2_000]).is_ok() {
                taken += 2_000;
                after += usize::from(round > 300);
            }
        }
        pair.step(64 * 1024);
    }
    let bound = (18 * Params::default().stream_credit) as usize;
    let [sender, receiver] = [0, 1].map(|side| pair.sides[side].stats());
    assert_eq!(after, 0, "the sender is held back");
    assert!(taken <= bound && taken > bound / 2, "{taken} of {bound}");
    assert!(receiver.unread_bytes <= bound as u64 && receiver.held_bytes <= 2 * bound, "{receiver:?}");
    assert!(sender.held_bytes <= 256 * 1024, "all of it is confirmed: {sender:?}");
    println!("p10: reached {} bytes held for an unread peer with 18 streams, {bound} granted", receiver.held_bytes);
}

#[test]
fn p10_a_thousand_messages_are_kept_in_a_few_bytes_each() {
    let mut bare = Bare::new(Side::Client, Params::default(), Params::default());
    let lane = bare.session.lane(Lane::NORMAL);
    let before = bare.session.stats().held_bytes;
    (0..7_000).for_each(|_| _ = bare.session.send(lane, &[1; 32]).unwrap());
    let each = (bare.session.stats().held_bytes - before) / 7_000;
    assert!(each <= 40, "{each} bytes for 32");
}

#[test]
fn an_orderly_close_comes_after_everything_sent_and_its_end() {
    let mut pair = Pair::new(Params::default(), 2);
    let lane = pair.sides[0].lane(Lane::NORMAL);
    (0..100u8).for_each(|i| _ = pair.sides[0].send(lane, &[i; 1_500]).unwrap());
    let body = pair.sides[0].open(Lane::BULK, Order::Sequence).unwrap();
    pair.sides[0].write(body, &[9; 50_000]).unwrap();
    pair.sides[0].finish(body).unwrap();
    pair.sides[0].close(Close::new(CloseCode::Done));
    assert_eq!(pair.sides[0].send(lane, b"too late"), Err(SendError::Closed));
    for _ in 0..100 {
        pair.step(3_000);
    }
    let mut got = Vec::new();
    take_all(&mut pair.sides[1], Lane::NORMAL, &mut got);
    assert_eq!(got.len(), 100);
    let theirs = pair.opened(1);
    let mut bytes = 0;
    while let Ok(Some((_, piece))) = pair.sides[1].read(theirs) {
        bytes += piece.len();
    }
    assert_eq!((bytes, pair.sides[1].read(theirs)), (50_000, Err(RecvError::Ended)));
    assert_eq!(pair.sides[0].undecided().count(), 0);
    assert!(pair.sides.iter().all(towline_proto::session::Session::is_ended));
}

#[test]
fn a_session_without_links_is_kept_for_its_time_and_not_longer() {
    let mut pair = Pair::new(Params { resume_time_ms: 5_000, ..Params::default() }, 1);
    pair.cut(0);
    assert_eq!(pair.sides[0].poll_timeout(), Some(pair.now + Duration::from_millis(5_000)));
    pair.join(usize::MAX);
    assert_eq!(pair.sides[0].poll_timeout(), None);
    pair.cut(0);
    let until = pair.sides[0].poll_timeout().unwrap();
    let gone = pair.sides[0].add_link(pair.now);
    pair.sides[0].remove_link(pair.now, gone);
    pair.sides[0].remove_link(pair.now + Duration::from_millis(900), gone);
    assert_eq!(pair.sides[0].poll_timeout(), Some(until), "a link removed twice prolongs nothing");
    pair.sides[0].handle_timeout(until);
    assert_eq!(pair.events(0).pop(), Some(Event::Ended(EndReason::ResumeTimeOver)));
}

#[test]
fn a_watched_place_is_told_once_and_marks_come_in_order() {
    let mut pair = Pair::new(Params::default(), 1);
    let lane = pair.sides[0].lane(Lane::NORMAL);
    let marks: Vec<_> = (0..20u8).map(|i| pair.sides[0].send(lane, &[i; 3_000]).unwrap()).collect();
    marks.iter().rev().for_each(|&mark| pair.sides[0].watch(lane, mark));
    pair.steps(40);
    let told: Vec<Event> = pair.events(0).into_iter().filter(|event| matches!(event, Event::Confirmed(..))).collect();
    assert_eq!(told, marks.iter().map(|&mark| Event::Confirmed(lane, mark)).collect::<Vec<_>>());
    pair.sides[0].watch(lane, marks[3]);
    assert_eq!(pair.events(0), [Event::Confirmed(lane, marks[3])]);
}

#[test]
fn a_working_session_keeps_its_rings_and_gives_them_back_at_rest_or_when_the_pool_is_used() {
    let mut pair = Pair::new(Params::default(), 1);
    let held = |pair: &Pair| [0, 1].map(|side: usize| pair.sides[side].stats().held_bytes);
    let lane = pair.sides[0].lane(Lane::NORMAL);
    let burst = |pair: &mut Pair| {
        (0..100).for_each(|_| _ = pair.sides[0].send(lane, &[5; 1_000]).unwrap());
        pair.steps(20);
        let mut got = Vec::new();
        while pair.sides[1].recv_many(lane, &mut got, 7, 5_000).unwrap() > 0 {}
        assert_eq!(got.len(), 100);
        assert!(got.iter().all(|message| message[..] == [5; 1_000]));
    };
    burst(&mut pair);
    let busy = held(&pair);
    assert!(busy.iter().all(|&held| held > 100_000), "kept for the next burst: {busy:?}");
    burst(&mut pair);
    assert_eq!(held(&pair), busy, "and used by it");
    pair.steps(600);
    let rest = held(&pair);
    assert!(rest.iter().all(|&held| held < 2_000), "given back at rest: {rest:?}");
    let used = View { level: Level::Used, ..View::UNSHARED };
    pair.sides.iter_mut().for_each(|side| side.allow(used));
    burst(&mut pair);
    let used = held(&pair);
    assert!(used.iter().all(|&held| held < 8_000), "kept by nobody when the pool is half used: {used:?}");
}

#[test]
fn many_at_once_are_the_same_messages_in_the_same_order_and_their_end_is_told_once_they_are_taken() {
    let mut pair = Pair::new(Params::default(), 1);
    let key = pair.sides[0].open(Lane::NORMAL, Order::Sequence).unwrap();
    let message = |number: u32| Bytes::from(vec![number as u8; [0, 1, 32, 63, 64, 2_000, 5_000][number as usize % 7]]);
    let all: Vec<_> = (0..700).map(message).collect();
    let mut waiting: std::collections::VecDeque<_> = all.iter().cloned().collect();
    let (mut got, mut theirs) = (Vec::new(), None);
    for round in 0..10_000 {
        while !waiting.is_empty() && pair.sides[0].send_many(key, &mut waiting, 10_000).is_ok() {}
        if waiting.is_empty() {
            let _ = pair.sides[0].finish(key);
        }
        pair.step(64 * 1024);
        let theirs = *theirs.get_or_insert_with(|| pair.opened(1));
        let before = got.len();
        match pair.sides[1].recv_many(theirs, &mut got, 1 + round % 50, 20_000) {
            Ok(count) => assert_eq!(got.len() - before, count),
            Err(error) => {
                assert_eq!((error, before), (RecvError::Ended, got.len()));
                assert!(got == all, "{} of {} messages", got.len(), all.len());
                return;
            }
        }
    }
    panic!("{} of {} messages", got.len(), all.len());
}
