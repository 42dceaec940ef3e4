//! What one session makes of frames given by hand: each limit and one past it, ends, order, and what lost memory means.

mod sessions;

use sessions::Bare;
use towline_proto::ids::Lane;
use towline_proto::limits::MAX_MAX_MESSAGE_BYTES;
use towline_proto::session::{EndReason, Event, OpenError, Order, RecvError, SendError, Side, StreamKey, StreamState};
use towline_proto::time::Instant;
use towline_proto::wire::close::CloseCode;
use towline_proto::wire::cursor::MAX_VARINT;
use towline_proto::wire::frame::{Frame, Open};
use towline_proto::wire::hello::Params;

const OPEN: Option<Open> = Some(Open { lane: Lane::NORMAL, as_complete: false });
const AS_COMPLETE: Option<Open> = Some(Open { lane: Lane::NORMAL, as_complete: true });

fn server(local: Params) -> Bare {
    Bare::new(Side::Server, local, Params::default())
}

fn bytes(stream: u64, offset: u64, bytes: &[u8]) -> Frame<'_> {
    Frame::Bytes { stream, open: OPEN, offset, bytes }
}

fn refused(bare: &mut Bare, frame: Frame<'_>, code: CloseCode) {
    let violation = bare.hear(frame.clone()).expect_err("one past the limit");
    assert_eq!(violation.code, code, "{frame:?}");
    assert_eq!(bare.events().pop(), Some(Event::Ended(EndReason::Violated(violation))));
    assert!(bare.session.is_ended());
}

#[test]
fn p18_a_stream_may_reach_its_credit_and_not_one_byte_more() {
    let params = Params { stream_credit: 1_000, ..Params::default() };
    let mut bare = server(params);
    bare.hear(bytes(8, 0, &[1; 1_000])).unwrap();
    refused(&mut bare, bytes(8, 1_000, &[1]), CloseCode::FlowControl);
    refused(&mut server(params), bytes(8, 0, &[1; 1_001]), CloseCode::FlowControl);
    refused(&mut server(params), Frame::End { stream: 8, open: OPEN, final_offset: 1_001 }, CloseCode::FlowControl);
}

#[test]
fn p18_all_streams_together_may_reach_the_credit_they_were_told_and_not_one_byte_more() {
    let params = Params { session_credit: 500, ..Params::default() };
    server(params).hear(bytes(8, 0, &[1; 500])).unwrap();
    refused(&mut server(params), bytes(8, 0, &[1; 501]), CloseCode::FlowControl);
    refused(
        &mut server(params),
        Frame::Reset { stream: 8, open: OPEN, final_offset: 501, code: 1 },
        CloseCode::FlowControl,
    );
}

#[test]
fn p18_as_many_streams_may_be_open_as_were_granted_and_not_one_more() {
    let params = Params { max_streams: 2, ..Params::default() };
    let mut bare = server(params);
    bare.hear(bytes(10, 0, b"x")).unwrap();
    refused(&mut bare, bytes(12, 0, b"x"), CloseCode::TooManyStreams);

    let mut bare = server(params);
    for stream in [8, 10] {
        bare.hear(Frame::End { stream, open: OPEN, final_offset: 0 }).unwrap();
    }
    let opened: Vec<StreamKey> = bare
        .events()
        .into_iter()
        .filter_map(|event| if let Event::Opened(key, _) = event { Some(key) } else { None })
        .collect();
    assert_eq!(bare.session.recv(opened[0]), Err(RecvError::Ended));
    bare.session.finish(opened[0]).unwrap();
    let said = bare.pull_all();
    said.into_iter().for_each(|(frame, _)| bare.confirm(frame));
    bare.hear(bytes(12, 0, b"x")).unwrap();
    refused(&mut bare, bytes(14, 0, b"x"), CloseCode::TooManyStreams);
}

#[test]
fn a_peer_hears_of_new_places_for_streams_when_half_are_left() {
    let mut bare = server(Params { max_streams: 8, ..Params::default() });
    let mut told = Vec::new();
    for index in 0..20 {
        bare.hear(Frame::End { stream: 8 + 2 * index, open: OPEN, final_offset: 0 }).unwrap();
        let opened = bare.events().into_iter().find_map(|event| match event {
            Event::Opened(key, _) => Some(key),
            _ => None,
        });
        let key = opened.unwrap();
        assert_eq!(bare.session.recv(key), Err(RecvError::Ended));
        bare.session.finish(key).unwrap();
        // The second time it is known that the stream's end was heard.
        for _ in 0..2 {
            for (frame, bytes) in bare.pull_all() {
                if let Ok(Frame::StreamsCredit { count }) = Frame::decode(&bytes) {
                    told.push((index + 1, count));
                }
                bare.confirm(frame);
            }
        }
    }
    assert_eq!(told, [(4, 11), (7, 14), (10, 17), (13, 20), (16, 23), (19, 26)]);
}

#[test]
fn p18_a_message_may_be_as_large_as_stated_and_not_one_byte_larger() {
    let params = Params { max_message: 60, ..Params::default() };
    let mut bare = Bare::new(Side::Client, params, params);
    let lane = bare.session.lane(Lane::NORMAL);
    bare.session.send(lane, &[1; 60]).unwrap();
    assert_eq!(bare.session.send(lane, &[1; 61]), Err(SendError::TooLarge { max: 60 }));
    let run = |len: u8| [vec![len], vec![7; len.into()]].concat();
    bare.hear(Frame::Run { stream: 1, open: None, offset: 0, messages: &run(60) }).unwrap();
    assert_eq!(bare.session.recv(lane).unwrap().unwrap(), vec![7; 60]);
    refused(
        &mut server(params),
        Frame::Run { stream: 1, open: None, offset: 0, messages: &run(61) },
        CloseCode::FlowControl,
    );
    let first = Frame::Chunk { stream: 1, open: None, offset: 0, start: 0, bytes: &[61, 1] };
    refused(&mut server(params), first, CloseCode::FlowControl);
    let far_in = Frame::Chunk { stream: 1, open: None, offset: 100, start: 0, bytes: &[1] };
    refused(&mut server(params), far_in, CloseCode::FlowControl);
}

#[test]
fn p18_the_largest_numbers_overflow_nothing() {
    let top = MAX_VARINT;
    let over = [
        bytes(8, top, b"x"),
        Frame::Run { stream: 8, open: OPEN, offset: top, messages: &[1, 1] },
        Frame::Chunk { stream: 8, open: OPEN, offset: top, start: top, bytes: &[1, 1] },
        Frame::Chunk { stream: 8, open: OPEN, offset: top, start: 0, bytes: &[1, 1] },
        Frame::End { stream: 8, open: OPEN, final_offset: top },
        Frame::Reset { stream: 8, open: OPEN, final_offset: top, code: u32::MAX },
    ];
    for frame in over {
        refused(&mut server(Params::default()), frame, CloseCode::FlowControl);
    }
    refused(&mut server(Params::default()), bytes(top - 1, 0, b"x"), CloseCode::TooManyStreams);
    refused(&mut server(Params::default()), bytes(top, 0, b"x"), CloseCode::Protocol);
    let mut bare = server(Params { max_message: MAX_MAX_MESSAGE_BYTES, ..Params::default() });
    bare.hear(Frame::Blocked { stream: 8, open: OPEN, need: top }).unwrap();
    bare.hear(Frame::StreamCredit { stream: 1, limit: top }).unwrap();
    bare.hear(Frame::SessionCredit { limit: top }).unwrap();
    bare.hear(Frame::StreamsCredit { count: top }).unwrap();
    let lane = bare.session.lane(Lane::NORMAL);
    bare.session.send(lane, &[1; 200_000]).unwrap();
    bare.session.open(Lane::BULK, Order::Sequence).unwrap();
    assert!(bare.session.stats().held_bytes < 1_000_000);
}

#[test]
fn p18_credit_never_shrinks_and_a_stream_that_never_was_gets_none() {
    let mut bare = server(Params::default());
    bare.hear(Frame::StreamCredit { stream: 1, limit: 0 }).unwrap();
    bare.hear(Frame::SessionCredit { limit: 0 }).unwrap();
    bare.hear(Frame::StreamsCredit { count: 0 }).unwrap();
    let lane = bare.session.lane(Lane::NORMAL);
    bare.session.send(lane, &[1; 100_000]).unwrap();
    refused(&mut bare, Frame::StreamCredit { stream: 9, limit: 5 }, CloseCode::Protocol);
    refused(&mut server(Params::default()), Frame::StreamCredit { stream: 8, limit: 5 }, CloseCode::Protocol);
}

#[test]
fn p18_an_end_cannot_be_moved_nor_passed_nor_put_below_what_came() {
    let end = |final_offset| Frame::End { stream: 8, open: OPEN, final_offset };
    for bad in [end(9), end(11), bytes(8, 9, b"ab"), Frame::Reset { stream: 8, open: OPEN, final_offset: 9, code: 1 }] {
        let mut bare = server(Params::default());
        bare.hear(end(10)).unwrap();
        bare.hear(end(10)).unwrap();
        refused(&mut bare, bad, CloseCode::FlowControl);
    }
    let mut bare = server(Params::default());
    bare.hear(bytes(8, 0, &[1; 20])).unwrap();
    refused(&mut bare, end(19), CloseCode::FlowControl);
    for frame in [
        Frame::End { stream: 1, open: None, final_offset: 0 },
        Frame::Reset { stream: 1, open: None, final_offset: 0, code: 0 },
        Frame::Stop { stream: 1, open: None, code: 0 },
    ] {
        refused(&mut server(Params::default()), frame, CloseCode::Protocol);
    }
}

#[test]
fn p21_late_duplicates_of_a_closed_stream_open_and_deliver_nothing() {
    let mut client = Bare::new(Side::Client, Params::default(), Params::default());
    let mut peer = server(Params::default());
    let ours = client.session.open(Lane::NORMAL, Order::Sequence).unwrap();
    client.session.send(ours, b"once").unwrap();
    client.session.finish(ours).unwrap();
    let said = client.pull_all();
    said.iter().for_each(|(_, frame)| peer.hear_bytes(frame).unwrap());
    said.iter().for_each(|&(frame, _)| client.confirm(frame));
    let Some(Event::Opened(theirs, _)) = peer.events().into_iter().next() else { panic!("it was opened") };
    assert_eq!(peer.session.recv(theirs).unwrap().unwrap(), &b"once"[..]);
    assert_eq!(peer.session.recv(theirs), Err(RecvError::Ended));
    peer.session.finish(theirs).unwrap();
    let answer = peer.pull_all();
    answer.iter().for_each(|(_, frame)| client.hear_bytes(frame).unwrap());
    answer.iter().for_each(|&(frame, _)| peer.confirm(frame));
    assert_eq!(client.session.recv(ours), Err(RecvError::Ended));
    assert_eq!((client.session.stats().streams, peer.session.stats().streams), (Lane::COUNT, Lane::COUNT));

    peer.events();
    client.events();
    for _ in 0..1_000 {
        said.iter().for_each(|(_, frame)| peer.hear_bytes(frame).unwrap());
        answer.iter().for_each(|(_, frame)| client.hear_bytes(frame).unwrap());
    }
    said.iter().for_each(|&(frame, _)| client.lose(frame));
    for side in [&mut client, &mut peer] {
        assert_eq!((side.events(), side.session.stats().streams), (Vec::new(), Lane::COUNT));
    }
    assert_eq!(peer.session.recv(theirs), Err(RecvError::Closed));
    println!("p21: reached 0 deliveries in 1000 replays of a closed stream");
}

#[test]
fn messages_wanted_as_they_complete_come_so_and_none_twice() {
    let mut bare = server(Params::default());
    let large = [vec![0x40, 100], vec![9; 100]].concat();
    let chunk = |from: usize, to: usize| Frame::Chunk {
        stream: 8,
        open: AS_COMPLETE,
        offset: from as u64,
        start: 0,
        bytes: &large[from..to],
    };
    let run = Frame::Run { stream: 8, open: AS_COMPLETE, offset: 102, messages: &[1, 1, 0, 2, 2, 2] };
    bare.hear(chunk(50, 102)).unwrap();
    bare.hear(run.clone()).unwrap();
    let Some(Event::Opened(key, _)) = bare.events().into_iter().next() else { panic!("it was opened") };
    let take = |bare: &mut Bare| bare.session.recv(key).unwrap().map(|message| message.to_vec());
    assert_eq!([take(&mut bare), take(&mut bare)], [Some(vec![1]), Some(vec![])]);
    bare.hear(chunk(0, 60)).unwrap();
    // What comes again, in another cut, brings nothing new.
    bare.hear(run).unwrap();
    bare.hear(chunk(0, 102)).unwrap();
    assert_eq!([take(&mut bare), take(&mut bare), take(&mut bare)], [Some(vec![2, 2]), Some(vec![9; 100]), None]);
    // A run that begins with what was handed out before still brings the rest.
    let again = Frame::Run { stream: 8, open: AS_COMPLETE, offset: 105, messages: &[2, 2, 2, 1, 3] };
    bare.hear(again).unwrap();
    assert_eq!([take(&mut bare), take(&mut bare)], [Some(vec![3]), None]);
    bare.hear(Frame::End { stream: 8, open: None, final_offset: 110 }).unwrap();
    assert_eq!(bare.session.recv(key), Err(RecvError::Ended));
}

#[test]
fn p21_a_message_that_comes_again_beside_a_new_one_is_not_delivered_again() {
    for read_between in [false, true] {
        let mut bare = server(Params::default());
        let run = |messages| Frame::Run { stream: 8, open: AS_COMPLETE, offset: 100, messages };
        bare.hear(run(&[1, 7])).unwrap();
        let Some(Event::Opened(key, _)) = bare.events().into_iter().next() else { panic!("it was opened") };
        let mut got = Vec::new();
        if read_between {
            got.extend(bare.session.recv(key).unwrap());
        }
        // Below it is a gap, so the ring still holds it.
        bare.hear(run(&[1, 7, 1, 8])).unwrap();
        got.extend(std::iter::from_fn(|| bare.session.recv(key).unwrap()));
        assert_eq!(got, [&[7][..], &[8][..]], "{read_between}");
    }
}

/// Loses each frame of this type once that the session says, and expects it again.
fn said_again(bare: &mut Bare, kind: u8) {
    let frames = bare.pull_all();
    let (frame, bytes) =
        frames.iter().find(|(_, bytes)| bytes[0] & !1 == kind & !1 && bytes[0] >= kind).expect("said once");
    bare.lose(*frame);
    let again = bare.pull_all();
    assert!(again.iter().any(|(_, same)| same == bytes), "{:?}", Frame::decode(bytes));
}

#[test]
fn what_a_dying_link_had_of_credit_needs_and_ends_is_said_again() {
    let small = Params { stream_credit: 1_000, session_credit: 1_000, max_streams: 1, ..Params::default() };
    let with_a_stream = || {
        let mut bare = Bare::new(Side::Server, small, Params { session_credit: 20_000, ..small });
        bare.hear(bytes(8, 0, &[1; 900])).unwrap();
        let Some(Event::Opened(key, _)) = bare.events().into_iter().next() else { panic!("it was opened") };
        (bare, key)
    };
    let (mut bare, key) = with_a_stream();
    assert_eq!(bare.session.read(key).unwrap().unwrap().1.len(), 900);
    said_again(&mut bare, 0x08);
    let (mut bare, _) = with_a_stream();
    said_again(&mut bare, 0x05);
    let (mut bare, key) = with_a_stream();
    bare.session.stop(key, 1);
    said_again(&mut bare, 0x1a);
    let (mut bare, key) = with_a_stream();
    assert_eq!(bare.session.send(key, &[1; 5_000]), Err(SendError::Full));
    said_again(&mut bare, 0x1c);
    let (mut bare, key) = with_a_stream();
    bare.session.write(key, b"begun").unwrap();
    bare.pull_all();
    bare.session.reset(key, 1);
    said_again(&mut bare, 0x18);
    let (mut bare, key) = with_a_stream();
    bare.session.finish(key).unwrap();
    said_again(&mut bare, 0x16);

    let (mut bare, key) = with_a_stream();
    bare.hear(Frame::End { stream: 8, open: OPEN, final_offset: 900 }).unwrap();
    while bare.session.read(key).is_ok() {}
    bare.session.finish(key).unwrap();
    bare.pull_all().into_iter().for_each(|(frame, _)| bare.confirm(frame));
    said_again(&mut bare, 0x06);
}

#[test]
fn p18_messages_wanted_as_they_complete_mix_with_no_raw_bytes_and_keep_to_their_length() {
    let raw = Frame::Bytes { stream: 8, open: AS_COMPLETE, offset: 0, bytes: b"raw" };
    refused(&mut server(Params::default()), raw, CloseCode::Protocol);
    let chunk = |offset, bytes| Frame::Chunk { stream: 8, open: AS_COMPLETE, offset, start: 0, bytes };
    let mut bare = server(Params::default());
    bare.hear(chunk(0, &[40, 1, 1])).unwrap();
    bare.hear(chunk(3, &[1; 38])).unwrap();
    refused(&mut bare, chunk(41, &[1]), CloseCode::Protocol);
    refused(&mut server(Params::default()), chunk(0, &[1, 1, 1]), CloseCode::Protocol);
}

#[test]
fn many_tiny_messages_that_come_one_by_one_and_again_cost_no_search() {
    // With a search per message this takes minutes.
    let mut bare = server(Params::default());
    let all = vec![0; 200_000];
    for at in (0..all.len()).step_by(1_000) {
        let messages = &all[at..at + 1_000];
        bare.hear(Frame::Run { stream: 8, open: AS_COMPLETE, offset: at as u64, messages }).unwrap();
    }
    for at in (200_000..240_000u64).rev() {
        bare.hear(Frame::Chunk { stream: 8, open: AS_COMPLETE, offset: at, start: at, bytes: &[0] }).unwrap();
    }
    let Some(Event::Opened(key, _)) = bare.events().into_iter().next() else { panic!("it was opened") };
    let count = std::iter::from_fn(|| bare.session.recv(key).unwrap()).count();
    assert_eq!(count, 240_000);
}

#[test]
fn a_gone_peer_leaves_exactly_the_unconfirmed_messages_undecided() {
    let mut bare = Bare::new(Side::Client, Params::default(), Params::default());
    let lane = bare.session.lane(Lane::NORMAL);
    let messages: Vec<Vec<u8>> = (0..10u8).map(|i| vec![i; 100 + usize::from(i) * 300]).collect();
    let marks: Vec<_> = messages.iter().map(|message| bare.session.send(lane, message).unwrap()).collect();
    let frames = bare.pull_all();
    // The first and the third frame of data are in the peer's memory, the others nobody knows about.
    let data: Vec<_> = frames.iter().filter(|(_, frame)| frame[0] == 0x10 || frame[0] == 0x12).collect();
    for (frame, _) in [data[0], data[2]] {
        bare.confirm(*frame);
    }
    let late = bare.session.open(Lane::BULK, Order::Sequence).unwrap();
    bare.session.send(late, b"never pulled").unwrap();
    let kept = |bytes: &[u8]| messages.iter().position(|message| message == bytes).unwrap_or(10);
    bare.session.end(EndReason::Gone);
    assert_eq!(bare.events().pop(), Some(Event::Ended(EndReason::Gone)));
    let undecided: Vec<usize> = bare.session.undecided().map(|(_, message)| kept(&message)).collect();
    // Frames of 1,400 bytes: messages 0 to 2 fill the first; 4 is the third, and arrived behind a gap: it was not
    // delivered, nor did anybody hear that it was confirmed.
    assert_eq!(undecided, [3, 4, 5, 6, 7, 8, 9, 10]);
    assert!(!bare.session.is_confirmed(lane, marks[4]));
    assert!(bare.session.is_confirmed(lane, marks[2]) && !bare.session.is_confirmed(lane, marks[3]));
    assert_eq!(bare.session.send(lane, b"after"), Err(SendError::Closed));
    assert_eq!(bare.session.open(Lane::BULK, Order::Sequence), Err(OpenError::Closed));
    assert!(bare.pull().is_none());
}

#[test]
fn a_stream_known_only_by_a_higher_number_is_told_again_what_it_is() {
    let mut client = Bare::new(Side::Client, Params::default(), Params::default());
    let mut peer = server(Params::default());
    let [first, second] = [0, 1].map(|_| client.session.open(Lane::BULK, Order::Sequence).unwrap());
    client.session.send(first, b"first").unwrap();
    client.session.send(second, b"second").unwrap();
    let frames: Vec<_> = client.pull_all().into_iter().filter(|(_, frame)| frame[0] == 0x11).collect();
    peer.hear_bytes(&frames[1].1).unwrap();
    client.lose(frames[0].0);
    client.session.resume(Instant::ZERO, &peer.session.receive_state()).unwrap();
    for (_, frame) in client.pull_all() {
        peer.hear_bytes(&frame).unwrap();
    }
    let opened = peer.events().into_iter().filter(|event| matches!(event, Event::Opened(..))).count();
    assert_eq!(opened, 2);
}

#[test]
fn a_peer_that_states_what_was_never_sent_is_refused() {
    let mut client = Bare::new(Side::Client, Params::default(), Params::default());
    let mut state = client.session.receive_state();
    state.streams.push(StreamState { id: 1, contiguous_end: 1, ranges: Vec::new() });
    let violation = client.session.resume(Instant::ZERO, &state).unwrap_err();
    assert_eq!(violation.code, CloseCode::Protocol);
}

#[test]
fn a_session_holds_unsent_and_unconfirmed_bytes_to_its_bound_over_all_streams_and_then_goes_on() {
    let mut bare = Bare::new(Side::Client, Params::default(), Params::default());
    bare.hear(Frame::SessionCredit { limit: MAX_VARINT }).unwrap();
    let lanes = [Lane::NORMAL, Lane::BULK].map(|lane| bare.session.lane(lane));
    lanes
        .iter()
        .zip([1, 2])
        .for_each(|(_, stream)| bare.hear(Frame::StreamCredit { stream, limit: MAX_VARINT }).unwrap());
    let piece = vec![5; 1 << 20];
    let taken: usize = (0..100).map(|at| bare.session.write(lanes[at % 2], &piece).unwrap_or(0)).sum();
    assert_eq!(taken, 64 << 20);
    assert!(bare.session.stats().held_bytes >= 64 << 20);
    let mut woken = Vec::new();
    while woken.is_empty() {
        let (frame, _) = bare.pull().expect("there are bytes");
        bare.confirm(frame);
        woken = bare.events();
    }
    let held = bare.session.stats().unconfirmed_bytes;
    assert!((31 << 20..=32 << 20).contains(&held), "{held}");
    assert_eq!(bare.session.write(lanes[0], &piece), Ok(1 << 20));
}
