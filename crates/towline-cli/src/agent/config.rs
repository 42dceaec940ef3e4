//! `agent.toml`: where messages go and what is run for them.
//!
//! ```toml
//! inbox = "/srv/towline/inbox"       # default: HOME/inbox
//! outbox = "/srv/towline/outbox"     # default: HOME/outbox; "" for none
//! outbox_deadline = "10m"            # default: the hub's
//! drain = "30s"                      # how long SIGTERM waits for commands that run
//! probe_period = "7s500ms"           # the link to the hub is dead after two silent ones
//! address_check = "1s"               # how often to look whether the own address has changed; 0s for never
//!
//! [[rule]]
//! name = "print"
//! from = ["shop*"]
//! file = ["*.xml"]
//! command = ["/usr/bin/lp", "-d", "kitchen", "--", "{file}"]
//! timeout = "2m"
//!
//! [[rule]]
//! name = "legacy"
//! file = ["*.dlm"]
//! save_to = "/srv/old/in"
//! ```
//!
//! The first rule that matches decides; a message that none matches goes to the inbox.

use super::folder::Folder;
use super::run::{Input, User};
use super::users;
use rustix::fs::Access;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use towline::ClientConfig;
use towline_hub::config::origin::{Kind, Layers, OptionSpec, Setting};
use towline_hub::config::strict::{self, ConfigError};
use towline_hub::config::units::{Size, Span};
use towline_proto::mail::agent::rules::{Action, Command, Match, Rule, Rules};
use towline_proto::mail::agent::template;
use towline_proto::mail::limits::MAX_TIMEOUT_MS;

/// How long a command may take where its rule does not say, in milliseconds: a minute, so that a stuck one is told
/// within minutes.
const DEFAULT_TIMEOUT_MS: u64 = 60_000;

/// Every option with its environment variable, default and meaning; rules stand in the file only. A drain of 30 s is
/// well below systemd's 90 s.
pub(crate) const OPTIONS: &[OptionSpec] = &[
    OptionSpec::new("inbox", Kind::Text, "inbox", "folder for what no rule matches").of("AGENT"),
    OptionSpec::new("outbox", Kind::Text, "outbox", "folder whose files are sent; empty for none").of("AGENT"),
    OptionSpec::new("outbox_deadline", Kind::Text, "0s", "deadline of those files; 0s for the hub's").of("AGENT"),
    OptionSpec::new("drain", Kind::Text, "30s", "how long SIGTERM waits for running commands").of("AGENT"),
    OptionSpec::new("probe_period", Kind::Text, "7s500ms", "period of probes; the link is dead after two silent ones")
        .of("AGENT"),
    OptionSpec::new("address_check", Kind::Text, "1s", "how often to look for a changed own address; 0s for never")
        .of("AGENT"),
];

/// The largest number of one rule's commands at once: each holds a process and its pipes.
const MAX_CONCURRENCY: usize = 256;

/// The file as it is written; the layers give every option a value.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    inbox: PathBuf,
    outbox: PathBuf,
    outbox_deadline: Span,
    drain: Span,
    probe_period: Span,
    address_check: Span,
    rule: Vec<FileRule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileRule {
    name: String,
    #[serde(default)]
    from: Vec<String>,
    #[serde(default)]
    file: Vec<String>,
    #[serde(default, rename = "type")]
    content_type: Vec<String>,
    min_size: Option<Size>,
    max_size: Option<Size>,
    command: Option<Vec<String>>,
    save_to: Option<PathBuf>,
    timeout: Option<Span>,
    concurrency: Option<usize>,
    repeat: Option<bool>,
    user: Option<String>,
    stdin: Option<FileInput>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum FileInput {
    Null,
    File,
}

/// What the agent does, checked and with every folder resolved.
#[derive(Clone, Debug)]
pub(crate) struct AgentConfig {
    /// The device's home: key, store and journal.
    pub(crate) home: PathBuf,
    /// Where messages go that no rule matches.
    pub(crate) inbox: Folder,
    /// The folder whose files are sent, if one is wanted.
    pub(crate) outbox: Option<Folder>,
    /// The deadline of what the outbox sends, in milliseconds; 0 for the hub's default.
    pub(crate) outbox_deadline_ms: u64,
    /// How long a drain waits for running commands.
    pub(crate) drain: Duration,
    /// How often a silent link to the hub is probed.
    pub(crate) probe_period: Duration,
    /// How often to look whether the own address has changed; zero for never.
    pub(crate) address_check: Duration,
    /// What the core needs of the rules.
    pub(crate) rules: Rules,
    /// What else a rule says of its command, by the rule's name.
    pub(crate) commands: BTreeMap<String, CommandOptions>,
    /// The `save_to` folders, resolved, by the path that the rules bear.
    pub(crate) folders: BTreeMap<String, Folder>,
}

/// How a rule's command is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CommandOptions {
    /// Somebody else to run as.
    pub(crate) user: Option<User>,
    /// Whether the body is standard input.
    pub(crate) body_on_stdin: bool,
}

impl CommandOptions {
    /// What standard input is, for the body at `path`.
    pub(crate) fn input(&self, path: &str) -> Input {
        if self.body_on_stdin { Input::File(path.into()) } else { Input::Null }
    }
}

impl AgentConfig {
    /// What the device in `home` does: `HOME/agent.toml` if it is there, the environment, `flags` (each
    /// `OPTION=VALUE`). Makes the folders that are ours where they are missing.
    pub(crate) fn load(home: &Path, flags: &[String]) -> Result<Self, ConfigError> {
        let layers = Self::layers(home)?.with_assignments(flags)?;
        Ok(Self::resolve(home, layers, Folder::private)?.0)
    }

    /// The same, with where each value came from, and without making anything.
    pub(crate) fn look(home: &Path) -> Result<(Self, Vec<Setting>), ConfigError> {
        Self::resolve(home, Self::layers(home)?, Folder::planned)
    }

    /// Reads `text` as the file at `path`, makes nothing and asks no environment.
    pub(crate) fn check(home: &Path, path: &Path, text: &str) -> Result<Self, ConfigError> {
        let layers = Layers::new(OPTIONS).with_file::<File>(path, text)?;
        Ok(Self::resolve(home, layers, Folder::planned)?.0)
    }

    fn layers(home: &Path) -> Result<Layers, ConfigError> {
        let path = home.join("agent.toml");
        let mut layers = Layers::new(OPTIONS);
        if path.exists() {
            layers = layers.with_file::<File>(&path, &strict::read(&path)?)?;
        }
        layers.with_environment(|name| std::env::var(name).ok())
    }

    /// `own` resolves a folder that is ours.
    fn resolve(
        home: &Path,
        layers: Layers,
        own: impl Fn(&Path) -> std::io::Result<Folder>,
    ) -> Result<(Self, Vec<Setting>), ConfigError> {
        let path = layers.source();
        let (file, settings) = layers.read::<File>()?;
        let fail = |message: String| ConfigError::new(&path, message);
        let home = std::path::absolute(home).map_err(|error| fail(error.to_string()))?;
        let own = |wanted: &Path| {
            let wanted = home.join(wanted);
            own(&wanted).map_err(|error| fail(format!("{} cannot be used: {error}", wanted.display())))
        };
        let wants_outbox = !file.outbox.as_os_str().is_empty();
        let mut config = Self {
            inbox: own(&file.inbox)?,
            outbox: if wants_outbox { Some(own(&file.outbox)?) } else { None },
            outbox_deadline_ms: file.outbox_deadline.as_millis(),
            drain: file.drain.0,
            probe_period: file.probe_period.as_probe_period().map_err(fail)?,
            address_check: file.address_check.0,
            rules: Rules { rules: Vec::new(), store: Self::run_path(&home).to_string_lossy().into_owned() },
            commands: BTreeMap::new(),
            folders: BTreeMap::new(),
            home,
        };
        for rule in file.rule {
            let name = rule.name.clone();
            config.add(rule).map_err(|message| fail(format!("rule `{name}`: {message}")))?;
        }
        Ok((config, settings))
    }

    /// What is likely to be wrong although it can be read: a program that could not be started now. It may come later,
    /// with a package or a mount, so this is no error.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let programs = self.rules.rules.iter().filter_map(|rule| match &rule.action {
            Action::Run(command) => Some((&rule.name, command.argv.first()?)),
            Action::SaveTo(_) => None,
        });
        let missing = programs.filter(|(_, program)| rustix::fs::access(program.as_str(), Access::EXEC_OK).is_err());
        missing
            .map(|(rule, program)| format!("rule `{rule}`: {program} is not there, or may not be executed"))
            .collect()
    }

    /// What the way to the hub is told.
    pub(crate) fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::default();
        client.probe_period = self.probe_period;
        client.address_check = self.address_check;
        client
    }

    /// Where bodies wait.
    pub(crate) fn store_path(&self) -> PathBuf {
        self.home.join("store")
    }

    /// Where a body stands, under its own name, while a command runs for it: beside the store, on its file system.
    pub(crate) fn run_path(home: &Path) -> PathBuf {
        home.join("run")
    }

    /// The journal's file.
    pub(crate) fn journal_path(&self) -> PathBuf {
        self.home.join("journal.db")
    }

    fn add(&mut self, rule: FileRule) -> Result<(), String> {
        if rule.name.is_empty() || self.rules.rules.iter().any(|known| known.name == rule.name) {
            return Err("every rule needs a name of its own".into());
        }
        let action = match (&rule.command, &rule.save_to) {
            (Some(argv), None) => Action::Run(self.command(&rule, argv)?),
            (None, Some(folder)) => Action::SaveTo(self.save_to(&rule, folder)?),
            _ => return Err("give either `command` or `save_to`".into()),
        };
        let when = Match {
            from: rule.from,
            name: rule.file,
            content_type: rule.content_type,
            min_size: rule.min_size.map(|size| size.0),
            max_size: rule.max_size.map(|size| size.0),
        };
        self.rules.rules.push(Rule { name: rule.name, when, action });
        Ok(())
    }

    fn command(&mut self, rule: &FileRule, argv: &[String]) -> Result<Command, String> {
        template::check(argv).map_err(|error| error.to_string())?;
        if !argv[0].starts_with('/') {
            return Err(format!("`{}` is no absolute path; a command must not depend on PATH", argv[0]));
        }
        let timeout_ms = rule.timeout.map_or(DEFAULT_TIMEOUT_MS, Span::as_millis);
        if timeout_ms == 0 || timeout_ms > MAX_TIMEOUT_MS {
            return Err("`timeout` must be more than nothing and at most a day".into());
        }
        let concurrency = rule.concurrency.unwrap_or(1);
        if !(1..=MAX_CONCURRENCY).contains(&concurrency) {
            return Err(format!("`concurrency` must be 1 to {MAX_CONCURRENCY}"));
        }
        let user = rule.user.as_deref().map(users::other).transpose()?;
        let options = CommandOptions { user, body_on_stdin: rule.stdin == Some(FileInput::File) };
        self.commands.insert(rule.name.clone(), options);
        Ok(Command { argv: argv.to_vec(), timeout_ms, concurrency, repeat: rule.repeat.unwrap_or(false) })
    }

    fn save_to(&mut self, rule: &FileRule, path: &Path) -> Result<String, String> {
        let only_for_commands = [
            ("timeout", rule.timeout.is_some()),
            ("concurrency", rule.concurrency.is_some()),
            ("repeat", rule.repeat.is_some()),
            ("user", rule.user.is_some()),
            ("stdin", rule.stdin.is_some()),
        ];
        if let Some((key, _)) = only_for_commands.iter().find(|(_, given)| *given) {
            return Err(format!("`{key}` goes with `command`, not with `save_to`"));
        }
        if !path.is_absolute() {
            return Err(format!("`{}` is no absolute path", path.display()));
        }
        let folder = Folder::existing(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let path = folder.path().to_str().ok_or("the folder's path is no UTF-8")?.to_owned();
        self.folders.insert(path.clone(), folder);
        Ok(path)
    }
}

#[cfg(test)]
mod tests;
