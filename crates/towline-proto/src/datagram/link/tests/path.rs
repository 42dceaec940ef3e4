//! One flow over a simulated link, and what became of it.

use super::*;
use crate::datagram::control::delivery_rate::DeliveryRate;
use crate::link::{Item, StreamRef};
use crate::ranges::RangeSet;
use std::collections::VecDeque;
use std::fmt;
use towline_sim::{Conditions, Line, MILLIS, Nanos, Packet, Packing, Profile, Rng, SECONDS, ceiling};

/// What header and seal of a packet take, and the headers of IP and UDP below them.
const OVERHEAD_BYTES: usize = 29;
const BELOW_BYTES: usize = 28;

#[derive(Clone, Debug)]
struct Parcel {
    number: u64,
    content: Vec<u8>,
    /// A bit was flipped: the seal will show it.
    damaged: bool,
}

impl Packet for Parcel {
    fn size(&self) -> usize {
        self.content.len() + OVERHEAD_BYTES + BELOW_BYTES
    }
    fn mark(&mut self) -> bool {
        false
    }
    fn corrupt(&mut self, _: &mut Rng) {
        self.damaged = true;
    }
}

/// A stream of so many bytes, or the reader of one. Each piece is filled with the last byte of its offset.
#[derive(Default)]
struct Bulk {
    total: u64,
    next: u64,
    confirmed: u64,
    again: VecDeque<(u64, u64)>,
    received: RangeSet,
    received_bytes: u64,
}

impl Frames for Bulk {
    fn fill(&mut self, _: Instant, _: LinkId, room: usize, out: &mut Vec<u8>) -> Option<FrameRef> {
        let most = room as u64 - 20;
        let (from, to) = self.again.pop_front().unwrap_or((self.next, self.total.min(self.next + most)));
        if from == to {
            return None;
        }
        if to - from > most {
            self.again.push_front((from + most, to));
        }
        let to = to.min(from + most);
        self.next = self.next.max(to);
        let bytes = vec![from as u8; (to - from) as usize];
        Frame::Bytes { stream: 0, open: None, offset: from, bytes: &bytes }.encode(out);
        Some(FrameRef { stream: StreamRef::NONE, item: Item::Data { from, to } })
    }
    fn confirmed(&mut self, _: Instant, _: LinkId, frame: FrameRef) {
        let Item::Data { from, to } = frame.item else { panic!("{frame:?}") };
        self.confirmed += to - from;
    }
    fn lost(&mut self, _: Instant, _: LinkId, frame: FrameRef) {
        let Item::Data { from, to } = frame.item else { panic!("{frame:?}") };
        self.again.push_back((from, to));
    }
    fn received(&mut self, _: Instant, _: LinkId, frame: Frame<'_>) -> Result<(), Violation> {
        let Frame::Bytes { offset, bytes, .. } = frame else { panic!("{frame:?}") };
        assert!(bytes.iter().all(|byte| *byte == offset as u8), "changed on the way");
        self.received_bytes += self.received.insert(offset, offset + bytes.len() as u64);
        Ok(())
    }
}

struct End {
    link: DatagramLink,
    frames: Bulk,
    line: Line<Parcel>,
}

/// See the module's page.
pub(super) struct Path {
    ends: [End; 2],
    now: Nanos,
    base_rtt: Nanos,
    ceiling: f64,
    rate: u64,
}

/// What a flow reached.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report {
    /// Of what can arrive at most: over the whole run and in its second half.
    pub(super) whole: f64,
    pub(super) half: f64,
    pub(super) first_10_mb: Option<f64>,
    /// Bytes of IP sent per byte delivered.
    pub(super) sent: f64,
    /// Bytes waiting, in parts of the bandwidth-delay product: mean and 99th percentile.
    pub(super) queue_mean: f64,
    pub(super) queue_p99: f64,
    pub(super) overflowed: f64,
    pub(super) packets_per_ack: f64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.first_10_mb.map_or("-".into(), |seconds| format!("{seconds:.2} s"));
        write!(
            f,
            "whole {:.3}  second half {:.3}  10 MB {first}  sent {:.3}  queue {:.3} p99 {:.3}  overflow {:.4}  packets/ack {:.0}",
            self.whole, self.half, self.sent, self.queue_mean, self.queue_p99, self.overflowed, self.packets_per_ack
        )
    }
}

impl Path {
    /// A link by name, and more to send over it than it can carry.
    pub(super) fn new(profile: &Profile, seed: u64) -> Self {
        let ceiling = ceiling(profile, Packing::ENCRYPTED_DATAGRAM) as f64;
        let (base_rtt, rate) = (profile.round_trip, profile.rate_bits_per_second);
        Self { ceiling, base_rtt, rate, ..Self::over(profile.conditions(), u64::MAX / 2, seed) }
    }

    /// A link of these conditions both ways, and so many bytes to send over it.
    pub(super) fn over(conditions: Conditions, total: u64, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mut end = |total| End {
            link: link(),
            frames: Bulk { total, ..Bulk::default() },
            line: Line::new(conditions, rng.fork()),
        };
        Self { ends: [end(total), end(0)], now: 0, base_rtt: 0, ceiling: 0.0, rate: 0 }
    }

    /// Runs until all is confirmed; how long that took. `happens` may change the conditions at any time.
    pub(super) fn transfer(mut self, within: Nanos, mut happens: impl FnMut(Nanos, &mut Conditions)) -> Nanos {
        while self.ends[0].frames.confirmed < self.ends[0].frames.total {
            assert!(self.now < within, "not done: {:?}", self.ends[0].link);
            self.step();
            for end in &mut self.ends {
                let mut conditions = *end.line.conditions();
                happens(self.now, &mut conditions);
                end.line.set_conditions(self.now, conditions);
            }
        }
        assert_eq!(self.ends[1].frames.received_bytes, self.ends[0].frames.total);
        self.now
    }

    fn step(&mut self) {
        self.drain();
        self.now = self.next().expect("something is always to be done").max(self.now);
        self.arrive();
    }

    pub(super) fn run(mut self, seconds: u64) -> Report {
        let (end, sample) = (seconds * SECONDS, MILLIS);
        let (mut next_sample, mut queues, mut at_half, mut first_10_mb) = (0, Vec::new(), 0, None);
        while self.now < end {
            self.step();
            let received = self.ends[1].frames.received_bytes;
            if self.now < end / 2 {
                at_half = received;
            }
            if received >= 10_000_000 {
                first_10_mb.get_or_insert(self.now as f64 / SECONDS as f64);
            }
            while next_sample <= self.now {
                queues.push(self.ends[0].line.queued_bytes(next_sample.min(self.now)));
                next_sample += sample;
            }
        }
        self.report(seconds, at_half, first_10_mb, queues)
    }

    fn report(&self, seconds: u64, at_half: u64, first_10_mb: Option<f64>, mut queues: Vec<u64>) -> Report {
        let received = self.ends[1].frames.received_bytes;
        let of_ceiling = |bytes: u64, seconds: f64| 8.0 * bytes as f64 / seconds / self.ceiling;
        let bdp = self.rate as f64 / 8.0 * self.base_rtt as f64 / SECONDS as f64;
        queues.sort_unstable();
        let (there, back) = (self.ends[0].line.counts(), self.ends[1].line.counts());
        Report {
            whole: of_ceiling(received, seconds as f64),
            half: of_ceiling(received - at_half, seconds as f64 / 2.0),
            first_10_mb,
            sent: there.offered_bytes as f64 / received as f64,
            queue_mean: queues.iter().sum::<u64>() as f64 / queues.len() as f64 / bdp,
            queue_p99: queues[queues.len() * 99 / 100] as f64 / bdp,
            overflowed: there.overflowed as f64 / there.offered as f64,
            packets_per_ack: there.delivered as f64 / back.offered as f64,
        }
    }

    fn clock(&self) -> Instant {
        Instant::from_nanos(self.now)
    }

    fn drain(&mut self) {
        let now = self.clock();
        for end in &mut self.ends {
            let mut content = Vec::new();
            while let Some(number) = end.link.poll_packet(now, &mut content, &mut end.frames) {
                end.line.offer(self.now, Parcel { number, content: core::mem::take(&mut content), damaged: false });
            }
        }
    }

    fn next(&self) -> Option<Nanos> {
        let of = |end: &End| [end.link.poll_timeout().map(Instant::as_nanos), end.line.next_at()];
        self.ends.iter().flat_map(of).flatten().min()
    }

    fn arrive(&mut self) {
        let now = self.clock();
        for from in 0..2 {
            while let Some((_, parcel)) = self.ends[from].line.poll(self.now) {
                if parcel.damaged {
                    continue;
                }
                let to = &mut self.ends[1 - from];
                to.link.handle_packet(now, parcel.number, None, &parcel.content, &mut to.frames).unwrap();
            }
            let end = &mut self.ends[from];
            end.link.handle_timeout(now, &mut end.frames);
        }
    }
}

fn link() -> DatagramLink {
    let packet = 1_472;
    let mut link = DatagramLink::new(LinkId(0), Box::new(DeliveryRate::new(packet)), OVERHEAD_BYTES, Instant::ZERO);
    link.set_packet_bytes(packet as usize);
    link
}
