//! Two sessions do what random orders say, while their frames come in any order, twice, late or never. A plain model
//! knows what was sent; everything must arrive once, in order where order is promised, and both sides must forget.

#![allow(clippy::disallowed_methods, reason = "how many runs is asked of the environment")]

mod sessions;

use proptest::prelude::*;
use sessions::Bare;
use std::collections::BTreeMap;
use towline_proto::ids::Lane;
use towline_proto::session::{Event, Order, Side, StreamKey};
use towline_proto::stream_link::FrameRef;
use towline_proto::time::Instant;
use towline_proto::wire::hello::Params;

const LANES: [Lane; 3] = [Lane::URGENT, Lane::NORMAL, Lane::BULK];

/// Small credit, so that orders meet its limits; messages of up to 5,000 bytes travel in chunks.
const PARAMS: Params =
    Params { max_message: 5_000, stream_credit: 8_000, session_credit: 40_000, max_streams: 6, resume_time_ms: 1_000 };

#[derive(Clone, Debug)]
enum Step {
    Open {
        complete: bool,
    },
    Send {
        stream: usize,
        size: usize,
    },
    Finish {
        stream: usize,
    },
    Reset {
        stream: usize,
    },
    Stop {
        stream: usize,
    },
    Pull {
        count: usize,
    },
    /// The frame arrives so many times; its sender learns that it did, or believes it lost.
    Carry {
        which: usize,
        times: usize,
        told: bool,
    },
    Read,
    Resume,
}

fn step() -> impl Strategy<Value = (bool, Step)> {
    let step = prop_oneof![
        2 => any::<bool>().prop_map(|complete| Step::Open { complete }),
        10 => (0..12usize, prop_oneof![0..60usize, 900..1_100usize, 0..5_000usize])
            .prop_map(|(stream, size)| Step::Send { stream, size }),
        1 => (3..12usize).prop_map(|stream| Step::Finish { stream }),
        1 => (3..12usize).prop_map(|stream| Step::Reset { stream }),
        1 => (0..12usize).prop_map(|stream| Step::Stop { stream }),
        8 => (1..6usize).prop_map(|count| Step::Pull { count }),
        14 => (any::<usize>(), 0..3usize, any::<bool>())
            .prop_map(|(which, times, told)| Step::Carry { which, times, told: told && times > 0 }),
        4 => Just(Step::Read),
        1 => Just(Step::Resume),
    ];
    (any::<bool>(), step)
}

/// What was sent on a stream by its opener, and what of it came.
#[derive(Debug, Default)]
struct Flow {
    complete: bool,
    sizes: Vec<usize>,
    got: Vec<u32>,
    /// Given up by one of the two: any beginning of it may have come.
    given_up: bool,
}

struct End {
    bare: Bare,
    /// The lanes and what was opened here, each with its flow's number.
    ours: Vec<(StreamKey, u32)>,
    theirs: Vec<StreamKey>,
    /// Which flow a stream of the peer's carries, once a message said so.
    known: BTreeMap<StreamKey, u32>,
    under_way: Vec<(FrameRef, Vec<u8>)>,
}

impl End {
    /// What is counted as it changes is what a count of everything finds.
    fn check_usage(&mut self) {
        let (usage, stats) = (self.bare.session.usage(), self.bare.session.stats());
        assert_eq!(usage.held, stats.held_bytes as u64);
        assert!(usage.promised >= stats.unread_bytes, "{usage:?} {stats:?}");
    }
}

struct Model {
    ends: [End; 2],
    flows: Vec<Flow>,
}

impl Model {
    fn new() -> Self {
        let mut flows = Vec::new();
        let ends = [Side::Client, Side::Server].map(|side| {
            let bare = Bare::new(side, PARAMS, PARAMS);
            let mut end =
                End { bare, ours: Vec::new(), theirs: Vec::new(), known: BTreeMap::new(), under_way: Vec::new() };
            for lane in LANES {
                end.ours.push((end.bare.session.lane(lane), flows.len() as u32));
                end.theirs.push(end.bare.session.lane(lane));
                flows.push(Flow::default());
            }
            end
        });
        Self { ends, flows }
    }

    fn apply(&mut self, side: usize, step: &Step) {
        let end = &mut self.ends[side];
        let session = &mut end.bare.session;
        match *step {
            Step::Open { complete } => {
                let order = if complete { Order::AsComplete } else { Order::Sequence };
                if let Ok(key) = session.open(LANES[self.flows.len() % 3], order) {
                    end.ours.push((key, self.flows.len() as u32));
                    self.flows.push(Flow { complete, ..Flow::default() });
                }
            }
            Step::Send { stream, size } => {
                let (key, flow) = end.ours[stream % end.ours.len()];
                let known = &mut self.flows[flow as usize];
                let message = message(flow, known.sizes.len() as u32, size);
                if session.send(key, &message).is_ok() {
                    known.sizes.push(message.len());
                }
            }
            Step::Finish { stream } => _ = session.finish(end.ours[stream % end.ours.len()].0),
            Step::Reset { stream } => {
                let (key, flow) = end.ours[stream % end.ours.len()];
                session.reset(key, 1);
                self.flows[flow as usize].given_up |= stream % end.ours.len() >= LANES.len();
            }
            Step::Stop { stream } => {
                let at = stream % end.theirs.len();
                // Only what has said whose flow it is, so that the model knows which one is given up.
                if let Some(&flow) = end.known.get(&end.theirs[at]) {
                    session.stop(end.theirs[at], 2);
                    self.flows[flow as usize].given_up |= at >= LANES.len();
                }
            }
            Step::Pull { count } => {
                let pulled: Vec<_> = (0..count).filter_map(|_| end.bare.pull()).collect();
                end.under_way.extend(pulled);
            }
            Step::Carry { which, times, told } => self.carry(side, which, times, told),
            Step::Read => self.read(side),
            Step::Resume => self.resume(),
        }
    }

    fn carry(&mut self, from: usize, which: usize, times: usize, told: bool) {
        if self.ends[from].under_way.is_empty() {
            return;
        }
        let at = which % self.ends[from].under_way.len();
        let (frame, bytes) = self.ends[from].under_way.swap_remove(at);
        (0..times).for_each(|_| self.ends[1 - from].bare.hear_bytes(&bytes).expect("the peer keeps the rules"));
        let bare = &mut self.ends[from].bare;
        if told { bare.confirm(frame) } else { bare.lose(frame) }
    }

    fn resume(&mut self) {
        let states = [0, 1].map(|side| self.ends[side].bare.session.receive_state());
        for (side, state) in [(0, &states[1]), (1, &states[0])] {
            self.ends[side].bare.session.resume(Instant::ZERO, state).expect("the peer states the truth");
        }
    }

    fn read(&mut self, side: usize) {
        let Self { ends, flows } = self;
        let end = &mut ends[side];
        for event in end.bare.events() {
            match event {
                Event::Opened(key, _) => {
                    end.theirs.push(key);
                    end.bare.session.finish(key).expect("it was just opened");
                }
                Event::Stopped(key, _) => {
                    let of = |&&(ours, _): &&(StreamKey, u32)| ours == key;
                    end.ours.iter().find(of).into_iter().for_each(|&(_, flow)| flows[flow as usize].given_up = true);
                }
                _ => {}
            }
        }
        for &key in &end.theirs {
            while let Ok(Some(bytes)) = end.bare.session.recv(key) {
                let word = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
                let (flow, number) = (word(0), word(4));
                assert_eq!(*end.known.entry(key).or_insert(flow), flow, "a message of another stream");
                assert_eq!(bytes, message(flow, number, bytes.len() - 8), "its bytes are its own");
                let flow = &mut flows[flow as usize];
                assert!(flow.complete || number as usize == flow.got.len(), "in order: {flow:?} {number}");
                assert!(!flow.got.contains(&number), "twice: {flow:?} {number}");
                flow.got.push(number);
            }
        }
        for &(key, _) in &end.ours[LANES.len()..] {
            assert!(!matches!(end.bare.session.recv(key), Ok(Some(_))), "nobody sent this");
        }
    }

    /// Everything is finished, carried and read until nothing is left to say.
    fn settle(&mut self) {
        for end in &mut self.ends {
            end.ours[LANES.len()..].iter().for_each(|&(key, _)| _ = end.bare.session.finish(key));
        }
        for _ in 0..400 {
            for side in 0..2 {
                self.apply(side, &Step::Pull { count: 1_000 });
                while !self.ends[side].under_way.is_empty() {
                    self.carry(side, 0, 1, true);
                }
                self.read(0);
                self.read(1);
            }
            if self.ends.iter().all(|end| !end.bare.session.wants_to_send()) {
                return;
            }
        }
        panic!("they never come to an end");
    }

    fn check(&self) {
        for (number, flow) in self.flows.iter().enumerate().filter(|(_, flow)| !flow.given_up) {
            assert_eq!(flow.got.len(), flow.sizes.len(), "flow {number}: {flow:?}");
        }
        for end in &self.ends {
            let stats = end.bare.session.stats();
            assert_eq!((stats.unconfirmed_bytes, stats.unread_bytes), (0, 0));
            assert_eq!(stats.streams, Lane::COUNT, "a stream that is over both ways is forgotten");
            assert_eq!(end.bare.session.undecided().count(), 0);
        }
    }
}

fn message(flow: u32, number: u32, size: usize) -> Vec<u8> {
    let mut message = [flow.to_be_bytes(), number.to_be_bytes()].concat();
    message.resize((8 + size).min(5_000), (flow * 31 + number) as u8);
    message
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("TOWLINE_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(250),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn p04_what_two_sessions_do_in_any_order_arrives_once_and_in_order(
        steps in proptest::collection::vec(step(), 1..300)
    ) {
        let mut model = Model::new();
        for (side, step) in &steps {
            model.apply(usize::from(*side), step);
            model.ends.iter_mut().for_each(End::check_usage);
        }
        model.settle();
        model.check();
    }
}
