//! `towline send`: files, standard input or a text to devices; one message and one outcome each.

mod post;
mod sources;

use super::Context;
use crate::attached;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::hub_link::HubLink;
use crate::output::{Mood, bytes, visible};
use crate::value::recipient::{self, Recipient};
use clap::Args;
use post::{Fate, Letter, Post};
use serde_json::{Value, json};
use sources::Prepared;
use std::ffi::OsString;
use towline::mail::{Device, Draft};
use towline_hub::config::units::Span;
use towline_proto::ids::{DeviceName, Lane};

/// Send files, standard input or a text to devices
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  towline send order.xml shop:\n  pg_dump shop | towline send - --name shop.sql \
                        archive:\n  towline send --text 'Please call' shop: --deadline 5m --wait\n  towline send *.csv @tills --wait")]
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
    /// How long it may take until it starts [default: the hub's]
    #[arg(long, value_name = "DURATION")]
    deadline: Option<Span>,
    /// Who is served first: urgent, normal or bulk
    #[arg(long, default_value = "normal")]
    lane: Lane,
    /// Only to a device that is online now; nothing is kept and there is no outcome
    #[arg(long)]
    live: bool,
    /// Wait for the outcome, at most so long; exit 6 if there is none by then
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
            prepared.push(sources::prepare(&context.home, source, name, kind).await?);
        }
        let device = attached::attach(&link).await?;
        let recipients = resolve(&device, words.recipients).await?;
        let letters = self.letters(&link, device.name(), &recipients, &prepared);
        let mut post = Post::new(&link, context.out, device.clone(), letters);
        let delivered = tokio::select! {
            delivered = post.deliver(self.wait.map(|wait| wait.map(|span| span.0))) => delivered,
            _ = tokio::signal::ctrl_c() => Err(interrupted()),
        };
        let lost = delivered.err();
        tell(context, &post.letters, lost.as_ref());
        device.session().close(towline::Close::new(towline::CloseCode::Done));
        match lost {
            Some(failure) if failure.exit == Exit::Interrupted => Err(failure),
            Some(failure) if post.letters.iter().all(|letter| matches!(letter.fate, Fate::Open)) => Err(failure),
            _ => Ok(Exit::of_all(post.letters.iter().map(|letter| letter.fate.exit(self.wait.is_some())))),
        }
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

fn interrupted() -> Failure {
    Failure::new(Exit::Interrupted, "interrupted; what was accepted stays accepted")
        .cure("`towline status ID --wait` takes up the waiting again")
}

/// Names of devices, each once; a group stands for its members.
async fn resolve(device: &Device, recipients: Vec<Recipient>) -> Result<Vec<DeviceName>, Failure> {
    let mut names: Vec<DeviceName> = Vec::new();
    for recipient in recipients {
        let found = match recipient {
            Recipient::Device(name) => vec![name],
            Recipient::Group(group) => {
                let members = device.group(&group).await.map_err(attached::unanswered)?;
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

fn tell(context: &Context, letters: &[Letter], lost: Option<&Failure>) {
    let lines: Vec<String> = letters.iter().map(|letter| line(context, letter)).collect();
    let messages: Vec<Value> = letters.iter().map(object).collect();
    let error = lost.map(|failure| failure.what.clone());
    context.out.result(lines.join("\n"), &json!({ "messages": messages, "error": error }));
}

fn line(context: &Context, letter: &Letter) -> String {
    let name = if letter.name.is_empty() { "text".to_owned() } else { visible(&letter.name) };
    let mood = match letter.fate.exit(false) {
        Exit::Done if matches!(letter.fate, Fate::Accepted(..)) => Mood::Open,
        Exit::Done => Mood::Good,
        _ => Mood::Bad,
    };
    let words = context.out.paint(mood, letter.fate.words());
    let code = match &letter.fate {
        Fate::Decided(receipt) if receipt.code != towline_proto::mail::code::Code::Ok => format!(" [{}]", receipt.code),
        Fate::Not(Failure { code: Some(code), .. }) => format!(" [{code}]"),
        _ => String::new(),
    };
    format!("{}  {name} ({}) to {}: {words}{code}", letter.id, bytes(letter.size), letter.to)
}

fn object(letter: &Letter) -> Value {
    let mut object = json!({
        "id": letter.id.to_string(), "to": letter.to.as_str(), "name": letter.name, "size": letter.size,
        "summary": letter.fate.words(),
    });
    let more = match &letter.fate {
        Fate::Open => json!({ "state": "not-sent" }),
        Fate::Accepted(accepted, state) => json!({
            "state": state.as_str(), "deadline_left_ms": accepted.deadline_left_ms,
            "recipient": super::who::object(&accepted.recipient),
        }),
        Fate::Decided(receipt) => json!({ "state": receipt.outcome.as_str(), "receipt": crate::word::json(receipt) }),
        Fate::Live(code) => json!({ "state": "live", "code": code.as_str() }),
        Fate::Not(failure) => json!({ "state": "not-accepted", "code": failure.code, "text": failure.what }),
    };
    if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
        object.extend(more);
    }
    object
}
