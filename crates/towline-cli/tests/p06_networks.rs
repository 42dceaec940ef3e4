//! Devices on networks as they are: behind a NAT without inbound, cut off without a word, on a changed address.

mod support;

use std::time::{Duration, Instant};
use support::net::{self, Net};
use support::{World, long, setting, until};

/// What a busy machine may add to a time of the promises until a test has seen it.
const SLACK: Duration = Duration::from_secs(2);

/// A hub and an office in one network, a shop in another, with a router in between; or why this machine cannot.
fn world(net: &Net) -> World {
    tuned_world(net, &[], &[])
}

/// The same with more arguments for the hub and for the shop's agent. Both log what becomes of links.
fn tuned_world(net: &Net, hub: &[&str], agent: &[&str]) -> World {
    let mut world = World::new();
    let words = |words: &[&str]| {
        [&["--log=info,towline=debug"], words].concat().iter().map(|word| word.to_string()).collect::<Vec<_>>()
    };
    world.hub_args.extend(words(hub));
    world.agent_args.extend(words(agent));
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

/// How many links the shop has lost, by whatever reason.
fn lost_links(world: &World) -> usize {
    world.log("shop").matches("link over").count()
}

/// How many links the hub has called dead.
fn called_dead(world: &World) -> usize {
    world.log("hub").matches("reason=no word from the peer").count()
}

/// Cuts the shop off without a FIN, and says how long it took until the hub called it offline.
fn cut_off(world: &World, net: &Net) -> Duration {
    assert!(net.forward(false));
    let cut = Instant::now();
    until("the hub calls the device offline", || world.run("office", ["who", "shop"]).status.code() == Some(6));
    cut.elapsed()
}

#[test]
fn p06_a_device_cut_off_without_a_fin_is_offline_within_fifteen_seconds_and_comes_back_by_itself() {
    let net = match Net::build() {
        Ok(net) => net,
        Err(why) => return println!("p06: skipped, {why}"),
    };
    let world = world(&net);
    deliver(&world, "before.txt");
    let noticed = cut_off(&world, &net);
    assert!(noticed < Duration::from_secs(15) + SLACK, "noticed after {noticed:?}");
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
fn p06_with_probes_every_second_a_device_cut_off_is_offline_within_three_seconds() {
    let net = match Net::build() {
        Ok(net) => net,
        Err(why) => return println!("p06: skipped, {why}"),
    };
    let world = tuned_world(&net, &["--set", "probe_period=1s"], &[]);
    deliver(&world, "before.txt");
    let noticed = cut_off(&world, &net);
    assert!(noticed < Duration::from_secs(3) + SLACK, "noticed after {noticed:?}");
    println!("p06: reached offline {:.1} s after the cut with probes every second", noticed.as_secs_f64());
}

/// 20 s of loss; an hour with `TOWLINE_TEST_LONG`, or what `TOWLINE_LOSS_SECONDS` says.
#[test]
fn p06_no_link_is_taken_for_dead_while_a_tenth_of_all_packets_is_lost() {
    let net = match Net::build().and_then(|net| net.lose(10).map(|()| net)) {
        Ok(net) => net,
        Err(why) => return println!("p06: skipped, {why}"),
    };
    let world = world(&net);
    deliver(&world, "at-the-beginning.txt");
    let seconds = setting("TOWLINE_LOSS_SECONDS", if long() { 3_600 } else { 20 });
    std::thread::sleep(Duration::from_secs(seconds as u64));
    deliver(&world, "at-the-end.txt");
    let (false_alarms, lost) = (called_dead(&world) + lost_links(&world), net.lost());
    // That a death would have been seen.
    cut_off(&world, &net);
    assert!(called_dead(&world) > 0, "a death is not seen in the log");
    assert_eq!(false_alarms, 0, "in {seconds} s, with {lost} packets lost");
    assert!(lost > 0, "nothing was lost");
    println!("p06: reached 0 false alarms in {seconds} s at 10 % loss ({lost} packets lost)");
}

/// Two and a half times what the NAT remembers; ten minutes with `TOWLINE_TEST_LONG`.
#[test]
fn an_idle_device_stays_reachable_through_a_nat_that_forgets_and_one_that_does_not_probe_is_forgotten() {
    let memory = Duration::from_secs(if long() { 60 } else { 10 });
    let net = Net::build().and_then(|net| net.translate().and_then(|()| net.forget_after(memory)).map(|()| net));
    let net = match net {
        Ok(net) => net,
        Err(why) => return println!("skipped, {why}"),
    };
    // Only the devices probe, so that each keeps its own connection or does not.
    let mut world = tuned_world(&net, &["--set", "probe_period=5m"], &[]);
    world.wrapped.insert("quiet".into(), net.at_device());
    world.join("quiet");
    world.agent_args.extend(["--set", "probe_period=5m"].map(str::to_owned));
    world.start_agent("quiet");
    world.until_online("quiet");
    let idle = if long() { memory * 10 } else { memory * 5 / 2 };
    std::thread::sleep(idle);
    deliver(&world, "after-a-silence.txt");
    assert_eq!(lost_links(&world), 0, "the idle link was lost");
    let forgotten = world.run("office", ["send", "--text", "?", "--to", "quiet", "--deadline", "3s", "--wait"]);
    assert_eq!(forgotten.status.code(), Some(7), "a NAT that forgets nothing shows nothing: {forgotten:?}");
    println!("idle for {idle:?} through a NAT that forgets after {memory:?}, and reached on the same link");
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
    let took = moved.elapsed();
    println!("reached on a changed address {:.1} s after the change", took.as_secs_f64());
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn a_link_is_kept_until_the_hub_answers_on_the_new_address() {
    let net = match Net::build() {
        Ok(net) if net.block_second_address(true) => net,
        Ok(_) => return println!("skipped, packets cannot be filtered here (needs nftables)"),
        Err(why) => return println!("skipped, {why}"),
    };
    let world = world(&net);
    assert!(net.prefer_second_address());
    // Several looks at the own address, and a try from the new one that goes nowhere.
    std::thread::sleep(Duration::from_secs(4));
    deliver(&world, "on-the-old-link.txt");
    assert_eq!(lost_links(&world), 0, "the living link was given up for one that does not work");
    assert!(net.block_second_address(false));
    until("the session moves", || world.log("shop").contains("from=198.51.100.1 to=198.51.100.3"));
    deliver(&world, "on-the-new-link.txt");
}
