//! Two sessions joined by links in memory that are cut at chosen places.

use towline_proto::ids::{Lane, SessionId};
use towline_proto::session::{Event, Order, RecvError, Session, Side};
use towline_proto::stream_link::{LinkConfig, StreamLink};
use towline_proto::time::{Duration, Instant};
use towline_proto::wire::hello::Params;

struct Wire {
    links: [StreamLink; 2],
    /// Bytes on their way to side 0 and to side 1.
    bytes: [Vec<u8>; 2],
    /// How many more bytes it carries before it is cut.
    left: usize,
}

struct Pair {
    now: Instant,
    sides: [Session; 2],
    wires: Vec<Wire>,
}

impl Pair {
    fn new(params: Params, links: usize) -> Self {
        let new = |side| Session::new(side, SessionId([1; 16]), params, params);
        let mut pair = Self { now: Instant::ZERO, sides: [new(Side::Client), new(Side::Server)], wires: Vec::new() };
        (0..links).for_each(|_| pair.join(usize::MAX));
        pair
    }

    fn join(&mut self, left: usize) {
        let now = self.now;
        let states = [self.sides[0].receive_state(), self.sides[1].receive_state()];
        self.sides[0].resume(now, &states[1]).unwrap();
        self.sides[1].resume(now, &states[0]).unwrap();
        let mut link = |side: usize| StreamLink::new(self.sides[side].add_link(now), LinkConfig::default(), now);
        self.wires.push(Wire { links: [link(0), link(1)], bytes: [Vec::new(), Vec::new()], left });
    }

    fn cut(&mut self, at: usize) {
        let wire = self.wires.remove(at);
        for (side, link) in wire.links.into_iter().enumerate() {
            let id = link.id();
            link.shut(self.now, &mut self.sides[side]);
            self.sides[side].remove_link(self.now, id);
        }
    }

    /// One step of time on every wire, each moving at most `room` bytes; says whether a wire was cut.
    fn step(&mut self, room: usize) -> bool {
        self.now += Duration::from_millis(1);
        for wire in &mut self.wires {
            for from in 0..2 {
                let to = 1 - from;
                let mut out = Vec::new();
                wire.links[from].poll_output(self.now, room, &mut out, &mut self.sides[from]);
                let carried = out.len().min(wire.left);
                wire.left -= carried;
                wire.bytes[to].extend_from_slice(&out[..carried]);
                let used = wire.links[to].handle_input(self.now, &wire.bytes[to], &mut self.sides[to]).unwrap();
                wire.bytes[to].drain(..used);
            }
        }
        let dead = self.wires.iter().position(|wire| wire.left == 0);
        dead.into_iter().for_each(|at| self.cut(at));
        dead.is_some()
    }
}

fn take_all(session: &mut Session, lane: Lane, into: &mut Vec<Vec<u8>>) {
    while let Ok(Some(message)) = session.recv(session.lane(lane)) {
        into.push(message.to_vec());
    }
}

#[test]
fn a_cut_at_every_byte_of_a_conversation_loses_doubles_and_reorders_nothing() {
    let messages: Vec<Vec<u8>> = (0..12u8).map(|i| vec![i; usize::from(i) * 300]).collect();
    for links in [1, 2] {
        for cut in 1..14_000 {
            let mut pair = Pair::new(Params::default(), links - 1);
            pair.join(cut);
            for message in &messages {
                let lane = pair.sides[0].lane(Lane::NORMAL);
                pair.sides[0].send(lane, message).unwrap();
            }
            let mut got = Vec::new();
            let mut was_cut = false;
            for _ in 0..60 {
                if pair.step(4_000) {
                    was_cut = true;
                    pair.join(usize::MAX);
                }
                take_all(&mut pair.sides[1], Lane::NORMAL, &mut got);
            }
            assert!(got == messages, "links {links}, cut at {cut} ({was_cut}): {} of 12", got.len());
            assert_eq!(pair.sides[0].stats().unconfirmed_bytes, 0, "links {links}, cut at {cut}");
        }
    }
}

#[test]
fn a_body_of_raw_bytes_arrives_whole_and_both_ends_forget_its_stream() {
    let mut pair = Pair::new(Params::default(), 2);
    let key = pair.sides[0].open(Lane::BULK, Order::Sequence).unwrap();
    pair.sides[0].send(key, b"head").unwrap();
    let body: Vec<u8> = (0..3_000_000u32).map(|i| (i % 251) as u8).collect();
    let (mut at, mut got, mut there, mut over) = (0, Vec::new(), None, false);
    for _ in 0..4_000 {
        if at < body.len() {
            at += pair.sides[0].write(key, &body[at..]).unwrap_or(0);
            if at == body.len() {
                pair.sides[0].finish(key).unwrap();
            }
        }
        pair.step(20_000);
        while let Some(event) = pair.sides[1].poll_event() {
            if let Event::Opened(stream, lane) = event {
                assert_eq!(lane, Lane::BULK);
                assert_eq!(pair.sides[1].recv(stream).unwrap().as_deref(), Some(&b"head"[..]));
                pair.sides[1].finish(stream).unwrap();
                there = Some(stream);
            }
        }
        let Some(stream) = there else { continue };
        loop {
            match pair.sides[1].read(stream) {
                Ok(Some((offset, bytes))) => {
                    assert_eq!(offset, 5 + got.len() as u64);
                    got.extend_from_slice(&bytes);
                }
                Ok(None) => break,
                Err(RecvError::Ended | RecvError::Closed) => {
                    over = true;
                    break;
                }
                Err(other) => panic!("{other}"),
            }
        }
        let _ = pair.sides[0].read(key);
    }
    assert!(over && got == body, "{} of {}", got.len(), body.len());
    assert_eq!((pair.sides[0].stats().streams, pair.sides[1].stats().streams), (Lane::COUNT, Lane::COUNT));
}

#[test]
fn an_unread_stream_blocks_no_other() {
    let mut pair = Pair::new(Params::default(), 1);
    let [normal, urgent] = [Lane::NORMAL, Lane::URGENT].map(|lane| pair.sides[0].lane(lane));
    let mut sent = 0;
    for _ in 0..200 {
        while pair.sides[0].send(normal, &[7; 5_000]).is_ok() {
            sent += 1;
        }
        pair.step(50_000);
    }
    assert!(sent > 10 && pair.sides[1].stats().unread_bytes <= 2 * 256 * 1024);
    let mut got = Vec::new();
    for i in 0..500u32 {
        pair.sides[0].send(urgent, &i.to_be_bytes()).unwrap();
        pair.step(50_000);
        take_all(&mut pair.sides[1], Lane::URGENT, &mut got);
    }
    assert!(got.len() >= 499);
}
