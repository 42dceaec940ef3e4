//! `towline explain CODE`: what has happened and what to do, for every word that the program prints.

use super::Context;
use crate::exit::Exit;
use crate::failure::{self, Failure};
use crate::output::table::Table;
use clap::Args;
use serde::Serialize;
use towline_hub::config::strict::nearest;
use towline_proto::mail::code::{CODES, Code};
use towline_proto::mail::outcome::{OUTCOMES, Outcome};
use towline_proto::wire::close::CloseCode;

/// Explain a code: what has happened and what to do
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  towline explain offline\n  towline explain 11")]
pub(crate) struct Explain {
    /// A word such as `expired`, `offline` or `wrong-key`, or an exit code; without one, all of them are listed
    code: Option<String>,
}

/// What is known of a code.
#[derive(Clone, Debug, Serialize)]
struct Entry {
    /// The stable word.
    code: &'static str,
    /// What it is: an outcome, a code in receipts and refusals (`mail`), or one at the end of a session (`close`).
    kind: &'static str,
    /// How the program ends.
    exit: u8,
    /// What has happened.
    cause: &'static str,
    /// What to do.
    cure: &'static str,
}

impl Explain {
    pub(super) fn run(self, context: &Context) -> failure::Outcome {
        match self.code {
            None => list(context),
            Some(text) => match text.parse::<u8>().ok().and_then(Exit::from_number) {
                Some(exit) => explain_exit(context, exit),
                None => explain_word(context, &text)?,
            },
        }
        Ok(Exit::Done)
    }
}

fn entries() -> Vec<Entry> {
    let outcomes = OUTCOMES.into_iter().map(Entry::from);
    let mail = CODES.iter().copied().map(Entry::from);
    outcomes.chain(mail).chain(CloseCode::ALL.iter().copied().map(Entry::from)).collect()
}

impl From<Outcome> for Entry {
    fn from(outcome: Outcome) -> Self {
        let (cause, cure) = match outcome {
            Outcome::Handled => {
                ("A rule's command exited 0, or the file stands in its place; `by` says which.", "Nothing to do.")
            }
            Outcome::Failed => (
                "The recipient tried and could not; the code behind the reason says why.",
                "Mend what the code names, then send again.",
            ),
            Outcome::Refused => (
                "The recipient or the policy would not take the message; nothing was run.",
                "Mend what the code names, then send again.",
            ),
            Outcome::Expired => (
                "The deadline passed and nothing had started; nothing will.",
                "Send again, with a longer deadline if the device is often away.",
            ),
            Outcome::Withdrawn => (
                "The message was taken back before it started; nothing was run.",
                "Send again if it is wanted after all.",
            ),
            Outcome::Unclear => (
                "The message started, and nobody knows how that ended.",
                "Ask the device, or wait for a late word; send again only if handling twice does no harm.",
            ),
        };
        Self { code: outcome.as_str(), kind: "outcome", exit: outcome.exit_code(), cause, cure }
    }
}

impl From<Code> for Entry {
    fn from(code: Code) -> Self {
        Self { code: code.as_str(), kind: "mail", exit: code.exit_code(), cause: code.cause(), cure: code.cure() }
    }
}

impl From<CloseCode> for Entry {
    fn from(code: CloseCode) -> Self {
        Self { code: code.word(), kind: "close", exit: code.exit_code(), cause: code.cause(), cure: code.cure() }
    }
}

impl std::fmt::Display for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let exit = Exit::from_number(self.exit).map_or("", Exit::meaning);
        let kind = if self.kind == "outcome" { "outcome".into() } else { format!("{} code", self.kind) };
        writeln!(f, "{} ({kind}, exit {}: {exit})", self.code, self.exit)?;
        write!(f, "  cause: {}\n  cure:  {}", self.cause, self.cure)
    }
}

fn list(context: &Context) {
    let mut table = Table::new(["code", "kind", "exit", "cause"]);
    let entries = entries();
    for entry in &entries {
        table.row([entry.code.into(), entry.kind.into(), entry.exit.to_string(), entry.cause.into()]);
    }
    context.out.result(table, &serde_json::json!({ "codes": entries }));
}

/// A word may stand for the same thing in two places (`draining`): both are told.
fn explain_word(context: &Context, text: &str) -> Result<(), Failure> {
    let entries = entries();
    let found: Vec<&Entry> = entries.iter().filter(|entry| entry.code == text).collect();
    if found.is_empty() {
        let near = nearest(text, entries.iter().map(|entry| entry.code));
        let hint = near.map_or("`towline explain` lists every code".into(), |near| format!("did you mean `{near}`?"));
        return Err(Failure::new(Exit::NotFound, format!("no code is called {text:?}")).cure(hint));
    }
    let human: Vec<String> = found.iter().map(ToString::to_string).collect();
    context.out.result(human.join("\n"), &serde_json::json!({ "codes": found }));
    Ok(())
}

fn explain_exit(context: &Context, exit: Exit) {
    // A word that stands in two places is listed once.
    let mut codes: Vec<&'static str> = Vec::new();
    for entry in entries().into_iter().filter(|entry| entry.exit == exit.number()) {
        if !codes.contains(&entry.code) {
            codes.push(entry.code);
        }
    }
    let mut human = format!("exit code {}: {}", exit.number(), exit.meaning());
    if !codes.is_empty() {
        human.push_str(&format!("\n  codes: {}", codes.join(", ")));
    }
    let json = serde_json::json!({ "exit": exit.number(), "meaning": exit.meaning(), "codes": codes });
    context.out.result(human, &json);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::EXITS;
    use std::collections::BTreeSet;

    #[test]
    fn a_misspelt_code_is_guessed() {
        let codes = || entries().into_iter().map(|entry| entry.code);
        assert_eq!(nearest("ofline", codes()), Some("offline"));
        assert_eq!(nearest("handler_exit", codes()), Some("handler-exit"));
        assert_eq!(nearest("qqqqqqqq", codes()), None);
    }

    #[test]
    fn every_entry_has_a_word_of_its_own_within_its_kind_and_an_exit_code_of_the_table() {
        let numbers: BTreeSet<u8> = EXITS.iter().map(|exit| exit.number()).collect();
        let mut seen = BTreeSet::new();
        for entry in entries() {
            assert!(seen.insert((entry.kind, entry.code)), "{} stands twice", entry.code);
            assert!(numbers.contains(&entry.exit), "{} ends with {}", entry.code, entry.exit);
        }
    }
}
