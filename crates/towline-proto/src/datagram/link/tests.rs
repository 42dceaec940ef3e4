mod path;

use super::*;
use path::Path;
use towline_sim::PROFILES;

/// How the links by which transports are compared are filled, for people who work on the controller:
/// `cargo test --release -p towline-proto --lib -- --ignored --nocapture how_the_named_links_are_filled`
#[test]
#[ignore = "prints a table, asserts nothing"]
fn how_the_named_links_are_filled() {
    let wanted = std::env::var("TOWLINE_PROFILES").unwrap_or_default();
    for profile in PROFILES.iter().filter(|profile| wanted.is_empty() || wanted.contains(profile.name)) {
        let report = Path::new(profile, 1).run(30);
        println!("{:>4} {report}", profile.name);
    }
}
