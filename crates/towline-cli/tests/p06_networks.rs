//! Devices on networks as they are: behind a NAT without inbound, cut off without a word, on a changed address.

mod support;

use std::time::{Duration, Instant};
use support::net::{self, Net};
use support::{World, until};

/// A hub and an office in one network, a shop in another, with a router in between; or why this machine cannot.
fn world(net: &Net) -> World {
    let mut world = World::new();
    world.hub_host = net::HUB.into();
    world.wrapped = [("hub", net.at_hub()), ("office", net.at_hub()), ("shop", net.at_device())]
        .map(|(who, words)| (who.to_owned(), words))
        .into();
    world.start_hub();
    world.join("office");
    world.join("shop");
    world.start_agent("shop");
    world.until_online("shop");
    world
}

/// A message that must be handled; it stands in the shop's inbox under `name` then.
fn deliver(world: &World, name: &str) {
    world.ask("office", &["send", "--text", name, "--name", name, "--to", "shop", "--wait", "--deadline", "1m"]);
    assert_eq!(std::fs::read_to_string(world.device("shop").join("inbox").join(name)).unwrap(), name);
}

#[test]
fn p06_a_device_cut_off_without_a_fin_is_offline_within_fifteen_seconds_and_comes_back_by_itself() {
    let net = match Net::build() {
        Ok(net) => net,
        Err(why) => return println!("p06: skipped, {why}"),
    };
    let world = world(&net);
    deliver(&world, "before.txt");
    assert!(net.forward(false));
    let cut = Instant::now();
    until("the hub calls the device offline", || world.run("office", ["who", "shop"]).status.code() == Some(6));
    let noticed = cut.elapsed();
    assert!(noticed < Duration::from_secs(17), "noticed after {noticed:?}");
    let output = world.run("office", ["send", "--text", "late", "--to", "shop", "--deadline", "5s", "--wait"]);
    assert_eq!(output.status.code(), Some(7), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("offline since"), "{told}");
    assert!(net.forward(true));
    until("the device is back", || world.run("office", ["who", "shop"]).status.success());
    deliver(&world, "after.txt");
    println!("p06: reached offline {:.1} s after the cut", noticed.as_secs_f64());
}

#[test]
fn a_device_behind_a_nat_without_inbound_is_reached_and_on_a_changed_address_again() {
    let net = match Net::build().and_then(|net| net.translate().map(|()| net)) {
        Ok(net) => net,
        Err(why) => return println!("skipped, {why}"),
    };
    let world = world(&net);
    deliver(&world, "behind-a-nat.txt");
    assert!(net.move_device());
    let moved = Instant::now();
    deliver(&world, "on-a-changed-address.txt");
    println!("reached on a changed address {:.1} s after the change", moved.elapsed().as_secs_f64());
}
