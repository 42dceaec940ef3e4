//! Runs the tests named `pNN_…` and sets what they reached beside what `docs/promises.md` asks.

use crate::{Faults, cargo, root};
use std::collections::BTreeMap;
use std::process::Stdio;

/// What the tests of a row said.
#[derive(Default, Debug, PartialEq, Eq)]
struct Shown {
    passed: usize,
    failed: Vec<String>,
    left_out: usize,
    reached: Vec<String>,
}

pub(crate) fn run(only: Option<u32>, long: bool) -> Faults {
    let page = root().join("docs/promises.md");
    let Ok(text) = std::fs::read_to_string(&page) else { return vec![format!("{} cannot be read", page.display())] };
    let asked = figures(&text);
    let mut command = cargo();
    command.args(["test", "--workspace", "--no-fail-fast", "--"]);
    match only {
        Some(row) => command.arg(format!("p{row:02}_")),
        None => command.args(asked.keys().map(|row| format!("p{row:02}_"))),
    };
    command.args(["--nocapture", "--test-threads=1"]);
    if long {
        command.arg("--include-ignored");
    }
    let output = match command.stderr(Stdio::inherit()).output() {
        Ok(output) => output,
        Err(error) => return vec![format!("cargo test cannot be run: {error}")],
    };
    let shown = sort(&String::from_utf8_lossy(&output.stdout));
    report(&asked, &shown, only, output.status.success())
}

fn report(asked: &BTreeMap<u32, String>, shown: &BTreeMap<u32, Shown>, only: Option<u32>, ran: bool) -> Faults {
    let mut faults = Vec::new();
    println!("{:>3}  {:<46}  reached", "row", "asked");
    for (row, figure) in asked.iter().filter(|(row, _)| only.is_none_or(|only| only == **row)) {
        let said = match shown.get(row) {
            None => "no test yet".into(),
            Some(shown) => words(shown),
        };
        println!("{row:>3}  {figure:<46}  {said}");
        for test in shown.get(row).into_iter().flat_map(|shown| &shown.failed) {
            faults.push(format!("row {row}: {test} failed"));
        }
    }
    if !ran && faults.is_empty() {
        faults.push("cargo test failed".into());
    }
    faults
}

fn words(shown: &Shown) -> String {
    let mut words = shown.reached.join("; ");
    if words.is_empty() {
        words = format!("{} tests passed", shown.passed);
    }
    if !shown.failed.is_empty() {
        words = format!("FAILED; {words}");
    }
    if shown.left_out > 0 {
        words += &format!(" ({} long ones left out: --long)", shown.left_out);
    }
    words
}

/// Row and figure of each line of the page's tables.
fn figures(page: &str) -> BTreeMap<u32, String> {
    let cells =
        |line: &str| line.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    page.lines()
        .filter(|line| line.starts_with('|'))
        .map(cells)
        .filter_map(|cells| Some((cells.first()?.parse().ok()?, cells.last()?.clone())))
        .collect()
}

/// Sorts what `cargo test` printed by row. With `--nocapture` a test's own words may stand between its name and its result.
fn sort(output: &str) -> BTreeMap<u32, Shown> {
    let mut rows: BTreeMap<u32, Shown> = BTreeMap::new();
    let mut current = None;
    for line in output.lines() {
        let mut rest = line;
        if let Some(named) = line.strip_prefix("test ") {
            let (test, after) = named.split_once(" ... ").unwrap_or((named, ""));
            current = row_of_test(test).map(|row| (row, test.to_owned()));
            rest = after;
        }
        if let Some((row, words)) = reached(rest) {
            rows.entry(row).or_default().reached.push(words.to_owned());
        }
        let Some((row, test)) = &current else { continue };
        let shown = rows.entry(*row).or_default();
        match rest.trim().split(',').next() {
            Some("ok") => shown.passed += 1,
            Some("FAILED") => shown.failed.push(test.clone()),
            Some("ignored") => shown.left_out += 1,
            _ => continue,
        }
        current = None;
    }
    rows
}

/// `p18` of `wire::tests::p18_nothing_panics`.
fn row_of_test(path: &str) -> Option<u32> {
    let name = path.rsplit("::").next()?.strip_prefix('p')?;
    let (number, _) = name.split_once('_')?;
    number.parse().ok()
}

/// Row and words of `p18: reached 100,000 inputs`.
fn reached(line: &str) -> Option<(u32, &str)> {
    let (number, words) = line.trim().strip_prefix('p')?.split_once(": reached ")?;
    Some((number.parse().ok()?, words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_figures_are_read_from_the_page() {
        let page = "| # | promise | figure |\n|---|---|---|\n| 2 | once | 0 lost |\n| 18 | input | 0 crashes |\n";
        assert_eq!(figures(page), BTreeMap::from([(2, "0 lost".into()), (18, "0 crashes".into())]));
    }

    #[test]
    fn results_are_sorted_by_row_whatever_the_tests_print_between() {
        let output = "test a::p18_x ... p18: reached 7 inputs\nok\ntest p02_y ... noise\nFAILED\ntest z ... ok\ntest p18_l ... ignored, long\n";
        let rows = sort(output);
        assert_eq!(rows[&18], Shown { passed: 1, left_out: 1, reached: vec!["7 inputs".into()], ..Shown::default() });
        assert_eq!(rows[&2], Shown { failed: vec!["p02_y".into()], ..Shown::default() });
        assert_eq!(rows.len(), 2);
    }

    #[test]
    fn a_test_whose_name_only_begins_with_p_is_no_rows() {
        assert_eq!(row_of_test("x::ping_works"), None);
        assert_eq!(row_of_test("p31_wrong_key"), Some(31));
    }
}
