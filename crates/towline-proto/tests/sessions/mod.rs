//! Two sessions joined by links in memory, and one session alone whose frames a test pulls and gives by hand.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use towline_proto::ids::{Lane, SessionId};
use towline_proto::session::{Event, Session, Side, StreamKey};
use towline_proto::stream_link::{FrameRef, Frames, LinkConfig, LinkId, StreamLink, Violation};
use towline_proto::time::{Duration, Instant};
use towline_proto::wire::frame::Frame;
use towline_proto::wire::hello::Params;

pub fn session(side: Side, local: Params, peer: Params) -> Session {
    Session::new(side, SessionId([1; 16]), local, peer)
}

pub struct Wire {
    links: [StreamLink; 2],
    /// Bytes on their way to side 0 and to side 1.
    bytes: [Vec<u8>; 2],
    /// How many more bytes it carries before it is cut.
    left: usize,
}

pub struct Pair {
    pub now: Instant,
    pub sides: [Session; 2],
    pub wires: Vec<Wire>,
    /// Bytes ever carried.
    pub carried: usize,
}

impl Pair {
    pub fn new(params: Params, links: usize) -> Self {
        let sides = [session(Side::Client, params, params), session(Side::Server, params, params)];
        let mut pair = Self { now: Instant::ZERO, sides, wires: Vec::new(), carried: 0 };
        (0..links).for_each(|_| pair.join(usize::MAX));
        pair
    }

    /// One more link, cut after `left` bytes in both directions together.
    pub fn join(&mut self, left: usize) {
        let now = self.now;
        let states = [self.sides[0].receive_state(), self.sides[1].receive_state()];
        self.sides[0].resume(now, &states[1]).unwrap();
        self.sides[1].resume(now, &states[0]).unwrap();
        let mut link = |side: usize| StreamLink::new(self.sides[side].add_link(now), LinkConfig::default(), now);
        self.wires.push(Wire { links: [link(0), link(1)], bytes: [Vec::new(), Vec::new()], left });
    }

    pub fn cut(&mut self, at: usize) {
        let wire = self.wires.remove(at);
        for (side, link) in wire.links.into_iter().enumerate() {
            let id = link.id();
            link.shut(self.now, &mut self.sides[side]);
            self.sides[side].remove_link(self.now, id);
        }
    }

    /// One step of time on every wire, each moving at most about `room` bytes; says whether a wire was cut.
    pub fn step(&mut self, room: usize) -> bool {
        self.now += Duration::from_millis(1);
        self.sides.iter_mut().for_each(|side| side.handle_timeout(self.now));
        for wire in &mut self.wires {
            for from in 0..2 {
                let to = 1 - from;
                let mut out = Vec::new();
                wire.links[from].poll_output(self.now, room, &mut out, &mut self.sides[from]);
                let carried = out.len().min(wire.left);
                wire.left -= carried;
                self.carried += carried;
                wire.bytes[to].extend_from_slice(&out[..carried]);
                let used = wire.links[to].handle_input(self.now, &wire.bytes[to], &mut self.sides[to]).unwrap();
                wire.bytes[to].drain(..used);
            }
        }
        let dead = self.wires.iter().position(|wire| wire.left == 0);
        dead.into_iter().for_each(|at| self.cut(at));
        dead.is_some()
    }

    pub fn steps(&mut self, count: usize) {
        (0..count).for_each(|_| _ = self.step(64 * 1024));
    }

    pub fn events(&mut self, side: usize) -> Vec<Event> {
        std::iter::from_fn(|| self.sides[side].poll_event()).collect()
    }

    /// The stream that this side was told of.
    pub fn opened(&mut self, side: usize) -> StreamKey {
        let opened = |event| if let Event::Opened(stream, _) = event { Some(stream) } else { None };
        self.events(side).into_iter().find_map(opened).expect("a stream was opened")
    }
}

pub fn take_all(session: &mut Session, lane: Lane, into: &mut Vec<Vec<u8>>) {
    while let Ok(Some(message)) = session.recv(session.lane(lane)) {
        into.push(message.to_vec());
    }
}

/// One session and one link of it, without the bytes of the link.
pub struct Bare {
    pub session: Session,
    pub link: LinkId,
    pub now: Instant,
    /// How large its frames may be.
    pub room: usize,
}

impl Bare {
    pub fn new(side: Side, local: Params, peer: Params) -> Self {
        let mut session = session(side, local, peer);
        let link = session.add_link(Instant::ZERO);
        Self { session, link, now: Instant::ZERO, room: 1_400 }
    }

    /// What the session would send next.
    pub fn pull(&mut self) -> Option<(FrameRef, Vec<u8>)> {
        let mut out = Vec::new();
        let frame = self.session.fill(self.now, self.link, self.room, &mut out)?;
        Some((frame, out))
    }

    /// All that it would send now.
    pub fn pull_all(&mut self) -> Vec<(FrameRef, Vec<u8>)> {
        std::iter::from_fn(|| self.pull()).collect()
    }

    pub fn hear(&mut self, frame: Frame<'_>) -> Result<(), Violation> {
        self.session.received(self.now, self.link, frame)
    }

    pub fn hear_bytes(&mut self, frame: &[u8]) -> Result<(), Violation> {
        self.hear(Frame::decode(frame).unwrap())
    }

    pub fn confirm(&mut self, frame: FrameRef) {
        self.session.confirmed(self.now, self.link, frame);
    }

    pub fn lose(&mut self, frame: FrameRef) {
        self.session.lost(self.now, self.link, frame);
    }

    pub fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.session.poll_event()).collect()
    }
}
