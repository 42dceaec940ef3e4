use super::*;
use crate::{MILLIS, SECONDS};

fn shape() -> Shape {
    Shape { jitter: 3 * MILLIS, largest_arrival: 7, ..Shape::default() }
}

/// Turns the clock until nothing happens any more, reading at `socket`.
fn read_all(world: &mut World, socket: Socket) -> (Vec<u8>, Read) {
    let mut got = Vec::new();
    loop {
        match world.read(socket, 100) {
            Read::Bytes(bytes) => got.extend(bytes),
            Read::Nothing => {
                if world.step().is_none() {
                    return (got, Read::Nothing);
                }
            }
            end => return (got, end),
        }
    }
}

#[test]
fn bytes_arrive_in_order_whatever_the_cuts_between_them() {
    for seed in 0..50 {
        let mut world = World::new(seed);
        let (a, b) = world.connect(shape());
        let said = Rng::new(seed).bytes(1_000);
        assert_eq!(world.write(a, &said[..400]), Ok(400));
        world.advance_to(MILLIS);
        assert_eq!(world.write(a, &said[400..]), Ok(600));
        world.finish(a);
        assert_eq!(read_all(&mut world, b), (said, Read::End), "seed {seed}");
    }
}

#[test]
fn a_run_is_repeated_by_its_seed() {
    let run = |seed| {
        let mut world = World::new(seed);
        let (a, b) = world.connect(shape());
        world.write(a, &[1; 500]).unwrap();
        let mut seen = Vec::new();
        while let Some(happening) = world.step() {
            seen.push((world.now(), format!("{happening:?} {:?}", world.read(b, 100))));
        }
        seen
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3), run(4));
}

#[test]
fn latency_and_rate_are_kept() {
    let mut world = World::new(1);
    let (a, b) = world.connect(Shape { bytes_per_second: 1_000, largest_arrival: 10, ..Shape::default() });
    world.write(a, &[0; 500]).unwrap();
    assert_eq!(read_all(&mut world, b).0.len(), 500);
    let last = 10 * MILLIS + SECONDS / 2;
    assert!((last..=last + 10 * MILLIS).contains(&world.now()), "{}", world.now());
}

#[test]
fn a_full_link_takes_no_more_until_its_reader_reads() {
    let mut world = World::new(1);
    let (a, b) = world.connect(Shape { capacity: 100, ..Shape::default() });
    assert_eq!((world.write(a, &[0; 150]), world.room(a)), (Ok(100), 0));
    world.advance_to(SECONDS);
    assert_eq!(world.write(a, &[0; 1]), Ok(0));
    assert_eq!(world.read(b, 40), Read::Bytes(vec![0; 40]));
    assert_eq!(world.step(), Some(Happening::Writable(a)));
    assert_eq!((world.now(), world.room(a)), (SECONDS + 10 * MILLIS, 40));
}

#[test]
fn a_silent_cut_at_each_byte_lets_exactly_those_before_it_through() {
    let said: Vec<u8> = (0..40).collect();
    for byte in 0..=40 {
        let mut world = World::new(byte);
        let (a, b) = world.connect(shape());
        world.cut_after(a, byte, Fault::SilentOneWay);
        assert_eq!(world.write(a, &said[..13]), Ok(13));
        assert_eq!(world.write(a, &said[13..]), Ok(27));
        world.write(b, b"back").unwrap();
        assert_eq!(read_all(&mut world, b), (said[..byte as usize].to_vec(), Read::Nothing));
        assert_eq!(read_all(&mut world, a), (b"back".to_vec(), Read::Nothing), "the other direction lives");
    }
}

#[test]
fn a_silent_cut_loses_both_directions_and_tells_nobody() {
    let mut world = World::new(1);
    let (a, b) = world.connect(shape());
    world.write(a, b"lost").unwrap();
    world.cut(b, Fault::Silent);
    assert_eq!(world.write(b, b"lost too"), Ok(8));
    world.finish(a);
    assert_eq!(read_all(&mut world, a), (vec![], Read::Nothing));
    assert_eq!(read_all(&mut world, b), (vec![], Read::Nothing));
}

#[test]
fn a_reset_is_told_to_both_ends_once_after_what_had_come() {
    let mut world = World::new(1);
    let (a, b) = world.connect(Shape::default());
    world.write(a, b"came").unwrap();
    world.advance_to(SECONDS);
    world.write(a, b"lost").unwrap();
    world.cut_at(a, SECONDS + MILLIS, Fault::Reset);
    let happened = world.advance_to(2 * SECONDS);
    assert_eq!(happened, [Happening::Broken(a), Happening::Broken(b)]);
    assert_eq!(world.write(a, b"x"), Err(Broken));
    assert_eq!(read_all(&mut world, b), (b"came".to_vec(), Read::Broken));
    assert_eq!(read_all(&mut world, a), (vec![], Read::Broken));
}

#[test]
fn a_stall_delays_and_loses_nothing() {
    let mut world = World::new(1);
    let (a, b) = world.connect(shape());
    world.stall_between(a, 0, 5 * SECONDS);
    world.advance_to(0);
    world.write(a, b"held").unwrap();
    world.advance_to(4 * SECONDS);
    assert_eq!(world.read(b, 9), Read::Nothing);
    world.advance_to(5 * SECONDS);
    assert_eq!(world.read(b, 9), Read::Bytes(b"held".to_vec()));
}

#[test]
fn timers_are_due_in_order_and_a_cancelled_one_never_is() {
    let mut world = World::new(1);
    let late = world.set_timer(9);
    let gone = world.set_timer(5);
    let soon = world.set_timer(3);
    world.cancel_timer(gone);
    assert_eq!((world.step(), world.now()), (Some(Happening::Timer(soon)), 3));
    assert_eq!((world.step_until(8), world.now()), (None, 8));
    assert_eq!((world.step(), world.now()), (Some(Happening::Timer(late)), 9));
    assert_eq!((world.step(), world.next_at()), (None, None));
}
