//! Holds a lab against what was asked of it, and finds the rate up to which it can be believed.

use crate::lab::Lab;
use crate::traffic::{Arrival, Load, flow};
use serde::Serialize;
use std::io;
use std::time::Duration;
use towline_sim::{Conditions, ETHERNET, MILLIS, Nanos, Profile, Queue, SECONDS};

/// How late the hundredth part of all packets may be at most; also how far queue and round trip may be off.
pub const PUNCTUAL: Nanos = MILLIS;

/// How far a rate may be off, as a part of it.
const RATE_TOLERANCE: f64 = 0.01;

/// How many standard deviations a share that chance decides may be off.
const DEVIATIONS: f64 = 4.0;

/// Rates that are tried in turn, in Mbit/s.
const LADDER: [u64; 13] = [50, 100, 200, 300, 400, 500, 600, 800, 1_000, 1_300, 1_600, 2_000, 3_000];

/// How often a rate is tried before it counts as too high, and a link before it counts as off: other work on the machine is no
/// fault of ours, and what the emulator cannot do it does not do in any try.
const TRIES: usize = 3;

/// A measured value beside the one asked for.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The link, by name or in words.
    pub link: String,
    /// What was measured.
    pub what: &'static str,
    /// In which unit.
    pub unit: &'static str,
    /// What was asked for.
    pub asked: f64,
    /// What was found.
    pub measured: f64,
    /// By how much they may differ.
    pub tolerance: f64,
    /// Whether they do not differ by more.
    pub ok: bool,
}

fn row(link: &str, what: &'static str, unit: &'static str, asked: f64, measured: f64, tolerance: f64) -> Row {
    let ok = (measured - asked).abs() <= tolerance;
    Row { link: link.to_owned(), what, unit, asked, measured, tolerance, ok }
}

/// Sets a link and measures it, until nothing is off or for the last of a few tries.
///
/// # Errors
/// A socket's.
pub fn check(lab: &Lab, profile: &Profile) -> io::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for _ in 0..TRIES {
        lab.set_conditions([profile.conditions(); 2]);
        rows = measure(lab, profile)?;
        if rows.iter().all(|row| row.ok) {
            break;
        }
    }
    Ok(rows)
}

/// Measures round trip, rate, queue and loss of whatever link a lab has, beside what a profile asks for. Takes some seconds.
///
/// # Errors
/// A socket's.
pub fn measure(lab: &Lab, profile: &Profile) -> io::Result<Vec<Row>> {
    let conditions = profile.conditions();
    let link = if profile.name == "custom" { profile.to_string() } else { profile.name.to_owned() };
    lab.take_lateness();
    let before = overrun(lab);
    let mut rows = vec![round_trip(lab, profile, &link)?];
    rows.extend(overload(lab, profile, &conditions, &link)?);
    rows.push(loss(lab, profile, &link)?);
    let late = lab.take_lateness();
    rows.push(row(&link, "handed over late, 99 of 100", "ms", 0.0, millis(late.quantile(0.99)), millis(PUNCTUAL)));
    rows.push(row(&link, "never reached the link", "packets", 0.0, (overrun(lab) - before) as f64, 0.0));
    Ok(rows)
}

fn millis(span: Nanos) -> f64 {
    span as f64 / MILLIS as f64
}

fn overrun(lab: &Lab) -> u64 {
    lab.overrun().iter().sum::<u64>() + lab.snapshots().iter().map(|way| way.not_taken).sum::<u64>()
}

fn median(mut values: Vec<Nanos>) -> Nanos {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

/// A small packet every few milliseconds, and its echo.
fn round_trip(lab: &Lab, profile: &Profile, link: &str) -> io::Result<Row> {
    let packet = 64;
    let per_second = 300;
    let load = Load {
        bits_per_second: per_second * packet as u64 * 8,
        packet,
        lasts: Duration::from_secs(1),
        answer_every: Some(1),
    };
    let found = flow(lab, load)?;
    // The median of so many draws strays by about a twentieth of their spread.
    let tolerance = PUNCTUAL + profile.jitter.most / 5;
    let measured = median(found.back.iter().map(Arrival::delay).collect());
    Ok(row(link, "round trip, median", "ms", millis(profile.round_trip), millis(measured), millis(tolerance)))
}

/// A quarter more than the link carries, until its queue is full and then for a while.
fn overload(lab: &Lab, profile: &Profile, conditions: &Conditions, link: &str) -> io::Result<[Row; 3]> {
    let rate = profile.rate_bits_per_second;
    let packet_time = ETHERNET as u64 * 8 * SECONDS / rate;
    let full = match conditions.queue {
        Queue::Packets(most) => most as u64 * packet_time,
        Queue::Bytes(most) => most / ETHERNET as u64 * packet_time,
    };
    let fill = Duration::from_nanos(full * 5) + Duration::from_millis(200);
    let lasts = fill + Duration::from_millis(1_500);
    let before = lab.snapshots()[0].counts;
    let load = Load { bits_per_second: rate / 4 * 5, packet: ETHERNET, lasts, answer_every: None };
    let found = flow(lab, load)?;
    let after = lab.snapshots()[0].counts;

    // From when it is full to when the last was sent.
    let full_at = found.began + fill.as_nanos() as Nanos + profile.round_trip;
    let steady = full_at..found.began + lasts.as_nanos() as Nanos;
    let arrivals: Vec<_> = found.there.iter().filter(|arrival| steady.contains(&arrival.arrived)).collect();
    let passed = (after.lost - before.lost + after.delivered - before.delivered) as f64;
    let kept = (after.delivered - before.delivered) as f64 / passed.max(1.0);
    let span = arrivals.first().zip(arrivals.last()).map_or(0, |(first, last)| last.arrived - first.arrived);
    let bits = (arrivals.len().max(1) - 1) as f64 * (ETHERNET * 8) as f64;
    let measured_rate = bits / kept / (span.max(1) as f64 / SECONDS as f64);

    let waited = median(arrivals.iter().map(|arrival| arrival.delay()).collect());
    let asked = profile.round_trip / 2 + full + packet_time;
    let tolerance = PUNCTUAL + packet_time + profile.jitter.most / 5;

    let accounted = found.there.len() as u64 + after.missing() - before.missing();
    let rate_row =
        row(link, "rate", "Mbit/s", rate as f64 / 1e6, measured_rate / 1e6, rate as f64 / 1e6 * RATE_TOLERANCE);
    Ok([
        rate_row,
        row(link, "one way through a full queue", "ms", millis(asked), millis(waited), millis(tolerance)),
        row(link, "unaccounted for", "packets", 0.0, found.sent as f64 - accounted as f64, 0.0),
    ])
}

/// Many small packets at half the rate, which nothing but chance loses.
fn loss(lab: &Lab, profile: &Profile, link: &str) -> io::Result<Row> {
    let packet = 100;
    let most_per_second = 8_000;
    let bits_per_second = (profile.rate_bits_per_second / 2).min(most_per_second * packet as u64 * 8);
    let load = Load { bits_per_second, packet, lasts: Duration::from_secs(3), answer_every: None };
    let before = lab.snapshots()[0].counts.overflowed;
    let found = flow(lab, load)?;
    // A sender that slept too long sends a burst, which a short queue does not hold: that is no chance.
    let overflowed = lab.snapshots()[0].counts.overflowed - before;
    let (asked, sent) = (profile.loss.as_f64(), (found.sent - overflowed).max(1) as f64);
    let lost = 1.0 - found.there.len() as f64 / sent;
    // Losses in runs are fewer independent draws.
    let runs = f64::from(2 * profile.burst - 1);
    let tolerance = DEVIATIONS * (asked * (1.0 - asked) * runs / sent).sqrt();
    Ok(row(link, "loss", "%", asked * 100.0, lost * 100.0, tolerance * 100.0))
}

/// The highest rate of a ladder, in bits per second and at most `up_to`, at which this machine's emulator keeps rate and times;
/// 0 if it keeps none.
///
/// # Errors
/// A socket's.
pub fn honest_rate(lab: &Lab, up_to: u64) -> io::Result<u64> {
    let mut honest = 0;
    for rate in LADDER.map(|megabits| megabits * 1_000_000).into_iter().filter(|rate| *rate < up_to).chain([up_to]) {
        if !keeps(lab, rate)? {
            break;
        }
        honest = rate;
    }
    Ok(honest)
}

/// The highest rate that is tried.
pub const fn highest_tried() -> u64 {
    LADDER[LADDER.len() - 1] * 1_000_000
}

/// Whether the emulator, and not only the link, keeps up with a rate: in one of a few tries.
///
/// # Errors
/// A socket's.
pub fn keeps(lab: &Lab, rate: u64) -> io::Result<bool> {
    for _ in 0..TRIES {
        if keeps_now(lab, rate)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A tenth more than the rate one way, and a word back for every other packet, as acknowledgements would come.
fn keeps_now(lab: &Lab, rate: u64) -> io::Result<bool> {
    let queue = Queue::Bytes(rate / 8 / 50);
    let conditions = Conditions { rate_bits_per_second: rate, delay: MILLIS, queue, ..Conditions::default() };
    lab.set_conditions([conditions; 2]);
    lab.take_lateness();
    let (before, overrun_before) = (lab.snapshots()[0].counts, overrun(lab));
    let lasts = Duration::from_millis(800);
    let load = Load { bits_per_second: rate / 10 * 11, packet: ETHERNET, lasts, answer_every: Some(2) };
    let found = flow(lab, load)?;
    let after = lab.snapshots()[0].counts;
    let steady = found.began + 100 * MILLIS..found.began + lasts.as_nanos() as Nanos;
    let bits = found.there.iter().filter(|arrival| steady.contains(&arrival.arrived)).count() * ETHERNET * 8;
    let reached = bits as f64 * SECONDS as f64 / (steady.end - steady.start) as f64;
    let accounted = found.there.len() as u64 + after.missing() - before.missing() == found.sent;
    let punctual = lab.take_lateness().quantile(0.99) <= PUNCTUAL;
    Ok(reached >= rate as f64 * (1.0 - RATE_TOLERANCE) && punctual && accounted && overrun(lab) == overrun_before)
}
