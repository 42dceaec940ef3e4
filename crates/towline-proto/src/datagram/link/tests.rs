//! Two links and what is between them.

#![allow(clippy::disallowed_methods, reason = "how many runs is asked of the environment")]

mod path;

use super::*;
use crate::datagram::control::delivery_rate::DeliveryRate;
use crate::link::{Item, StreamRef};
use path::Path;
use towline_sim::{Conditions, Jitter, Loss, MILLIS, Nanos, PROFILES, Queue, Reorder, Rng, SECONDS, Share};

const MS: Duration = Duration::from_millis(1);

fn at(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

fn link() -> DatagramLink {
    DatagramLink::new(LinkId(0), Box::new(DeliveryRate::new(FIRST_PACKET_BYTES as u64)), 29, at(0))
}

/// Gives numbered frames of one byte and takes anything.
#[derive(Default)]
struct Notes {
    to_send: u64,
    sent: u64,
    again: Vec<FrameRef>,
    confirmed: u64,
    received: u64,
}

impl Frames for Notes {
    fn fill(&mut self, _: Instant, _: LinkId, _: usize, out: &mut Vec<u8>) -> Option<FrameRef> {
        let reference = self.again.pop().or_else(|| {
            self.sent += 1;
            let item = Item::SessionCredit { limit: self.sent };
            (self.sent <= self.to_send).then_some(FrameRef { stream: StreamRef::NONE, item })
        })?;
        Frame::SessionCredit { limit: 1 }.encode(out);
        Some(reference)
    }
    fn confirmed(&mut self, _: Instant, _: LinkId, _: FrameRef) {
        self.confirmed += 1;
    }
    fn lost(&mut self, _: Instant, _: LinkId, frame: FrameRef) {
        self.again.push(frame);
    }
    fn received(&mut self, _: Instant, _: LinkId, _: Frame<'_>) -> Result<(), Violation> {
        self.received += 1;
        Ok(())
    }
}

fn sending(to_send: u64) -> Notes {
    Notes { to_send, ..Notes::default() }
}

fn framed(frame: &Frame<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let at = open_frame(&mut out);
    frame.encode(&mut out);
    close_frame(&mut out, at);
    out
}

#[test]
fn many_small_frames_share_a_packet_and_are_confirmed_by_its_acknowledgement() {
    let (mut one, mut other, mut from, mut to) = (link(), link(), sending(20), Notes::default());
    let mut content = Vec::new();
    assert_eq!(one.poll_packet(at(0), &mut content, &mut from), Some(0));
    assert_eq!(one.poll_packet(at(0), &mut Vec::new(), &mut from), None, "nothing more to say");
    other.handle_packet(at(50), 0, None, &content, &mut to).unwrap();
    assert_eq!((to.received, from.confirmed), (20, 0));
    let due = other.poll_timeout().unwrap();
    assert!(due > at(50) && due <= at(60), "held back for a moment");
    let mut answer = Vec::new();
    assert_eq!(other.poll_packet(at(50), &mut answer, &mut to), None);
    assert_eq!(other.poll_packet(due, &mut answer, &mut to), Some(0));
    one.handle_packet(due + 50 * MS, 0, None, &answer, &mut from).unwrap();
    assert_eq!((from.confirmed, one.in_flight()), (20, 0));
    assert_eq!((one.poll_timeout(), other.poll_timeout()), (None, None), "both are at rest");
}

#[test]
fn a_packet_that_comes_twice_counts_once() {
    let (mut one, mut other, mut from, mut to) = (link(), link(), sending(1), Notes::default());
    let mut content = Vec::new();
    one.poll_packet(at(0), &mut content, &mut from).unwrap();
    for _ in 0..3 {
        other.handle_packet(at(50), 0, None, &content, &mut to).unwrap();
    }
    assert_eq!(to.received, 1);
}

#[test]
fn what_nobody_acknowledges_goes_again_and_ever_more_seldom() {
    let (mut one, mut from) = (link(), sending(1));
    one.poll_packet(at(0), &mut Vec::new(), &mut from).unwrap();
    let mut waits = Vec::new();
    let mut now = at(0);
    for _ in 0..8 {
        let next = one.poll_timeout().unwrap();
        waits.push(next.since(now));
        now = next;
        one.handle_timeout(now, &mut from);
        let mut content = Vec::new();
        assert!(one.poll_packet(now, &mut content, &mut from).is_some());
        let frame = framed(&Frame::SessionCredit { limit: 1 });
        assert!(content.ends_with(&frame), "the frame itself, not only a probe");
        while one.poll_packet(now, &mut content, &mut from).is_some() {}
    }
    assert!(waits.windows(2).all(|pair| pair[1] >= pair[0]) && waits[3] > 6 * waits[0], "{waits:?}");
    assert!(waits.iter().all(|wait| *wait <= PROBE_MAX));
}

#[test]
fn a_peer_that_breaks_the_rules_is_told_apart() {
    let cases: [(&[u8], &str); 6] = [
        (&[0x05, 0x20, 0x07, 0x00, 0x00, 0x00], "acknowledges what was never sent"),
        (&[0x02, 0x03, 0x01], "confirms as on a byte stream"),
        (&[0x02, 0x21], "ends inside a frame"),
        (&[0x01, 0x3f], "a type that must be known"),
        (&[0x03, 0x22, 0x01, 0x00], "bytes behind what is settled"),
        (&[0x05, 0x20, 0x00, 0x00, 0x00, 0x01], "a run below number 0"),
    ];
    for (content, what) in cases {
        let taken = link().handle_packet(at(0), 0, None, content, &mut Notes::default());
        assert!(taken.is_err(), "{what}");
    }
    let padded = [&[0, 0, 0][..], &framed(&Frame::Reserved { kind: 0x40, body: b"later" }), &[0, 0]].concat();
    assert!(link().handle_packet(at(0), 0, None, &padded, &mut Notes::default()).is_ok(), "padding, and types to come");
}

#[test]
fn a_probe_is_answered_at_once() {
    let (mut other, mut to) = (link(), Notes::default());
    other.handle_packet(at(5), 0, None, &framed(&Frame::Ping { nonce: 0 }), &mut to).unwrap();
    assert_eq!(other.poll_packet(at(5), &mut Vec::new(), &mut to), Some(0));
}

#[test]
fn at_the_end_nothing_is_kept() {
    let (mut one, mut from) = (link(), sending(3));
    one.poll_packet(at(0), &mut Vec::new(), &mut from).unwrap();
    one.shut(at(1), &mut from);
    assert_eq!(from.again.len(), 3);
}

/// What a network may do to packets, drawn by a seed.
fn bad_weather(rng: &mut Rng) -> Conditions {
    let percent = |rng: &mut Rng, most: u64| Share::per_million(rng.between(0, most * 10_000) as u32);
    let delay = rng.between(1, 60) * MILLIS;
    let loss = percent(rng, 30);
    Conditions {
        rate_bits_per_second: rng.between(2, 40) * 1_000_000,
        delay,
        jitter: Jitter { most: rng.between(0, delay / 2), in_order: rng.between(0, 1) == 0 },
        queue: Queue::Packets(rng.between(5, 200) as usize),
        loss: if rng.between(0, 1) == 0 { Loss::random(loss) } else { Loss::bursts(loss, 4).unwrap_or(Loss::NONE) },
        reorder: Reorder { share: percent(rng, 20), by: delay },
        duplicate: percent(rng, 10),
        corrupt: Share::per_million(1_000),
        ..Conditions::default()
    }
}

/// `TOWLINE_SEEDS` says how many.
#[test]
fn every_byte_arrives_once_and_unchanged_whatever_the_network_does() {
    let seeds = std::env::var("TOWLINE_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(100);
    for seed in 0..seeds {
        let conditions = bad_weather(&mut Rng::new(seed));
        println!("seed {seed}: {conditions:?}");
        Path::over(conditions, 300_000, seed).transfer(600 * SECONDS, |_, _| ());
    }
}

#[test]
fn a_transfer_outlives_a_minute_without_network() {
    let conditions = Conditions { rate_bits_per_second: 10_000_000, delay: 25 * MILLIS, ..Conditions::default() };
    let outage = |now: Nanos, conditions: &mut Conditions| conditions.up = !(SECONDS..61 * SECONDS).contains(&now);
    let took = Path::over(conditions, 3_000_000, 1).transfer(90 * SECONDS, outage);
    assert!(took > 61 * SECONDS && took < 75 * SECONDS, "{took}");
}

#[test]
fn lossy_and_shallow_links_are_filled() {
    for (name, least) in [("P7", 0.95), ("P9", 0.95)] {
        let profile = PROFILES.iter().find(|profile| profile.name == name).unwrap();
        let report = Path::new(profile, 1).run(12);
        assert!(report.half >= least && report.queue_mean <= 0.15, "{name}: {report}");
    }
}

/// How the links by which transports are compared are filled, for who works on the controller:
/// `TOWLINE_PROFILES=P1,P9 cargo test --release -p towline-proto --lib -- --ignored --nocapture how_the_named`
#[test]
#[ignore = "prints a table, asserts nothing"]
fn how_the_named_links_are_filled() {
    let wanted = std::env::var("TOWLINE_PROFILES").unwrap_or_default();
    for profile in PROFILES.iter().filter(|profile| wanted.is_empty() || wanted.contains(profile.name)) {
        println!("{:>4} {}", profile.name, Path::new(profile, 1).run(30));
    }
}
