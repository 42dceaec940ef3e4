use super::*;
use crate::{HEADERS, Jitter, Loss, MILLIS, Queue, Reorder, SECONDS, Share};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Two nodes and the lines between them.
fn pair(world: &mut World, conditions: Conditions) -> (Node, Node, LineId) {
    let (one, other) = (world.node(), world.node());
    let (there, _) = world.join(one, other, conditions);
    (one, other, there)
}

fn say(world: &mut World, from: Node, to: Address, what: &[u8]) {
    world.send(from, world.address(from, 7), to, Ecn::Capable0, what);
}

#[test]
fn a_datagram_arrives_whole_at_the_node_that_has_the_address() {
    let mut world = World::new(1);
    let (one, other, _) = pair(&mut world, Conditions::default());
    let to = world.address(other, 9);
    say(&mut world, one, to, b"hello");
    assert_eq!((world.step(), world.now()), (Some(Happening::Datagram(other)), 10 * MILLIS));
    let source = world.address(one, 7);
    let expected = Datagram { source, destination: to, ecn: Ecn::Capable0, bytes: b"hello".to_vec() };
    assert_eq!((world.receive(other), world.receive(other), world.receive(one)), (Some(expected), None, None));
}

#[test]
fn headers_count_at_the_bottleneck_and_against_the_largest_packet() {
    let mut world = World::new(1);
    let conditions = Conditions { rate_bits_per_second: 1_000_000, delay: 0, ..Conditions::default() };
    let (one, other, there) = pair(&mut world, conditions);
    let to = world.address(other, 9);
    say(&mut world, one, to, &[0; 1_500 - HEADERS]);
    say(&mut world, one, to, &[0; 1_500 - HEADERS + 1]);
    assert_eq!((world.step(), world.now()), (Some(Happening::Datagram(other)), 12 * MILLIS));
    assert_eq!((world.step(), world.counts(there).too_large), (None, 1));
}

#[test]
fn what_has_no_host_or_no_route_is_counted_and_gone() {
    let mut world = World::new(1);
    let (one, stranger) = (world.node(), world.node());
    let to = world.address(stranger, 1);
    say(&mut world, one, to, b"no route");
    say(&mut world, one, Address { host: 99, port: 1 }, b"no host");
    assert_eq!((world.step(), world.undeliverable()), (None, 2));
}

#[test]
fn a_spoofed_source_is_believed_and_answers_go_to_the_victim() {
    let mut world = World::new(1);
    let (attacker, server, _) = pair(&mut world, Conditions::default());
    let victim = world.node();
    world.join(server, victim, Conditions::default());
    let (claimed, to) = (world.address(victim, 5), world.address(server, 9));
    world.send(attacker, claimed, to, Ecn::NotCapable, b"?");
    world.step();
    let source = world.receive(server).unwrap().source;
    say(&mut world, server, source, b"!");
    assert_eq!(world.step(), Some(Happening::Datagram(victim)));
}

#[test]
fn routes_over_the_same_line_share_its_rate_and_keep_delays_of_their_own() {
    let mut world = World::new(1);
    let (near, far, server) = (world.node(), world.node(), world.node());
    let queue = Queue::Packets(100);
    let bottleneck = world.line(Conditions { rate_bits_per_second: 12_000_000, queue, ..Conditions::default() });
    let [short, long] =
        [5, 45].map(|millis| world.line(Conditions { delay: millis * MILLIS, ..Conditions::default() }));
    world.route(near, server, &[short, bottleneck]);
    world.route(far, server, &[long, bottleneck]);
    let to = world.address(server, 9);
    for _ in 0..50 {
        say(&mut world, near, to, &[0; 1_500 - HEADERS]);
        say(&mut world, far, to, &[0; 1_500 - HEADERS]);
    }
    let mut firsts = BTreeMap::new();
    let mut last = 0;
    while let Some(Happening::Datagram(_)) = world.step() {
        firsts.entry(world.receive(server).unwrap().source.host).or_insert(world.now());
        last = world.now();
    }
    // The far one's packets find those of the near one still waiting.
    assert_eq!(firsts.values().copied().collect::<Vec<_>>(), [16 * MILLIS, 66 * MILLIS]);
    assert_eq!(last, 5 * MILLIS + 100 * MILLIS + 10 * MILLIS);
}

#[test]
fn behind_a_translator_only_whom_a_node_spoke_to_comes_back_in_while_the_mapping_lives() {
    let mut world = World::new(1);
    let (inside, server, _) = pair(&mut world, Conditions::default());
    let stranger = world.node();
    world.join(stranger, inside, Conditions::default());
    world.put_behind_nat(inside, 30 * SECONDS);
    let (inner, to) = (world.address(inside, 7), world.address(server, 9));
    say(&mut world, server, inner, b"nobody knows this address");
    say(&mut world, inside, to, b"out");
    world.step();
    let seen = world.receive(server).unwrap().source;
    assert_ne!(seen.host, inner.host);
    say(&mut world, stranger, seen, b"not asked");
    world.send(server, to, seen, Ecn::NotCapable, b"back");
    assert_eq!(world.step(), Some(Happening::Datagram(inside)));
    assert_eq!(world.receive(inside).map(|back| (back.destination, back.source)), Some((inner, to)));
    assert_eq!((world.step(), world.undeliverable()), (None, 2));
    // What comes in does not keep the mapping; what goes out does.
    let until = |world: &mut World, at| {
        world.advance_to(at);
        world.send(server, to, seen, Ecn::NotCapable, b"again");
        world.step()
    };
    assert_eq!(until(&mut world, 25 * SECONDS), Some(Happening::Datagram(inside)));
    assert_eq!(until(&mut world, 31 * SECONDS), None, "idle since it was made");
    say(&mut world, inside, to, b"out again");
    world.step();
    assert_ne!(world.receive(server).unwrap().source, seen, "another mapping");
}

#[test]
fn a_mapping_that_is_used_outwards_stays_and_one_silent_for_its_time_goes() {
    for (pause, kept) in [(29 * SECONDS, true), (30 * SECONDS, false)] {
        let mut world = World::new(1);
        let (inside, server, _) = pair(&mut world, Conditions::default());
        world.put_behind_nat(inside, 30 * SECONDS);
        let to = world.address(server, 9);
        let mut sources = Vec::new();
        for turn in 0..4 {
            world.advance_to(turn * pause);
            say(&mut world, inside, to, b"keep");
            world.step();
            sources.push(world.receive(server).unwrap().source);
        }
        assert_eq!(sources.iter().all(|source| *source == sources[0]), kept, "{sources:?}");
    }
}

#[test]
fn rebinding_gives_a_new_address_and_the_old_one_is_gone_also_for_what_is_on_its_way() {
    let mut world = World::new(1);
    let (inside, server, _) = pair(&mut world, Conditions::default());
    world.put_behind_nat(inside, 30 * SECONDS);
    let to = world.address(server, 9);
    say(&mut world, inside, to, b"one");
    world.step();
    let old = world.receive(server).unwrap().source;
    world.send(server, to, old, Ecn::NotCapable, b"on its way");
    world.rebind(inside);
    world.send(server, to, old, Ecn::NotCapable, b"too late");
    assert_eq!((world.step(), world.undeliverable()), (None, 2));
    let guessed = Address { host: old.host + 1, port: old.port };
    world.send(server, to, guessed, Ecn::NotCapable, b"to the new host before it spoke");
    assert_eq!((world.step(), world.undeliverable()), (None, 3));
    say(&mut world, inside, to, b"two");
    world.step();
    let new = world.receive(server).unwrap().source;
    assert_eq!(new.host, guessed.host);
    world.send(server, to, new, Ecn::NotCapable, b"back");
    assert_eq!(world.step(), Some(Happening::Datagram(inside)));
}

#[test]
fn conditions_that_change_in_mid_run_hold_from_then_on() {
    let mut world = World::new(1);
    let (one, other, there) = pair(&mut world, Conditions::default());
    let to = world.address(other, 9);
    let before = world.conditions(there);
    world.set_conditions_at(there, 60 * MILLIS, Conditions { largest_packet: 1_280, delay: 3 * MILLIS, ..before });
    world.set_conditions_at(there, 120 * MILLIS, Conditions { up: false, ..before });
    world.set_conditions_at(there, 180 * MILLIS, before);
    let mut arrivals = Vec::new();
    for tick in 0..10 {
        world.advance_to(tick * 25 * MILLIS);
        let size = 1_200 + 100 * (tick as usize % 2);
        say(&mut world, one, to, &vec![tick as u8; size]);
    }
    world.advance_to(SECONDS);
    while let Some(datagram) = world.receive(other) {
        arrivals.push(datagram.bytes[0]);
    }
    assert_eq!(arrivals, [0, 1, 2, 4, 8, 9], "3 is too large, 5 to 7 meet a line that is down");
    assert_eq!((world.counts(there).too_large, world.counts(there).while_down), (1, 3));
}

#[test]
fn a_shorter_delay_overtakes_what_is_on_its_way() {
    let mut world = World::new(1);
    let (one, other, there) = pair(&mut world, Conditions { delay: SECONDS, ..Conditions::default() });
    let to = world.address(other, 9);
    say(&mut world, one, to, b"slow");
    world.set_conditions(there, Conditions::default());
    say(&mut world, one, to, b"fast");
    assert_eq!((world.step(), world.now()), (Some(Happening::Datagram(other)), 10 * MILLIS));
    assert_eq!((world.step(), world.now()), (Some(Happening::Datagram(other)), SECONDS));
}

#[test]
fn a_clock_drifts_by_what_was_asked_and_its_timers_with_it() {
    for drift in [-500, 0, 500] {
        let mut world = World::new(1);
        let node = world.drifting_node(drift);
        world.advance_to(1_000 * SECONDS);
        let shown = world.clock(node);
        assert_eq!(shown as i64 - 1_000 * SECONDS as i64, i64::from(drift) * 1_000_000);
        let asked = shown + 10 * SECONDS + 1;
        world.set_timer_of(node, asked);
        world.step();
        assert!((asked..=asked + 1).contains(&world.clock(node)), "never early, and no later than need be");
        let took = world.now() as i64 - 1_010 * SECONDS as i64;
        assert!((took + i64::from(drift) * 10_000).abs() < 10_000, "{took} ns for {drift} ppm");
    }
}

/// Everything that can go wrong on a line.
fn rough() -> Conditions {
    Conditions {
        rate_bits_per_second: 5_000_000,
        jitter: Jitter { most: 4 * MILLIS, in_order: false },
        queue: Queue::Bytes(30_000),
        mark_from: Some(Queue::Packets(5)),
        loss: Loss::bursts(Share::percent(5), 3).unwrap(),
        reorder: Reorder { share: Share::percent(2), by: 9 * MILLIS },
        duplicate: Share::percent(2),
        corrupt: Share::percent(2),
        ..Conditions::default()
    }
}

/// The hash of all that two nodes see that echo each other's datagrams over a rough line.
fn trace(seed: u64) -> u64 {
    let mut world = World::new(seed);
    let (one, other, _) = pair(&mut world, rough());
    let to = world.address(other, 9);
    let mut hash = DefaultHasher::new();
    for number in 0..3_000_u32 {
        say(&mut world, one, to, &number.to_be_bytes().repeat(1 + number as usize % 300));
        for happening in world.advance_to(u64::from(number) * MILLIS) {
            let Happening::Datagram(node) = happening else { continue };
            let datagram = world.receive(node).unwrap();
            (world.now(), datagram.source, datagram.ecn, &datagram.bytes).hash(&mut hash);
            if node == other {
                say(&mut world, other, datagram.source, &datagram.bytes);
            }
            world.recycle(datagram);
        }
    }
    hash.finish()
}

#[test]
fn the_same_seed_gives_the_same_trace_of_packets() {
    for seed in 0..5 {
        assert_eq!(trace(seed), trace(seed), "seed {seed}");
        assert_ne!(trace(seed), trace(seed + 1), "seed {seed}");
    }
}

#[test]
fn packets_do_not_shift_what_byte_streams_draw() {
    let run = |with_packets: bool| {
        let mut world = World::new(3);
        let (a, b) = world.connect(crate::Shape { jitter: MILLIS, ..crate::Shape::default() });
        if with_packets {
            let (one, other, _) = pair(&mut world, rough());
            let to = world.address(other, 9);
            (0..50).for_each(|_| say(&mut world, one, to, &[0; 1_000]));
        }
        world.write(a, &[1; 20_000]).unwrap();
        let mut seen = Vec::new();
        while let Some(happening) = world.step() {
            if happening == Happening::Readable(b) {
                seen.push((world.now(), world.read(b, 9_999)));
            }
        }
        seen
    };
    assert_eq!(run(false), run(true));
}
