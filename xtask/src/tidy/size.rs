//! No file grows past what one can keep in mind. What is above the limit already is listed, and may only shrink.

use super::Source;
use crate::Faults;

/// The most lines of a file without its tests.
const MAX_LINES: usize = 700;

/// Files above the limit, each with the lines it may have: lower the number when the file shrinks, never raise it.
const KNOWN: &[(&str, usize)] = &[];

pub(super) fn check(sources: &[Source]) -> Faults {
    let mut faults = Vec::new();
    for source in sources.iter().filter(|source| !source.is_test()) {
        let lines = source.code_lines().count();
        let known = KNOWN.iter().find(|(path, _)| *path == source.path).map(|(_, lines)| *lines);
        match known {
            Some(allowed) if lines > allowed => faults.push(format!("{}: {lines} lines, was {allowed}", source.path)),
            Some(allowed) if lines + 20 < allowed => {
                faults.push(format!("{}: shrunk to {lines} lines: lower its number in tidy/size.rs", source.path));
            }
            None if lines > MAX_LINES => {
                faults.push(format!("{}: {lines} lines, over {MAX_LINES}: split it", source.path))
            }
            _ => {}
        }
    }
    for (path, _) in KNOWN.iter().filter(|(path, _)| sources.iter().all(|source| source.path != *path)) {
        faults.push(format!("{path} is gone: take it out of tidy/size.rs"));
    }
    faults
}
