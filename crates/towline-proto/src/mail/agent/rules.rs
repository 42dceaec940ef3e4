//! Rules: what a device does with a message that came. Pure: a message in, a plan out, nothing run.

use super::names;
use super::record::{Act, Target};
use super::template::{self, Values};
use crate::ids::MessageId;
use crate::mail::code::Code;
use crate::mail::envelope::Envelope;
use crate::mail::glob;
use crate::mail::limits::PLACE_TIMEOUT_MS;

/// A device's rules, in order: the first that matches decides; none means the inbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// The rules.
    pub rules: Vec<Rule>,
    /// The absolute folder under which `{file}` paths are made: `STORE/ID/NAME`.
    pub store: String,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name: what receipts call it.
    pub name: String,
    /// What it applies to.
    pub when: Match,
    /// What it does.
    pub action: Action,
}

/// What a rule applies to; everything named must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match {
    /// The sender's name is one of these (patterns); empty means any.
    pub from: Vec<String>,
    /// The file's name is one of these (patterns); empty means any.
    pub name: Vec<String>,
    /// The media type is one of these (patterns); empty means any.
    pub content_type: Vec<String>,
    /// The body has at least this many bytes.
    pub min_size: Option<u64>,
    /// The body has at most this many bytes.
    pub max_size: Option<u64>,
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Runs a command.
    Run(Command),
    /// Places the file into this absolute folder.
    SaveTo(String),
}

/// A command to run for each message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Program and arguments, with placeholders (see [`template`]).
    pub argv: Vec<String>,
    /// How long it may take, in milliseconds.
    pub timeout_ms: u64,
    /// How many may run at once; above 1, order is given up from the start on.
    pub concurrency: usize,
    /// Whether a run that was cut short may be repeated: at least once instead of at most once.
    pub repeat: bool,
}

/// What is to be done with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Rename it to a place.
    Place {
        /// Where to.
        target: Target,
        /// The file name wanted there.
        name: String,
    },
    /// Run a command.
    Run(PlannedRun),
    /// Refuse it, before anything starts.
    Refuse {
        /// Who refuses: `inbox`, `save_to NAME` or `rule NAME`.
        by: String,
        /// Why.
        code: Code,
        /// Why, for people.
        reason: String,
    },
}

/// A command with its arguments filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedRun {
    /// The rule's name.
    pub rule: String,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// What stands in the environment besides.
    pub env: Vec<(String, String)>,
    /// The absolute path that `{file}` names.
    pub file: String,
    /// How long it may take, in milliseconds.
    pub timeout_ms: u64,
    /// How many of the rule may run at once.
    pub concurrency: usize,
    /// Whether a run that was cut short may be repeated.
    pub repeat: bool,
}

impl Rules {
    /// The rule that decides about this message, if any does.
    pub fn matching(&self, envelope: &Envelope) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.when.holds(envelope))
    }

    /// What is to be done with this message.
    pub fn plan(&self, envelope: &Envelope) -> Plan {
        let rule = self.matching(envelope);
        let by = rule.map_or_else(|| "inbox".into(), Rule::by);
        let refuse = |code, reason: String| Plan::Refuse { by: by.clone(), code, reason };
        if envelope.seal != 0 {
            return refuse(Code::UnknownSeal, format!("unknown seal {}", envelope.seal));
        }
        let name = match names::file_name(&envelope.name, envelope.id) {
            Ok(name) => name,
            Err(bad) => return refuse(Code::BadName, bad.to_string()),
        };
        let Some(rule) = rule else { return Plan::Place { target: Target::Inbox, name } };
        match &rule.action {
            Action::SaveTo(folder) => {
                Plan::Place { target: Target::SaveTo { rule: rule.name.clone(), folder: folder.clone() }, name }
            }
            Action::Run(command) => {
                let file = self.file_path(envelope.id, &name);
                let values = Values { envelope, file: &file, name: &name };
                match template::expand(&command.argv, &values) {
                    Ok(argv) => Plan::Run(PlannedRun {
                        rule: rule.name.clone(),
                        argv,
                        env: template::environment(&values),
                        file,
                        timeout_ms: command.timeout_ms,
                        concurrency: command.concurrency.max(1),
                        repeat: command.repeat,
                    }),
                    Err(bad) => refuse(Code::UnsafeArgument, bad.to_string()),
                }
            }
        }
    }

    /// Where a command finds the body.
    pub fn file_path(&self, id: MessageId, name: &str) -> String {
        format!("{}/{id}/{name}", self.store.trim_end_matches('/'))
    }
}

impl Rule {
    fn by(&self) -> String {
        match self.action {
            Action::Run(_) => format!("rule {}", self.name),
            Action::SaveTo(_) => format!("save_to {}", self.name),
        }
    }
}

impl Match {
    /// Whether everything named holds for this message.
    pub fn holds(&self, envelope: &Envelope) -> bool {
        let any = |patterns: &[String], text: &str| {
            patterns.is_empty() || patterns.iter().any(|pattern| glob::matches(pattern, text))
        };
        any(&self.from, envelope.from.as_str())
            && any(&self.name, &envelope.name)
            && any(&self.content_type, &envelope.content_type)
            && self.min_size.is_none_or(|min| envelope.size >= min)
            && self.max_size.is_none_or(|max| envelope.size <= max)
    }
}

impl Plan {
    /// The act that the plan asks a `go` for, with its timeout in milliseconds; `None` if it refuses.
    pub fn act(&self) -> Option<(Act, u64)> {
        match self {
            Self::Place { target, name } => {
                Some((Act::Place { target: target.clone(), name: name.clone() }, PLACE_TIMEOUT_MS))
            }
            Self::Run(run) => Some((Act::Run { rule: run.rule.clone(), repeat: run.repeat }, run.timeout_ms)),
            Self::Refuse { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
