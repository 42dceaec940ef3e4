//! The default controller: it sends at the rate that the path was seen to deliver, and looks now and then for more.
//!
//! Of the family of BBR (draft-ietf-ccwg-bbr): a model of the path, the most that it passes and the least time that it takes,
//! instead of a window that loss cuts. What it does of its own:
//! - *Passed* is what was delivered and what was lost by chance, for what chance takes has passed the bottleneck all the
//!   same. Chance is what is lost in round trips that show no queue, and of what was sent to empty it; what is lost beyond
//!   that is a queue that overflows (or a policer that drops), and does not count.
//! - Each search for more is followed by an emptying that ends when the round trips are short again, so that the queue
//!   stands empty most of the time and the least round trip is seen again and again.
//!
//! | phase | sends, of the rate passed | until |
//! |---|---|---|
//! | start | 2.9 ×, the window with it | the rate stops growing, or round trips grow |
//! | settle | no more than is on its way | a round trip, over which the full path shows its rate |
//! | empty | 0.35 × after the start, 0.75 × after a search | as much is on its way as the path holds, or three round trips |
//! | cruise | 1 × | so many round trips |
//! | search | 1.25 × | a round trip, and a quarter more on its way |
//! | yield | window of half the path | a round trip; only if the least round trip was not seen for 10 s |

use super::{Controller, FIRST_FLIGHT_PACKETS, LEAST_WINDOW_PACKETS, News};
use crate::datagram::delivery::{Sample, per_second};
use crate::datagram::rtt::INITIAL_RTT;
use crate::time::{Duration, Instant};

/// Thousandths, as all gains are counted.
const ONE: u64 = 1_000;

/// 2 ÷ ln 2: the least gain that doubles what is delivered each round trip.
const START_GAIN: u64 = 2_885;

/// The reverse of the start's, so that its queue is gone in one round trip.
const EMPTY_GAIN: u64 = 350;

const SEARCH_GAIN: u64 = 1_250;

/// Takes in one round trip what a search has queued in one.
const AFTER_SEARCH_GAIN: u64 = 750;

/// Slightly less than was passed, so that errors of measurement do not pile up a queue.
const CRUISE_GAIN: u64 = 990;

/// The window, of what the path holds: room for acknowledgements that are held back and for losses not yet found.
const WINDOW_GAIN: u64 = 2_000;

/// Round trips of cruising between two searches.
const CRUISE_ROUNDS: u32 = 6;

/// An emptying takes one round trip, or two. Then somebody else fills the queue; or, if as much is lost as of an overflow, the
/// model is wrong.
const EMPTY_ROUNDS: u32 = 3;

/// Who loses more than that, in thousandths, and sees a queue, overflows it (as draft-ietf-ccwg-bbr has it).
const LOSS_OF_OVERFLOW: u64 = 20;

/// The start is over when the rate has not grown by a quarter for so many round trips; one is enough if a queue shows.
const FLAT_ROUNDS: u32 = 3;

/// The rate passed is the most of the current and so many earlier cycles of search.
const CYCLES_KEPT: usize = 2;

/// For so long the least round trip is believed without being seen again.
const FLOOR_TIME: Duration = Duration::from_secs(10);

/// A round trip that is longer by this part of the least one means a queue.
const QUEUE_PARTS: u32 = 8;

/// The most that chance is believed to take, in thousandths. Beyond it no one can tell it from an overflow.
const CHANCE_MAX: u64 = 500;

/// So much must have been sent to empty the queue before it says anything of chance.
const CALM_BYTES: u64 = 30_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Start,
    Settle { window: u64 },
    Empty { gain: u64, rounds: u32 },
    Cruise { rounds: u32 },
    Search,
    Yield { until: Instant },
}

/// See the module's page.
#[derive(Debug)]
pub struct DeliveryRate {
    packet: u64,
    phase: Phase,
    round: Round,
    /// The most that passed in each of the last cycles, in bytes a second, the current one first.
    passed: [u64; CYCLES_KEPT + 1],
    start: Start,
    chance: Chance,
    floor: Option<Floor>,
    /// The least variation of round trips at the end of one, in each of the last two cycles, the current one first.
    jitter: [Duration; 2],
}

/// One round trip: from a packet that leaves to its acknowledgement.
#[derive(Debug, Default)]
struct Round {
    ends_at: u64,
    delivered: u64,
    lost: u64,
    least_rtt: Option<Duration>,
    most_rtt: Duration,
}

impl Round {
    /// Whether more was lost than what is left to chance on a good path.
    fn overflows(&self) -> bool {
        self.lost * ONE > self.delivered * LOSS_OF_OVERFLOW
    }
}

/// How the start goes.
#[derive(Debug, Default)]
struct Start {
    passed: u64,
    flat_rounds: u32,
    /// The last few round trips: one alone may be late by chance.
    recent: [Duration; 4],
}

/// What is lost by chance.
#[derive(Debug, Default)]
struct Chance {
    delivered: u64,
    lost: u64,
    calm: Calm,
}

/// What became of what was sent to empty the queue: a check of what is taken for chance.
#[derive(Debug, Default)]
struct Calm {
    from: Instant,
    to: Option<Instant>,
    delivered: u64,
    lost: u64,
}

/// The least round trip.
#[derive(Clone, Copy, Debug)]
struct Floor {
    rtt: Duration,
    seen_at: Instant,
}

impl DeliveryRate {
    /// Of a path that nothing is known of, with packets of `packet` bytes.
    pub fn new(packet: u64) -> Self {
        Self {
            packet,
            phase: Phase::Start,
            round: Round::default(),
            passed: [0; CYCLES_KEPT + 1],
            start: Start::default(),
            chance: Chance::default(),
            floor: None,
            jitter: [Duration::MAX; 2],
        }
    }

    fn passed(&self) -> u64 {
        self.passed.into_iter().max().unwrap_or_default()
    }

    fn floor(&self) -> Duration {
        self.floor.map_or(INITIAL_RTT, |floor| floor.rtt)
    }

    /// How long a packet and its acknowledgement take on average while nothing waits. Where each takes another time by
    /// chance, evenly between two bounds, the mean lies twice the mean deviation above the least.
    fn path_time(&self) -> Duration {
        let jitter = self.jitter.into_iter().min().filter(|jitter| *jitter < Duration::MAX);
        self.floor() + 2 * jitter.unwrap_or_default()
    }

    /// What the path holds without a queue, in bytes.
    fn holds(&self) -> u64 {
        let bytes = u128::from(self.passed()) * self.path_time().as_nanos() / 1_000_000_000;
        (bytes as u64).max(LEAST_WINDOW_PACKETS * self.packet)
    }

    fn shows_queue(&self, rtt: Duration) -> bool {
        rtt > self.path_time() + self.floor() / QUEUE_PARTS + Duration::from_millis(2)
    }

    /// Whether one round trip of many may have been long for a queue.
    fn may_show_queue(&self, most: Duration) -> bool {
        self.shows_queue(most.saturating_sub(self.path_time() - self.floor()))
    }

    /// The start ends as soon as round trips grow: what is on its way fills the path and more.
    fn look_at_start(&mut self, rtt: Duration, news: &News<'_>) {
        self.start.recent.rotate_right(1);
        self.start.recent[0] = rtt;
        let least = self.start.recent.into_iter().min().unwrap_or_default();
        if self.phase == Phase::Start && self.shows_queue(least) {
            self.phase = Phase::Settle { window: news.in_flight + news.delivered };
            self.round = Round { ends_at: news.delivered_in_all + news.in_flight, ..Round::default() };
        }
    }

    fn see_floor(&mut self, now: Instant, rtt: Duration) {
        let is_least = self.floor.is_none_or(|floor| rtt <= floor.rtt + floor.rtt / 50);
        if is_least {
            let rtt = self.floor.map_or(rtt, |floor| floor.rtt.min(rtt));
            self.floor = Some(Floor { rtt, seen_at: now });
        }
    }

    fn see_rate(&mut self, sample: &Sample) {
        let passed = self.chance.passed(sample);
        let rate = per_second(passed, sample.interval);
        if !sample.app_limited || rate > self.passed() {
            self.passed[0] = self.passed[0].max(rate);
        }
    }

    fn end_round(&mut self, now: Instant, news: &News<'_>) {
        let round = core::mem::take(&mut self.round);
        self.round.ends_at = news.delivered_in_all;
        let has_queue = round.least_rtt.is_some_and(|rtt| self.shows_queue(rtt));
        match self.phase {
            Phase::Start => self.end_round_of_start(now, &round, has_queue, news.sample),
            Phase::Cruise { rounds: 0 } => self.phase = Phase::Search,
            Phase::Cruise { rounds } => self.phase = Phase::Cruise { rounds: rounds - 1 },
            Phase::Search => self.begin_emptying(now, AFTER_SEARCH_GAIN),
            Phase::Settle { .. } => self.begin_emptying(now, EMPTY_GAIN),
            Phase::Empty { rounds: EMPTY_ROUNDS.., .. } if has_queue && round.overflows() => {
                self.begin_again(now, news.sample);
            }
            Phase::Empty { rounds: EMPTY_ROUNDS.., .. } => self.end_emptying(now),
            Phase::Empty { gain, rounds } => self.phase = Phase::Empty { gain, rounds: rounds + 1 },
            Phase::Yield { .. } => {}
        }
        if !self.may_show_queue(round.most_rtt) && matches!(self.phase, Phase::Empty { .. } | Phase::Cruise { .. }) {
            self.chance.see(&round);
        }
        let floor_is_old = self.floor.is_some_and(|floor| now.since(floor.seen_at) > FLOOR_TIME);
        if floor_is_old && matches!(self.phase, Phase::Cruise { .. } | Phase::Search) {
            self.phase = Phase::Yield { until: now + self.floor().max(Duration::from_millis(200)) };
            self.floor = None;
        }
    }

    fn end_round_of_start(&mut self, now: Instant, round: &Round, has_queue: bool, sample: Option<Sample>) {
        if sample.is_some_and(|sample| sample.app_limited) {
            return;
        }
        let passed = self.passed();
        if passed >= self.start.passed + self.start.passed / 4 {
            self.start.passed = passed;
            self.start.flat_rounds = 0;
            return;
        }
        self.start.flat_rounds += 1;
        if self.start.flat_rounds >= FLAT_ROUNDS || has_queue || round.overflows() {
            self.begin_emptying(now, EMPTY_GAIN);
        }
    }

    /// An emptying that does not empty proves the model wrong: what was taken for chance was an overflow.
    fn begin_again(&mut self, now: Instant, sample: Option<Sample>) {
        self.chance = Chance::default();
        self.passed = [sample.map_or(0, |sample| sample.rate()), 0, 0];
        self.begin_emptying(now, AFTER_SEARCH_GAIN);
    }

    fn begin_emptying(&mut self, now: Instant, gain: u64) {
        self.phase = Phase::Empty { gain, rounds: 0 };
        self.chance.calm = Calm { from: now, ..Calm::default() };
    }

    /// Ends what does not wait for the end of a round.
    fn look(&mut self, now: Instant, in_flight: u64) {
        match self.phase {
            Phase::Empty { .. } if in_flight <= self.holds() => self.end_emptying(now),
            Phase::Yield { until } if now >= until => self.begin_cycle(),
            _ => {}
        }
    }

    fn end_emptying(&mut self, now: Instant) {
        self.chance.calm.to = Some(now);
        self.begin_cycle();
    }

    fn begin_cycle(&mut self) {
        self.phase = Phase::Cruise { rounds: CRUISE_ROUNDS };
        self.passed.rotate_right(1);
        self.passed[0] = 0;
        self.jitter = [Duration::MAX, self.jitter[0].min(self.jitter[1])];
    }

    fn gain(&self) -> u64 {
        match self.phase {
            Phase::Start => START_GAIN,
            Phase::Settle { .. } => ONE,
            Phase::Empty { gain, .. } => gain,
            Phase::Cruise { .. } | Phase::Yield { .. } => CRUISE_GAIN,
            Phase::Search => SEARCH_GAIN,
        }
    }
}

impl Controller for DeliveryRate {
    fn heard(&mut self, now: Instant, news: &News<'_>) {
        self.round.delivered += news.delivered;
        self.round.lost += news.lost;
        if let Some(sample) = &news.sample {
            self.see_floor(now, sample.rtt);
            self.round.least_rtt = Some(self.round.least_rtt.map_or(sample.rtt, |least| least.min(sample.rtt)));
            self.round.most_rtt = self.round.most_rtt.max(sample.rtt);
            self.see_rate(sample);
            self.jitter[0] = self.jitter[0].min(news.rtt.variation());
            self.look_at_start(sample.rtt, news);
            if sample.delivered_before >= self.round.ends_at {
                self.end_round(now, news);
            }
        }
        self.chance.check(now, news, self.floor.map_or(INITIAL_RTT, |floor| floor.rtt));
        self.look(now, news.in_flight);
    }

    fn path_was_dead(&mut self, _: Instant) {
        *self = Self::new(self.packet);
    }

    fn window(&self) -> u64 {
        let least = LEAST_WINDOW_PACKETS * self.packet;
        match self.phase {
            Phase::Start => (self.holds() * WINDOW_GAIN / ONE).max(FIRST_FLIGHT_PACKETS * self.packet),
            Phase::Settle { window } => window,
            Phase::Yield { .. } => (self.holds() / 2).max(least),
            _ => self.holds() * WINDOW_GAIN / ONE + 2 * self.packet,
        }
    }

    fn rate(&self) -> u64 {
        let first = per_second(FIRST_FLIGHT_PACKETS * self.packet, self.floor());
        let passed = if self.phase == Phase::Start { self.passed().max(first) } else { self.passed() };
        (u128::from(passed) * u128::from(self.gain()) / u128::from(ONE)) as u64
    }

    fn set_packet_bytes(&mut self, bytes: u64) {
        self.packet = bytes;
    }
}

/// What was lost, in thousandths of all.
fn share(lost: u64, delivered: u64) -> u64 {
    (lost * ONE).checked_div(delivered + lost).unwrap_or_default()
}

impl Chance {
    /// Takes a round trip in which nothing was asked of the path beyond what it passes.
    fn see(&mut self, round: &Round) {
        self.delivered += round.delivered;
        self.lost += round.lost;
        // About the last thousand packets count.
        if self.delivered + self.lost > 4_000_000 {
            self.delivered /= 2;
            self.lost /= 2;
        }
    }

    /// Counts what was sent to empty the queue, and believes it once all of it is known.
    fn check(&mut self, now: Instant, news: &News<'_>, floor: Duration) {
        let calm = &mut self.calm;
        let is_calm = |at: Instant| at >= calm.from && calm.to.is_none_or(|to| at <= to);
        if news.sample.is_some_and(|sample| is_calm(Instant::from_nanos(now.as_nanos() - sample.rtt.as_nanos() as u64)))
        {
            calm.delivered += news.delivered;
        }
        if news.lost_sent_at.is_some_and(is_calm) {
            calm.lost += news.lost;
        }
        let is_known = calm.to.is_some_and(|to| now > to + 2 * floor);
        if is_known && calm.delivered + calm.lost > CALM_BYTES {
            let (delivered, lost) = (calm.delivered, calm.lost);
            // Half of what was thought: the rest was lost to a queue.
            if 2 * share(lost, delivered) < share(self.lost, self.delivered) {
                (self.delivered, self.lost) = (delivered, lost);
            }
            self.calm = Calm { from: Instant::from_nanos(u64::MAX), ..Calm::default() };
        }
    }

    /// What of a sample passed the bottleneck.
    fn passed(&self, sample: &Sample) -> u64 {
        let share = share(self.lost, self.delivered).min(CHANCE_MAX);
        (sample.delivered + sample.lost).min(sample.delivered * ONE / (ONE - share))
    }
}
