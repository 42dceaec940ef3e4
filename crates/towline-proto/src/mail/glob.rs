//! Patterns with `*` and `?`, the same in the hub's policy and in an agent's rules.

/// Whether `pattern` matches the whole of `text`: `*` stands for any number of characters, `?` for one.
///
/// It takes at most `pattern × text` steps: after a mismatch only the newest `*` is tried again, one character further.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    // The pattern after the newest `*`, and the text that this `*` has not swallowed yet.
    let mut retry: Option<(&str, &str)> = None;
    loop {
        let mut wanted = pattern.chars();
        let mut given = text.chars();
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                pattern = wanted.as_str();
                retry = Some((pattern, text));
                continue;
            }
            (Some(want), Some(have)) if want == '?' || want == have => {
                (pattern, text) = (wanted.as_str(), given.as_str());
                continue;
            }
            _ => {}
        }
        let Some((after_star, unswallowed)) = retry else { return false };
        let mut rest = unswallowed.chars();
        if rest.next().is_none() {
            return false;
        }
        (pattern, text) = (after_star, rest.as_str());
        retry = Some((after_star, rest.as_str()));
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_and_question_marks_match_as_in_a_shell() {
        for (pattern, text) in [
            ("", ""),
            ("*", ""),
            ("*", "anything"),
            ("*.xml", "a.b.xml"),
            ("a*b*c", "a-b-b-c"),
            ("?", "ä"),
            ("k*-?", "kitchen-7"),
            ("**", "x"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("?", ""), ("*.xml", "a.xmlx"), ("a*b", "ac"), ("a", "A"), ("?", "ab")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_pattern_made_to_be_slow_is_not() {
        let text = "a".repeat(1_000);
        assert!(!matches(&format!("{}b", "*a".repeat(100)), &text));
    }
}
