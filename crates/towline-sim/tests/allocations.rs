//! Steady traffic of datagrams allocates nothing.

use towline_sim::{Ecn, Happening, PROFILES, World};

#[test]
fn a_datagram_costs_no_allocation_in_steady_state() {
    let mut world = World::new(1);
    let (one, other) = (world.node(), world.node());
    world.join(one, other, PROFILES[0].conditions());
    let (source, destination) = (world.address(one, 1), world.address(other, 1));
    let mut turn = |packets: u64| {
        for _ in 0..packets {
            world.send(one, source, destination, Ecn::NotCapable, &[0; 1_200]);
            let next = world.now() + 120_000;
            while let Some(Happening::Datagram(node)) = world.step_until(next) {
                let datagram = world.receive(node).expect("one arrived");
                if node == other {
                    world.send(other, destination, source, Ecn::NotCapable, &datagram.bytes[..40]);
                }
                world.recycle(datagram);
            }
        }
    };
    turn(5_000);
    let counted = allocation_counter::measure(|| turn(5_000));
    assert_eq!(counted.count_total, 0, "{counted:?}");
}
