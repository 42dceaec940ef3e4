//! The bar, on a terminal of its own (util-linux' `script` makes one): it counts what the recipient has written, and
//! nothing else.

use crate::support::World;
use crate::support::home::Ran;
use std::process::Command;

/// Large enough that it travels beside its message and takes a few looks at the clock.
const SIZE: usize = 24_000_000;

/// `send` from the office with a terminal; `None`, told by name, where there is no `script`.
fn on_a_terminal(world: &World, args: &str) -> Option<Ran> {
    let send = format!("{} --home {} {args}", crate::support::PROGRAM, world.path("office").display());
    let mut command = Command::new("script");
    command.args(["-q", "-e", "-c", &format!("stty cols 120 rows 40; exec {send}"), "/dev/null"]).env("NO_COLOR", "1");
    if Command::new("script").arg("--version").output().is_err() {
        println!("skipped: progress on a terminal needs util-linux' script");
        return None;
    }
    Some(Ran::to_its_end(&mut command))
}

/// The bytes that each picture of the bar says are written, and the last picture.
fn pictures(shown: &str) -> (Vec<f64>, String) {
    let frames: Vec<&str> = shown.split(['\r', '\n']).filter(|frame| frame.contains(" written  ")).collect();
    let written = frames.iter().map(|frame| {
        let count = frame.rsplit_once("] ").and_then(|(_, rest)| rest.split_once('/')).expect("a count").0;
        let (number, unit) = count.split_once(' ').expect("a number and a unit");
        let factor = ["B", "kB", "MB"].iter().position(|known| *known == unit).expect("a unit");
        number.parse::<f64>().expect("a number") * 1_000f64.powi(factor as i32)
    });
    (written.collect(), frames.last().copied().unwrap_or_default().to_owned())
}

#[test]
fn the_bar_ends_at_all_that_the_recipient_wrote_and_never_goes_back() {
    let world = World::office_and_open_shop();
    let file = world.write("large.bin", vec![7; SIZE]);
    let Some(ran) = on_a_terminal(&world, &format!("send {file} shop: --wait=60s")) else { return };
    let (written, last) = pictures(&ran.stdout);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert!(written.is_sorted() && !written.is_empty(), "{written:?}");
    assert!(last.contains("[==============================] 24.00 MB/24.00 MB written"), "{last}");
}

#[test]
fn the_bar_stands_still_while_only_the_hub_has_the_bytes() {
    let world = World::office_and_shop();
    let file = world.write("large.bin", vec![7; SIZE]);
    let Some(ran) = on_a_terminal(&world, &format!("send {file} shop: --wait=3s")) else { return };
    let (written, last) = pictures(&ran.stdout);
    assert!(ran.exit == Some(6) && ran.stdout.contains("accepted; must start within"), "{ran:?}");
    assert!(!written.is_empty() && written.iter().all(|&bytes| bytes == 0.0), "{last}");
}

#[test]
fn there_is_no_bar_without_a_terminal_and_none_where_it_is_not_wanted() {
    let world = World::office_and_open_shop();
    let file = world.write("large.bin", vec![7; SIZE]);
    let ran = world.ran("office", &["send", &file, "shop:", "--wait=60s"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert!(ran.stderr.lines().all(|line| line.ends_with(" written")) && !ran.stderr.contains(['\r', '[']), "{ran:?}");
    for flag in ["--no-progress", "--quiet"] {
        assert_eq!(world.ran("office", &["send", &file, "shop:", "--wait=60s", flag]).stderr, "", "{flag}");
        let Some(ran) = on_a_terminal(&world, &format!("send {file} shop: --wait=60s {flag}")) else { return };
        assert_eq!(pictures(&ran.stdout).0, Vec::<f64>::new(), "{flag}");
    }
}
