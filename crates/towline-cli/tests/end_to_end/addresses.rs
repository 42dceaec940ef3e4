//! The hub's address changes while a device looks for it: names are asked anew on each try.

use crate::support::{World, until};
use std::process::Command;

/// Gives a command an `/etc/hosts` of its own: the file that is its first argument.
const OWN_HOSTS: &str = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";
/// A name that only that file knows.
const NAME: &str = "hub.towline.test";

fn own_hosts(file: &str) -> Vec<String> {
    ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", OWN_HOSTS, file].map(str::to_owned).to_vec()
}

#[test]
fn a_hub_whose_name_gets_another_address_between_two_tries_is_found() {
    let mut world = World::office_and_shop();
    // Nobody listens on this address of the loopback network.
    let hosts = world.write("hosts", format!("127.0.0.77 {NAME}\n"));
    let wrapper = own_hosts(&hosts);
    if !Command::new(&wrapper[0]).args(&wrapper[1..]).arg("true").output().is_ok_and(|ran| ran.status.success()) {
        println!("skipped: an /etc/hosts of one's own needs mount namespaces");
        return;
    }
    let joined = std::fs::read_to_string(world.device("shop").join("device.toml")).expect("joined");
    let known = joined.replace("127.0.0.1:", &format!("{NAME}:"));
    assert_ne!(known, joined);
    world.write("shop/device/device.toml", known);
    world.wrapped.insert("shop".into(), wrapper);
    world.start_agent("shop");
    until("a try at the old address fails", || world.log("shop").contains("127.0.0.77"));
    // Written in place: the mounted file is this one.
    world.write("hosts", format!("127.0.0.1 {NAME}\n"));
    until("the shop is online", || world.ran("office", &["who", "shop"]).exit == Some(0));
}
