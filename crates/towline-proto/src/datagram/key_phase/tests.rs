//! Two sides whose keys are their generation's number.

use super::*;
use crate::datagram::crypto::{HandshakeFailed, KeyChange, Side};
use towline_sim::Rng;

const KEPT: Duration = Duration::from_millis(300);

fn at(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

/// The tag is whose key it is, of which generation, and the packet's number.
#[derive(Clone, Copy)]
struct Key {
    side: Side,
    generation: u64,
    sealed_max: u64,
    failed_max: u64,
}

impl Key {
    fn tag(&self, number: u64, header: &[u8]) -> [u8; 16] {
        let mark = header.iter().map(|&byte| u64::from(byte)).sum::<u64>() << 1 | u64::from(self.side == Side::Client);
        ((u128::from(self.generation) << 96) ^ (u128::from(mark) << 64) ^ u128::from(number)).to_be_bytes()
    }
}

impl PacketKey for Key {
    fn tag_bytes(&self) -> usize {
        16
    }
    fn seal(&self, number: u64, header: &[u8], content: &mut [u8]) {
        let at = content.len() - 16;
        content[at..].copy_from_slice(&self.tag(number, header));
    }
    fn open(&self, number: u64, header: &[u8], content: &mut [u8]) -> Option<usize> {
        let at = content.len().checked_sub(16)?;
        (content[at..] == self.tag(number, header)).then_some(at)
    }
    fn sealed_max(&self) -> u64 {
        self.sealed_max
    }
    fn failed_max(&self) -> u64 {
        self.failed_max
    }
}

/// Knows nothing but the keys of each generation.
struct Generations {
    side: Side,
    next: u64,
    sealed_max: u64,
}

impl Handshake for Generations {
    fn read(&mut self, _: &[u8]) -> Result<(), HandshakeFailed> {
        Ok(())
    }
    fn write(&mut self, _: &mut Vec<u8>) -> Option<KeyChange> {
        None
    }
    fn is_handshaking(&self) -> bool {
        false
    }
    fn peer_params(&self) -> Option<&[u8]> {
        None
    }
    fn next_keys(&mut self) -> Option<PacketKeys> {
        let (generation, sealed_max) = (self.next, self.sealed_max);
        self.next += 1;
        let other = if self.side == Side::Client { Side::Server } else { Side::Client };
        let key = |side| Box::new(Key { side, generation, sealed_max, failed_max: 5 });
        Some(PacketKeys { local: key(self.side), remote: key(other) })
    }
}

struct End {
    keys: KeyPhase,
    handshake: Generations,
    number: u64,
}

#[derive(Clone, Debug)]
struct Packet {
    phase: bool,
    number: u64,
    content: Vec<u8>,
}

impl End {
    fn new(side: Side, sealed_max: u64, renew_after: u64) -> Self {
        let mut handshake = Generations { side, next: 0, sealed_max };
        let first = handshake.next_keys().unwrap();
        let mut keys = KeyPhase::new(first, renew_after, &mut handshake);
        keys.confirm_handshake();
        Self { keys, handshake, number: 0 }
    }

    fn seal(&mut self) -> Result<Packet, KeyFault> {
        let (phase, number) = (self.keys.phase(), self.number);
        let mut content = vec![0; 20];
        self.keys.seal(number, &[phase.into()], &mut content)?;
        self.number += 1;
        Ok(Packet { phase, number, content })
    }

    fn open(&mut self, now: Instant, packet: &Packet) -> Result<bool, KeyFault> {
        let Packet { phase, number, mut content } = packet.clone();
        let header = [phase.into()];
        let packet = SealedPacket { phase, number, header: &header, content: &mut content };
        self.keys.open(now, packet, KEPT, &mut self.handshake).map(|bytes| bytes == Some(4))
    }

    fn update(&mut self, now: Instant) -> bool {
        self.keys.update(now, &mut self.handshake)
    }

    /// The peer begins a phase, whether that is allowed or not.
    fn update_at_any_rate(&mut self) {
        self.keys.turn(None, &mut self.handshake);
    }
}

fn pair() -> (End, End) {
    (End::new(Side::Client, 1_000, 1_000), End::new(Side::Server, 1_000, 1_000))
}

/// A packet each way and the acknowledgement of both.
fn talk(now: Instant, one: &mut End, other: &mut End) {
    for _ in 0..2 {
        let said = one.seal().unwrap();
        assert!(other.open(now, &said).unwrap());
        let answer = other.seal().unwrap();
        assert!(one.open(now, &answer).unwrap());
        one.keys.acknowledged(said.number);
        other.keys.acknowledged(answer.number);
    }
}

#[test]
fn an_update_waits_for_the_handshake_and_for_a_packet_each_way() {
    let (mut one, mut other) = pair();
    one.keys.is_confirmed = false;
    assert!(!one.update(at(0)), "nothing sent");
    let said = one.seal().unwrap();
    one.keys.acknowledged(said.number);
    assert!(!one.update(at(0)), "nothing came");
    talk(at(0), &mut one, &mut other);
    assert!(!one.update(at(0)), "not confirmed");
    one.keys.confirm_handshake();
    assert!(one.update(at(0)) && one.keys.phase() && one.keys.updates() == 1);
    assert!(!one.update(at(0)), "asked: not again");
}

#[test]
fn what_was_sealed_before_the_phase_confirms_nothing_of_it() {
    let (mut one, mut other) = pair();
    talk(at(0), &mut one, &mut other);
    assert!(one.update(at(0)));
    let said = one.seal().unwrap();
    one.keys.acknowledged(said.number - 1);
    assert!(!one.keys.acknowledged);
    one.keys.acknowledged(said.number);
    assert!(one.keys.acknowledged);
}

#[test]
fn the_peer_follows_and_late_packets_open_for_as_long_as_said() {
    let (mut one, mut other) = pair();
    talk(at(0), &mut one, &mut other);
    let late: Vec<Packet> = (0..3).map(|_| one.seal().unwrap()).collect();
    assert!(one.update(at(10)));
    let first = one.seal().unwrap();
    let crossing = other.seal().unwrap();
    assert!(one.open(at(20), &crossing).unwrap(), "asked: the peer's packets are of the previous phase");
    assert!(other.open(at(50), &first).unwrap() && other.keys.phase(), "it follows");
    assert!(other.open(at(50), &late[0]).unwrap());
    assert!(other.open(at(349), &late[1]).unwrap(), "at the limit");
    assert!(!other.open(at(350), &late[2]).unwrap(), "past it");
    assert_eq!(other.keys.failed(), 1);
}

#[test]
fn the_next_update_waits_until_the_previous_keys_are_gone() {
    let (mut one, mut other) = pair();
    talk(at(0), &mut one, &mut other);
    assert!(one.update(at(0)));
    talk(at(50), &mut one, &mut other);
    assert!(!one.update(at(349)) && !other.update(at(349)), "turning");
    assert!(one.update(at(350)), "settled");
    talk(at(400), &mut one, &mut other);
    assert_eq!((one.keys.updates(), other.keys.updates()), (2, 2));
    assert_eq!((one.keys.phase(), other.keys.phase()), (false, false));
}

#[test]
fn both_may_begin_at_once() {
    let (mut one, mut other) = pair();
    talk(at(0), &mut one, &mut other);
    assert!(one.update(at(0)) && other.update(at(0)));
    talk(at(50), &mut one, &mut other);
    assert_eq!((one.keys.updates(), other.keys.updates()), (1, 1));
}

#[test]
fn an_update_that_nothing_of_ours_can_have_allowed_is_a_violation() {
    let (mut one, mut other) = pair();
    one.update_at_any_rate();
    let hasty = one.seal().unwrap();
    assert_eq!(other.open(at(0), &hasty), Err(KeyFault::BadUpdate), "before anything was said");

    let (mut one, mut other) = pair();
    talk(at(0), &mut one, &mut other);
    assert!(one.update(at(0)));
    let first = one.seal().unwrap();
    one.update_at_any_rate();
    let second = one.seal().unwrap();
    assert!(other.open(at(50), &first).unwrap());
    assert_eq!(other.open(at(50), &second), Err(KeyFault::BadUpdate), "twice without an answer");

    let (mut one, mut other) = pair();
    talk(at(0), &mut one, &mut other);
    assert!(one.update(at(0)));
    other.open(at(50), &one.seal().unwrap()).unwrap();
    let follows = other.seal().unwrap();
    other.update_at_any_rate();
    let hasty = other.seal().unwrap();
    assert!(one.open(at(100), &follows).unwrap());
    assert_eq!(one.open(at(100), &hasty), Err(KeyFault::BadUpdate), "what we said before it followed is no answer");
}

#[test]
fn an_update_that_goes_back_in_numbers_is_a_violation() {
    let (mut one, mut other) = pair();
    talk(at(0), &mut one, &mut other);
    other.keys.least_opened = Some(9);
    assert!(one.update(at(0)));
    one.number = 8;
    let back = one.seal().unwrap();
    assert_eq!(other.open(at(0), &back), Err(KeyFault::BadUpdate));
}

#[test]
fn keys_are_renewed_when_due_and_never_seal_more_than_they_may() {
    let (mut one, mut other) = (End::new(Side::Client, 1_000, 100), End::new(Side::Server, 1_000, 1_000));
    talk(at(0), &mut one, &mut other);
    while one.keys.sealed < 99 {
        one.seal().unwrap();
    }
    assert!(!one.keys.renew(at(0), &mut one.handshake), "one below the limit");
    one.seal().unwrap();
    assert!(one.keys.renew(at(0), &mut one.handshake), "at the limit");

    let mut alone = End::new(Side::Client, 150, u64::MAX);
    assert_eq!(alone.keys.renew_after, 75);
    (0..150).for_each(|_| assert!(alone.seal().is_ok()));
    assert!(!alone.keys.renew(at(0), &mut alone.handshake), "the peer says nothing");
    assert_eq!(alone.seal().unwrap_err(), KeyFault::Spent);
    assert_eq!(alone.number, 150);
}

#[test]
fn packets_that_do_not_open_are_counted_over_all_keys_and_end_the_link() {
    let (mut one, mut other) = pair();
    let forged = |number, phase| Packet { phase, number, content: vec![9; 20] };
    (0..4).for_each(|number| assert!(!other.open(at(0), &forged(number, number % 2 == 0)).unwrap()));
    talk(at(0), &mut one, &mut other);
    assert!(one.update(at(0)));
    talk(at(50), &mut one, &mut other);
    assert_eq!(other.open(at(60), &forged(3, false)), Ok(false), "at the limit");
    assert!(other.keys.phase(), "a forged packet changes nothing");
    assert_eq!(other.open(at(60), &forged(4, true)), Err(KeyFault::Forged), "past it");
}

#[test]
fn a_short_packet_fails_and_does_no_harm() {
    let (_, mut other) = pair();
    assert!(!other.open(at(0), &Packet { phase: false, number: 0, content: Vec::new() }).unwrap());
}

/// Two sides that renew after 100 packets, over a network that loses and disorders: whatever comes before its keys are
/// gone opens, and nobody is blamed.
#[test]
fn updates_every_hundred_packets_lose_nothing_on_a_bad_network() {
    for seed in 0..40 {
        let mut rng = Rng::new(seed);
        let mut ends = [End::new(Side::Client, 2_000, 100), End::new(Side::Server, 2_000, 100)];
        let mut on_the_way: Vec<(u64, usize, Packet, Option<u64>)> = Vec::new();
        let mut newest = [None; 2];
        for now in 0..4_000 {
            for side in 0..2 {
                let end = &mut ends[side];
                end.keys.renew(at(now), &mut end.handshake);
                let packet = end.seal().unwrap();
                if !rng.chance(200) {
                    on_the_way.push((now + rng.between(5, 45), 1 - side, packet, newest[side]));
                }
            }
            let (due, later): (Vec<_>, _) = on_the_way.into_iter().partition(|(due, ..)| *due <= now);
            on_the_way = later;
            for (_, side, packet, acknowledges) in due {
                let opened = ends[side].open(at(now), &packet).unwrap_or_else(|fault| panic!("seed {seed}: {fault}"));
                assert!(opened, "seed {seed} at {now}: {packet:?}");
                acknowledges.into_iter().for_each(|number| ends[side].keys.acknowledged(number));
                newest[side] = newest[side].max(Some(packet.number));
            }
        }
        let updates = ends[0].keys.updates();
        assert!(updates >= 8 && updates.abs_diff(ends[1].keys.updates()) <= 1, "seed {seed}: {updates}");
    }
}
