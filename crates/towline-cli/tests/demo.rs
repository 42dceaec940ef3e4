//! The README's first command: it passes, and notices every single thing that it can be asked to break.

mod support;

use support::home::{Home, Ran};

fn demo(args: &[&str]) -> Ran {
    Home::new().run(&[&["demo", "--json", "--size=4MB"], args].concat())
}

fn problems(ran: &Ran) -> Vec<String> {
    let report = ran.json();
    let rows = report["rows"].as_array().unwrap_or_else(|| panic!("no rows: {ran:?}"));
    let of_rows = rows.iter().filter_map(|row| row["problem"].as_str());
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

/// What differs from run to run, and with the large file's size, in names of its own.
fn normal(line: &str, dir: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in line.replace(dir, "DIR").split_whitespace() {
        let is_time = word.len() == 20 && word.ends_with('Z') && word.starts_with("20");
        let letters = word.trim_start_matches(|c: char| c.is_ascii_digit());
        let is_span = letters.len() < word.len() && ["ms", "s"].contains(&letters);
        words.push(match word {
            word if word.starts_with("m_") => "ID".into(),
            word if word.starts_with("127.0.0.1:") => "ADDRESS".into(),
            _ if is_time => "TIME".into(),
            _ if is_span && words.first().is_none_or(|first| first != "$") => "SPAN".into(),
            word => word.into(),
        });
    }
    let text = words.join(" ");
    let text = text.replace("4 MB", "SIZE").replace("256 MB", "SIZE");
    match text.split_once(" of 60 notes were") {
        Some((_, rest)) => format!("the hub is dead; N of 60 notes were{rest}"),
        None => text,
    }
}

#[test]
fn the_readme_shows_what_a_real_run_prints() {
    let readme = include_str!("../../../README.md");
    let shown = readme.split("```text\n").nth(1).and_then(|rest| rest.split("```").next()).expect("the output");
    let is_bar = |line: &&str| line.contains(" written  ");
    assert_eq!(shown.lines().filter(is_bar).count(), 1, "the bar of the large file");
    let ran = Home::new().run(&["demo", "--size=4MB"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    let dir = ran.stdout.split_once("processes of their own in ").and_then(|(_, rest)| rest.split_once(".\n"));
    let dir = dir.expect("the demo says where it plays").0;
    let printed: Vec<String> =
        ran.stdout.lines().map(|line| normal(line, dir)).filter(|line| !line.is_empty()).collect();
    let due: Vec<String> = shown
        .lines()
        .filter(|line| !is_bar(line))
        .map(|line| normal(line, "DIR"))
        .filter(|line| !line.is_empty())
        .collect();
    let end = printed.len().checked_sub(due.len()).map(|from| printed[from..].to_vec());
    assert_eq!(end, Some(due), "the README's output is not the end of the demo's");
}
