use super::*;
use crate::{Ecn, Happening, Rng, World};

#[test]
fn every_named_profile_is_found_by_its_name_and_read_back_from_its_words() {
    for profile in PROFILES {
        assert_eq!(profile.name.parse(), Ok(profile));
        assert_eq!(profile.to_string().parse(), Ok(Profile { name: "custom", ..profile }), "{profile}");
    }
    let words = "rate=100Mbit,rtt=200ms,loss=3%,burst=1,jitter=0ns,reorder=0%/0ns,queue=1bdp";
    assert_eq!(PROFILES[2].to_string(), words);
}

#[test]
fn any_profile_is_read_back_from_its_words() {
    let mut rng = Rng::new(1);
    for _ in 0..2_000 {
        let burst = rng.between(1, 9) as u32;
        let profile = Profile {
            name: "custom",
            rate_bits_per_second: rng.between(1, 10_000_000_000),
            round_trip: rng.below(SECONDS),
            loss: Share::of_one(rng.below(500) as f64 / 1_000.0),
            burst,
            jitter: Jitter { most: rng.below(SECONDS), in_order: rng.chance(500) },
            reorder: Reorder { share: Share::per_million(rng.below(1_000_001) as u32), by: rng.below(SECONDS) },
            queue: match rng.below(3) {
                0 => QueueSize::Packets(rng.below(10_000) as u32),
                1 => QueueSize::Bytes(rng.below(1 << 40)),
                _ => QueueSize::BandwidthDelay(rng.below(5_000) as u32),
            },
        };
        assert_eq!(profile.to_string().parse(), Ok(profile), "{profile}");
    }
}

#[test]
fn words_may_leave_out_what_is_usual_and_change_what_a_name_says() {
    let short: Profile = "rate=10M,rtt=20ms".parse().unwrap();
    assert_eq!(short, plain("custom", 10, 20));
    let changed: Profile = "P3,loss=0%,queue=25p".parse().unwrap();
    let asked = Profile { name: "custom", loss: Share::NONE, queue: QueueSize::Packets(25), ..PROFILES[2] };
    assert_eq!(changed, asked);
}

#[test]
fn what_is_no_link_is_refused_with_what_is_wrong() {
    for (text, why) in [
        ("P10", NoProfile::Unknown("P10".into())),
        ("", NoProfile::Unknown(String::new())),
        ("rate=10Mbit", NoProfile::Missing("rtt")),
        ("rtt=1ms,loss=1%", NoProfile::Missing("rate")),
        ("rate=0Mbit,rtt=1ms", NoProfile::Value("rate", "100Mbit")),
        ("P1,loss=100%", NoProfile::Value("loss", "0.1%")),
        ("P1,burst=0", NoProfile::Value("burst", "4")),
        ("P1,reorder=1%", NoProfile::Value("reorder", "1%/50ms")),
        ("P1,speed=9", NoProfile::Key("speed".into())),
        ("P1,loss=70%,burst=2", NoProfile::Bursts),
    ] {
        assert_eq!(text.parse::<Profile>(), Err(why), "{text}");
    }
}

#[test]
fn a_profiles_conditions_are_half_of_its_round_trip_each_way() {
    let conditions = PROFILES[7].conditions();
    assert_eq!((conditions.delay, conditions.jitter.most), (50 * MILLIS, 25 * MILLIS));
    assert_eq!(PROFILES[2].conditions().queue, Queue::Bytes(2_500_000));
    assert_eq!("P3,queue=0.5bdp".parse::<Profile>().unwrap().conditions().queue, Queue::Bytes(1_250_000));
}

/// What can be reached, in Mbit/s to a digit, from headers and loss.
const CEILINGS: [(&str, f64); 9] = [
    ("P1", 95.5),
    ("P2", 94.6),
    ("P3", 92.7),
    ("P4", 190.9),
    ("P5", 380.2),
    ("P6", 47.3),
    ("P7", 17.2),
    ("P8", 8.6),
    ("P9", 19.1),
];

#[test]
fn the_ceiling_of_each_profile_is_what_headers_and_loss_leave() {
    for (profile, (name, asked)) in PROFILES.iter().zip(CEILINGS) {
        let megabits = ceiling(profile, Packing::ENCRYPTED_DATAGRAM) as f64 / 1e6;
        assert_eq!((profile.name, format!("{megabits:.1}")), (name, format!("{asked:.1}")));
    }
}

/// A sender that knows the link: at exactly its rate, with a new packet for each that is lost. Application bits received in a
/// second, over `seconds` after the first arrival.
fn oracle(profile: &Profile, packing: Packing, seconds: u64, seed: u64) -> f64 {
    let mut world = World::new(seed);
    let (sender, receiver) = (world.node(), world.node());
    let (there, _) = world.join(sender, receiver, profile.conditions());
    let (source, destination) = (world.address(sender, 1), world.address(receiver, 1));
    let packet = vec![0; packing.packet - HEADERS];
    let apart = |number: u64| {
        (u128::from(number) * packing.packet as u128 * 8 * u128::from(SECONDS)
            / u128::from(profile.rate_bits_per_second)) as Nanos
    };
    let end = profile.round_trip + seconds * SECONDS;
    let (mut sent, mut payload) = (0, 0);
    while world.now() < end {
        match world.step_until(apart(sent).min(end)) {
            Some(Happening::Datagram(_)) => {
                let datagram = world.receive(receiver).expect("one arrived");
                payload += if world.now() >= profile.round_trip { packing.payload } else { 0 };
                world.recycle(datagram);
            }
            _ => {
                world.send(sender, source, destination, Ecn::NotCapable, &packet);
                sent += 1;
            }
        }
    }
    assert_eq!(world.counts(there).overflowed, 0, "at the link's own rate nothing waits for long");
    payload as f64 * 8.0 / seconds as f64
}

#[test]
fn a_sender_that_knows_the_link_reaches_the_ceiling_and_nothing_above_it() {
    for seed in 1..3 {
        for profile in PROFILES {
            // Enough packets for the loss to come out.
            let seconds = (200_000_000 / profile.rate_bits_per_second).clamp(1, 20);
            let reached = oracle(&profile, Packing::ENCRYPTED_DATAGRAM, seconds, seed);
            let part = reached / ceiling(&profile, Packing::ENCRYPTED_DATAGRAM) as f64;
            let name = profile.name;
            assert!((0.99..1.01).contains(&part), "seed {seed}, {name}: {:.2} Mbit/s, {part:.4}", reached / 1e6);
        }
    }
}
