//! Each impairment held against what was asked for, over many packets, by seed.

use super::*;
use crate::{Jitter, Loss, MILLIS, Queue, Reorder, Share};

/// A packet that remembers when it was offered.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Probe {
    number: u64,
    size: usize,
    offered: Nanos,
    payload: u64,
    capable: bool,
    marked: bool,
}

impl Packet for Probe {
    fn size(&self) -> usize {
        self.size
    }

    fn mark(&mut self) -> bool {
        self.marked |= self.capable;
        self.capable
    }

    fn corrupt(&mut self, rng: &mut Rng) {
        self.payload ^= 1 << rng.below(64);
    }
}

fn probe(number: u64, offered: Nanos, size: usize) -> Probe {
    Probe { number, size, offered, payload: 0, capable: true, marked: false }
}

/// Gives a line packets of 1,500 bytes so far apart, and returns what arrives, each with its time.
fn run(conditions: Conditions, seed: u64, count: u64, apart: Nanos) -> (Vec<(Nanos, Probe)>, Counts) {
    let mut line = Line::new(conditions, Rng::new(seed));
    let mut arrived = Vec::new();
    for number in 0..count {
        let now = number * apart;
        take_until(&mut line, now, &mut arrived);
        line.offer(now, probe(number, now, 1_500));
    }
    take_until(&mut line, Nanos::MAX / 4, &mut arrived);
    assert_eq!((line.next_at(), line.queued_bytes(Nanos::MAX / 4)), (None, 0));
    (arrived, *line.counts())
}

/// Turns the clock as a world would: to each time the line names.
fn take_until(line: &mut Line<Probe>, limit: Nanos, arrived: &mut Vec<(Nanos, Probe)>) {
    while let Some(at) = line.next_at().filter(|at| *at <= limit) {
        while let Some((arrival, packet)) = line.poll(at) {
            assert_eq!(arrival, at, "the line named a later time than it should");
            arrived.push((arrival, packet));
        }
    }
}

fn close(value: f64, asked: f64, tolerance: f64) -> bool {
    (value - asked).abs() <= asked * tolerance
}

const APART: Nanos = MILLIS / 10;
const SEEDS: std::ops::Range<u64> = 1..4;

#[test]
fn without_impairment_every_packet_arrives_after_exactly_the_delay() {
    let (arrived, counts) = run(Conditions { delay: 7 * MILLIS, ..Conditions::default() }, 1, 1_000, APART);
    assert!(arrived.iter().all(|(at, packet)| *at == packet.offered + 7 * MILLIS));
    assert!(arrived.iter().map(|(_, packet)| packet.number).eq(0..1_000));
    let asked = Counts {
        offered: 1_000,
        offered_bytes: 1_500_000,
        delivered: 1_000,
        delivered_bytes: 1_500_000,
        ..Counts::default()
    };
    assert_eq!(counts, asked);
}

#[test]
fn the_rate_is_kept_to_a_thousandth_from_a_slow_line_to_a_fast_one() {
    for rate in [64_000, 1_000_000, 77_777_777, 400_000_000, 9_999_999_999, 70_000_000_000] {
        let conditions = Conditions { rate_bits_per_second: rate, ..Conditions::default() };
        let (arrived, _) = run(conditions, 1, 5_000, 1);
        let (first, last) = (arrived[0].0, arrived[arrived.len() - 1].0);
        let reached = (arrived.len() - 1) as f64 * 12_000.0 / ((last - first) as f64 / 1e9);
        assert!(close(reached, rate as f64, 0.001), "{reached} for {rate}");
        assert_eq!(first, conditions.delay + (12_000 * SECONDS).div_euclid(rate), "the first has to be sent, too");
    }
}

#[test]
fn a_queue_of_packets_holds_as_many_as_asked_and_drops_the_one_past_it() {
    for asked in [0, 1, 25] {
        let conditions =
            Conditions { rate_bits_per_second: 1_000_000, queue: Queue::Packets(asked), ..Conditions::default() };
        let mut line = Line::new(conditions, Rng::new(1));
        for number in 0..40 {
            line.offer(0, probe(number, 0, 700));
        }
        assert_eq!(line.queued_packets(0), asked + 1, "those that wait and the one being sent");
        assert_eq!(line.counts().overflowed, 39 - asked as u64);
        let mut arrived = Vec::new();
        take_until(&mut line, 100 * SECONDS, &mut arrived);
        assert!(arrived.iter().map(|(_, packet)| packet.number).eq(0..=asked as u64), "the tail is dropped");
    }
}

#[test]
fn a_queue_of_bytes_takes_its_last_byte_and_not_one_more() {
    let conditions =
        Conditions { rate_bits_per_second: 1_000_000, queue: Queue::Bytes(3_000), ..Conditions::default() };
    let mut line = Line::new(conditions, Rng::new(1));
    for (number, (size, queued)) in
        [(1_500, 1_500), (1_500, 3_000), (1_000, 4_000), (501, 4_000), (500, 4_500), (1, 4_500)].into_iter().enumerate()
    {
        line.offer(0, probe(number as u64, 0, size));
        assert_eq!(line.queued_bytes(0), queued);
    }
    // Once the first is through, its room is free again.
    let through = 12 * MILLIS;
    assert_eq!((line.queued_bytes(through - 1), line.queued_bytes(through)), (4_500, 3_000));
    line.offer(through, probe(9, through, 1_500));
    assert_eq!((line.queued_bytes(through), line.counts().overflowed), (4_500, 2));
}

#[test]
fn a_full_queue_of_one_bandwidth_delay_product_adds_exactly_its_time() {
    let conditions =
        Conditions { rate_bits_per_second: 10_000_000, queue: Queue::Bytes(150_000), ..Conditions::default() };
    let (arrived, counts) = run(conditions, 1, 20_000, MILLIS);
    let longest = arrived.iter().map(|(at, packet)| at - packet.offered).max().unwrap();
    // 100 packets ahead, the remainder of the one being sent, and itself.
    let (least, most) = (conditions.delay + 120 * MILLIS, conditions.delay + 120 * MILLIS + 2 * 1_200_000);
    assert!((least..=most).contains(&longest), "{longest}");
    assert!(counts.overflowed > 3_000);
}

#[test]
fn packets_are_marked_from_the_asked_length_on_and_only_if_they_allow_it() {
    let conditions = Conditions {
        rate_bits_per_second: 1_000_000,
        mark_from: Some(Queue::Packets(3)),
        queue: Queue::Packets(9),
        ..Conditions::default()
    };
    let mut line = Line::new(conditions, Rng::new(1));
    for number in 0..12 {
        line.offer(0, Probe { capable: number != 6, ..probe(number, 0, 1_500) });
    }
    let mut arrived = Vec::new();
    take_until(&mut line, SECONDS, &mut arrived);
    let marked = arrived.iter().filter(|(_, packet)| packet.marked).map(|(_, packet)| packet.number);
    assert!(marked.eq([4, 5, 7, 8, 9]));
    assert_eq!((line.counts().marked, line.counts().overflowed), (5, 2));
}

#[test]
fn random_loss_is_what_was_asked_and_each_packet_is_for_itself() {
    for seed in SEEDS {
        for percent in [1, 10, 30] {
            let conditions = Conditions { loss: Loss::random(Share::percent(percent)), ..Conditions::default() };
            let (arrived, counts) = run(conditions, seed, 100_000, APART);
            let asked = f64::from(percent) / 100.0;
            let lost = counts.lost as f64 / 100_000.0;
            // Five standard deviations.
            let tolerance = 5.0 * (asked * (1.0 - asked) / 100_000.0).sqrt();
            assert!((lost - asked).abs() < tolerance, "seed {seed}: {lost} for {asked}");
            let (runs, mean) = bursts(&arrived, 100_000);
            assert!(close(mean, 1.0 / (1.0 - asked), 0.03), "seed {seed}: {runs} runs of {mean}");
        }
    }
}

#[test]
fn burst_loss_has_the_asked_share_in_runs_of_the_asked_mean_length() {
    for seed in SEEDS {
        for (percent, mean) in [(1, 4), (5, 2), (10, 8), (3, 20)] {
            let loss = Loss::bursts(Share::percent(percent), mean).unwrap();
            let (arrived, counts) = run(Conditions { loss, ..Conditions::default() }, seed, 200_000, APART);
            let lost = counts.lost as f64 / 200_000.0;
            // Runs are few, so both spread more than with loss by chance alone: about 1 in the root of their number.
            let (runs, length) = bursts(&arrived, 200_000);
            let tolerance = 5.0 / (runs as f64).sqrt();
            assert!(close(lost, f64::from(percent) / 100.0, tolerance), "seed {seed}: {lost} for {percent} %");
            assert!(close(length, f64::from(mean), tolerance), "seed {seed}: {runs} runs of {length} for {mean}");
        }
    }
    assert_eq!(Loss::bursts(Share::percent(60), 1), None, "runs of one cannot be more than half");
}

#[test]
fn each_state_of_a_gilbert_elliott_loss_has_a_loss_of_its_own() {
    let loss = Loss {
        in_good: Share::percent(1),
        in_bad: Share::percent(50),
        good_to_bad: Share::percent(2),
        bad_to_good: Share::percent(8),
    };
    for seed in SEEDS {
        let (_, counts) = run(Conditions { loss, ..Conditions::default() }, seed, 200_000, APART);
        // A fifth of the packets meets the bad state.
        let (lost, asked) = (counts.lost as f64 / 200_000.0, 0.8 * 0.01 + 0.2 * 0.5);
        assert!(close(lost, asked, 0.06), "seed {seed}: {lost} for {asked}");
    }
}

/// How many runs of lost packets there are, and how long they are on average.
fn bursts(arrived: &[(Nanos, Probe)], count: u64) -> (u64, f64) {
    let (mut runs, mut lost, mut expected) = (0, 0, 0);
    for number in arrived.iter().map(|(_, packet)| packet.number).chain([count]) {
        runs += u64::from(number > expected);
        lost += number - expected;
        expected = number + 1;
    }
    (runs, lost as f64 / runs as f64)
}

#[test]
fn jitter_is_even_between_its_bounds_and_overtakes_or_keeps_the_order_as_asked() {
    for seed in SEEDS {
        let jitter = Jitter { most: 25 * MILLIS, in_order: false };
        let conditions = Conditions { delay: 50 * MILLIS, jitter, ..Conditions::default() };
        let (arrived, _) = run(conditions, seed, 30_000, MILLIS);
        let delays: Vec<_> = arrived.iter().map(|(at, packet)| (at - packet.offered) as f64 / 1e6).collect();
        let mean = delays.iter().sum::<f64>() / delays.len() as f64;
        let variance = delays.iter().map(|delay| (delay - mean).powi(2)).sum::<f64>() / delays.len() as f64;
        assert!(delays.iter().all(|delay| (25.0..=75.0).contains(delay)));
        assert!(close(mean, 50.0, 0.01) && close(variance.sqrt(), 50.0 / 12f64.sqrt(), 0.02), "seed {seed}");
        assert!(!arrived.is_sorted_by_key(|(_, packet)| packet.number));

        let jitter = Jitter { in_order: true, ..jitter };
        let (arrived, _) = run(Conditions { jitter, ..conditions }, seed, 30_000, MILLIS);
        assert!(arrived.is_sorted_by_key(|(_, packet)| packet.number));
        assert!(arrived.iter().all(|(at, packet)| *at - packet.offered <= 75 * MILLIS));
    }
}

#[test]
fn a_jitter_above_the_delay_never_arrives_before_it_was_sent() {
    let jitter = Jitter { most: 5 * MILLIS, in_order: false };
    let (arrived, _) = run(Conditions { delay: MILLIS, jitter, ..Conditions::default() }, 1, 10_000, APART);
    assert!(arrived.iter().all(|(at, packet)| (packet.offered..=packet.offered + 6 * MILLIS).contains(at)));
}

#[test]
fn the_asked_share_is_overtaken_and_comes_later_by_what_was_asked() {
    for seed in SEEDS {
        let reorder = Reorder { share: Share::percent(2), by: 50 * MILLIS };
        let (arrived, counts) = run(Conditions { reorder, ..Conditions::default() }, seed, 100_000, APART);
        let late = arrived.iter().filter(|(at, packet)| at - packet.offered == 60 * MILLIS).count();
        assert_eq!(late as u64, counts.reordered);
        assert!(close(late as f64, 2_000.0, 0.1), "seed {seed}: {late}");
        assert!(arrived.iter().all(|(at, packet)| [10, 60].contains(&((at - packet.offered) / MILLIS))));
        assert_eq!(arrived.len(), 100_000);
    }
}

#[test]
fn the_asked_share_arrives_twice() {
    for seed in SEEDS {
        let (arrived, counts) =
            run(Conditions { duplicate: Share::percent(3), ..Conditions::default() }, seed, 100_000, APART);
        assert_eq!(arrived.len() as u64, 100_000 + counts.duplicated);
        assert!(close(counts.duplicated as f64, 3_000.0, 0.1), "seed {seed}: {}", counts.duplicated);
        let twice = arrived.windows(2).filter(|pair| pair[0].1 == pair[1].1).count();
        assert_eq!(twice as u64, counts.duplicated);
    }
}

#[test]
fn in_the_asked_share_exactly_one_bit_is_flipped() {
    for seed in SEEDS {
        let (arrived, counts) =
            run(Conditions { corrupt: Share::per_million(1_000), ..Conditions::default() }, seed, 200_000, APART);
        let flipped = |bits| arrived.iter().filter(|(_, packet)| packet.payload.count_ones() == bits).count() as u64;
        assert_eq!((flipped(1), flipped(0)), (counts.corrupted, 200_000 - counts.corrupted));
        assert!(close(counts.corrupted as f64, 200.0, 0.35), "seed {seed}: {}", counts.corrupted);
    }
}

#[test]
fn a_packet_larger_than_what_passes_vanishes_also_after_a_change() {
    let mut line = Line::new(Conditions { largest_packet: 1_400, ..Conditions::default() }, Rng::new(1));
    line.offer(0, probe(0, 0, 1_400));
    line.offer(0, probe(1, 0, 1_401));
    line.set_conditions(1, Conditions { largest_packet: 1_280, ..*line.conditions() });
    line.offer(1, probe(2, 1, 1_280));
    line.offer(1, probe(3, 1, 1_281));
    let mut arrived = Vec::new();
    take_until(&mut line, SECONDS, &mut arrived);
    assert!(arrived.iter().map(|(_, packet)| packet.number).eq([0, 2]));
    assert_eq!(line.counts().too_large, 2);
}

#[test]
fn what_waits_when_a_line_goes_down_is_lost_and_what_is_on_its_way_arrives() {
    let mut line = Line::new(Conditions { rate_bits_per_second: 1_200_000, ..Conditions::default() }, Rng::new(1));
    for number in 0..3 {
        line.offer(0, probe(number, 0, 1_500));
    }
    let up = *line.conditions();
    line.set_conditions(15 * MILLIS, Conditions { up: false, ..up });
    line.offer(16 * MILLIS, probe(3, 0, 1_500));
    line.set_conditions(SECONDS, up);
    line.offer(SECONDS, probe(4, 0, 1_500));
    let mut arrived = Vec::new();
    take_until(&mut line, 2 * SECONDS, &mut arrived);
    assert!(arrived.iter().map(|(at, packet)| (*at, packet.number)).eq([(20 * MILLIS, 0), (SECONDS + 20 * MILLIS, 4)]));
    assert_eq!(line.counts().while_down, 3);
}

#[test]
fn a_changed_rate_holds_from_the_middle_of_a_packet_on() {
    let mut line =
        Line::new(Conditions { rate_bits_per_second: 1_200_000, delay: 0, ..Conditions::default() }, Rng::new(1));
    line.offer(0, probe(0, 0, 1_500));
    line.offer(0, probe(1, 0, 1_500));
    // The first has half its bits left, which now take ten times as long.
    line.set_conditions(5 * MILLIS, Conditions { rate_bits_per_second: 120_000, ..*line.conditions() });
    let mut arrived = Vec::new();
    take_until(&mut line, 2 * SECONDS, &mut arrived);
    assert!(arrived.iter().map(|(at, _)| *at).eq([55 * MILLIS, 155 * MILLIS]));
}

#[test]
fn what_becomes_of_packets_does_not_depend_on_when_the_line_is_asked() {
    let conditions = Conditions {
        rate_bits_per_second: 20_000_000,
        jitter: Jitter { most: 5 * MILLIS, in_order: false },
        queue: Queue::Packets(20),
        loss: Loss::bursts(Share::percent(5), 3).unwrap(),
        reorder: Reorder { share: Share::percent(1), by: 9 * MILLIS },
        duplicate: Share::percent(1),
        corrupt: Share::percent(1),
        ..Conditions::default()
    };
    for seed in SEEDS {
        let (often, _) = run(conditions, seed, 5_000, MILLIS / 2);
        let mut line = Line::new(conditions, Rng::new(seed));
        (0..5_000).for_each(|number| line.offer(number * MILLIS / 2, probe(number, number * MILLIS / 2, 1_500)));
        let once: Vec<_> = std::iter::from_fn(|| line.poll(100 * SECONDS)).collect();
        assert_eq!(often, once, "seed {seed}");
    }
}
