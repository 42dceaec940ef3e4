//! The packets on their way: what was sent, what became of it, and what is given up for lost.
//!
//! | a packet is | until |
//! |---|---|
//! | on its way | it is acknowledged: *delivered*; or one that left later is, and the reordering window passes: *lost* |
//! | lost | it is acknowledged after all (the window was too small, and grows), or nobody remembers it |
//! | uncounted | for ever: it carried nothing but acknowledgements, and its own says nothing of the path |
//! | left out | for ever: never sent; who acknowledges it acknowledges blindly, and is cut |
//!
//! Loss is found by time, as in RACK (RFC 8985). Packets leave in the order of their numbers, so the search begins at the
//! oldest on its way and ends at the first that is not lost. Numbers index circular buffers: nothing is searched, and in
//! steady state nothing is allocated.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use super::delivery::{Delivery, Sample, Stamp};
use super::rtt::Rtt;
use crate::bits::Bits;
use crate::link::{FrameRef, Frames, LinkId, Violation};
use crate::time::{Duration, Instant};
use crate::wire::ack::Ack;
use crate::wire::close::CloseCode;

/// The reordering window is a number of these parts of the least round trip: one at first (RFC 8985 §6.2), one more
/// each time that it was too small.
const REORDER_PARTS: u32 = 4;

/// A reordering window that grew is kept for so many round trips.
const REORDER_KEPT_ROUNDS: u32 = 16;

/// A lost packet is remembered for so many smoothed round trips, to notice that it came after all.
const LOST_KEPT_ROUNDS: u32 = 3;

/// Packets lost over so many probe timeouts, with nothing delivered that left between them, mean that what was known of
/// the path is void (RFC 9002 §7.6.1).
const DEAD_PROBE_TIMEOUTS: u32 = 3;

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    OnItsWay,
    Delivered,
    Lost,
    Uncounted,
    LeftOut,
}

/// A packet as it is remembered.
#[derive(Clone, Copy, Debug)]
struct Packet {
    stamp: Stamp,
    bytes: u32,
    frames: u32,
    /// Where its references begin, counted over all that ever were.
    frames_from: u64,
    fate: Fate,
}

/// What an acknowledgement brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Acknowledged {
    /// Bytes newly delivered.
    pub bytes: u64,
    /// Of these: bytes that had been taken for lost.
    pub regained: u64,
    /// What the newest of the packets says of the path.
    pub sample: Option<Sample>,
}

/// What a look for losses found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Bytes.
    pub bytes: u64,
    /// Bytes on their way when the last of them left, itself included.
    pub in_flight: u64,
    /// When the last of them left.
    pub newest_sent_at: Option<Instant>,
    /// Nothing came through for so long that what was known of the path is void.
    pub dead: bool,
}

/// See the module's page.
#[derive(Debug)]
pub struct Flight {
    link: LinkId,
    /// The packets from number `first` on.
    packets: VecDeque<Packet>,
    first: u64,
    /// The references of all of `packets`, and how many there were before them.
    frames: VecDeque<FrameRef>,
    frames_gone: u64,
    on_their_way: Bits,
    lost: Bits,
    /// The numbers left out of `packets`, a handful.
    left_out: VecDeque<u64>,
    in_flight: u64,
    newest: Option<Newest>,
    reorder: Reorder,
}

/// The delivered packet that left last.
#[derive(Clone, Copy, Debug)]
struct Newest {
    number: u64,
    rtt: Duration,
}

/// How much later than a packet that left after it a packet may come.
#[derive(Debug)]
struct Reorder {
    /// So many parts of the least round trip.
    parts: u32,
    /// What must be delivered before this round trip is over, and how many remain before it shrinks.
    round_ends_at: u64,
    rounds_left: u32,
}

impl Flight {
    /// Of a link that has sent nothing.
    pub fn new(link: LinkId) -> Self {
        Self {
            link,
            packets: VecDeque::new(),
            first: 0,
            frames: VecDeque::new(),
            frames_gone: 0,
            on_their_way: Bits::default(),
            lost: Bits::default(),
            left_out: VecDeque::new(),
            in_flight: 0,
            newest: None,
            reorder: Reorder { parts: 1, round_ends_at: 0, rounds_left: 0 },
        }
    }

    // ask

    /// The number of the next packet.
    pub fn next_number(&self) -> u64 {
        self.first + self.packets.len() as u64
    }

    /// Bytes on their way.
    pub const fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// The delivered packet that left last.
    pub fn newest_delivered(&self) -> Option<u64> {
        self.newest.map(|newest| newest.number)
    }

    /// The peer needs to say no more of packets below this number: it is known of them what became of them.
    pub fn settled_below(&self) -> u64 {
        self.on_their_way.next(self.first).unwrap_or(self.next_number())
    }

    /// When the last packet that is on its way left; `None` if none is.
    pub fn last_sent_at(&self) -> Option<Instant> {
        let last = self.on_their_way.last(self.next_number().checked_sub(1)?, self.first, true)?;
        Some(self.packet(last).stamp.sent_at())
    }

    /// When the oldest packet will be taken for lost unless it is acknowledged; `None` if none that left later is.
    pub fn poll_timeout(&self, rtt: &Rtt) -> Option<Instant> {
        let oldest = self.on_their_way.next(self.first)?;
        self.lost_at(oldest, rtt)
    }

    // commands

    /// A packet of `bytes` leaves, with the references that `frames` gives.
    pub fn sent(
        &mut self,
        now: Instant,
        bytes: u32,
        frames: impl IntoIterator<Item = FrameRef>,
        delivery: &mut Delivery,
    ) {
        self.in_flight += u64::from(bytes);
        let stamp = delivery.sent(now, bytes.into(), self.in_flight);
        self.on_their_way.insert(self.next_number());
        self.push(stamp, bytes, frames, Fate::OnItsWay);
    }

    /// A packet leaves that carries nothing but acknowledgements.
    pub fn sent_uncounted(&mut self, now: Instant) {
        self.push(Stamp::of_nothing(now), 0, [], Fate::Uncounted);
    }

    /// A number is left out, to catch who acknowledges what never came.
    pub fn leave_out(&mut self, now: Instant) {
        self.left_out.push_back(self.next_number());
        self.push(Stamp::of_nothing(now), 0, [], Fate::LeftOut);
    }

    // network

    /// An acknowledgement came; look for losses afterwards.
    ///
    /// # Errors
    /// [`Violation`]: it names packets that were never sent.
    pub fn acknowledged(
        &mut self,
        now: Instant,
        ack: &Ack<'_>,
        rtt: &mut Rtt,
        delivery: &mut Delivery,
        session: &mut impl Frames,
    ) -> Result<Acknowledged, Violation> {
        self.check(ack)?;
        let (mut brought, mut newest) = (Acknowledged::default(), None);
        for run in ack.runs() {
            newest = newest.max(self.on_their_way.last(*run.end(), *run.start(), true));
            while let Some(number) = self.on_their_way.next(*run.start()).filter(|number| run.contains(number)) {
                brought.bytes += self.deliver(now, number, session);
            }
            while let Some(number) = self.lost.next(*run.start()).filter(|number| run.contains(number)) {
                brought.regained += self.regain(number);
            }
        }
        brought.bytes += brought.regained;
        delivery.regain(brought.regained);
        if brought.regained > 0 {
            self.reorder.grow(delivery.delivered());
        }
        if let Some(newest) = newest {
            brought.sample = self.measure(now, newest, brought.bytes, ack, rtt, delivery);
        }
        self.reorder.look(delivery.delivered(), brought.sample.as_ref());
        self.forget(now, rtt);
        Ok(brought)
    }

    /// Gives up what is lost by now.
    pub fn find_lost(&mut self, now: Instant, rtt: &Rtt, delivery: &mut Delivery, session: &mut impl Frames) -> Lost {
        let mut lost = Lost::default();
        let mut silence: Option<(u64, Instant)> = None;
        let dead_after = DEAD_PROBE_TIMEOUTS * rtt.probe_timeout(Duration::ZERO);
        while let Some(number) = self.on_their_way.next(self.first)
            && self.lost_at(number, rtt).is_some_and(|at| at <= now)
        {
            let packet = self.give_up(now, number, session);
            let sent_at = packet.stamp.sent_at();
            let (_, since) = *silence.insert(
                silence
                    .filter(|(last, _)| self.none_delivered(*last, number))
                    .map_or((number, sent_at), |(_, since)| (number, since)),
            );
            lost.bytes += u64::from(packet.bytes);
            lost.in_flight = packet.stamp.in_flight();
            lost.newest_sent_at = Some(sent_at);
            lost.dead |= sent_at.since(since) > dead_after && rtt.is_known();
        }
        delivery.lose(lost.bytes);
        lost
    }

    /// Gives back the references of the oldest packet on its way that has any, so that they go again in a probe. What is
    /// given up counts as lost until it comes after all, and says nothing of congestion.
    pub fn give_oldest_again(&mut self, now: Instant, delivery: &mut Delivery, session: &mut impl Frames) {
        while let Some(oldest) = self.on_their_way.next(self.first) {
            let packet = self.give_up(now, oldest, session);
            delivery.lose(packet.bytes.into());
            if packet.frames > 0 {
                return;
            }
        }
    }

    /// The link is over: every reference that was not confirmed goes back as lost.
    pub fn shut(mut self, now: Instant, session: &mut impl Frames) {
        while let Some(number) = self.on_their_way.next(self.first) {
            self.give_up(now, number, session);
        }
    }

    // inside

    fn packet(&self, number: u64) -> &Packet {
        &self.packets[(number - self.first) as usize]
    }

    fn push(&mut self, stamp: Stamp, bytes: u32, frames: impl IntoIterator<Item = FrameRef>, fate: Fate) {
        let before = self.frames.len();
        let frames_from = self.frames_gone + before as u64;
        self.frames.extend(frames);
        let frames = (self.frames.len() - before) as u32;
        self.packets.push_back(Packet { stamp, bytes, frames, frames_from, fate });
    }

    /// Nobody may acknowledge what was never sent.
    fn check(&self, ack: &Ack<'_>) -> Result<(), Violation> {
        let blindly = ack.runs().any(|run| self.left_out.iter().any(|number| run.contains(number)));
        if blindly || ack.largest >= self.next_number() {
            return Err(Violation::new(CloseCode::Protocol, "packets acknowledged that were never sent"));
        }
        Ok(())
    }

    /// A packet arrived; how many bytes it had.
    fn deliver(&mut self, now: Instant, number: u64, session: &mut impl Frames) -> u64 {
        self.on_their_way.remove(number);
        let packet = self.become_of(number, Fate::Delivered);
        for frame in self.frames_of(&packet) {
            session.confirmed(now, self.link, self.frames[frame]);
        }
        self.in_flight -= u64::from(packet.bytes);
        packet.bytes.into()
    }

    /// A packet that was given up arrived after all; how many bytes it had. Its references are gone already.
    fn regain(&mut self, number: u64) -> u64 {
        self.lost.remove(number);
        self.become_of(number, Fate::Delivered).bytes.into()
    }

    fn give_up(&mut self, now: Instant, number: u64, session: &mut impl Frames) -> Packet {
        self.on_their_way.remove(number);
        self.lost.insert(number);
        let packet = self.become_of(number, Fate::Lost);
        for frame in self.frames_of(&packet) {
            session.lost(now, self.link, self.frames[frame]);
        }
        self.in_flight -= u64::from(packet.bytes);
        packet
    }

    fn become_of(&mut self, number: u64, fate: Fate) -> Packet {
        let packet = &mut self.packets[(number - self.first) as usize];
        packet.fate = fate;
        *packet
    }

    fn frames_of(&self, packet: &Packet) -> core::ops::Range<usize> {
        let from = (packet.frames_from - self.frames_gone) as usize;
        from..from + packet.frames as usize
    }

    /// What the newest delivered packet of an acknowledgement says.
    fn measure(
        &mut self,
        now: Instant,
        number: u64,
        bytes: u64,
        ack: &Ack<'_>,
        rtt: &mut Rtt,
        delivery: &mut Delivery,
    ) -> Option<Sample> {
        let stamp = self.packet(number).stamp;
        let trip = now.since(stamp.sent_at());
        let clock = (number == ack.largest).then(|| Duration::from_micros(ack.head.clock_micros));
        if clock.is_some() {
            rtt.sample(now, trip, ack.head.delay);
        }
        if self.newest.is_none_or(|newest| newest.number < number) {
            self.newest = Some(Newest { number, rtt: trip });
        }
        delivery.acknowledged(now, bytes, &stamp, clock)
    }

    /// When a packet on its way is to be taken for lost; `None` while none that left later was delivered.
    fn lost_at(&self, number: u64, rtt: &Rtt) -> Option<Instant> {
        let newest = self.newest.filter(|newest| newest.number > number)?;
        let packet = self.packet(number);
        Some(packet.stamp.sent_at() + newest.rtt.max(rtt.smoothed()) + self.reorder.window(rtt))
    }

    /// Whether nothing was delivered of the packets between two.
    fn none_delivered(&self, after: u64, before: u64) -> bool {
        (after + 1..before).all(|number| self.packet(number).fate != Fate::Delivered)
    }

    /// Forgets the oldest packets: those that are settled, and those lost so long ago that they will not come.
    fn forget(&mut self, now: Instant, rtt: &Rtt) {
        let kept = LOST_KEPT_ROUNDS * rtt.smoothed();
        while let Some(packet) = self.packets.front() {
            let may_come = packet.fate == Fate::Lost && now.since(packet.stamp.sent_at()) < kept;
            if packet.fate == Fate::OnItsWay || may_come {
                break;
            }
            self.frames.drain(..packet.frames as usize);
            self.frames_gone += u64::from(packet.frames);
            self.packets.pop_front();
            self.lost.remove(self.first);
            self.first += 1;
        }
        self.on_their_way.forget_below(self.first);
        self.lost.forget_below(self.first);
        while self.left_out.front().is_some_and(|number| *number < self.first) {
            self.left_out.pop_front();
        }
    }
}

impl Reorder {
    /// How much later than expected a packet may come, never more than a whole round trip (RFC 8985 §6.2).
    fn window(&self, rtt: &Rtt) -> Duration {
        (rtt.floor() * self.parts / REORDER_PARTS).min(rtt.smoothed())
    }

    /// A packet came after it was taken for lost: the window was too small; at most one step a round trip.
    fn grow(&mut self, delivered: u64) {
        if self.rounds_left < REORDER_KEPT_ROUNDS || delivered >= self.round_ends_at {
            self.parts = (self.parts + 1).min(8 * REORDER_PARTS);
        }
        self.rounds_left = REORDER_KEPT_ROUNDS;
    }

    /// Counts round trips; after enough without need the window is small again.
    fn look(&mut self, delivered: u64, sample: Option<&Sample>) {
        if self.parts > 1 && sample.is_some_and(|sample| sample.delivered_before >= self.round_ends_at) {
            self.round_ends_at = delivered;
            self.rounds_left = self.rounds_left.saturating_sub(1);
            if self.rounds_left == 0 {
                self.parts = 1;
            }
        }
    }
}
