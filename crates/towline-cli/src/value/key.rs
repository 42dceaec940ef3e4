//! A device's key as typed: the text that `config show`, `device ls` and `who --json` print, or a file that holds it.

use std::str::FromStr;
use towline_proto::ids::KeyHash;

/// The largest file that is read for a key, in bytes: one key and some space around it.
const FILE_MAX_BYTES: u64 = 1_024;

/// A device's key, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(pub(crate) KeyHash);

/// Text that is no key and no file that holds one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is neither a key (52 letters and digits, as `towline config show` on the device prints it) nor a file that holds one"
)]
pub(crate) struct NotAKey(String);

impl FromStr for Key {
    type Err = NotAKey;
    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let written = text.parse().ok().or_else(|| in_file(text));
        written.map(Self).ok_or_else(|| NotAKey(text.into()))
    }
}

fn in_file(path: &str) -> Option<KeyHash> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path).ok()?.take(FILE_MAX_BYTES).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_text_or_from_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let (key, path) = (KeyHash([7; 32]), dir.path().join("shop.key"));
        std::fs::write(&path, format!("{key}\n")).unwrap();
        assert_eq!(key.to_string().parse(), Ok(Key(key)));
        assert_eq!(path.to_str().unwrap().parse(), Ok(Key(key)));
        std::fs::write(&path, "something else").unwrap();
        assert!(path.to_str().unwrap().parse::<Key>().is_err() && "shop".parse::<Key>().is_err());
    }
}
