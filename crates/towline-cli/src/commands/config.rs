//! `towline config`: whether the files can be used, and where each value came from.

use super::Context;
use crate::agent::AgentConfig;
use crate::device::DeviceConfig;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::home::Home;
use crate::output::table::Table;
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use std::path::{Path, PathBuf};
use towline_hub::config::hub::{HubConfig, OPTIONS, Resolved};
use towline_hub::config::origin::{Layers, Origin};
use towline_hub::config::strict::{self, ConfigError};

/// Check or show configuration files
#[derive(Debug, Args)]
pub(crate) struct Config {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Check files: exit 2 with file, line and suggestion at the first mistake
    Check {
        /// The files; without any, those of this home that exist
        files: Vec<PathBuf>,
        /// What the files are [default: told by the name: hub…, agent…, device…]
        #[arg(long = "as", value_enum, value_name = "KIND")]
        kind: Option<FileKind>,
    },
    /// Show every value
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
        check_one(context, &path, kind)?;
        checked.push(serde_json::json!({ "file": path, "kind": kind }));
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

fn check_one(context: &Context, path: &Path, kind: FileKind) -> Result<(), Failure> {
    if !path.exists() {
        return Err(Failure::new(Exit::NotFound, format!("there is no file {}", path.display())));
    }
    match kind {
        FileKind::Hub => hub(&context.home, Some(path)).map(drop),
        FileKind::Agent => {
            let text = strict::read(path)?;
            AgentConfig::check(&context.home.device(), path, &text)?;
            Ok(())
        }
        FileKind::Device => Ok(strict::load::<DeviceConfig>(path).map(drop)?),
    }
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

/// A value as `config show` prints it.
#[derive(Clone, Debug, Serialize)]
struct Shown {
    option: String,
    value: String,
    origin: String,
}

fn show(context: &Context, origin: bool, config: Option<PathBuf>) -> Outcome {
    let home = &context.home;
    let mut shown = vec![Shown {
        option: "home".into(),
        value: home.root().display().to_string(),
        origin: home.origin().as_str().into(),
    }];
    for setting in hub(home, config.as_deref())?.settings {
        let option = format!("hub.{}", setting.option);
        shown.push(Shown { option, value: setting.value, origin: setting.origin.to_string() });
    }
    if home.device_config().exists() {
        let device = DeviceConfig::load(home)?;
        let file = home.device_config().display().to_string();
        let pq = String::from(device.pq);
        let values = [("name", device.name), ("hub", device.hub), ("hosts", device.hosts.join(",")), ("pq", pq)];
        shown.extend(values.into_iter().map(|(option, value)| Shown {
            option: format!("device.{option}"),
            value,
            origin: file.clone(),
        }));
    }
    for setting in AgentConfig::look(&home.device())?.1 {
        let option = format!("agent.{}", setting.option);
        shown.push(Shown { option, value: setting.value, origin: setting.origin.to_string() });
    }
    let human = if origin { with_origins(&shown) } else { plain(&shown) };
    context.out.result(human, &serde_json::json!({ "settings": shown }));
    Ok(Exit::Done)
}

fn plain(shown: &[Shown]) -> String {
    let lines: Vec<String> = shown.iter().map(|one| format!("{} = {}", one.option, one.value)).collect();
    lines.join("\n")
}

fn with_origins(shown: &[Shown]) -> String {
    let mut table = Table::new(["option", "value", "origin"]);
    for one in shown {
        table.row([one.option.clone(), one.value.clone(), one.origin.clone()]);
    }
    table.to_string()
}
