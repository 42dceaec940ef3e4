//! Why a command could not do what it was asked: what failed, what was tried, what to do.

use crate::exit::Exit;
use serde_json::{Value, json};
use towline_proto::mail::code::Code;

/// The one error that commands return.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub(crate) struct Failure {
    /// How the program ends.
    pub(crate) exit: Exit,
    /// What failed, with the address or the file.
    pub(crate) what: String,
    /// What was tried, in order.
    pub(crate) tried: Vec<String>,
    /// What to do about it.
    pub(crate) cure: Option<String>,
    /// The stable word that `towline explain` knows.
    pub(crate) code: Option<&'static str>,
}

/// What a command returns.
pub(crate) type Outcome = Result<Exit, Failure>;

impl Failure {
    /// A failure that ends the program so.
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), tried: Vec::new(), cure: None, code: None }
    }

    /// The command line or a configuration file is wrong.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what)
    }

    /// The system would not do something with this path.
    pub(crate) fn io(doing: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        let exit = match error.kind() {
            std::io::ErrorKind::NotFound => Exit::NotFound,
            std::io::ErrorKind::PermissionDenied => Exit::NotPermitted,
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Exit::Quota,
            _ => Exit::Error,
        };
        Self::new(exit, format!("cannot {doing} {}: {error}", path.display()))
    }

    /// What a hub or a device answered by a stable word.
    pub(crate) fn coded(code: Code, text: &str) -> Self {
        let what = if text.is_empty() { code.cause().to_owned() } else { text.to_owned() };
        let exit = Exit::from_number(code.exit_code()).unwrap_or(Exit::Error);
        Self { exit, what, tried: Vec::new(), cure: Some(code.cure().to_owned()), code: Some(code.as_str()) }
    }

    /// An answer to another question than the one asked, or none that can be read.
    pub(crate) fn not_understood() -> Self {
        Self::new(Exit::Error, "the hub's answer is not understood").cure("see that hub and program are of one version")
    }

    /// Adds what to do.
    pub(crate) fn cure(mut self, cure: impl Into<String>) -> Self {
        self.cure = Some(cure.into());
        self
    }

    /// Adds what was tried.
    pub(crate) fn tried(mut self, tried: impl IntoIterator<Item = String>) -> Self {
        self.tried.extend(tried);
        self
    }

    /// As people read it: a line for what failed, one for each thing tried, one for what to do.
    pub(crate) fn human(&self) -> String {
        let code = self.code.map(|code| format!(" [{code}]")).unwrap_or_default();
        let mut text = format!("towline: {}{code}", self.what);
        for tried in &self.tried {
            text.push_str(&format!("\n  tried: {tried}"));
        }
        if let Some(cure) = &self.cure {
            text.push_str(&format!("\n  do: {cure}"));
        }
        text
    }

    /// As programs read it.
    pub(crate) fn json(&self) -> Value {
        json!({ "error": self.error(), "exit": self.exit.number() })
    }

    /// What stands under `error`, also beside what a command has to tell all the same.
    pub(crate) fn error(&self) -> Value {
        json!({ "what": self.what, "tried": self.tried, "do": self.cure, "code": self.code })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_was_tried_and_what_to_do() {
        let failure = Failure::new(Exit::Unreachable, "no hub at h:4433")
            .tried(["192.0.2.1:4433: connection refused".into()])
            .cure("start it");
        assert_eq!(
            failure.human(),
            "towline: no hub at h:4433\n  tried: 192.0.2.1:4433: connection refused\n  do: start it"
        );
    }

    #[test]
    fn a_coded_failure_takes_exit_and_cure_from_the_table() {
        let failure = Failure::coded(Code::NoSuchDevice, "");
        assert_eq!((failure.exit, failure.code), (Exit::NotFound, Some("no-such-device")));
        assert!(failure.cure.is_some());
    }
}
