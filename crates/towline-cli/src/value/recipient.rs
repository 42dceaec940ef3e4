//! Who is meant on `send`'s command line: `DEVICE:` as in scp, `@GROUP`, or a bare last word that is no file.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::str::FromStr;
use towline_proto::ids::DeviceName;

/// One recipient as typed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Recipient {
    /// One device.
    Device(DeviceName),
    /// Every device of a group that the sender may send to.
    Group(String),
}

/// Text that names no recipient.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither a device name (1 to 63 of a-z 0-9 - _ .) nor a group (@ and such a name)")]
pub(crate) struct NotARecipient(String);

impl FromStr for Recipient {
    type Err = NotARecipient;
    /// Reads `DEVICE`, `DEVICE:`, `@GROUP` and `@GROUP:`.
    fn from_str(text: &str) -> Result<Self, NotARecipient> {
        let name = text.strip_suffix(':').unwrap_or(text);
        let bare = name.strip_prefix('@').unwrap_or(name);
        let device: DeviceName = bare.parse().map_err(|_| NotARecipient(text.into()))?;
        Ok(if name.len() == bare.len() { Self::Device(device) } else { Self::Group(bare.into()) })
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(name) => write!(f, "{name}:"),
            Self::Group(name) => write!(f, "@{name}"),
        }
    }
}

/// One thing to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A file by its path.
    File(OsString),
    /// Standard input, to its end.
    Stdin,
    /// A text from the command line.
    Text(String),
}

/// What `send`'s words say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Words {
    /// What to send, in order.
    pub(crate) sources: Vec<Source>,
    /// To whom, in order, each once.
    pub(crate) recipients: Vec<Recipient>,
}

/// Why `send`'s words say nothing that can be done. Every text names what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadWords {
    /// A word can be read in two ways.
    #[error(
        "{0:?} can be read in two ways: the file `./{0}`, or the device `{1}`; write `./{0}` for the file, `--to {1}` for the device"
    )]
    Ambiguous(String, String),
    /// `DEVICE:` with something behind the colon.
    #[error(
        "{0:?} is no file, and a recipient is `{1}:` with nothing behind the colon; `--name` gives a file another name"
    )]
    PathAtDevice(String, String),
    /// Nobody is named.
    #[error("nobody to send to: end the command with `DEVICE:` or `@GROUP`, or use `--to DEVICE`")]
    NoRecipient,
    /// Nothing is named.
    #[error("nothing to send: name a file, `-` for standard input, or `--text TEXT`")]
    NoSource,
    /// Two kinds of source.
    #[error("{0:?} and `--text` exclude each other; send them one after the other")]
    TextAndFile(String),
    /// Standard input twice.
    #[error("`-` stands twice, but standard input can be read once only")]
    StdinTwice,
}

/// Sorts `send`'s words into sources and recipients. `exists` says whether a word is the path of an existing file.
pub(crate) fn sort(
    words: &[OsString],
    to: &[Recipient],
    text: Option<&str>,
    exists: impl Fn(&OsStr) -> bool,
) -> Result<Words, BadWords> {
    let mut recipients = Vec::new();
    let mut files = Vec::new();
    for word in words {
        match marked(word, &exists)? {
            Some(recipient) => recipients.push(recipient),
            None => files.push(word.clone()),
        }
    }
    recipients.extend(to.iter().cloned());
    if recipients.is_empty() {
        recipients.push(bare_last(&mut files, text.is_some(), &exists)?);
    }
    keep_first(&mut recipients);
    Ok(Words { sources: sources(files, text)?, recipients })
}

/// The recipient that this word marks as one: `DEVICE:`, `@GROUP`.
fn marked(word: &OsStr, exists: &impl Fn(&OsStr) -> bool) -> Result<Option<Recipient>, BadWords> {
    let Some(text) = word.to_str() else { return Ok(None) };
    if !text.ends_with(':') && !text.starts_with('@') {
        return if exists(word) { Ok(None) } else { path_at_device(text) };
    }
    let Ok(recipient) = text.parse::<Recipient>() else { return Ok(None) };
    if exists(word) { Err(ambiguous(text, &recipient)) } else { Ok(Some(recipient)) }
}

/// `kitchen:order.xml` looks like scp's `host:path`; here it is a mistake that deserves its own words.
fn path_at_device(text: &str) -> Result<Option<Recipient>, BadWords> {
    match text.split_once(':') {
        Some((device, rest)) if !rest.is_empty() && device.parse::<DeviceName>().is_ok() => {
            Err(BadWords::PathAtDevice(text.into(), device.into()))
        }
        _ => Ok(None),
    }
}

/// Takes the last word as a bare device name, which it may be only if no file bears it.
fn bare_last(
    files: &mut Vec<OsString>,
    has_text: bool,
    exists: &impl Fn(&OsStr) -> bool,
) -> Result<Recipient, BadWords> {
    let last = files.last().ok_or(if has_text { BadWords::NoRecipient } else { BadWords::NoSource })?;
    let text = last.to_str().ok_or(BadWords::NoRecipient)?;
    let recipient = text.parse::<Recipient>().map_err(|_| BadWords::NoRecipient)?;
    let alone = files.len() == 1 && !has_text;
    match (alone, exists(last)) {
        (true, true) => Err(BadWords::NoRecipient),
        (true, false) => Err(BadWords::NoSource),
        (false, true) => Err(ambiguous(text, &recipient)),
        (false, false) => {
            files.pop();
            Ok(recipient)
        }
    }
}

fn ambiguous(text: &str, recipient: &Recipient) -> BadWords {
    BadWords::Ambiguous(text.into(), recipient.to_string().trim_end_matches(':').into())
}

fn sources(files: Vec<OsString>, text: Option<&str>) -> Result<Vec<Source>, BadWords> {
    match (files.first(), text) {
        (Some(file), Some(_)) => return Err(BadWords::TextAndFile(file.to_string_lossy().into())),
        (None, Some(text)) => return Ok(vec![Source::Text(text.into())]),
        (None, None) => return Err(BadWords::NoSource),
        (Some(_), None) => {}
    }
    if files.iter().filter(|file| file.as_os_str() == "-").count() > 1 {
        return Err(BadWords::StdinTwice);
    }
    Ok(files.into_iter().map(|file| if file == "-" { Source::Stdin } else { Source::File(file) }).collect())
}

fn keep_first(recipients: &mut Vec<Recipient>) {
    let mut seen = std::collections::BTreeSet::new();
    recipients.retain(|recipient| seen.insert(recipient.clone()));
}

#[cfg(test)]
mod tests;
