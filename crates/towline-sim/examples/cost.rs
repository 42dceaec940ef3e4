//! What a simulated packet costs: 30 s of 100 Mbit/s with an acknowledgement for each packet, on the machine this runs on.
//!
//! `cargo run --release -p towline-sim --example cost`, or with a link: `… --example cost P3`.

use std::time::Instant;
use towline_sim::{Ecn, HEADERS, Happening, PROFILES, Profile, SECONDS, World};

const SIMULATED_SECONDS: u64 = 30;
const PACKET: usize = 1_500;
const ACK: usize = 40;

fn main() {
    let profile: Profile = match std::env::args().nth(1).map(|text| text.parse()) {
        None => PROFILES[0],
        Some(Ok(profile)) => profile,
        Some(Err(why)) => {
            eprintln!("{why}");
            std::process::exit(2)
        }
    };
    let begun = Instant::now();
    let packets = run(&profile);
    let took = begun.elapsed();
    println!(
        "{SIMULATED_SECONDS} s of {profile}: {packets} packets offered in {:.2} s, {:.0} ns each",
        took.as_secs_f64(),
        took.as_nanos() as f64 / packets as f64,
    );
}

/// Sends at the link's rate and answers what arrives; how many packets were offered, both ways.
fn run(profile: &Profile) -> u64 {
    let mut world = World::new(1);
    let (sender, receiver) = (world.node(), world.node());
    let (there, back) = world.join(sender, receiver, profile.conditions());
    let (source, destination) = (world.address(sender, 1), world.address(receiver, 1));
    let (data, ack) = (vec![0; PACKET - HEADERS], [0; ACK]);
    let apart = PACKET as u64 * 8 * SECONDS / profile.rate_bits_per_second;
    let mut next = 0;
    while world.now() < SIMULATED_SECONDS * SECONDS {
        match world.step_until(next) {
            Some(Happening::Datagram(node)) => {
                let Some(datagram) = world.receive(node) else { continue };
                if node == receiver {
                    world.send(receiver, destination, datagram.source, Ecn::NotCapable, &ack);
                }
                world.recycle(datagram);
            }
            _ => {
                world.send(sender, source, destination, Ecn::NotCapable, &data);
                next += apart;
            }
        }
    }
    world.counts(there).offered + world.counts(back).offered
}
