//! How fast a path delivers, measured by each acknowledged packet.
//!
//! The method is draft-ietf-ccwg-bbr's and draft-cheng-iccrg-delivery-rate-estimation's: a packet remembers how much was
//! delivered when it left; when it is acknowledged, what was delivered since, over the time that took, is a sample. That
//! time is the longer of two: how long those packets took to leave, and how long they took to arrive. Arrivals are timed
//! by the *receiver's* clock, which the acknowledgements carry, so that acknowledgements that are late, thinned or come
//! in heaps do not bend the sample. A receiver that lies about its clock gains nothing: over a second its clock must go
//! as ours does, or ours is used.

use crate::time::{Duration, Instant};

/// The receiver's clock is compared with ours over at least so long, so that queues and jitter on the way back (a few
/// tens of milliseconds) weigh little.
const CLOCK_CHECK_TIME: Duration = Duration::from_secs(1);

/// So much may the two clocks differ over [`CLOCK_CHECK_TIME`], in parts of it: drift is a thousandth, a queue that
/// filled or drained meanwhile a tenth or two.
const CLOCK_CHECK_PARTS: u32 = 4;

/// What a packet remembers of the moment it left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    sent_at: Instant,
    first_sent_at: Instant,
    delivered: u64,
    delivered_at: Instant,
    delivered_clock: Option<Duration>,
    lost: u64,
    in_flight: u64,
    app_limited: bool,
}

impl Stamp {
    /// Of a packet that is not measured.
    pub(super) const fn of_nothing(now: Instant) -> Self {
        Self {
            sent_at: now,
            first_sent_at: now,
            delivered: 0,
            delivered_at: now,
            delivered_clock: None,
            lost: 0,
            in_flight: 0,
            app_limited: true,
        }
    }

    /// Bytes on their way when it left, itself included.
    pub(super) const fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// When the packet left.
    pub const fn sent_at(&self) -> Instant {
        self.sent_at
    }
}

/// What one acknowledgement, or one verdict of loss, says of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Bytes delivered between the sending of the newest acknowledged packet and its acknowledgement.
    pub delivered: u64,
    /// Bytes found lost in that time.
    pub lost: u64,
    /// How long that took: the longer of leaving and arriving. Never zero.
    pub interval: Duration,
    /// Bytes on their way when that packet left, itself included.
    pub in_flight: u64,
    /// Delivered in all when that packet left: a round trip is over once this passes what was delivered at its start.
    pub delivered_before: u64,
    /// The sender had not enough to say to fill the path, so the path may be faster than this.
    pub app_limited: bool,
    /// The round trip of that packet, the receiver's delay included.
    pub rtt: Duration,
}

impl Sample {
    /// Bytes delivered a second.
    pub fn rate(&self) -> u64 {
        per_second(self.delivered, self.interval)
    }
}

/// Bytes a second, of bytes in a time.
pub fn per_second(bytes: u64, time: Duration) -> u64 {
    let nanos = time.as_nanos().max(1);
    u64::try_from(u128::from(bytes) * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
}

/// The measuring of one path.
#[derive(Clone, Debug)]
pub struct Delivery {
    delivered: u64,
    delivered_at: Instant,
    first_sent_at: Instant,
    lost: u64,
    /// Packets sent before so much is delivered belong to a time in which there was too little to send.
    app_limited_until: Option<u64>,
    clock: Clock,
}

/// The receiver's clock, as acknowledgements told it.
#[derive(Clone, Debug, Default)]
struct Clock {
    /// Where it stood when the newest acknowledged packet came.
    latest: Option<Duration>,
    /// Where the two clocks stood when they were last compared.
    checked: Option<(Instant, Duration)>,
    /// It went wrong once, and is not used any more.
    distrusted: bool,
}

impl Delivery {
    /// Of a path on which nothing was sent.
    pub const fn new(now: Instant) -> Self {
        let clock = Clock { latest: None, checked: None, distrusted: false };
        Self { delivered: 0, delivered_at: now, first_sent_at: now, lost: 0, app_limited_until: None, clock }
    }

    /// Bytes delivered since the beginning.
    pub const fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Bytes lost since the beginning.
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// A packet leaves, with which `in_flight` bytes are on their way, its own `bytes` included.
    pub fn sent(&mut self, now: Instant, bytes: u64, in_flight: u64) -> Stamp {
        if in_flight == bytes {
            // After a pause nothing is measured over the pause.
            self.first_sent_at = now;
            self.delivered_at = now;
            self.clock.latest = None;
        }
        Stamp {
            sent_at: now,
            first_sent_at: self.first_sent_at,
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            delivered_clock: self.clock.latest,
            lost: self.lost,
            in_flight,
            app_limited: self.app_limited_until.is_some(),
        }
    }

    /// There is nothing more to send though there would be room, with `in_flight` bytes on their way.
    pub fn ran_dry(&mut self, in_flight: u64) {
        self.app_limited_until = Some((self.delivered + in_flight).max(1));
    }

    /// So many bytes were found lost.
    pub fn lose(&mut self, bytes: u64) {
        self.lost += bytes;
    }

    /// So many bytes were found delivered after all, which had been taken for lost.
    pub fn regain(&mut self, bytes: u64) {
        self.lost = self.lost.saturating_sub(bytes);
    }

    /// An acknowledgement delivered `bytes`, the newest packet of which left with `newest`. `clock` is what it says of the
    /// receiver's clock, if that packet is the largest it names. `None` if the time is too short to say anything.
    pub fn acknowledged(
        &mut self,
        now: Instant,
        bytes: u64,
        newest: &Stamp,
        clock: Option<Duration>,
    ) -> Option<Sample> {
        self.delivered += bytes;
        self.delivered_at = now;
        self.app_limited_until.take_if(|until| self.delivered > *until);
        let clock = clock.filter(|clock| self.clock.is_trusted(now, *clock));
        let arriving = match (clock, newest.delivered_clock) {
            (Some(now), Some(then)) => now.saturating_sub(then),
            _ => now.since(newest.delivered_at),
        };
        self.clock.latest = clock;
        let leaving = newest.sent_at.since(newest.first_sent_at);
        self.first_sent_at = newest.sent_at;
        let interval = leaving.max(arriving);
        (!interval.is_zero()).then(|| Sample {
            delivered: self.delivered - newest.delivered,
            lost: self.lost.saturating_sub(newest.lost),
            interval,
            in_flight: newest.in_flight,
            delivered_before: newest.delivered,
            app_limited: newest.app_limited,
            rtt: now.since(newest.sent_at),
        })
    }
}

impl Clock {
    /// Compares the clocks now and then.
    fn is_trusted(&mut self, now: Instant, clock: Duration) -> bool {
        let (then, clock_then) = *self.checked.get_or_insert((now, clock));
        let (ours, theirs) = (now.since(then), clock.saturating_sub(clock_then));
        if ours >= CLOCK_CHECK_TIME {
            self.distrusted |= ours.abs_diff(theirs) > ours / CLOCK_CHECK_PARTS;
            self.checked = Some((now, clock));
        }
        !self.distrusted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn at(millis: u32) -> Instant {
        Instant::ZERO + millis * MS
    }

    /// Packets of 1,000 bytes every millisecond over a path of 50 ms, each acknowledged after as many milliseconds as
    /// `back` says of its number; the samples. The receiver's clock began 7 s earlier and runs `fast` times as fast.
    fn flow(count: u32, fast: u32, back: impl Fn(u32) -> u32) -> Vec<Sample> {
        let (mut delivery, mut in_flight, mut samples) = (Delivery::new(at(0)), 0, Vec::new());
        let mut stamps = Vec::new();
        for tick in 0..count + 1_000 {
            if tick < count {
                in_flight += 1_000;
                stamps.push(delivery.sent(at(tick), 1_000, in_flight));
            }
            for number in (0..stamps.len() as u32).filter(|&number| number + 50 + back(number) == tick) {
                in_flight -= 1_000;
                let clock = (7_000 + (number + 50) * fast) * MS;
                let stamp = stamps[number as usize];
                samples.extend(delivery.acknowledged(at(tick), 1_000, &stamp, Some(clock)));
            }
        }
        samples
    }

    #[test]
    fn a_steady_flow_is_measured_at_its_rate() {
        let samples = flow(1_000, 1, |_| 50);
        assert!(samples[150..].iter().all(|sample| sample.rate() == 1_000_000), "{:?}", samples[200]);
        assert!(samples.iter().all(|sample| sample.rate() <= 1_000_000 && sample.rtt == 100 * MS));
    }

    #[test]
    fn acknowledgements_that_come_in_heaps_do_not_bend_it() {
        // Held up on the way back, so that forty come at once.
        let samples = flow(1_000, 1, |number| 50 + 39 - number % 40);
        assert!(samples[150..].iter().all(|sample| (900_000..=1_000_000).contains(&sample.rate())), "{samples:?}");
    }

    #[test]
    fn a_receiver_with_a_slow_or_fast_clock_is_not_believed_for_long() {
        let samples = flow(3_000, 0, |_| 50);
        assert!(samples.iter().all(|sample| sample.rate() <= 1_000_000), "leaving bounds it");
        let samples = flow(3_000, 10, |_| 50);
        assert!(samples[1_200..].iter().all(|sample| sample.rate() == 1_000_000), "{:?}", samples[1_300]);
    }

    #[test]
    fn a_pause_is_not_measured() {
        let mut delivery = Delivery::new(at(0));
        let first = delivery.sent(at(0), 1_000, 1_000);
        delivery.acknowledged(at(100), 1_000, &first, None);
        let later = delivery.sent(at(5_000), 1_000, 1_000);
        let sample = delivery.acknowledged(at(5_100), 1_000, &later, None).unwrap();
        assert_eq!((sample.interval, sample.delivered), (100 * MS, 1_000));
    }

    #[test]
    fn too_little_to_send_is_noted_until_that_is_delivered() {
        let mut delivery = Delivery::new(at(0));
        let first = delivery.sent(at(0), 1_000, 1_000);
        delivery.ran_dry(1_000);
        let second = delivery.sent(at(1), 1_000, 2_000);
        assert!(!delivery.acknowledged(at(100), 1_000, &first, None).unwrap().app_limited);
        assert!(delivery.acknowledged(at(101), 1_000, &second, None).unwrap().app_limited);
        let third = delivery.sent(at(102), 1_000, 1_000);
        assert!(!delivery.acknowledged(at(202), 1_000, &third, None).unwrap().app_limited);
    }

    #[test]
    fn what_was_lost_meanwhile_stands_in_the_sample() {
        let mut delivery = Delivery::new(at(0));
        delivery.lose(500);
        let stamp = delivery.sent(at(0), 1_000, 3_000);
        delivery.lose(2_000);
        delivery.regain(1_000);
        assert_eq!(delivery.acknowledged(at(100), 1_000, &stamp, None).unwrap().lost, 1_000);
    }
}
