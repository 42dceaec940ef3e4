//! Inside towline-proto a file imports only from its own level or below.

use super::Source;
use crate::Faults;

const CORE: &str = "crates/towline-proto/src/";

/// Modules by level, in tenths: `link` stands between the frames it names and the links that use it. What is not named here
/// is level 0; `mail` may use level 0 only, besides itself.
const LEVELS: &[(&str, u8)] = &[
    ("wire", 10),
    ("link", 15),
    ("datagram", 20),
    ("stream_link", 20),
    ("session", 30),
    ("message", 40),
    ("call", 40),
    ("body", 40),
    ("mail", 50),
];

pub(super) fn check(sources: &[Source]) -> Faults {
    let mut faults = Vec::new();
    for source in sources.iter().filter(|source| source.path.starts_with(CORE) && !source.is_test()) {
        let own = module(&source.path[CORE.len()..]);
        for (at, line) in source.bare_lines() {
            for used in line.match_indices("crate::").map(|(start, word)| first_word(&line[start + word.len()..])) {
                if own != "lib" && !allowed(own, used) {
                    faults.push(format!("{}:{at}: `{own}` must not use `{used}`", source.path));
                }
            }
        }
    }
    faults
}

fn allowed(own: &str, used: &str) -> bool {
    let (own_level, used_level) = (level(own), level(used));
    own == used
        || if own == "mail" {
            used_level == 0
        } else {
            used_level < own_level || own_level == used_level && own_level == 0
        }
}

fn level(module: &str) -> u8 {
    LEVELS.iter().find(|(name, _)| *name == module).map_or(0, |(_, level)| *level)
}

fn module(path: &str) -> &str {
    first_word(path)
}

fn first_word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_run_downwards_only() {
        assert!(
            allowed("session", "wire")
                && allowed("wire", "limits")
                && allowed("mail", "ids")
                && allowed("ring", "limits")
        );
        assert!(!allowed("wire", "session") && !allowed("limits", "wire") && !allowed("mail", "wire"));
    }
}
