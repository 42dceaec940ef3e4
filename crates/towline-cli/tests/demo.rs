//! The README's first command: it passes, and notices every single thing that it can be asked to break.

mod support;

use support::home::{Home, Ran};

fn demo(args: &[&str]) -> Ran {
    Home::new().run(&[&["demo", "--json", "--size=4MB"], args].concat())
}

fn problems(ran: &Ran) -> Vec<String> {
    let report = ran.json();
    let of_rows = report["rows"].as_array().expect("rows").iter().filter_map(|row| row["problem"].as_str());
    let others = report["problems"].as_array().expect("problems").iter().filter_map(|problem| problem.as_str());
    of_rows.chain(others).map(str::to_owned).collect()
}

#[test]
fn the_demo_passes_with_every_outcome_as_it_should_be() {
    let ran = demo(&[]);
    assert_eq!((ran.exit, problems(&ran)), (Some(0), Vec::new()), "{}", ran.stderr);
    let rows = ran.json()["rows"].clone();
    let outcomes: Vec<&str> = rows.as_array().expect("rows").iter().filter_map(|row| row["outcome"].as_str()).collect();
    assert!(outcomes.contains(&"failed: handler exit 3"), "{outcomes:?}");
    assert!(outcomes.iter().any(|outcome| outcome.starts_with("expired: offline since ")), "{outcomes:?}");
}

/// The demo with this fault says so, in these words, and ends with 1.
fn notices(fault: &str, words: &str) {
    let ran = demo(&["--fault", fault]);
    assert_eq!(ran.exit, Some(1), "{fault}: {}", ran.stderr);
    let problems = problems(&ran);
    assert!(problems.iter().any(|problem| problem.contains(words)), "{fault}: {problems:?}");
}

#[test]
fn a_changed_byte_is_noticed() {
    notices("corrupt", "is not what was sent");
}

#[test]
fn a_missing_agent_is_noticed() {
    notices("no-agent", "did not arrive");
}

#[test]
fn another_exit_code_of_the_handler_is_noticed() {
    notices("wrong-exit", "`failed: handler exit 3` was due");
}

#[test]
fn a_store_lost_in_the_crash_is_noticed() {
    notices("lost-after-kill", "lost");
}

#[test]
fn a_doubled_run_is_noticed() {
    notices("doubled", "more than once");
}

#[test]
fn a_device_that_goes_on_is_noticed() {
    notices("not-stopped", "was due");
}
