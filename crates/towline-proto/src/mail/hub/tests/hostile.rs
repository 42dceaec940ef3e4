//! A device that says anything at all.

use super::crypto::TestCrypto;
use super::world::{A, B, C, STRANGER, World};
use crate::ids::{Lane, MessageId};
use crate::mail::code::Code;
use crate::mail::envelope::Envelope;
use crate::mail::hub::io::{Input, SessionKey};
use crate::mail::limits::{
    MAX_LIVE_PER_DEVICE, MAX_LIVE_REMEMBERED_PER_DEVICE, MAX_PINGS, MAX_PRESENCE_WATCHES_PER_SESSION,
    MAX_SESSIONS_PER_DEVICE, MAX_UPLOADS_PER_DEVICE, MAX_WATCHED_MESSAGES_PER_SESSION,
};
use crate::mail::message::{Question, Role, ToHub};
use crate::mail::outcome::Outcome;
use crate::mail::receipt::{Receipt, Signer};

const WORDS: usize = 400;
const SEEDS: u64 = 100;

struct Dice(u64);

impl Dice {
    fn pick(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }

    fn coin(&mut self) -> bool {
        self.pick(2) == 0
    }
}

fn id(number: u64) -> MessageId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    MessageId(bytes)
}

fn question(dice: &mut Dice, id: MessageId) -> Question {
    let device = ["a", "b", "c", "nobody"][dice.pick(4) as usize].parse().unwrap();
    let watch = dice.coin();
    match dice.pick(5) {
        0 => Question::Status { id, watch },
        1 => Question::Who { device: dice.coin().then_some(device), watch },
        2 => Question::Ping { device },
        3 => Question::Group { name: "x".repeat(dice.pick(300) as usize) },
        _ => Question::Withdraw { id },
    }
}

fn submit(dice: &mut Dice, world: &mut World, who: TestCrypto, id: MessageId) -> ToHub {
    let body = vec![3; dice.pick(9) as usize];
    let to = ["a", "b", "c", "nobody"][dice.pick(4) as usize];
    let lane = Lane(dice.pick(8) as u8);
    let mut envelope = Envelope { id, lane, kept: dice.coin(), ..world.envelope(who, to, &body) };
    envelope.deadline_ms = dice.pick(100_000);
    if dice.pick(8) == 0 {
        envelope.size = u64::MAX >> dice.pick(64);
    }
    let mut signed = envelope.seal(if dice.pick(8) == 0 { &STRANGER } else { &who });
    if dice.pick(16) == 0 {
        signed.bytes.truncate(dice.pick(60) as usize);
    }
    ToHub::Submit { envelope: signed, body: dice.coin().then_some(body) }
}

fn report(dice: &mut Dice, world: &World, who: TestCrypto, id: MessageId) -> ToHub {
    let known = world.store.messages.get(&id).filter(|_| dice.coin());
    let receipt = Receipt {
        envelope: known.map_or(crate::ids::Digest([0; 32]), |record| record.envelope.digest(&super::world::HUB)),
        id,
        outcome: [Outcome::Handled, Outcome::Failed, Outcome::Expired][dice.pick(3) as usize],
        by: String::new(),
        code: Code::Ok,
        reason: String::new(),
        exit_code: Some(dice.pick(256) as i32),
        output: crate::mail::keys::Crypto::digest(&who, b""),
        time_ms: 0,
        late: dice.coin(),
        signer: if dice.coin() { Signer::Recipient } else { Signer::Hub },
        key: who.0,
    };
    ToHub::Report { receipt: receipt.seal(&who), output: Vec::new() }
}

fn word(dice: &mut Dice, world: &mut World, who: TestCrypto) -> ToHub {
    // Half of the ids are those of the honest devices' messages.
    let id = id(if dice.coin() { 1 + dice.pick(4) } else { 1_000 + dice.pick(60) });
    let number = dice.pick(4);
    match dice.pick(14) {
        0 => ToHub::Attach { role: if dice.coin() { Role::Agent } else { Role::Client }, software: "x".repeat(500) },
        1 => ToHub::Join { token: [dice.pick(3) as u8; 16], software: String::new() },
        2 => ToHub::Delivered { id },
        3 => ToHub::GoRequest { id, request: number, by: "ä".repeat(400), timeout_ms: u64::MAX >> dice.pick(64) },
        4 => ToHub::NotStarted { id, request: number },
        5 => ToHub::Interrupted { id, request: number },
        6 => report(dice, world, who, id),
        7 => ToHub::Ask { ask: number, question: question(dice, id) },
        8 => ToHub::Pong { ping: number },
        9 => ToHub::Written { id, written: u64::MAX },
        10 => ToHub::SendBody { id, offset: u64::MAX >> dice.pick(64) },
        11 => ToHub::BodyLost { id },
        _ => submit(dice, world, who, id),
    }
}

/// Sessions of the hostile device, and of somebody who is no device.
fn session(dice: &mut Dice, world: &mut World, open: &mut Vec<(SessionKey, TestCrypto)>) -> (SessionKey, TestCrypto) {
    if open.len() < 3 || dice.pick(10) == 0 {
        let who = if dice.pick(4) == 0 { STRANGER } else { C };
        let session = world.open(who);
        if who.0 == C.0 {
            let role = if dice.coin() { Role::Agent } else { Role::Client };
            world.say(session, ToHub::Attach { role, software: String::new() });
        }
        open.push((session, who));
    }
    let at = dice.pick(open.len() as u64) as usize;
    if dice.pick(12) == 0 {
        let (session, _) = open.swap_remove(at);
        world.handle(Input::Closed { session });
        return open.first().copied().unwrap_or((session, C));
    }
    open[at]
}

fn within_limits(world: &World) {
    let core = &world.core;
    assert!(core.uploads.len() <= MAX_UPLOADS_PER_DEVICE && core.pings.len() <= MAX_PINGS);
    assert!(core.sessions.of_key(&C.0).count() <= MAX_SESSIONS_PER_DEVICE + 1);
    for (_, session) in core.sessions.iter() {
        assert!(session.presence_watches.len() <= MAX_PRESENCE_WATCHES_PER_SESSION);
        let submitted = core.gauges().undecided as usize;
        assert!(session.watched.len() <= MAX_WATCHED_MESSAGES_PER_SESSION + submitted);
    }
    let (on_the_way, remembered) = core.live.most_of_one_sender();
    assert!(on_the_way <= MAX_LIVE_PER_DEVICE && remembered <= MAX_LIVE_REMEMBERED_PER_DEVICE);
    assert!(core.settling.is_empty(), "everything was committed");
}

fn story(seed: u64) {
    let mut dice = Dice(seed);
    let mut world = World::new();
    let (a, b) = (world.agent(A), world.agent(B));
    let honest: Vec<MessageId> = (0..4).map(|_| world.send(a, A, "b")).collect();
    world.start(b, honest[0]);
    let mut open = Vec::new();
    for _ in 0..WORDS {
        let (session, who) = session(&mut dice, &mut world, &mut open);
        let word = word(&mut dice, &mut world, who);
        world.say(session, word);
        within_limits(&world);
    }
    assert_eq!(world.core.gauges().devices, 3);
    world.report(b, B, honest[0]);
    for &id in &honest[1..] {
        world.start(b, id);
        let said = world.report(b, B, id);
        assert_eq!(said.outcomes(a), [(Outcome::Handled, Code::Ok)], "seed {seed}");
    }
    for (session, _) in open {
        world.handle(Input::Closed { session });
    }
    assert!(world.core.pings.is_empty() && world.core.sessions.iter().count() == 2);
}

#[test]
fn p18_hostile_words_neither_break_the_hub_nor_disturb_another_devices_message() {
    (0..SEEDS).for_each(story);
    println!(
        "p18: reached {} hostile words without panic, growth past a limit or harm to others",
        SEEDS * WORDS as u64
    );
}
