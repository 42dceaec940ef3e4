use super::*;
use crate::link::{Item, StreamRef};
use crate::wire::cursor::put_varint;

/// A session that sends numbered frames and notes what it is given.
#[derive(Default)]
struct Notes {
    to_send: u64,
    sent: u64,
    confirmed: Vec<u64>,
    lost: Vec<u64>,
    received: Vec<u64>,
    refuse: bool,
}

impl Frames for Notes {
    fn fill(&mut self, _: Instant, _: LinkId, _: usize, out: &mut Vec<u8>) -> Option<FrameRef> {
        if self.sent == self.to_send {
            return None;
        }
        self.sent += 1;
        Frame::SessionCredit { limit: self.sent }.encode(out);
        Some(FrameRef { stream: StreamRef::NONE, item: Item::SessionCredit { limit: self.sent } })
    }

    fn confirmed(&mut self, _: Instant, _: LinkId, frame: FrameRef) {
        self.confirmed.push(number(frame));
    }

    fn lost(&mut self, _: Instant, _: LinkId, frame: FrameRef) {
        self.lost.push(number(frame));
    }

    fn received(&mut self, _: Instant, _: LinkId, frame: Frame<'_>) -> Result<(), Violation> {
        let Frame::SessionCredit { limit } = frame else { panic!("{frame:?}") };
        self.received.push(limit);
        if self.refuse { Err(Violation::new(CloseCode::FlowControl, "refused")) } else { Ok(()) }
    }
}

fn number(frame: FrameRef) -> u64 {
    let Item::SessionCredit { limit } = frame.item else { panic!("{frame:?}") };
    limit
}

fn link() -> StreamLink {
    StreamLink::new(LinkId(3), LinkConfig::default(), Instant::ZERO)
}

fn at(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

fn sending(count: u64) -> Notes {
    Notes { to_send: count, ..Notes::default() }
}

fn framed(frames: &[Frame<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    frames.iter().for_each(|frame| put_frame(&mut out, frame));
    out
}

/// What stands in `bytes`: whole frames.
fn decoded(mut bytes: &[u8]) -> Vec<String> {
    let mut frames = Vec::new();
    while let Some((frame, size)) = split_frame(bytes).unwrap() {
        frames.push(format!("{:?}", Frame::decode(frame).unwrap()));
        bytes = &bytes[size..];
    }
    assert!(bytes.is_empty());
    frames
}

fn output(link: &mut StreamLink, now: Instant, session: &mut Notes) -> Vec<u8> {
    let mut out = Vec::new();
    link.poll_output(now, 64 * 1024, &mut out, session);
    out
}

#[test]
fn input_split_at_every_byte_means_the_same() {
    let frames: Vec<Frame<'_>> = (1..=5).map(|limit| Frame::SessionCredit { limit: limit << 20 }).collect();
    let wire = framed(&frames);
    for split in 0..=wire.len() {
        let (mut link, mut session) = (link(), Notes::default());
        let used = link.handle_input(at(0), &wire[..split], &mut session).unwrap();
        assert!(used <= split);
        assert_eq!(link.handle_input(at(0), &wire[used..], &mut session), Ok(wire.len() - used));
        assert_eq!(session.received, [1 << 20, 2 << 20, 3 << 20, 4 << 20, 5 << 20], "split at {split}");
    }
    let (mut link, mut session, mut kept) = (link(), Notes::default(), Vec::new());
    for &byte in &wire {
        kept.push(byte);
        let used = link.handle_input(at(0), &kept, &mut session).unwrap();
        kept.drain(..used);
    }
    assert_eq!((session.received.len(), kept.len()), (5, 0));
}

#[test]
fn confirmations_come_once_in_order_and_what_a_dead_link_keeps_is_lost() {
    let (mut link, mut session) = (link(), sending(5));
    let _ = output(&mut link, at(0), &mut session);
    assert_eq!(link.in_flight(), 5);
    for count in [2, 2, 3] {
        link.handle_input(at(1), &framed(&[Frame::Confirm { count }]), &mut session).unwrap();
    }
    link.shut(at(2), &mut session);
    assert_eq!((session.confirmed, session.lost), (vec![1, 2, 3], vec![4, 5]));
}

#[test]
fn p24_confirming_what_was_never_sent_or_taking_it_back_ends_the_link() {
    for (sent, confirmations) in [(0, vec![1]), (5, vec![6]), (5, vec![u64::MAX >> 2]), (5, vec![3, 2])] {
        let (mut link, mut session) = (link(), sending(sent));
        let _ = output(&mut link, at(0), &mut session);
        let frames: Vec<Frame<'_>> = confirmations.iter().map(|&count| Frame::Confirm { count }).collect();
        let error = link.handle_input(at(0), &framed(&frames), &mut session).unwrap_err();
        assert_eq!((error.code(), error.is_of_the_link_only()), (CloseCode::Protocol, false), "{confirmations:?}");
        assert!(session.confirmed.len() <= 3);
    }
    println!("p24: reached: cut at the first false confirmation, in the same call");
}

#[test]
fn a_confirmation_goes_with_other_frames_else_after_10_ms_or_64_kib() {
    let took = framed(&[Frame::SessionCredit { limit: 1 }]);
    let said = |link: &mut StreamLink, now, session: &mut Notes| decoded(&output(link, now, session));
    let confirm = format!("{:?}", Frame::Confirm { count: 1 });

    let (mut first, mut session) = (link(), Notes::default());
    let _ = said(&mut first, at(0), &mut session);
    first.handle_input(at(1), &took, &mut session).unwrap();
    assert_eq!(first.poll_timeout(), Some(at(11)));
    assert!(said(&mut first, at(10), &mut session).is_empty());
    assert_eq!(said(&mut first, at(11), &mut session), [confirm.as_str()]);
    assert!(said(&mut first, at(30), &mut session).is_empty());

    let (mut second, mut session) = (link(), Notes::default());
    let _ = said(&mut second, at(0), &mut session);
    second.handle_input(at(1), &took, &mut session).unwrap();
    session.to_send = 1;
    assert_eq!(said(&mut second, at(2), &mut session).pop(), Some(confirm));

    let (mut third, mut session) = (link(), Notes::default());
    let _ = said(&mut third, at(0), &mut session);
    let large = framed(&[Frame::Reserved { kind: 0x40, body: &[0; 8_000] }]);
    (0..8).for_each(|_| _ = third.handle_input(at(1), &large, &mut session).unwrap());
    assert!(said(&mut third, at(1), &mut session).is_empty());
    third.handle_input(at(1), &framed(&[Frame::Reserved { kind: 0x40, body: &[0; 2_000] }]), &mut session).unwrap();
    assert_eq!(said(&mut third, at(1), &mut session), [format!("{:?}", Frame::Confirm { count: 9 })]);
}

#[test]
fn probes_measure_the_way_and_do_not_count_as_frames() {
    let (mut near, mut far) = (link(), link());
    let mut session = Notes::default();
    let ping = output(&mut near, at(0), &mut session);
    assert_eq!(decoded(&ping), [format!("{:?}", Frame::Ping { nonce: 1 })]);
    let _ = output(&mut far, at(0), &mut session);
    far.handle_input(at(40), &ping, &mut session).unwrap();
    let pong = output(&mut far, at(40), &mut session);
    assert_eq!(decoded(&pong), [format!("{:?}", Frame::Pong { nonce: 1 })], "no confirmation of a probe");
    near.handle_input(at(80), &pong, &mut session).unwrap();
    assert_eq!(near.rtt(), Some(Duration::from_millis(80)));
    // An answer to nothing, or the same again, measures nothing.
    near.handle_input(at(500), &framed(&[Frame::Pong { nonce: 1 }, Frame::Pong { nonce: 7 }]), &mut session).unwrap();
    assert_eq!(near.rtt(), Some(Duration::from_millis(80)));
    // A flood of probes costs one answer.
    let flood = framed(&(0..1_000).map(|nonce| Frame::Ping { nonce }).collect::<Vec<_>>());
    far.handle_input(at(600), &flood, &mut session).unwrap();
    assert_eq!(decoded(&output(&mut far, at(600), &mut session)), [format!("{:?}", Frame::Pong { nonce: 999 })]);
}

#[test]
fn p06_a_peer_silent_for_two_probe_periods_is_dead_and_one_that_says_a_word_is_not() {
    let (mut link, mut session) = (link(), Notes::default());
    let mut pings = 0;
    let mut now = Instant::ZERO;
    let dead_at = loop {
        pings += decoded(&output(&mut link, now, &mut session)).len();
        now = link.poll_timeout().unwrap();
        if link.handle_timeout(now).is_err() {
            break now;
        }
    };
    assert_eq!((dead_at, pings), (at(15_000), 2));
    assert_eq!(link.handle_timeout(now), Err(LinkError::Silent));
    assert!(LinkError::Silent.is_of_the_link_only());
    // The shell reads before it calls: a word that lay there unread keeps the link.
    link.handle_input(now, &framed(&[Frame::Pong { nonce: 9 }]), &mut session).unwrap();
    assert_eq!(link.handle_timeout(now), Ok(()));
    assert_eq!(timers_until(&mut link, at(29_999)), Ok(()));
    assert_eq!(timers_until(&mut link, at(30_000)), Err(LinkError::Silent));
    println!("p06: reached {} s until a silent peer is called dead", dead_at.since(Instant::ZERO).as_secs());
}

/// Rings every timer up to `end`, in time.
fn timers_until(link: &mut StreamLink, end: Instant) -> Result<(), LinkError> {
    while let Some(next) = link.poll_timeout().filter(|next| *next <= end) {
        link.handle_timeout(next)?;
    }
    Ok(())
}

#[test]
fn p06_this_sides_own_pause_is_not_counted_as_the_peers_silence() {
    let (mut link, mut session) = (link(), Notes::default());
    assert_eq!(timers_until(&mut link, at(10_000)), Ok(()));
    // Stopped for ten minutes, in which the peer's word did not reach this side either.
    assert_eq!(link.handle_timeout(at(610_000)), Ok(()));
    link.handle_input(at(612_000), &framed(&[Frame::Pong { nonce: 9 }]), &mut session).unwrap();
    assert_eq!(timers_until(&mut link, at(626_999)), Ok(()));
    assert_eq!(timers_until(&mut link, at(627_000)), Err(LinkError::Silent), "and a dead peer is still dead in time");

    let mut link = self::link();
    assert_eq!(timers_until(&mut link, at(10_000)), Ok(()));
    assert_eq!(link.handle_timeout(at(610_000)), Ok(()));
    assert!(timers_until(&mut link, at(610_000 + 15_000)).is_err(), "no word after the pause either");
}

#[test]
fn half_a_frame_is_no_sign_of_life() {
    let (mut link, mut session) = (link(), Notes::default());
    let frame = framed(&[Frame::SessionCredit { limit: 1 << 20 }]);
    assert_eq!(timers_until(&mut link, at(14_000)), Ok(()));
    assert_eq!(link.handle_input(at(14_000), &frame[..frame.len() - 1], &mut session), Ok(0));
    assert_eq!(timers_until(&mut link, at(15_000)), Err(LinkError::Silent));
}

#[test]
fn p18_a_length_over_the_limit_is_refused_as_soon_as_it_is_seen() {
    let head = |length: u64| {
        let mut head = Vec::new();
        put_varint(&mut head, length);
        head
    };
    let most = MAX_FRAME_BYTES as u64;
    for over in [most + 1, u64::MAX >> 2] {
        let refused = link().handle_input(at(0), &head(over), &mut Notes::default());
        assert_eq!(refused, Err(LinkError::FrameTooLarge { announced: over }));
    }
    assert_eq!(link().handle_input(at(0), &head(most), &mut Notes::default()), Ok(0));
    let largest = framed(&[Frame::Reserved { kind: 0x40, body: &[0; FRAME_ROOM_BYTES - 2] }]);
    assert_eq!(link().handle_input(at(0), &largest, &mut Notes::default()), Ok(largest.len()));
    let nothing = link().handle_input(at(0), &[0], &mut Notes::default()).unwrap_err();
    assert_eq!(nothing.code(), CloseCode::BadFrame);
}

#[test]
fn unknown_even_types_are_skipped_and_confirmed_and_unknown_odd_ones_close() {
    for kind in [0x40, 0x42, 0x3ffe, 1 << 40] {
        let (mut link, mut session) = (link(), Notes::default());
        let frames = framed(&[Frame::Reserved { kind, body: b"anything" }, Frame::SessionCredit { limit: 7 }]);
        link.handle_input(at(0), &frames, &mut session).unwrap();
        let said = decoded(&output(&mut link, at(10), &mut session));
        assert_eq!(said.last(), Some(&format!("{:?}", Frame::Confirm { count: 2 })));
        assert_eq!(session.received, [7]);
    }
    for kind in [0x00u64, 0x07, 0x1e, 0x3e, 0x41, 0x3fff] {
        let mut frame = Vec::new();
        put_varint(&mut frame, kind);
        let wire = [vec![frame.len() as u8], frame].concat();
        let refused = link().handle_input(at(0), &wire, &mut Notes::default()).unwrap_err();
        assert_eq!(refused, LinkError::Frame(FrameError::Unknown { kind }));
        assert_eq!((refused.code(), refused.is_of_the_link_only()), (CloseCode::UnknownFrame, false));
    }
}

#[test]
fn what_the_session_refuses_ends_the_link_and_nothing_after_it_is_read() {
    let (mut link, mut session) = (link(), Notes { refuse: true, ..Notes::default() });
    let two = framed(&[Frame::SessionCredit { limit: 1 }, Frame::SessionCredit { limit: 2 }]);
    let error = link.handle_input(at(0), &two, &mut session).unwrap_err();
    assert_eq!((error.code(), session.received), (CloseCode::FlowControl, vec![1]));
}

#[test]
fn output_stops_near_the_room_it_was_given() {
    let (mut link, mut session) = (link(), sending(1_000));
    let mut out = Vec::new();
    assert!(link.poll_output(at(0), 100, &mut out, &mut session));
    assert!((100..120).contains(&out.len()), "{}", out.len());
    while link.poll_output(at(0), 4_000, &mut out, &mut session) {}
    assert_eq!((link.in_flight(), decoded(&out).len()), (1_000, 1_001));
}

#[test]
fn p06_a_full_byte_stream_hides_no_dead_peer() {
    let (mut link, mut session) = (link(), Notes::default());
    link.handle_input(at(1), &framed(&[Frame::SessionCredit { limit: 1 }]), &mut session).unwrap();
    // Nothing can be written, so nothing is polled; the link still says when to look again, and never a time past.
    let mut now = at(1);
    let mut turns = 0;
    while link.handle_timeout(now).is_ok() {
        let next = link.poll_timeout().unwrap();
        assert!(next > now, "it spins at {now:?}");
        now = next;
        turns += 1;
    }
    assert_eq!(now, at(15_001));
    assert!(turns < 6, "{turns}");
}
