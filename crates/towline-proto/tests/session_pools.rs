//! Many sessions over one pool, in any order that a seed gives: what they hold together stays within its formula, nobody
//! waits for ever, an unread stream blocks no other, and whoever takes too much is cut alone.
//!
//! `TOWLINE_SEEDS=1000` runs so many, `TOWLINE_SEED=7` that one.

#![allow(clippy::disallowed_methods, reason = "how many runs is asked of the environment")]

mod sessions;

use sessions::Bare;
use std::collections::VecDeque;
use towline_proto::ids::Lane;
use towline_proto::limits::SESSION_BASE_BYTES;
use towline_proto::session::pool::{Bounds, Level, MemberId, Pool};
use towline_proto::session::{EndReason, Event, Order, Side, StreamKey};
use towline_proto::time::{Duration, Instant};
use towline_proto::wire::close::{Close, CloseCode};
use towline_proto::wire::frame::Frame;
use towline_proto::wire::hello::Params;
use towline_sim::Rng;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Messages above the base, so that near the bound they need turns.
const PARAMS: Params = Params {
    max_message: 60_000,
    stream_credit: 256 * KIB,
    session_credit: 288 * KIB,
    max_streams: 8,
    resume_time_ms: 1_000,
};

/// One side's application: what it wants to send on its normal lane, and what of the other's came.
#[derive(Default)]
struct App {
    wants: VecDeque<usize>,
    /// It tries again only when it is told to: a word forgotten would hang it.
    may_send: bool,
    sent: u32,
    got: u32,
}

/// A session in the pool (`near`), its peer outside, and both their applications.
struct Line {
    member: MemberId,
    near: Bare,
    far: Bare,
    apps: [App; 2],
    /// Whether the near application reads.
    reads: bool,
    /// What the far side opened and writes raw bytes on, and what the near one knows of that.
    bodies: Vec<StreamKey>,
    opened: Vec<StreamKey>,
    body_bytes: u64,
    ended: Option<EndReason>,
}

struct House {
    pool: Pool,
    lines: Vec<Line>,
    now: Instant,
    most_held: u64,
    cut: Vec<usize>,
}

impl House {
    fn new(bound: u64, lines: usize) -> Self {
        let mut pool = Pool::new(Bounds::new(bound, PARAMS.max_message).unwrap());
        let lines: Vec<Line> = (0..lines).map(|_| Line::new(&mut pool)).collect();
        let mut house = Self { pool, lines, now: Instant::ZERO, most_held: 0, cut: Vec::new() };
        (0..house.lines.len()).for_each(|at| house.one_change(at, |_| ()));
        house
    }

    /// What all may hold together, as the page says it.
    fn formula(&self) -> u64 {
        let bounds = self.pool.bounds();
        bounds.bound().max(self.lines.len() as u64 * SESSION_BASE_BYTES + bounds.reserve())
    }

    /// One change of a session in the pool, and all that follows from it there.
    fn change<R>(&mut self, at: usize, change: impl FnOnce(&mut Line) -> R) -> R {
        let result = self.one_change(at, change);
        while let Some((victim, _)) = self.pool.victim() {
            let at = self.at(victim);
            self.cut.push(at);
            self.one_change(at, |line| line.near.session.cut(Close::new(CloseCode::Memory)));
        }
        while let Some(told) = self.pool.poll_told() {
            let at = self.at(told);
            self.one_change(at, |_| ());
        }
        let held = self.lines.iter_mut().map(|line| line.near.session.usage().held).sum::<u64>();
        assert_eq!(self.pool.total().held, held, "the pool knows what is held");
        assert!(held <= self.formula(), "{held} bytes are held, {} may be", self.formula());
        self.most_held = self.most_held.max(held);
        result
    }

    fn one_change<R>(&mut self, at: usize, change: impl FnOnce(&mut Line) -> R) -> R {
        let line = &mut self.lines[at];
        (line.near.now, line.far.now) = (self.now, self.now);
        line.near.session.allow(self.pool.view(line.member));
        let result = change(line);
        line.near_events();
        if line.near.session.is_ended() {
            line.near.session.drop_undecided();
            self.pool.ended(line.member);
        }
        let (usage, ask) = (line.near.session.usage(), line.near.session.asks());
        self.pool.report(self.now, line.member, usage, ask);
        result
    }

    fn at(&self, member: MemberId) -> usize {
        self.lines.iter().position(|line| line.member == member).expect("a session of this house")
    }

    /// Every frame goes over, both ways; the near application reads and both send.
    fn carry(&mut self, at: usize) {
        if self.lines[at].ended.is_some() {
            return;
        }
        self.change(at, Line::send_near);
        self.lines[at].send_far();
        for (frame, bytes) in self.lines[at].far.pull_all() {
            self.change(at, |line| line.near.hear_bytes(&bytes).expect("the peer keeps the rules"));
            self.lines[at].far.confirm(frame);
        }
        if self.lines[at].reads {
            self.change(at, Line::read_near);
        }
        for (frame, bytes) in self.change(at, |line| line.near.pull_all()) {
            self.lines[at].far.hear_bytes(&bytes).expect("the peer keeps the rules");
            self.change(at, |line| line.near.confirm(frame));
        }
        self.lines[at].read_far();
    }

    /// Everybody reads and nothing new begins, until nobody wants anything; who waits looks again each second.
    fn calm(&mut self) {
        self.lines.iter_mut().for_each(|line| line.reads = true);
        for _ in 0..2_000 {
            self.now += Duration::from_millis(100);
            (0..self.lines.len()).for_each(|at| self.carry(at));
            if self.lines.iter().all(Line::is_done) {
                return;
            }
        }
        let left = self.lines.iter().filter(|line| !line.is_done()).count();
        panic!("{left} of {} sessions wait for ever", self.lines.len());
    }

    fn level(&self) -> Level {
        self.pool.bounds().level(self.pool.total().held)
    }
}

impl Line {
    fn new(pool: &mut Pool) -> Self {
        let member = pool.admit().expect("at the beginning");
        let [mut near, mut far] = [Side::Server, Side::Client].map(|side| Bare::new(side, PARAMS, PARAMS));
        (near.room, far.room) = (8_000, 8_000);
        let apps = [0, 1].map(|_| App { may_send: true, ..App::default() });
        let (bodies, opened) = (Vec::new(), Vec::new());
        Self { member, near, far, apps, reads: true, bodies, opened, body_bytes: 0, ended: None }
    }

    fn near_events(&mut self) {
        for event in self.near.events() {
            match event {
                Event::Opened(key, _) => self.opened.push(key),
                Event::Writable(_) => self.apps[0].may_send = true,
                Event::Ended(reason) => self.ended = Some(reason),
                _ => {}
            }
        }
    }

    fn send_near(&mut self) {
        send(&mut self.near, &mut self.apps[0]);
    }

    fn send_far(&mut self) {
        for event in self.far.events() {
            self.apps[1].may_send |= event == Event::Writable(self.far.session.lane(Lane::NORMAL));
        }
        send(&mut self.far, &mut self.apps[1]);
        for &body in &self.bodies {
            self.body_bytes += self.far.session.write(body, &[9; 60_000]).unwrap_or(0) as u64;
        }
    }

    fn read_near(&mut self) {
        read(&mut self.near, &mut self.apps[0]);
        for &body in &self.opened {
            while let Ok(Some((_, bytes))) = self.near.session.read(body) {
                self.body_bytes -= bytes.len() as u64;
            }
        }
    }

    fn read_far(&mut self) {
        read(&mut self.far, &mut self.apps[1]);
    }

    fn open_body(&mut self) {
        self.bodies.extend(self.far.session.open(Lane::BULK, Order::Sequence));
    }

    fn is_done(&self) -> bool {
        let [near, far] = &self.apps;
        let sent = near.wants.is_empty() && far.wants.is_empty() && near.sent == far.got && far.sent == near.got;
        self.ended.is_some() || sent && self.body_bytes == 0
    }
}

fn send(bare: &mut Bare, app: &mut App) {
    while let Some(&size) = app.wants.front().filter(|_| app.may_send) {
        let mut message = app.sent.to_be_bytes().to_vec();
        message.resize(4 + size, 3);
        if bare.session.send(bare.session.lane(Lane::NORMAL), &message).is_ok() {
            app.wants.pop_front();
            app.sent += 1;
        } else {
            app.may_send = false;
        }
    }
}

fn read(bare: &mut Bare, app: &mut App) {
    while let Ok(Some(message)) = bare.session.recv(bare.session.lane(Lane::NORMAL)) {
        assert_eq!(message[..4], app.got.to_be_bytes(), "once, and in order");
        app.got += 1;
    }
}

fn seeds(default: u64) -> std::ops::Range<u64> {
    let read = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    match read("TOWLINE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..read("TOWLINE_SEEDS").unwrap_or(default),
    }
}

#[test]
fn p10_many_sessions_over_one_pool_hold_no_more_than_its_formula_and_nobody_waits_for_ever() {
    let (mut most, mut formula, mut cut, mut delivered, mut near) = (0, 0, 0, 0, 0);
    for seed in seeds(12) {
        println!("TOWLINE_SEED={seed}");
        let mut rng = Rng::new(seed);
        let mut house = House::new(4 * MIB, 24);
        for _ in 0..2_500 {
            let at = rng.below(24) as usize;
            let line = &mut house.lines[at];
            match rng.below(20) {
                0 if line.bodies.len() < 4 => line.open_body(),
                1 => line.reads = !line.reads,
                2..6 => {
                    let most = *rng.pick(&[10, 2_000, 40_000, 59_996]);
                    line.apps[rng.below(2) as usize].wants.push_back(rng.below(most) as usize);
                }
                _ => house.carry(at),
            }
            house.now += Duration::from_millis(rng.below(20));
            near += u64::from(house.level() >= Level::Near);
        }
        for line in &mut house.lines {
            line.bodies.clear();
        }
        house.calm();
        let memory =
            |line: &Line| matches!(&line.ended, Some(EndReason::Closed(close)) if close.code == CloseCode::Memory);
        assert_eq!(house.lines.iter().filter(|line| memory(line)).count(), house.cut.len());
        assert!(house.cut.len() < house.lines.len());
        most = most.max(house.most_held);
        formula = house.formula();
        cut += house.cut.len();
        delivered += house.lines.iter().flat_map(|line| &line.apps).map(|app| app.got).sum::<u32>();
    }
    assert!(near > 0 && cut > 0, "the bound was met: {near} {cut}");
    println!("p10: reached {most} bytes held, {formula} by the formula; {cut} cut, {delivered} messages delivered");
}

/// A house whose first sessions are unread until the pool is near its bound.
fn near_the_bound(lines: usize) -> House {
    let mut house = House::new(4 * MIB, lines);
    for at in 0..lines {
        house.lines[at].reads = false;
        house.lines[at].open_body();
        for _ in 0..10 {
            house.carry(at);
            if house.level() >= Level::Near {
                return house;
            }
        }
    }
    panic!("{lines} sessions are too few");
}

#[test]
fn near_the_bound_messages_above_the_base_complete_one_after_the_other() {
    let mut house = near_the_bound(40);
    let idle: Vec<usize> = (0..40).filter(|&at| house.lines[at].bodies.is_empty()).collect();
    assert!(idle.len() >= 15, "{}", idle.len());
    for &at in &idle {
        house.lines[at].apps.iter_mut().for_each(|app| app.wants.extend([59_996; 3]));
    }
    let mut rounds = 0;
    while !idle.iter().all(|&at| house.lines[at].is_done()) {
        house.now += Duration::from_millis(10);
        idle.iter().for_each(|&at| house.carry(at));
        rounds += 1;
        assert!(rounds < 1_000, "at least one always completes");
        assert!(house.level() >= Level::Near, "nothing was freed besides");
    }
    assert_eq!(house.cut, []);
}

#[test]
fn near_the_bound_a_message_that_never_comes_holds_its_turn_for_its_time_and_no_longer() {
    let mut house = near_the_bound(40);
    let idle: Vec<usize> = (0..40).filter(|&at| house.lines[at].bodies.is_empty()).collect();
    // As many as there are turns ask for credit and then fall silent.
    for &at in &idle[..2] {
        let need = PARAMS.stream_credit + 59_000;
        let filled = vec![1; PARAMS.stream_credit as usize];
        let (lane, bytes) = (house.lines[at].near.session.lane(Lane::NORMAL), &filled);
        house.change(at, |line| line.near.hear(Frame::Bytes { stream: 1, open: None, offset: 0, bytes }).unwrap());
        house.change(at, |line| while let Ok(Some(_)) = line.near.session.read(lane) {});
        house.change(at, |line| line.near.hear(Frame::Blocked { stream: 1, open: None, need }).unwrap());
        assert!(house.pool.has_turn(house.lines[at].member));
    }
    let patient = idle[2];
    house.lines[patient].apps[0].wants.push_back(59_996);
    let begin = house.now;
    while !house.lines[patient].is_done() {
        house.now += Duration::from_millis(1_000);
        house.carry(patient);
        assert!(house.now.since(begin) <= Duration::from_secs(12), "a turn lasts 10 s");
    }
    assert!(house.now.since(begin) >= Duration::from_secs(10), "they had their turns");
}

#[test]
fn p10_a_greedy_session_is_cut_for_memory_and_the_others_go_on() {
    let mut house = House::new(4 * MIB, 12);
    house.lines[0].reads = false;
    let mut rounds = 0;
    while house.lines[0].ended.is_none() {
        house.lines[0].apps[1].wants.extend([50_000; 8]);
        house.lines[0].open_body();
        for at in 0..12 {
            house.lines[at].apps.iter_mut().for_each(|app| app.wants.push_back(5_000));
            house.carry(at);
        }
        rounds += 1;
        if rounds == 40 {
            break;
        }
    }
    // Alone it holds its own windows and no more. Together with others like it the bound is met.
    for greedy in 1..4 {
        house.lines[greedy].reads = false;
        for _ in 0..40 {
            house.lines[greedy].open_body();
            house.carry(greedy);
        }
    }
    assert!(!house.cut.is_empty() && house.cut.iter().all(|&at| at < 4), "{:?}", house.cut);
    let before: u32 = house.lines[4..].iter().flat_map(|line| &line.apps).map(|app| app.got).sum();
    for at in 4..12 {
        house.lines[at].apps.iter_mut().for_each(|app| app.wants.push_back(20_000));
    }
    for _ in 0..20 {
        house.now += Duration::from_millis(10);
        (4..12).for_each(|at| house.carry(at));
    }
    assert!(house.lines[4..].iter().all(Line::is_done));
    let after: u32 = house.lines[4..].iter().flat_map(|line| &line.apps).map(|app| app.got).sum();
    assert_eq!(after - before, 16);
    println!(
        "p10: reached {} bytes held of {}; cut {:?}, the others went on",
        house.most_held,
        house.formula(),
        house.cut
    );
}
