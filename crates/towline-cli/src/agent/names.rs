//! File names in a folder: one component, and the next one where it is taken.
//!
//! What a sender's name becomes is decided by the core (`towline_proto::mail::agent::names`). Here its answer is checked
//! once more at the place where a file is made, because everything after this line trusts it.

use std::fmt;

/// The longest name that Linux file systems take, in bytes (`NAME_MAX`).
pub(crate) const MAX_NAME_BYTES: usize = 255;

/// The longest extension that stays behind the number when a name is taken, in bytes; a longer one is no extension.
const MAX_EXTENSION_BYTES: usize = 32;

/// One component that is neither hidden nor an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SafeName(String);

/// A name that is no safe component. It never comes from the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a safe file name")]
pub(crate) struct UnsafeName;

impl SafeName {
    /// Takes a name that is one visible component.
    pub(crate) fn new(name: &str) -> Result<Self, UnsafeName> {
        let fits = !name.is_empty() && name.len() <= MAX_NAME_BYTES;
        let safe = fits && !name.contains(['/', '\0']) && !name.starts_with(['.', '-']);
        if safe { Ok(Self(name.to_owned())) } else { Err(UnsafeName) }
    }

    /// The name for the `n`-th file of this name: `order.xml`, `order (2).xml`, …; shortened where it would be too long.
    pub(crate) fn numbered(&self, n: u32) -> String {
        if n <= 1 { self.0.clone() } else { self.marked(&n.to_string()) }
    }

    /// The name with `mark` in brackets ahead of its extension.
    pub(crate) fn marked(&self, mark: &str) -> String {
        let (stem, extension) = self.split();
        let room = MAX_NAME_BYTES - extension.len() - mark.len() - " ()".len();
        let end = (0..=room.min(stem.len())).rev().find(|&at| stem.is_char_boundary(at)).unwrap_or(0);
        format!("{} ({mark}){extension}", &stem[..end])
    }

    fn split(&self) -> (&str, &str) {
        match self.0.rfind('.') {
            Some(dot) if dot > 0 && self.0.len() - dot <= MAX_EXTENSION_BYTES => self.0.split_at(dot),
            _ => (&self.0, ""),
        }
    }
}

impl fmt::Display for SafeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_taken_name_is_numbered_ahead_of_its_extension() {
        let name = SafeName::new("order.xml").unwrap();
        assert_eq!([1, 2, 17].map(|n| name.numbered(n)), ["order.xml", "order (2).xml", "order (17).xml"]);
        assert_eq!(SafeName::new("README").unwrap().numbered(2), "README (2)");
        let long = SafeName::new(&format!("{}.xml", "ä".repeat(125))).unwrap().numbered(2);
        assert!(long.len() <= MAX_NAME_BYTES && long.ends_with("ä (2).xml"), "{long}");
    }

    proptest! {
        #[test]
        fn p27_a_name_that_passes_is_one_component_at_every_number(name in "[a-c./\\-\u{0}ä ]{0,6}|[x.]{230,260}") {
            if let Ok(safe) = SafeName::new(&name) {
                for text in [safe.numbered(1), safe.numbered(2), safe.numbered(1_000), safe.marked(&"m".repeat(28))] {
                    prop_assert!(text.len() <= MAX_NAME_BYTES);
                    let mut components = std::path::Path::new(&text).components();
                    prop_assert!(matches!(components.next(), Some(std::path::Component::Normal(_))));
                    prop_assert!(components.next().is_none());
                }
            }
        }
    }
}
