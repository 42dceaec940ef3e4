//! `towline send`: files, standard input or a text to devices; one message and one outcome each.

mod post;
mod sources;

use super::Context;
use crate::attached;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::hub_link::HubLink;
use crate::output::{Mood, bytes};
use crate::signals::EndAsked;
use crate::value::recipient::{self, Recipient, Source};
use crate::word;
use clap::Args;
use post::{Fate, Letter, Post};
use serde_json::{Value, json};
use sources::Prepared;
use std::collections::BTreeSet;
use std::ffi::OsString;
use towline::mail::{AskError, Device, Draft};
use towline_hub::config::units::Span;
use towline_proto::ids::{DeviceName, Lane};
use towline_proto::mail::code::Code;

/// Send files, standard input or a text to devices
#[derive(Debug, Args)]
#[command(
    override_usage = "towline send [OPTIONS] FILE… DEVICE:…\n       towline send [OPTIONS] - DEVICE:…\n       \
                      towline send [OPTIONS] --text TEXT DEVICE:…",
    after_help = "Examples:\n  towline send order.xml shop:\n  pg_dump shop | towline send - --name shop.sql archive:\n  \
                  towline send --text 'Please call' shop: --deadline 5m --wait=6m\n  towline send *.csv @tills --wait"
)]
pub(crate) struct Send {
    /// Files, or `-` for standard input; then `DEVICE:` or `@GROUP`. A bare last word names a device only if no such file exists
    #[arg(value_name = "FILE… DEVICE:")]
    words: Vec<OsString>,
    /// Send this text instead of a file
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    text: Option<String>,
    /// A recipient, `DEVICE` or `@GROUP`; may repeat
    #[arg(long, value_name = "DEVICE")]
    to: Vec<Recipient>,
    /// The name it arrives under [default: the file's own]
    #[arg(long)]
    name: Option<String>,
    /// Its media type [default: by the end of its name]
    #[arg(long = "type", value_name = "TYPE")]
    content_type: Option<String>,
    /// How long it may take until it starts, such as 30s, 5m or 1h30m [default: the hub's, usually 1h]
    #[arg(long, value_name = "DURATION", conflicts_with = "live", value_parser = some_time)]
    deadline: Option<Span>,
    /// Who is served first: urgent, normal or bulk
    #[arg(long, default_value = "normal")]
    lane: Lane,
    /// Only to a device that is online now; nothing is kept and there is no outcome
    #[arg(long)]
    live: bool,
    /// Wait for the outcome, at most so long (`--wait=30s`, `--wait=5m`); exit 6 if there is none by then
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true)]
    wait: Option<Option<Span>>,
}

impl Send {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let exists = |path: &std::ffi::OsStr| std::path::Path::new(path).symlink_metadata().is_ok();
        let words = recipient::sort(&self.words, &self.to, self.text.as_deref(), exists)
            .map_err(|error| Failure::usage(error.to_string()))?;
        if self.name.is_some() && words.sources.len() > 1 {
            return Err(Failure::usage("`--name` names one thing, but several are sent").cure("send them one by one"));
        }
        let link = HubLink::new(&context.home)?;
        let mut prepared = Vec::new();
        for source in words.sources.iter().cloned() {
            let (name, kind) = (self.name.as_deref(), self.content_type.as_deref());
            let hint = self.misread_wait(&source);
            let ready = sources::prepare(&context.home, source, name, kind).await;
            prepared.push(ready.map_err(|failure| hint.into_iter().fold(failure, Failure::cure))?);
        }
        let mut asked = EndAsked::listen();
        attached::with(&link, async |hub| {
            let recipients = resolve(&hub.device, words.recipients).await?;
            let letters = self.letters(&link, hub.device.name(), &recipients, &prepared);
            let mut post = Post::new(hub, context.out, letters);
            let delivered = tokio::select! {
                delivered = post.deliver(self.wait.map(|wait| wait.map(|span| span.0))) => delivered,
                () = asked.wait() => Err(interrupted()),
            };
            self.tell(context, &post.letters, delivered.err())
        })
        .await
    }

    /// Tells what became of each message, and how the program ends; also where the command was cut short.
    fn tell(&self, context: &Context, letters: &[Letter], cut_short: Option<Failure>) -> Outcome {
        let exits = letters.iter().map(|letter| letter.fate.exit(self.wait.is_some()));
        let exit = match &cut_short {
            Some(failure) if failure.exit == Exit::Interrupted || letters.iter().all(Letter::is_open) => failure.exit,
            _ => Exit::of_all(exits),
        };
        let lines: Vec<String> = letters.iter().map(|letter| line(context, letter)).collect();
        let messages: Vec<Value> = letters.iter().map(|letter| object(letter, self.wait.is_some())).collect();
        let error = cut_short.as_ref().map(Failure::error);
        context.out.result(lines.join("\n"), &json!({ "messages": messages, "error": error, "exit": exit.number() }));
        if let Some(failure) = &cut_short {
            context.out.failure_beside(failure);
        }
        let cures: BTreeSet<&str> = letters.iter().filter_map(|letter| letter.fate.cure()).collect();
        cures.iter().filter(|_| !context.out.is_json()).for_each(|cure| context.out.note(format!("  do: {cure}")));
        Ok(exit)
    }

    /// `--wait 30s` waits without end, and sends a file called `30s`: where there is none the `=` was forgotten.
    fn misread_wait(&self, source: &Source) -> Option<String> {
        let Source::File(word) = source else { return None };
        let span: Span = word.to_str()?.parse().ok()?;
        (self.wait == Some(None)).then(|| format!("write `--wait={span}` for a time to wait"))
    }

    /// One message for each recipient and each thing.
    fn letters(&self, link: &HubLink, from: &DeviceName, to: &[DeviceName], what: &[Prepared]) -> Vec<Letter> {
        let pairs = to.iter().flat_map(|to| what.iter().map(move |what| (to, what)));
        pairs
            .map(|(to, what)| {
                let draft = Draft {
                    to: to.clone(),
                    deadline_ms: self.deadline.map_or(0, Span::as_millis),
                    lane: self.lane,
                    kept: !self.live,
                    name: what.name.clone(),
                    content_type: what.content_type.clone(),
                };
                let id = Draft::new_id();
                let envelope = draft.seal(id, from.clone(), what.measure, &*link.identity);
                Letter::new(id, to.clone(), (what.name.clone(), what.measure.0), envelope, what.body.clone())
            })
            .collect()
    }
}

/// A deadline of nothing could never be met; on the wire 0 stands for the hub's default.
fn some_time(text: &str) -> Result<Span, String> {
    match text.parse::<Span>().map_err(|error| error.to_string())? {
        span if span.as_millis() == 0 => Err("nothing can start within no time".into()),
        span => Ok(span),
    }
}

fn interrupted() -> Failure {
    Failure::new(Exit::Interrupted, "interrupted; what was accepted stays accepted")
        .cure("`towline status ID --wait` takes up the waiting again")
}

fn no_group(error: AskError) -> Failure {
    let unknown = matches!(error, AskError::No { code: Code::NoSuchDevice, .. });
    let failure = attached::unanswered(error);
    if unknown {
        failure.cure("groups stand under [groups] in the hub's hub.toml; check the name there")
    } else {
        failure
    }
}

/// Names of devices, each once; a group stands for its members.
async fn resolve(device: &Device, recipients: Vec<Recipient>) -> Result<Vec<DeviceName>, Failure> {
    let mut names: Vec<DeviceName> = Vec::new();
    for recipient in recipients {
        let found = match recipient {
            Recipient::Device(name) => vec![name],
            Recipient::Group(group) => {
                let members = device.group(&group).await.map_err(no_group)?;
                if members.is_empty() {
                    return Err(Failure::new(
                        Exit::NotFound,
                        format!("the group @{group} has no member that this device may send to"),
                    ));
                }
                members
            }
        };
        for name in found {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    Ok(names)
}

fn line(context: &Context, letter: &Letter) -> String {
    let name = word::name(&letter.name);
    let mood = match letter.fate.exit(false) {
        Exit::Done if matches!(letter.fate, Fate::Accepted(..)) => Mood::Open,
        Exit::Done => Mood::Good,
        _ => Mood::Bad,
    };
    let words = context.out.paint(mood, letter.fate.words());
    let code = match &letter.fate {
        Fate::Decided(receipt) if receipt.code != Code::Ok => format!(" [{}]", receipt.code),
        Fate::Not(Failure { code: Some(code), .. }) => format!(" [{code}]"),
        _ => String::new(),
    };
    format!("{}  {name} ({}) to {}: {words}{code}", letter.id, bytes(letter.size), letter.to)
}

fn object(letter: &Letter, waited: bool) -> Value {
    let mut object = json!({
        "id": letter.id.to_string(), "to": letter.to.as_str(), "name": letter.name, "size": letter.size,
        "summary": letter.fate.words(), "exit": letter.fate.exit(waited).number(),
    });
    let more = match &letter.fate {
        Fate::Open => json!({ "state": "not-sent" }),
        Fate::Accepted(accepted, state) => json!({
            "state": state.as_str(), "deadline_left_ms": accepted.deadline_left_ms,
            "recipient": super::who::object(&accepted.recipient),
        }),
        Fate::Decided(receipt) => json!({ "state": receipt.outcome.as_str(), "receipt": word::json(receipt) }),
        Fate::Live(code) => json!({ "state": "live", "code": code.as_str() }),
        Fate::Not(failure) => json!({
            "state": "not-accepted", "code": failure.code, "text": failure.what, "do": failure.cure,
        }),
    };
    if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
        object.extend(more);
    }
    object
}
