//! docs/coverage.md names only tests that exist.

use super::Source;
use crate::{Faults, root};

pub(super) fn check(sources: &[Source]) -> Faults {
    let Ok(page) = std::fs::read_to_string(root().join("docs/coverage.md")) else { return Faults::new() };
    let exists = |name: &str| sources.iter().any(|source| source.text.contains(&format!("fn {name}(")));
    let missing = test_names(&page).into_iter().filter(|name| !exists(name));
    missing.map(|name| format!("docs/coverage.md: there is no test `{name}`")).collect()
}

/// Words in back-ticks that look like a test's name: lower case, digits and at least two underscores; a path's last part.
fn test_names(page: &str) -> Vec<&str> {
    let quoted = page.split('`').skip(1).step_by(2).map(|word| word.rsplit("::").next().unwrap_or(word));
    let looks_like_a_test = |word: &&str| {
        word.matches('_').count() >= 2
            && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    quoted.filter(looks_like_a_test).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_told_from_other_words_in_back_ticks() {
        let page = "| `a::tests::a_link_joins` and `save_to` and `cargo test` and `p18_no_input_panics` |";
        assert_eq!(test_names(page), ["a_link_joins", "p18_no_input_panics"]);
    }
}
