//! The hub's options: flag over environment over file over default, each under one name.

use super::origin::{Kind, Layers, OptionSpec, Setting};
use super::pq::Pq;
use super::strict::{ConfigError, nearest};
use super::units::{Size, Span};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use towline::Pool;
use towline_proto::ids::Lane;
use towline_proto::limits::{DEFAULT_MAX_MESSAGE_BYTES, DEFAULT_POOL_BYTES, PROBE_PERIOD};
use towline_proto::mail::hub::HubConfig as CoreConfig;
use towline_proto::mail::limits;
use towline_proto::mail::policy::{Allow, Policy};

const DAY_SECS: u64 = 86_400;

/// Everything that an operator may set of a hub.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HubConfig {
    /// Where devices connect, each `address:port`.
    pub listen: Vec<String>,
    /// Where health and metrics are served; `off` for nowhere.
    pub http: String,
    /// Where keys, mailbox and bodies are kept.
    pub state: PathBuf,
    /// What tickets name as the hub's addresses, each `host:port`; empty means what `listen` and the system tell.
    pub announce: Vec<String>,
    /// The deadline of messages that name none.
    pub default_deadline: Span,
    /// The longest deadline.
    pub max_deadline: Span,
    /// The longest timeout of a rule's run.
    pub max_timeout: Span,
    /// The largest body.
    pub max_body: Size,
    /// How long a body stays whose message was not handled.
    pub keep_failed: Span,
    /// How long the record of a decided message stays.
    pub keep_records: Span,
    /// How long an ending hub waits for its sessions.
    pub drain: Span,
    /// How often a silent device is probed; after two silent periods it is offline.
    pub probe_period: Span,
    /// What all sessions may hold in memory: near it windows shrink, then streams and sessions are refused, then cut.
    pub memory: Size,
    /// Whether devices must have post-quantum key exchange.
    pub pq: Pq,
    /// Whether every joined device may send to every other.
    pub dev: bool,
    /// Quotas.
    pub quota: Quota,
    /// Group names and their members.
    pub groups: BTreeMap<String, Vec<String>>,
    /// Who may send to whom.
    pub allow: Vec<AllowEntry>,
}

/// Bounds for what waits.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quota {
    /// Undecided messages in all.
    pub messages: u64,
    /// Undecided messages for one device.
    pub device_messages: u64,
    /// Bytes of undecided bodies for one device.
    pub device_bytes: Size,
}

/// One `[[allow]]`: these may send to those.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowEntry {
    /// Senders: names, patterns or `@GROUP`.
    pub from: Vec<String>,
    /// Recipients, written likewise.
    pub to: Vec<String>,
    /// Lanes; none means all.
    #[serde(default)]
    pub lanes: Vec<String>,
}

/// Every option with its environment variable, default and meaning; `groups` and `allow` stand in the file only.
pub const OPTIONS: &[OptionSpec] = &[
    OptionSpec::new("listen", Kind::List, "0.0.0.0:4433,[::]:4433", "where devices connect"),
    OptionSpec::new("http", Kind::Text, "127.0.0.1:4480", "where health and metrics are served, or off"),
    OptionSpec::new("state", Kind::Text, "", "folder of keys, mailbox and bodies"),
    OptionSpec::new("announce", Kind::List, "", "addresses that tickets name (host:port)"),
    OptionSpec::new("default_deadline", Kind::Text, "1h", "deadline of messages that name none"),
    OptionSpec::new("max_deadline", Kind::Text, "30d", "longest deadline"),
    OptionSpec::new("max_timeout", Kind::Text, "1d", "longest timeout of a rule's run"),
    OptionSpec::new("max_body", Kind::Text, "64GiB", "largest body"),
    OptionSpec::new("keep_failed", Kind::Text, "7d", "how long a body stays whose message was not handled"),
    OptionSpec::new("keep_records", Kind::Text, "90d", "how long the record of a decided message stays"),
    OptionSpec::new("drain", Kind::Text, "5s", "how long an ending hub waits for its sessions"),
    OptionSpec::new("probe_period", Kind::Text, "7s500ms", "period of probes; offline after two silent ones"),
    OptionSpec::new("memory", Kind::Text, "1GiB", "what all sessions may hold in memory"),
    OptionSpec::new("pq", Kind::Text, "require", "post-quantum key exchange: require, or prefer for old OpenSSL"),
    OptionSpec::new("dev", Kind::Flag, "false", "every joined device may send to every other"),
    OptionSpec::new("quota.messages", Kind::Number, "100000", "undecided messages in all"),
    OptionSpec::new("quota.device_messages", Kind::Number, "10000", "undecided messages for one device"),
    OptionSpec::new("quota.device_bytes", Kind::Text, "256GiB", "bytes of undecided bodies for one device"),
];

/// A configuration and where each of its values came from.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The configuration.
    pub config: HubConfig,
    /// Each option, its value and its origin, for `config show --origin`.
    pub settings: Vec<Setting>,
}

/// The same values as the texts in [`OPTIONS`]; a test compares them.
impl Default for HubConfig {
    fn default() -> Self {
        Self {
            listen: vec!["0.0.0.0:4433".into(), "[::]:4433".into()],
            http: "127.0.0.1:4480".into(),
            state: PathBuf::new(),
            announce: Vec::new(),
            default_deadline: Span::from_secs(3_600),
            max_deadline: Span::from_secs(30 * DAY_SECS),
            max_timeout: Span::from_secs(DAY_SECS),
            max_body: Size(limits::MAX_BODY_BYTES),
            keep_failed: Span::from_secs(7 * DAY_SECS),
            keep_records: Span::from_secs(90 * DAY_SECS),
            drain: Span::from_secs(5),
            probe_period: Span(PROBE_PERIOD),
            memory: Size(DEFAULT_POOL_BYTES),
            pq: Pq::default(),
            dev: false,
            quota: Quota::default(),
            groups: BTreeMap::new(),
            allow: Vec::new(),
        }
    }
}

impl Default for Quota {
    fn default() -> Self {
        Self {
            messages: limits::MAX_UNDECIDED,
            device_messages: limits::MAX_UNDECIDED_PER_RECIPIENT,
            device_bytes: Size(limits::MAX_UNDECIDED_BYTES_PER_RECIPIENT),
        }
    }
}

impl HubConfig {
    /// The defaults, with `state` as the folder.
    pub fn new(state: impl Into<PathBuf>) -> Self {
        Self { state: state.into(), ..Self::default() }
    }

    /// Reads the layers into a configuration and checks what a type cannot say.
    ///
    /// # Errors
    /// With file and line, variable or flag.
    pub fn resolve(layers: Layers) -> Result<Resolved, ConfigError> {
        let source = layers.source();
        let (config, settings) = layers.read::<Self>()?;
        config.check().map_err(|message| ConfigError::new(source, message))?;
        Ok(Resolved { config, settings })
    }

    fn check(&self) -> Result<(), String> {
        if self.listen.is_empty() {
            return Err("`listen` names no address".into());
        }
        let http = std::iter::once(&self.http).filter(|http| *http != "off").map(|http| ("http", http));
        let listen = self.listen.iter().map(|address| ("listen", address));
        let announce = self.announce.iter().map(|host| ("announce", host));
        if let Some((option, text)) = listen.chain(http).chain(announce).find(|(_, text)| !is_address(text)) {
            return Err(format!("`{option}`: {text:?} is not HOST:PORT, such as 127.0.0.1:4433 or [::1]:4433"));
        }
        if self.state.as_os_str().is_empty() {
            return Err("`state` names no folder".into());
        }
        if self.default_deadline > self.max_deadline {
            return Err(format!(
                "`default_deadline` ({}) is above `max_deadline` ({})",
                self.default_deadline, self.max_deadline
            ));
        }
        self.probe_period.as_probe_period()?;
        self.pool()?;
        let policy = self.policy()?;
        match policy.undefined_groups().first() {
            Some(group) => {
                let near = nearest(group, self.groups.keys().map(String::as_str));
                let hint = near.map(|near| format!(", did you mean @{near}?")).unwrap_or_default();
                Err(format!("[[allow]] names the group @{group}, which [groups] does not define{hint}"))
            }
            None => Ok(()),
        }
    }

    /// The memory of all sessions.
    ///
    /// # Errors
    /// If it has no room for the largest message.
    pub fn pool(&self) -> Result<Pool, String> {
        Pool::new(self.memory.0, DEFAULT_MAX_MESSAGE_BYTES).map_err(|error| format!("`memory`: {error}"))
    }

    /// Who may send to whom.
    ///
    /// # Errors
    /// If a lane is not one.
    pub fn policy(&self) -> Result<Policy, String> {
        let entry = |entry: &AllowEntry| {
            let lanes = entry.lanes.iter().map(|lane| lane.parse::<Lane>().map_err(|error| error.to_string()));
            Ok(Allow { from: entry.from.clone(), to: entry.to.clone(), lanes: lanes.collect::<Result<_, String>>()? })
        };
        let allow = self.allow.iter().map(entry).collect::<Result<_, String>>()?;
        Ok(Policy { open: self.dev, groups: self.groups.clone(), allow })
    }

    /// What the core is told.
    ///
    /// # Errors
    /// As [`HubConfig::policy`].
    pub fn core(&self) -> Result<CoreConfig, String> {
        Ok(CoreConfig {
            software: concat!("towline-hub ", env!("CARGO_PKG_VERSION")).into(),
            policy: self.policy()?,
            default_deadline_ms: self.default_deadline.as_millis(),
            max_deadline_ms: self.max_deadline.as_millis(),
            max_timeout_ms: self.max_timeout.as_millis(),
            max_body_bytes: self.max_body.0,
            max_undecided: self.quota.messages,
            max_undecided_per_recipient: self.quota.device_messages,
            max_undecided_bytes_per_recipient: self.quota.device_bytes.0,
        })
    }

    /// The folder of everything the hub keeps.
    pub fn folder(&self) -> PathBuf {
        self.state.join("hub")
    }

    /// The operator's socket.
    pub fn admin_socket(&self) -> PathBuf {
        self.folder().join("admin.sock")
    }

    /// The hub's private key.
    pub fn key_file(&self) -> PathBuf {
        self.folder().join("hub.key")
    }
}

/// Whether the text can be an address, `HOST:PORT`; whether the host is there is found out later.
pub fn is_address(text: &str) -> bool {
    let named = |(host, port): (&str, &str)| !host.is_empty() && !host.contains(':') && port.parse::<u16>().is_ok();
    text.parse::<SocketAddr>().is_ok() || text.rsplit_once(':').is_some_and(named)
}

#[cfg(test)]
mod tests;
