//! What one direction of a packet link does to its packets.

use crate::{Nanos, Rng, Share};

/// A rate without a bound.
pub const UNLIMITED: u64 = u64::MAX;

/// The largest packet of Ethernet, in bytes with the headers of IP and UDP.
pub const ETHERNET: usize = 1_500;

/// What one direction of a link does to its packets. It may change at any time.
///
/// A packet first passes the bounds of size and queue, then waits its turn, is sent at the rate, and only then is it lost,
/// damaged, doubled, delayed: what is lost on the way has cost its time at the bottleneck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conditions {
    /// How many bits pass in a second, headers counted; [`UNLIMITED`] for no bound.
    pub rate_bits_per_second: u64,
    /// How long a packet is on its way once it has been sent.
    pub delay: Nanos,
    /// By how much that differs from packet to packet.
    pub jitter: Jitter,
    /// How much may wait, the packet that is being sent not counted. What comes to a full queue is dropped.
    pub queue: Queue,
    /// From how much waiting on packets that allow it are marked (explicit congestion notification); `None` for never.
    pub mark_from: Option<Queue>,
    /// Which packets are lost on the way.
    pub loss: Loss,
    /// Which packets are overtaken by later ones.
    pub reorder: Reorder,
    /// How many arrive twice.
    pub duplicate: Share,
    /// In how many one bit is flipped.
    pub corrupt: Share,
    /// The largest packet that passes, in bytes with headers; a larger one vanishes without a word.
    pub largest_packet: usize,
    /// Whether anything passes at all. What is on its way when a link goes down still arrives, what waits is lost.
    pub up: bool,
}

impl Default for Conditions {
    /// 10 ms and nothing else.
    fn default() -> Self {
        Self {
            rate_bits_per_second: UNLIMITED,
            delay: 10 * crate::MILLIS,
            jitter: Jitter::default(),
            queue: Queue::Packets(usize::MAX),
            mark_from: None,
            loss: Loss::NONE,
            reorder: Reorder::default(),
            duplicate: Share::NONE,
            corrupt: Share::NONE,
            largest_packet: ETHERNET,
            up: true,
        }
    }
}

impl Conditions {
    /// The shortest time in which a packet that has been sent may arrive.
    pub(crate) const fn least_delay(&self) -> Nanos {
        self.delay.saturating_sub(self.jitter.most)
    }
}

/// By how much the delay differs, evenly up to `most` both ways (never below 0).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Jitter {
    /// The most by which a packet comes earlier or later.
    pub most: Nanos,
    /// Whether packets keep their order, as behind a radio that repeats until it gets through; else each is drawn for
    /// itself and overtakes freely.
    pub in_order: bool,
}

/// How much may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// So many packets of whatever size.
    Packets(usize),
    /// So many bytes, headers counted.
    Bytes(u64),
}

impl Queue {
    /// Whether so much more than what waits would be too much.
    pub(crate) const fn overflows(self, waiting_packets: usize, waiting_bytes: u64, size: usize) -> bool {
        match self {
            Self::Packets(most) => waiting_packets >= most,
            Self::Bytes(most) => waiting_bytes + size as u64 > most,
        }
    }
}

/// Packets that come so much later than their fellows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reorder {
    /// How many.
    pub share: Share,
    /// How much later.
    pub by: Nanos,
}

/// Loss as Gilbert and Elliott describe it: a good and a bad state, each with a loss of its own, and from packet to packet a
/// chance to pass into the other. Loss by chance alone is the case in which both states lose the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// How many are lost in the good state.
    pub in_good: Share,
    /// How many are lost in the bad state.
    pub in_bad: Share,
    /// How often a packet in the good state is followed by one in the bad.
    pub good_to_bad: Share,
    /// How often a packet in the bad state is followed by one in the good.
    pub bad_to_good: Share,
}

impl Loss {
    /// No loss.
    pub const NONE: Self = Self::random(Share::NONE);

    /// Each packet for itself.
    pub const fn random(share: Share) -> Self {
        Self { in_good: share, in_bad: share, good_to_bad: Share::NONE, bad_to_good: Share::NONE }
    }

    /// So much of all in runs that are `mean_packets` long on average; `None` if no such runs could make up so much.
    pub fn bursts(share: Share, mean_packets: u32) -> Option<Self> {
        let lost = share.as_f64();
        let bad_to_good = 1.0 / f64::from(mean_packets);
        let good_to_bad = lost * bad_to_good / (1.0 - lost);
        let possible = mean_packets > 0 && good_to_bad <= 1.0;
        possible.then(|| Self {
            in_good: Share::NONE,
            in_bad: Share::ALL,
            good_to_bad: Share::of_one(good_to_bad),
            bad_to_good: Share::of_one(bad_to_good),
        })
    }

    /// Whether the next packet is lost, and in which state the one after it will be.
    pub(crate) const fn strikes(&self, bad: &mut bool, rng: &mut Rng) -> bool {
        let (lost, turn) = if *bad { (self.in_bad, self.bad_to_good) } else { (self.in_good, self.good_to_bad) };
        let strikes = rng.hits(lost);
        if rng.hits(turn) {
            *bad = !*bad;
        }
        strikes
    }
}
