//! What the agent tells of its doings: one JSON object a line for programs, one line of the log for people.

use crate::output::visible;
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use towline_proto::ids::MessageId;
use towline_proto::mail::envelope::Envelope;
use towline_proto::mail::receipt::Receipt;

/// Where what is told goes.
pub(crate) type Tell = Arc<dyn Fn(&Told) + Send + Sync>;

/// One thing that happened. No part of a body is ever in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum Told {
    /// A session with the hub is attached.
    Connected {
        /// This device's name, as the hub has it.
        device: String,
    },
    /// The session is over.
    Disconnected {
        /// Why.
        reason: String,
    },
    /// A try to reach the hub failed; the next one follows.
    NotConnected {
        /// Why.
        reason: String,
    },
    /// A message and its whole body are in this device's own store.
    MessageStored {
        /// Which.
        #[serde(flatten)]
        about: About,
        /// Its body's length, in bytes.
        size: u64,
    },
    /// It starts: its file is placed, or its command runs.
    MessageStarted {
        /// Which.
        #[serde(flatten)]
        about: About,
        /// Who handles it.
        #[serde(flatten)]
        by: By,
    },
    /// What became of it, as the receipt says that the hub gets.
    MessageOutcome {
        /// Which.
        #[serde(flatten)]
        about: About,
        /// Who handled it.
        #[serde(flatten)]
        by: By,
        /// The outcome's word.
        outcome: &'static str,
        /// The reason's word.
        code: String,
        /// The reason for people.
        reason: String,
        /// What the command ended with, where one ran to its end.
        exit_code: Option<i32>,
    },
    /// Its command was cut short when an agent ended; the hub calls it `unclear`, and it is not run again.
    MessageInterrupted {
        /// Which.
        #[serde(flatten)]
        about: About,
        /// Who handled it.
        #[serde(flatten)]
        by: By,
    },
    /// A message that is handled now or never.
    LiveMessage {
        /// Which.
        #[serde(flatten)]
        about: About,
        /// Who handles it.
        #[serde(flatten)]
        by: By,
        /// Why it is not handled, if it is not.
        refused: Option<String>,
    },
    /// The hub has accepted a file of the outbox.
    OutboxSent {
        /// Which file.
        #[serde(flatten)]
        file: OutboxFile,
    },
    /// Its recipient has handled it.
    OutboxHandled {
        /// Which file.
        #[serde(flatten)]
        file: OutboxFile,
    },
    /// The hub refused it, or it is over with another outcome than `handled`; it lies in `.failed`.
    OutboxFailed {
        /// Which file.
        #[serde(flatten)]
        file: OutboxFile,
        /// Why.
        reason: String,
    },
}

/// Which message: what stays the same of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct About {
    /// Its id.
    pub(crate) id: String,
    /// Who sent it.
    pub(crate) from: String,
    /// Its name, as the sender gave it.
    pub(crate) name: String,
}

/// Who handles a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct By {
    /// `inbox`, `save_to NAME` or `rule NAME`, as in requests and receipts.
    by: String,
    /// The rule's name alone, if there is a rule.
    rule: Option<String>,
}

/// A file that was put into the outbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct OutboxFile {
    /// Its message's id.
    pub(crate) id: String,
    /// The recipient.
    pub(crate) to: String,
    /// Its name.
    pub(crate) name: String,
}

impl About {
    /// Takes it from the envelope.
    pub(crate) fn new(envelope: &Envelope) -> Self {
        let Envelope { id, from, name, .. } = envelope;
        Self { id: id.to_string(), from: from.to_string(), name: name.clone() }
    }

    /// A message whose envelope is not at hand.
    pub(crate) fn unknown(id: MessageId) -> Self {
        Self { id: id.to_string(), from: String::new(), name: String::new() }
    }
}

impl By {
    /// Takes it from the word of a request or receipt.
    pub(crate) fn new(by: String) -> Self {
        let rule = by.strip_prefix("rule ").or_else(|| by.strip_prefix("save_to ")).map(str::to_owned);
        Self { by, rule }
    }
}

impl Told {
    /// What a receipt says.
    pub(crate) fn outcome(about: About, receipt: Receipt) -> Self {
        let Receipt { outcome, by, code, reason, exit_code, .. } = receipt;
        let (outcome, code) = (outcome.as_str(), code.to_string());
        Self::MessageOutcome { about, by: By::new(by), outcome, code, reason, exit_code }
    }
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {} ({})", visible(&self.name), self.from, self.id)
    }
}

impl fmt::Display for OutboxFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "outbox: {} to {} ({})", visible(&self.name), self.to, self.id)
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected { device } => write!(f, "connected as {device}"),
            Self::Disconnected { reason } => write!(f, "disconnected: {reason}"),
            Self::NotConnected { reason } => write!(f, "not connected: {reason}"),
            Self::MessageStored { about, size } => write!(f, "{about}: stored, {size} B"),
            Self::MessageStarted { about, by } => write!(f, "{about}: started by {}", by.by),
            Self::MessageOutcome { about, by, outcome, reason, .. } => {
                write!(f, "{about}: {outcome} by {}: {}", by.by, visible(reason))
            }
            Self::MessageInterrupted { about, by } => {
                write!(f, "{about}: {} was cut short when the agent ended; it is not run again", by.by)
            }
            Self::LiveMessage { about, by, refused: None } => write!(f, "{about}: live, by {}", by.by),
            Self::LiveMessage { about, refused: Some(reason), .. } => write!(f, "{about}: live, refused: {reason}"),
            Self::OutboxSent { file } => write!(f, "{file}: accepted by the hub"),
            Self::OutboxHandled { file } => write!(f, "{file}: handled"),
            Self::OutboxFailed { file, reason } => write!(f, "{file}: failed: {}", visible(reason)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_flat_object_and_one_line() {
        let about = About { id: "ID".into(), from: "till".into(), name: "two\nlines".into() };
        let told = Told::MessageStarted { about, by: By::new("rule print".into()) };
        assert_eq!(
            serde_json::to_string(&told).unwrap(),
            r#"{"event":"message-started","id":"ID","from":"till","name":"two\nlines","by":"rule print","rule":"print"}"#
        );
        assert_eq!(told.to_string(), "two\\nlines from till (ID): started by rule print");
        assert_eq!(By::new("inbox".into()).rule, None);
    }

    #[test]
    fn every_event_stands_in_the_docs() {
        let page = include_str!("../../../../docs/program.md");
        let (about, by) = (About::unknown(MessageId([0; 16])), By::new("inbox".into()));
        let file = OutboxFile { id: String::new(), to: String::new(), name: String::new() };
        let text = String::new;
        let all = [
            Told::Connected { device: text() },
            Told::Disconnected { reason: text() },
            Told::NotConnected { reason: text() },
            Told::MessageStored { about: about.clone(), size: 0 },
            Told::MessageStarted { about: about.clone(), by: by.clone() },
            Told::MessageOutcome {
                about: about.clone(),
                by: by.clone(),
                outcome: "",
                code: text(),
                reason: text(),
                exit_code: None,
            },
            Told::MessageInterrupted { about: about.clone(), by: by.clone() },
            Told::LiveMessage { about, by, refused: None },
            Told::OutboxSent { file: file.clone() },
            Told::OutboxHandled { file: file.clone() },
            Told::OutboxFailed { file, reason: text() },
        ];
        for told in all {
            let json = serde_json::to_value(&told).unwrap();
            let event = json["event"].as_str().unwrap();
            let row = page.lines().find(|line| line.starts_with('|') && line.contains(&format!("`{event}`")));
            let row = row.unwrap_or_else(|| panic!("docs/program.md lacks {event}"));
            for field in json.as_object().unwrap().keys().filter(|&field| field != "event") {
                assert!(row.contains(&format!("`{field}`")), "docs/program.md: {event} lacks {field}");
            }
        }
    }
}
