//! `towline config`: whether the files can be used, and where each value came from.

use super::Context;
use crate::agent::AgentConfig;
use crate::device::{DeviceConfig, identity};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::help;
use crate::home::Home;
use crate::output::table::Table;
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use towline_hub::config::hub::{HubConfig, OPTIONS, Resolved};
use towline_hub::config::origin::{Layers, Origin, Setting};
use towline_hub::config::strict::{self, ConfigError};

/// Check or show configuration files
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  towline config check")]
pub(crate) struct Config {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Check files: exit 2 with file, line and suggestion at the first mistake
    #[command(after_help = "Examples:\n  towline config check\n  towline config check --as agent new-rules.toml")]
    Check {
        /// The files; without any, those of this home that exist
        files: Vec<PathBuf>,
        /// What the files are [default: told by the name: hub…, agent…, device…]
        #[arg(long = "as", value_enum, value_name = "KIND")]
        kind: Option<FileKind>,
    },
    /// Show every value
    #[command(after_help = "Example:\n  towline config show --origin")]
    Show {
        /// Show where each value came from
        #[arg(long)]
        origin: bool,
        /// The hub's file [default: HOME/hub/hub.toml]
        #[arg(long, value_name = "FILE", env = "TOWLINE_HUB_CONFIG", hide_env_values = true)]
        config: Option<PathBuf>,
    },
}

/// Which program reads a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum FileKind {
    /// `hub.toml`
    Hub,
    /// `agent.toml`
    Agent,
    /// `device.toml`
    Device,
}

impl FileKind {
    fn of(path: &Path) -> Result<Self, Failure> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let kinds = [("hub", Self::Hub), ("agent", Self::Agent), ("device", Self::Device)];
        kinds.into_iter().find(|(start, _)| name.starts_with(start)).map(|(_, kind)| kind).ok_or_else(|| {
            let what = format!("cannot tell from its name what {} configures", path.display());
            Failure::usage(what).cure("say `--as hub`, `--as agent` or `--as device`")
        })
    }
}

impl Config {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let strange = ["HUB", "AGENT"].into_iter().flat_map(help::unknown_variables);
        strange.for_each(|what| context.out.note(format!("warning: {what}")));
        match self.action {
            Action::Check { files, kind } => check(context, files, kind),
            Action::Show { origin, config } => show(context, origin, config),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::usage(error.to_string())
    }
}

fn check(context: &Context, files: Vec<PathBuf>, kind: Option<FileKind>) -> Outcome {
    let files = if files.is_empty() { existing(&context.home) } else { files };
    if files.is_empty() {
        let what = format!("there is no configuration in {}", context.home.root().display());
        context.out.result(format!("{what}; the defaults hold"), &serde_json::json!({ "checked": [] }));
        return Ok(Exit::Done);
    }
    let mut checked = Vec::new();
    for path in files {
        let kind = kind.map_or_else(|| FileKind::of(&path), Ok)?;
        let warnings = check_one(context, &path, kind)?;
        if !context.out.is_json() {
            warnings.iter().for_each(|warning| context.out.note(format!("warning: {warning}")));
        }
        checked.push(serde_json::json!({ "file": path, "kind": kind, "warnings": warnings }));
        if !context.out.is_json() {
            context.out.result(format!("{}: good", path.display()), &());
        }
    }
    if context.out.is_json() {
        context.out.result("", &serde_json::json!({ "checked": checked }));
    }
    Ok(Exit::Done)
}

fn existing(home: &Home) -> Vec<PathBuf> {
    [home.hub_config(), home.device_config(), home.agent_config()].into_iter().filter(|path| path.exists()).collect()
}

/// Reads the file as its program would; what is only likely to be wrong comes back as warnings.
fn check_one(context: &Context, path: &Path, kind: FileKind) -> Result<Vec<String>, Failure> {
    if !path.exists() {
        return Err(Failure::new(Exit::NotFound, format!("there is no file {}", path.display())));
    }
    match kind {
        FileKind::Hub => drop(hub(&context.home, Some(path))?),
        FileKind::Device => drop(strict::load::<DeviceConfig>(path)?),
        FileKind::Agent => {
            let text = strict::read(path)?;
            return Ok(AgentConfig::check(&context.home.device(), path, &text)?.warnings());
        }
    }
    Ok(Vec::new())
}

/// The hub's configuration: defaults, then the file (this home's, if it exists and no other is named), then the environment.
pub(super) fn hub(home: &Home, file: Option<&Path>) -> Result<Resolved, Failure> {
    Ok(HubConfig::resolve(hub_layers(home, file)?)?)
}

/// The same before flags are laid over it.
pub(super) fn hub_layers(home: &Home, file: Option<&Path>) -> Result<Layers, Failure> {
    let own = home.hub_config();
    let file = file.or_else(|| own.exists().then_some(own.as_path()));
    let root = home.root().to_string_lossy();
    let mut layers = Layers::new(OPTIONS).with_text("state", &root, Origin::Default)?;
    if let Some(path) = file {
        layers = layers.with_file::<HubConfig>(path, &strict::read(path)?)?;
    }
    Ok(layers.with_environment(|name| std::env::var(name).ok())?)
}

/// A value as `config show` prints it: plain text for people, of its own type for programs.
#[derive(Clone, Debug, Serialize)]
struct Shown {
    option: String,
    value: toml::Value,
    origin: String,
}

impl Shown {
    fn new(option: &str, value: impl Into<toml::Value>, origin: impl Display) -> Self {
        Self { option: option.into(), value: value.into(), origin: origin.to_string() }
    }

    fn words(&self) -> String {
        self.value.as_str().map_or_else(|| self.value.to_string(), str::to_owned)
    }

    fn setting(whose: &str, setting: &Setting) -> Self {
        let value: toml::Value = setting.value.parse().expect("a setting's value is written as TOML");
        Self::new(&format!("{whose}.{}", setting.option), value, &setting.origin)
    }
}

fn show(context: &Context, origin: bool, config: Option<PathBuf>) -> Outcome {
    let home = &context.home;
    let mut shown = vec![Shown::new("home", home.root().display().to_string(), home.origin().as_str())];
    shown.extend(hub(home, config.as_deref())?.settings.iter().map(|setting| Shown::setting("hub", setting)));
    shown.extend(device(home)?);
    shown.extend(AgentConfig::look(&home.device())?.1.iter().map(|setting| Shown::setting("agent", setting)));
    let human = if origin { with_origins(&shown) } else { plain(&shown) };
    context.out.result(human, &serde_json::json!({ "settings": shown }));
    Ok(Exit::Done)
}

/// What `join` noted, and this device's key: the one that others give to `status --verify --key`.
fn device(home: &Home) -> Result<Vec<Shown>, Failure> {
    let mut shown = Vec::new();
    if home.device_config().exists() {
        let (joined, file) = (DeviceConfig::load(home)?, home.device_config());
        shown.push(Shown::new("device.name", joined.name, file.display()));
        shown.push(Shown::new("device.hub", joined.hub, file.display()));
        shown.push(Shown::new("device.hosts", joined.hosts, file.display()));
        shown.push(Shown::new("device.pq", String::from(joined.pq), file.display()));
    }
    if home.device_key().exists() {
        let key = identity(home)?.key_hash().to_string();
        shown.push(Shown::new("device.key", key, home.device_key().display()));
    }
    Ok(shown)
}

fn plain(shown: &[Shown]) -> String {
    let lines: Vec<String> = shown.iter().map(|one| format!("{} = {}", one.option, one.words())).collect();
    lines.join("\n")
}

fn with_origins(shown: &[Shown]) -> String {
    let mut table = Table::new(["option", "value", "origin"]);
    for one in shown {
        table.row([one.option.clone(), one.words(), one.origin.clone()]);
    }
    table.to_string()
}
