//! A strict TOML reader: a key that nobody reads is an error with its line and "did you mean".
//!
//! A file's shape is an ordinary `serde` struct with `#[serde(deny_unknown_fields)]`; this module turns the reader's
//! error into one line that a person can act on: `hub.toml:3: unknown key `lisen`, did you mean `listen`?`

use serde::de::DeserializeOwned;
use std::fmt;
use std::path::{Path, PathBuf};

/// The most single-letter changes between what was typed and what was meant: two catch a swap of neighbours, and a
/// third would suggest unrelated short words.
const MAX_TYPOS: usize = 2;
/// The largest configuration file, in bytes: well above any written by hand, small enough to read at once.
pub const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Why a configuration cannot be used. It is shown as `FILE:LINE: what is wrong`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, or what stands for it (an environment variable, a flag).
    pub source: PathBuf,
    /// The line, from 1; `None` if the error has no place in a file.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What was probably meant.
    pub suggestion: Option<String>,
}

impl ConfigError {
    /// An error about the whole of `source`.
    pub fn new(source: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self { source: source.into(), line: None, message: message.into(), suggestion: None }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.source.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.message)?;
        match &self.suggestion {
            Some(word) => write!(f, ", did you mean `{word}`?"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ConfigError {}

/// Reads a whole file of at most [`MAX_FILE_BYTES`].
///
/// # Errors
/// If it cannot be read, is too large, or is no UTF-8.
pub fn read(path: &Path) -> Result<String, ConfigError> {
    let told = |error: std::io::Error| ConfigError::new(path, format!("cannot be read: {error}"));
    let length = std::fs::metadata(path).map_err(told)?.len();
    if length > MAX_FILE_BYTES {
        return Err(ConfigError::new(
            path,
            format!("has {length} bytes; a configuration has at most {MAX_FILE_BYTES}"),
        ));
    }
    std::fs::read_to_string(path).map_err(told)
}

/// Reads and parses the file at `path`.
///
/// # Errors
/// As [`read`] and [`parse`].
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    parse(path, &read(path)?)
}

/// Parses `text`; `path` only names it in errors. `T` and what it holds should carry `#[serde(deny_unknown_fields)]`.
///
/// # Errors
/// With the line of the first thing that is wrong.
pub fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|error| explain(path, text, &error))
}

fn explain(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let line = error.span().map(|span| line_of(text, span.start));
    let source = path.to_owned();
    let Some(unknown) = Unknown::read(error.message()) else {
        return ConfigError { source, line, message: error.message().trim().replace('\n', "; "), suggestion: None };
    };
    let suggestion = nearest(unknown.word, unknown.known.iter().copied()).map(str::to_owned);
    ConfigError { source, line, message: format!("unknown {} `{}`", unknown.what, unknown.word), suggestion }
}

/// What serde says of a word it does not know: "unknown field `a`, expected one of `b`, `c`".
/// It offers this only as text; `the_words_of_serde_are_understood` notices if it changes.
struct Unknown<'a> {
    what: &'static str,
    word: &'a str,
    known: Vec<&'a str>,
}

impl<'a> Unknown<'a> {
    fn read(message: &'a str) -> Option<Self> {
        let (what, rest) = [("key", "unknown field `"), ("value", "unknown variant `")]
            .into_iter()
            .find_map(|(what, start)| Some((what, message.trim().strip_prefix(start)?)))?;
        let mut quoted = rest.split('`');
        let word = quoted.next()?;
        Some(Self { what, word, known: quoted.skip(1).step_by(2).collect() })
    }
}

/// The line, from 1, on which byte `at` of `text` stands.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    let end = at.min(text.len());
    text.as_bytes()[..end].iter().filter(|&&byte| byte == b'\n').count() + 1
}

/// Which of `known` was probably meant by `typed`: the nearest within two typos, or one that `typed` begins or is begun by.
pub fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let same_start = |word: &str| typed.len() >= 3 && (word.starts_with(typed) || typed.starts_with(word));
    known
        .map(|word| (if same_start(word) { 1 } else { distance(typed, word) }, word))
        .filter(|&(typos, word)| typos <= MAX_TYPOS && typos < word.chars().count())
        .min_by_key(|&(typos, _)| typos)
        .map(|(_, word)| word)
}

/// Levenshtein's distance: how many single letters to add, drop or change.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in b.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests;
