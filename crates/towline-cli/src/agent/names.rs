//! Names from the network are data: what a message's name becomes before any file bears it.
//!
//! | in the sender's name | becomes |
//! |---|---|
//! | nothing (empty) | the message's id |
//! | NUL, `/`, `.` or `..` alone, more than 255 bytes | refused: `bad-name` |
//! | control characters, line and paragraph separators, `\` | `_` |
//! | marks that reorder or hide text (bidirectional, zero-width, byte order) | `_` |
//! | a leading `.`, `-`, `~` or space | `_` in its place |
//! | a trailing `.` or space | `_` in its place |
//! | a name that Windows keeps for itself (`CON`, `nul.txt`, `COM1`) | `_` ahead of it |
//! | anything else: spaces, quotes, `;`, `$()`, other scripts | stays as it is |
//!
//! The sender's own spelling stays in the envelope; a rule sees it in `TOWLINE_NAME`.

use std::fmt;
use towline_proto::ids::MessageId;

/// The longest name that Linux file systems take, in bytes (`NAME_MAX`).
pub(crate) const MAX_NAME_BYTES: usize = 255;

/// The longest extension that stays behind the number when a name is taken, in bytes; a longer one is no extension.
const MAX_EXTENSION_BYTES: usize = 32;

/// One component that is safe to create in a folder: no separator, no control character, neither hidden nor an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SafeName(String);

/// Why a name cannot be made a file's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadName {
    /// It contains a NUL byte.
    #[error("the name contains a NUL")]
    Nul,
    /// It is a path, not a name.
    #[error("the name contains a slash")]
    Slash,
    /// `.` or `..`.
    #[error("the name stands for a directory")]
    Dots,
    /// More than [`MAX_NAME_BYTES`].
    #[error("the name is longer than 255 bytes")]
    TooLong,
}

impl SafeName {
    /// Makes the sender's `name` safe, or says why it cannot be; the `id` names what came without a name.
    pub(crate) fn new(name: &str, id: MessageId) -> Result<Self, BadName> {
        if name.is_empty() {
            return Ok(Self(id.to_string()));
        }
        refuse(name)?;
        let mut safe: String = name.chars().map(|c| if misleads(c) { '_' } else { c }).collect();
        if safe.starts_with(['.', '-', '~', ' ']) {
            safe.replace_range(..1, "_");
        }
        if safe.ends_with(['.', ' ']) {
            safe.replace_range(safe.len() - 1.., "_");
        }
        if is_windows_device(&safe) {
            safe.insert(0, '_');
        }
        if safe.len() > MAX_NAME_BYTES { Err(BadName::TooLong) } else { Ok(Self(safe)) }
    }

    /// The name itself.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
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

fn refuse(name: &str) -> Result<(), BadName> {
    if name.contains('\0') {
        Err(BadName::Nul)
    } else if name.contains('/') {
        Err(BadName::Slash)
    } else if name == "." || name == ".." {
        Err(BadName::Dots)
    } else if name.len() > MAX_NAME_BYTES {
        Err(BadName::TooLong)
    } else {
        Ok(())
    }
}

/// Characters that make a name look like another one, span lines, or act as a separator elsewhere.
fn misleads(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\\' | '\u{2028}' | '\u{2029}' // separators
            | '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' // direction, width
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}') // byte order, annotation, tags
}

/// Names that open a device when a Windows machine shares the folder, whatever their extension.
fn is_windows_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end().to_ascii_uppercase();
    let port = |prefix: &str| {
        let rest = stem.strip_prefix(prefix)?;
        (rest.len() == 1 && matches!(rest.as_bytes()[0], b'1'..=b'9')).then_some(())
    };
    matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL") || port("COM").or(port("LPT")).is_some()
}

#[cfg(test)]
mod tests;
