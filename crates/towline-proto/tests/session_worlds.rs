//! Two sessions over two links of a simulated network that cuts, stalls and freezes them; seeds repeat a run.
//!
//! `TOWLINE_SEEDS=1000` runs so many, `TOWLINE_SEED=7` that one.

#![allow(clippy::disallowed_methods, reason = "how many runs is asked of the environment")]

mod sessions;

use sessions::session;
use std::collections::BTreeSet;
use towline_proto::ids::Lane;
use towline_proto::session::{EndReason, Event, Session, Side};
use towline_proto::stream_link::{LinkConfig, StreamLink};
use towline_proto::time::Instant;
use towline_proto::wire::hello::Params;
use towline_sim::{Fault, MILLIS, Nanos, Read, Rng, SECONDS, Shape, Socket, World};

const LANES: [Lane; 3] = [Lane::URGENT, Lane::NORMAL, Lane::BULK];
const LINKS: usize = 2;
const TROUBLE: Nanos = 40 * SECONDS;
const CALM: Nanos = 60 * SECONDS;
const BUFFER: usize = 16 * 1024;

/// One end of one link.
struct Conn {
    link: StreamLink,
    socket: Socket,
    input: Vec<u8>,
    output: Vec<u8>,
}

struct Node {
    session: Session,
    conns: [Option<Conn>; LINKS],
    sent: [u32; 3],
    got: [Vec<u32>; 3],
}

impl Node {
    fn new(side: Side) -> Self {
        let session = session(side, Params::default(), Params::default());
        Self { session, conns: [None, None], sent: [0; 3], got: Default::default() }
    }

    fn send(&mut self, rng: &mut Rng) {
        let which = rng.below(3) as usize;
        let mut message = self.sent[which].to_be_bytes().to_vec();
        let most = *rng.pick(&[10, 200, 3_000, 40_000]);
        message.resize(4 + rng.below(most) as usize, which as u8);
        if self.session.send(self.session.lane(LANES[which]), &message).is_ok() {
            self.sent[which] += 1;
        }
    }

    /// Reads, turns the clocks, writes; drops what died.
    fn turn(&mut self, world: &mut World) {
        let now = Instant::from_nanos(world.now());
        for slot in 0..LINKS {
            let Some(mut conn) = self.conns[slot].take() else { continue };
            if conn.turn(now, world, &mut self.session) {
                self.conns[slot] = Some(conn);
            } else {
                self.drop_conn(now, conn);
            }
        }
        self.session.handle_timeout(now);
        while self.session.poll_event().is_some() {}
        for (which, lane) in LANES.into_iter().enumerate() {
            while let Ok(Some(message)) = self.session.recv(self.session.lane(lane)) {
                self.got[which].push(u32::from_be_bytes(message[..4].try_into().unwrap()));
            }
        }
    }

    fn drop_conn(&mut self, now: Instant, conn: Conn) {
        let id = conn.link.id();
        conn.link.shut(now, &mut self.session);
        self.session.remove_link(now, id);
    }

    fn next_at(&self) -> Nanos {
        let times =
            self.conns.iter().flatten().filter_map(|conn| conn.link.poll_timeout()).chain(self.session.poll_timeout());
        times.map(Instant::as_nanos).min().unwrap_or(Nanos::MAX)
    }
}

impl Conn {
    /// Whether it lives on.
    fn turn(&mut self, now: Instant, world: &mut World, session: &mut Session) -> bool {
        loop {
            match world.read(self.socket, 10_000) {
                Read::Bytes(bytes) => self.input.extend(bytes),
                Read::Nothing => break,
                Read::End | Read::Broken => return false,
            }
            let used = self.link.handle_input(now, &self.input, session).expect("the peer keeps the rules");
            self.input.drain(..used);
        }
        if self.link.handle_timeout(now).is_err() {
            world.finish(self.socket);
            return false;
        }
        loop {
            if self.output.is_empty() {
                self.link.poll_output(now, BUFFER, &mut self.output, session);
            }
            match world.write(self.socket, &self.output) {
                Ok(0) => return true,
                Ok(written) => _ = self.output.drain(..written),
                Err(_) => return false,
            }
        }
    }
}

struct Run {
    world: World,
    rng: Rng,
    nodes: [Node; 2],
    joins: u32,
}

impl Run {
    fn new(seed: u64) -> Self {
        let nodes = [Node::new(Side::Client), Node::new(Side::Server)];
        Self { world: World::new(seed), rng: Rng::new(!seed), nodes, joins: 0 }
    }

    /// Links that the client lost are made anew. The server learns of an old one's death in its own time, or now, when
    /// its place is needed.
    fn reconnect(&mut self) {
        for slot in 0..LINKS {
            if self.nodes[0].conns[slot].is_some() {
                continue;
            }
            let now = Instant::from_nanos(self.world.now());
            if let Some(old) = self.nodes[1].conns[slot].take() {
                self.nodes[1].drop_conn(now, old);
            }
            let shape = Shape {
                latency: self.rng.between(1, 80) * MILLIS,
                jitter: self.rng.between(0, 20) * MILLIS,
                bytes_per_second: *self.rng.pick(&[60_000, 1_000_000, u64::MAX]),
                ..Shape::default()
            };
            let sockets = <[Socket; 2]>::from(self.world.connect(shape));
            let states = [0, 1].map(|side: usize| self.nodes[side].session.receive_state());
            for (side, socket) in sockets.into_iter().enumerate() {
                let node = &mut self.nodes[side];
                node.session.resume(now, &states[1 - side]).expect("the peer states the truth");
                let link = StreamLink::new(node.session.add_link(now), LinkConfig::default(), now);
                node.conns[slot] = Some(Conn { link, socket, input: Vec::new(), output: Vec::new() });
            }
            self.joins += 1;
        }
    }

    fn trouble(&mut self) {
        let slot = self.rng.below(LINKS as u64) as usize;
        let side = self.rng.below(2) as usize;
        let Some(conn) = &self.nodes[side].conns[slot] else { return };
        let now = self.world.now();
        match self.rng.below(6) {
            0 => self.world.cut(conn.socket, Fault::Reset),
            1 => self.world.cut(conn.socket, Fault::Silent),
            2 => self.world.cut(conn.socket, Fault::SilentOneWay),
            3 => {
                let byte = self.world.sent(conn.socket) + self.rng.below(20_000);
                self.world.cut_after(conn.socket, byte, Fault::Reset);
            }
            _ => {
                let until = now + self.rng.between(10, 9_000) * MILLIS;
                self.world.stall_between(conn.socket, now, until);
            }
        }
    }

    /// Lets the world run up to `until`, with messages and trouble by chance.
    fn until(&mut self, until: Nanos, busy: bool) {
        let (mut next_message, mut next_trouble) = (0, 0);
        while self.world.now() < until {
            let now = self.world.now();
            if busy && next_message <= now {
                let side = self.rng.below(2) as usize;
                self.nodes[side].send(&mut self.rng);
                next_message = now + self.rng.between(1, 200) * MILLIS;
            }
            if busy && next_trouble <= now {
                self.trouble();
                next_trouble = now + self.rng.between(100, 6_000) * MILLIS;
            }
            self.nodes[0].turn(&mut self.world);
            self.nodes[1].turn(&mut self.world);
            self.reconnect();
            let own = self.nodes.iter().map(Node::next_at).min().unwrap_or(until);
            let next = if busy { own.min(next_message).min(next_trouble) } else { own };
            self.world.step_until(next.clamp(now + 1, until));
        }
    }
}

fn seeds(default: u64) -> std::ops::Range<u64> {
    let read = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    match read("TOWLINE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..read("TOWLINE_SEEDS").unwrap_or(default),
    }
}

/// Names the seed if what follows panics.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed with TOWLINE_SEED={}", self.0);
        }
    }
}

#[test]
fn p09_links_that_die_stall_and_come_back_lose_double_and_reorder_nothing() {
    let (mut messages, mut joins) = (0, 0);
    for seed in seeds(15) {
        let named = Named(seed);
        let mut run = Run::new(seed);
        run.until(TROUBLE, true);
        run.until(TROUBLE + CALM, false);
        for side in 0..2 {
            for which in 0..3 {
                let sent: Vec<u32> = (0..run.nodes[side].sent[which]).collect();
                assert_eq!(run.nodes[1 - side].got[which], sent, "seed {seed}, side {side}, lane {which}");
                messages += sent.len();
            }
            let stats = run.nodes[side].session.stats();
            assert_eq!((stats.unconfirmed_bytes, stats.unread_bytes), (0, 0), "seed {seed}, side {side}");
        }
        joins += run.joins - 2;
        drop(named);
    }
    println!("p09: reached 0 lost, 0 double, 0 out of order of {messages} messages over {joins} replaced links");
}

#[test]
fn a_side_that_forgets_leaves_each_message_received_or_undecided_and_no_confirmed_one_unreceived() {
    let (mut undecided, mut both) = (0, 0);
    for seed in seeds(15) {
        let named = Named(seed);
        let mut run = Run::new(seed);
        run.until(SECONDS + run.rng.clone().below(TROUBLE), true);
        let loser = run.rng.below(2) as usize;
        let keeper = &mut run.nodes[1 - loser];
        keeper.session.end(EndReason::Gone);
        assert_eq!(keeper.session.poll_event(), Some(Event::Ended(EndReason::Gone)));
        let mut handed_back: [BTreeSet<u32>; 3] = Default::default();
        for (key, message) in keeper.session.undecided() {
            let which = LANES.iter().position(|&lane| keeper.session.lane(lane) == key).unwrap();
            let number = u32::from_be_bytes(message[..4].try_into().unwrap());
            assert!(handed_back[which].insert(number), "handed back once");
        }
        for (which, back) in handed_back.iter().enumerate() {
            let sent: BTreeSet<u32> = (0..run.nodes[1 - loser].sent[which]).collect();
            let got: BTreeSet<u32> = run.nodes[loser].got[which].iter().copied().collect();
            let known: BTreeSet<u32> = got.union(back).copied().collect();
            assert_eq!(known, sent, "seed {seed}, lane {which}");
            undecided += back.len();
            both += got.intersection(back).count();
        }
        let over = &run.nodes[1 - loser].session;
        assert!(!over.wants_to_send() && over.poll_timeout().is_none());
        drop(named);
    }
    println!("undecided {undecided}, of these received after all {both}");
}
