use super::*;
use crate::link::{Item, StreamRef};
use crate::wire::ack::{ACK, AckHead, put_ack};
use crate::wire::cursor::Reader;
use crate::wire::frame::Frame;
use core::ops::RangeInclusive;
use proptest::prelude::*;

const MS: Duration = Duration::from_millis(1);
const BYTES: u32 = 1_000;

fn at(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

/// Who is told what became of the packets: each carries two references that name it.
#[derive(Default)]
struct Notes {
    confirmed: Vec<u64>,
    lost: Vec<u64>,
}

fn reference(number: u64) -> FrameRef {
    FrameRef { stream: StreamRef::NONE, item: Item::SessionCredit { limit: number } }
}

fn number(frame: FrameRef) -> u64 {
    let Item::SessionCredit { limit } = frame.item else { panic!("{frame:?}") };
    limit
}

impl Frames for Notes {
    fn fill(&mut self, _: Instant, _: LinkId, _: usize, _: &mut Vec<u8>) -> Option<FrameRef> {
        None
    }
    fn confirmed(&mut self, _: Instant, _: LinkId, frame: FrameRef) {
        self.confirmed.push(number(frame));
    }
    fn lost(&mut self, _: Instant, _: LinkId, frame: FrameRef) {
        self.lost.push(number(frame));
    }
    fn received(&mut self, _: Instant, _: LinkId, _: Frame<'_>) -> Result<(), Violation> {
        Ok(())
    }
}

/// A flight with what it is used with.
struct Scene {
    flight: Flight,
    rtt: Rtt,
    delivery: Delivery,
    notes: Notes,
}

impl Scene {
    fn new() -> Self {
        let (flight, rtt, delivery) = (Flight::new(LinkId(1)), Rtt::new(at(0)), Delivery::new(at(0)));
        Self { flight, rtt, delivery, notes: Notes::default() }
    }

    /// One packet each millisecond from `from` on.
    fn send(&mut self, from: u64, count: u64) {
        for step in 0..count {
            let name = self.flight.next_number();
            self.flight.sent(at(from + step), BYTES, [reference(name), reference(name)], &mut self.delivery);
        }
    }

    fn acknowledge(&mut self, millis: u64, runs: &[RangeInclusive<u64>]) -> Result<Acknowledged, Violation> {
        let head = AckHead { delay: Duration::ZERO, clock_micros: 1_000 * millis, ecn: None };
        let mut bytes = Vec::new();
        put_ack(&mut bytes, usize::MAX, &head, runs.iter().cloned());
        let ack = Ack::decode(ACK, &mut Reader::new(&bytes[1..])).unwrap();
        let Self { flight, rtt, delivery, notes } = self;
        flight.acknowledged(at(millis), &ack, rtt, delivery, notes)
    }

    fn find_lost(&mut self, millis: u64) -> Lost {
        self.flight.find_lost(at(millis), &self.rtt, &mut self.delivery, &mut self.notes)
    }
}

#[test]
fn what_arrives_is_confirmed_once_and_measured() {
    let mut scene = Scene::new();
    scene.send(0, 10);
    assert_eq!(scene.flight.in_flight(), 10_000);
    let brought = scene.acknowledge(100, &[0..=4]).unwrap();
    assert_eq!((brought.bytes, brought.regained, brought.sample.unwrap().rtt), (5_000, 0, 96 * MS));
    assert_eq!(scene.notes.confirmed, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
    let again = scene.acknowledge(101, &[0..=5]).unwrap();
    assert_eq!((again.bytes, scene.flight.in_flight(), scene.flight.settled_below()), (1_000, 4_000, 6));
    assert_eq!(scene.acknowledge(102, &[0..=5]).unwrap(), Acknowledged::default());
    assert_eq!(scene.flight.last_sent_at(), Some(at(9)));
}

#[test]
fn a_packet_is_lost_a_reordering_window_after_it_should_have_come() {
    let mut scene = Scene::new();
    scene.send(0, 5);
    assert_eq!(scene.flight.poll_timeout(&scene.rtt), None, "nothing that left later was delivered");
    scene.acknowledge(104, &[4..=4, 0..=2]).unwrap();
    // It left at 3, the round trip takes 100 ms, the window is a quarter of that.
    assert_eq!(scene.flight.poll_timeout(&scene.rtt), Some(at(128)));
    assert_eq!(scene.find_lost(127), Lost::default());
    let lost = scene.find_lost(128);
    assert_eq!((lost.bytes, lost.in_flight, lost.newest_sent_at, lost.dead), (1_000, 4_000, Some(at(3)), false));
    assert_eq!((&scene.notes.lost[..], scene.flight.in_flight(), scene.flight.settled_below()), (&[3, 3][..], 0, 5));
}

#[test]
fn a_lost_packet_that_comes_after_all_widens_the_window_and_is_not_handed_back_twice() {
    let mut scene = Scene::new();
    scene.send(0, 5);
    scene.acknowledge(104, &[4..=4, 0..=2]).unwrap();
    scene.find_lost(128);
    let brought = scene.acknowledge(130, &[0..=4]).unwrap();
    assert_eq!((brought.bytes, brought.regained), (1_000, 1_000));
    assert_eq!((scene.notes.lost.len(), scene.notes.confirmed.len()), (2, 8));
    scene.send(200, 2);
    scene.acknowledge(301, &[6..=6]).unwrap();
    assert_eq!(scene.flight.poll_timeout(&scene.rtt), Some(at(350)), "two quarters now");
}

#[test]
fn a_wide_window_is_small_again_after_sixteen_quiet_rounds() {
    let mut scene = Scene::new();
    scene.send(0, 3);
    scene.acknowledge(102, &[2..=2]).unwrap();
    scene.find_lost(200);
    scene.acknowledge(201, &[0..=2]).unwrap();
    for round in 0..REORDER_KEPT_ROUNDS as u64 {
        assert_eq!(scene.flight.reorder.parts, 2, "round {round}");
        scene.send(300 + 200 * round, 1);
        let number = scene.flight.next_number() - 1;
        scene.acknowledge(400 + 200 * round, &[number..=number]).unwrap();
    }
    assert_eq!(scene.flight.reorder.parts, 1);
}

#[test]
fn long_silence_between_two_lost_packets_voids_what_was_known() {
    for (second, dead) in [(350, false), (2_000, true)] {
        let mut scene = Scene::new();
        scene.send(0, 1);
        scene.acknowledge(100, &[0..=0]).unwrap();
        scene.send(200, 1);
        scene.send(second, 1);
        scene.send(second + 1, 1);
        scene.acknowledge(second + 101, &[3..=3, 0..=0]).unwrap();
        let lost = scene.find_lost(second + 1_000);
        assert_eq!((lost.bytes, lost.dead), (2_000, dead), "{second}");
    }
}

#[test]
fn who_acknowledges_what_was_never_sent_is_caught() {
    let mut scene = Scene::new();
    scene.send(0, 3);
    scene.flight.leave_out(at(3));
    scene.send(4, 3);
    assert!(scene.acknowledge(100, &[4..=6, 0..=2]).is_ok());
    assert!(scene.acknowledge(100, &[7..=7]).is_err(), "one past the last");
    let mut scene = Scene::new();
    scene.send(0, 3);
    scene.flight.leave_out(at(3));
    scene.send(4, 3);
    let blindly = scene.acknowledge(100, &[0..=6]);
    assert_eq!(blindly.unwrap_err().code, CloseCode::Protocol);
    assert!(scene.notes.confirmed.is_empty(), "nothing of it is taken");
}

#[test]
fn packets_of_acknowledgements_alone_say_nothing_of_the_path() {
    let mut scene = Scene::new();
    scene.flight.sent_uncounted(at(0));
    assert_eq!(scene.acknowledge(100, &[0..=0]).unwrap(), Acknowledged::default());
    assert!(!scene.rtt.is_known() && scene.flight.last_sent_at().is_none());
}

#[test]
fn at_the_end_what_is_on_its_way_goes_back() {
    let mut scene = Scene::new();
    scene.send(0, 4);
    scene.acknowledge(100, &[1..=2]).unwrap();
    scene.flight.shut(at(101), &mut scene.notes);
    assert_eq!(scene.notes.lost, [0, 0, 3, 3]);
}

#[test]
fn a_long_flow_remembers_only_what_is_on_its_way() {
    let mut scene = Scene::new();
    for round in 0..2_000 {
        scene.send(100 * round, 100);
        let last = scene.flight.next_number() - 1;
        // Every tenth packet is lost.
        let runs: Vec<_> = (last - 99..=last).rev().step_by(10).map(|end| end - 8..=end).collect();
        scene.acknowledge(100 * round + 199, &runs).unwrap();
        scene.find_lost(100 * round + 199);
    }
    assert!(scene.flight.packets.len() < 1_200, "{}", scene.flight.packets.len());
    assert!(scene.flight.packets.capacity() <= 4_096 && scene.flight.frames.capacity() <= 8_192);
}

proptest! {
    /// Whatever is acknowledged in whatever order: each reference comes back once, and the books agree.
    #[test]
    fn every_reference_is_handed_back_exactly_once(
        steps in prop::collection::vec((1u64..40, 0u64..120, 1u64..60, 1u64..30), 1..60),
    ) {
        let mut scene = Scene::new();
        let mut now = 0;
        for (count, from, length, wait) in steps {
            scene.send(now, count);
            now += count + wait;
            let last = scene.flight.next_number() - 1;
            let start = last.saturating_sub(from);
            scene.acknowledge(now, &[start..=(start + length).min(last)]).unwrap();
            scene.find_lost(now);
            let open = (0..=last).filter(|&number| number >= scene.flight.first && scene.flight.on_their_way.contains(number)).count();
            prop_assert_eq!(scene.flight.in_flight(), open as u64 * u64::from(BYTES));
        }
        let sent = scene.flight.next_number();
        let Scene { flight, mut notes, .. } = scene;
        flight.shut(at(now), &mut notes);
        let mut all = [notes.confirmed, notes.lost].concat();
        all.sort_unstable();
        prop_assert_eq!(all, (0..sent).flat_map(|number| [number, number]).collect::<Vec<_>>());
    }
}
