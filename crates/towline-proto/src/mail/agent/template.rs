//! A rule's command line: placeholders are filled in, each argument stays one argument, and no shell sees them.
//!
//! `{file}` the body's absolute path · `{name}` its safe file name · `{from}` the sender · `{id}` the message ·
//! `{type}` the media type · `{size}` the length in bytes · `{{` and `}}` braces.

use crate::mail::envelope::Envelope;

/// What placeholders stand for.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    /// The message.
    pub envelope: &'a Envelope,
    /// The absolute path at which the body stands.
    pub file: &'a str,
    /// The safe file name.
    pub name: &'a str,
}

/// A message's value would have stood as an argument that begins with `-`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("argument {position} ({template}) would begin with `-`")]
pub struct UnsafeArgument {
    /// Which argument, counted from 1 (0 is the program).
    pub position: usize,
    /// Its template.
    pub template: String,
}

/// A template that cannot be used, whatever the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTemplate {
    /// There is no program.
    #[error("a command needs a program")]
    Empty,
    /// The program would be chosen by the sender.
    #[error("the program must not hold a placeholder")]
    Program,
    /// An unknown placeholder.
    #[error("unknown placeholder {{{0}}}; there are {{file}} {{name}} {{from}} {{id}} {{type}} {{size}}")]
    Unknown(String),
    /// A brace without its partner.
    #[error("a brace has no partner in {0:?}; write {{{{ or }}}} for a brace")]
    Brace(String),
}

/// Checks a template once, when the rules are read.
///
/// # Errors
/// [`BadTemplate`].
pub fn check(argv: &[String]) -> Result<(), BadTemplate> {
    let program = argv.first().ok_or(BadTemplate::Empty)?;
    if program.is_empty() {
        return Err(BadTemplate::Empty);
    }
    for (index, argument) in argv.iter().enumerate() {
        for part in parts(argument) {
            match part? {
                Part::Text(_) => {}
                Part::Placeholder(_) if index == 0 => return Err(BadTemplate::Program),
                Part::Placeholder(_) => {}
            }
        }
    }
    Ok(())
}

/// Fills a checked template in. (An unchecked one keeps what it does not understand as it stands.)
///
/// # Errors
/// [`UnsafeArgument`], unless `--` stands ahead of that argument in the template.
pub fn expand(argv: &[String], values: &Values<'_>) -> Result<Vec<String>, UnsafeArgument> {
    let mut options_ended = false;
    let mut filled = Vec::with_capacity(argv.len());
    for (position, template) in argv.iter().enumerate() {
        let argument = fill(template, values);
        // An option that the template itself begins is the operator's; one that a value begins is the sender's.
        if argument.starts_with('-') && !template.starts_with('-') && !options_ended {
            return Err(UnsafeArgument { position, template: template.clone() });
        }
        options_ended |= position > 0 && template == "--";
        filled.push(argument);
    }
    Ok(filled)
}

/// What a run finds in its environment besides: the values, and the envelope's own name for the file.
pub fn environment(values: &Values<'_>) -> Vec<(String, String)> {
    let envelope = values.envelope;
    // A NUL cannot stand in an environment; such a name was refused before.
    let pairs = [
        ("TOWLINE_ID", envelope.id.to_string()),
        ("TOWLINE_FROM", envelope.from.to_string()),
        ("TOWLINE_TO", envelope.to.to_string()),
        ("TOWLINE_NAME", values.name.to_owned()),
        ("TOWLINE_TYPE", without_nul(&envelope.content_type)),
        ("TOWLINE_SIZE", envelope.size.to_string()),
        ("TOWLINE_FILE", values.file.to_owned()),
    ];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn without_nul(text: &str) -> String {
    text.replace('\0', "")
}

fn fill(template: &str, values: &Values<'_>) -> String {
    let mut filled = String::with_capacity(template.len());
    for part in parts(template) {
        match part {
            Ok(Part::Text(text)) => filled.push_str(text),
            Ok(Part::Placeholder(placeholder)) => filled.push_str(&placeholder.value(values)),
            Err(_) => return template.to_owned(),
        }
    }
    filled
}

#[derive(Clone, Copy, Debug)]
enum Placeholder {
    File,
    Name,
    From,
    Id,
    Type,
    Size,
}

impl Placeholder {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "file" => Self::File,
            "name" => Self::Name,
            "from" => Self::From,
            "id" => Self::Id,
            "type" => Self::Type,
            "size" => Self::Size,
            _ => return None,
        })
    }

    fn value(self, values: &Values<'_>) -> String {
        match self {
            Self::File => values.file.to_owned(),
            Self::Name => values.name.to_owned(),
            Self::From => values.envelope.from.to_string(),
            Self::Id => values.envelope.id.to_string(),
            Self::Type => without_nul(&values.envelope.content_type),
            Self::Size => values.envelope.size.to_string(),
        }
    }
}

enum Part<'a> {
    Text(&'a str),
    Placeholder(Placeholder),
}

/// Cuts a template into text and placeholders.
fn parts(template: &str) -> impl Iterator<Item = Result<Part<'_>, BadTemplate>> {
    let mut rest = template;
    core::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some(after) = rest.strip_prefix("{{").or_else(|| rest.strip_prefix("}}")) {
            let brace = &rest[..1];
            rest = after;
            return Some(Ok(Part::Text(brace)));
        }
        if let Some(after) = rest.strip_prefix('{') {
            let Some((name, after)) = after.split_once('}') else {
                rest = "";
                return Some(Err(BadTemplate::Brace(template.to_owned())));
            };
            rest = after;
            let known = Placeholder::named(name).map(Part::Placeholder);
            return Some(known.ok_or_else(|| BadTemplate::Unknown(name.to_owned())));
        }
        if rest.starts_with('}') {
            rest = "";
            return Some(Err(BadTemplate::Brace(template.to_owned())));
        }
        let end = rest.find(['{', '}']).unwrap_or(rest.len());
        let (text, after) = rest.split_at(end);
        rest = after;
        Some(Ok(Part::Text(text)))
    })
}
