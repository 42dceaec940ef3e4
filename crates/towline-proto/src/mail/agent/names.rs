//! Names from the network are data: the one file name that a message may get.

use crate::ids::MessageId;

/// The longest file name that is placed, in bytes: room is left below the file systems' 255 for the number that a
/// taken name gets.
pub const MAX_FILE_NAME_LEN: usize = 240;

/// Why a name cannot become a file name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// It has a `/`, a `\` or a NUL in it.
    #[error("the name has a path separator or NUL in it")]
    Separator,
    /// It is `.` or `..`.
    #[error("the name means a directory")]
    Directory,
    /// It is longer than [`MAX_FILE_NAME_LEN`].
    #[error("the name is longer than 240 bytes")]
    TooLong,
}

/// The file name for a message: its own where that is safe, with what a terminal or an old program would misread
/// replaced by `_`; the message's id if it has none.
///
/// Refused: separators, NUL, `.` and `..`, over-long ones. Replaced: control characters, marks that turn the direction
/// of writing, a leading dot or `-`, spaces and dots at the end; a reserved device name of another system gets a `_`.
///
/// # Errors
/// [`BadName`].
pub fn file_name(name: &str, id: MessageId) -> Result<String, BadName> {
    if name.is_empty() {
        return Ok(id.to_string());
    }
    if name.contains(['/', '\\', '\0']) {
        return Err(BadName::Separator);
    }
    if name == "." || name == ".." {
        return Err(BadName::Directory);
    }
    let mut safe: String = name.chars().map(|c| if is_misread(c) { '_' } else { c }).collect();
    if safe.starts_with(['.', '-']) {
        safe.replace_range(..1, "_");
    }
    if safe.ends_with(['.', ' ']) {
        safe.pop();
        safe.push('_');
    }
    if is_reserved(&safe) {
        safe.insert(0, '_');
    }
    if safe.len() > MAX_FILE_NAME_LEN { Err(BadName::TooLong) } else { Ok(safe) }
}

/// Control characters, and those that change the direction of writing or are not seen at all.
fn is_misread(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{061c}' | '\u{feff}')
}

/// Names that mean a device elsewhere, with any extension.
fn is_reserved(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_lowercase();
    let numbered = |prefix: &str| {
        stem.strip_prefix(prefix).is_some_and(|rest| rest.len() == 1 && rest.as_bytes()[0].is_ascii_digit())
    };
    matches!(stem.as_str(), "con" | "prn" | "aux" | "nul") || numbered("com") || numbered("lpt")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: MessageId = MessageId([7; 16]);

    #[test]
    fn p27_every_bad_name_is_refused_or_made_safe() {
        for (name, want) in [
            ("../x", Err(BadName::Separator)),
            ("/etc/x", Err(BadName::Separator)),
            ("..\\x", Err(BadName::Separator)),
            ("a\0b", Err(BadName::Separator)),
            (".", Err(BadName::Directory)),
            ("..", Err(BadName::Directory)),
            (".profile", Ok("_profile")),
            ("...", Ok("_._")),
            ("-rf", Ok("_rf")),
            ("CON", Ok("_CON")),
            ("lpt1.txt", Ok("_lpt1.txt")),
            ("console", Ok("console")),
            ("a\nb\x1b[31m", Ok("a_b_[31m")),
            ("cod\u{202e}fdp.exe", Ok("cod_fdp.exe")),
            ("name. ", Ok("name._")),
            ("two words 'and' \"quotes\".xml", Ok("two words 'and' \"quotes\".xml")),
            ("größe €.csv", Ok("größe €.csv")),
        ] {
            assert_eq!(file_name(name, ID).as_deref(), want.as_deref(), "{name:?}");
        }
        assert_eq!(file_name(&"x".repeat(240), ID).map(|name| name.len()), Ok(240));
        assert_eq!(file_name(&"x".repeat(241), ID), Err(BadName::TooLong));
        assert_eq!(file_name("", ID), Ok(ID.to_string()));
        println!("p27: reached every name of the corpus refused or mapped to one safe component");
    }

    proptest! {
        #[test]
        fn p27_no_name_leaves_its_folder(name in any::<String>()) {
            if let Ok(safe) = file_name(&name, ID) {
                prop_assert!(!safe.is_empty() && safe.len() <= MAX_FILE_NAME_LEN);
                prop_assert!(!safe.contains(['/', '\\', '\0']) && !safe.starts_with(['.', '-']));
                prop_assert!(!safe.chars().any(is_misread));
                prop_assert_eq!(file_name(&safe, ID), Ok(safe.clone()));
            }
        }
    }
}
