//! Layers of options: default, file, environment, flag; the later one wins, and each value knows where it came from.

use super::strict::{self, ConfigError, line_of};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// How an option is written outside a TOML file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As it stands.
    Text,
    /// A whole number.
    Number,
    /// `true` or `false`.
    Flag,
    /// With commas between.
    List,
}

/// One option: the same name in the file, in the environment and as a flag.
#[derive(Clone, Copy, Debug)]
pub struct OptionSpec {
    /// Its name in the file; a dot leads into a table.
    pub name: &'static str,
    /// How it is written elsewhere.
    pub kind: Kind,
    /// Its default, written as in the environment.
    pub default: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// Whose option it is, as the environment says it: `HUB`.
    pub owner: &'static str,
}

impl OptionSpec {
    /// An option of the hub.
    pub const fn new(name: &'static str, kind: Kind, default: &'static str, meaning: &'static str) -> Self {
        Self { name, kind, default, meaning, owner: "HUB" }
    }

    /// The same option of another program: `AGENT`.
    #[must_use]
    pub const fn of(self, owner: &'static str) -> Self {
        Self { owner, ..self }
    }

    /// Its environment variable: `quota.messages` is `TOWLINE_HUB_QUOTA_MESSAGES`.
    pub fn variable(&self) -> String {
        format!("TOWLINE_{}_{}", self.owner, self.name.replace('.', "_").to_uppercase())
    }

    fn value(&self, text: &str) -> Result<Value, String> {
        match self.kind {
            Kind::Text => Ok(Value::String(text.into())),
            Kind::Number => text.parse().map(Value::Integer).map_err(|_| format!("{text:?} is no whole number")),
            Kind::Flag => match text {
                "true" | "1" => Ok(Value::Boolean(true)),
                "false" | "0" => Ok(Value::Boolean(false)),
                _ => Err(format!("{text:?} is neither true nor false")),
            },
            Kind::List => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Ok(Value::Array(items.map(|item| Value::String(item.into())).collect()))
            }
        }
    }
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// The file, at this line.
    File {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
    },
    /// This environment variable.
    Environment(String),
    /// The command line.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "${name}"),
            Self::Flag => f.write_str("flag"),
        }
    }
}

/// One option as it came to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The option's name.
    pub option: String,
    /// Its value, as in a TOML file.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

/// Options laid over each other.
#[derive(Clone, Debug)]
pub struct Layers {
    options: &'static [OptionSpec],
    table: Table,
    origins: BTreeMap<String, Origin>,
    file: Option<PathBuf>,
}

impl Layers {
    /// The defaults.
    pub fn new(options: &'static [OptionSpec]) -> Self {
        let mut layers = Self { options, table: Table::new(), origins: BTreeMap::new(), file: None };
        for option in options {
            let value =
                option.value(option.default).expect("a default is written as its kind demands; a test reads all");
            layers.set(option.name, value, Origin::Default);
        }
        layers
    }

    /// Lays a file over. `T` is its shape with every key optional: what it refuses is told with its line.
    ///
    /// # Errors
    /// If it is no TOML, or has a key that nobody reads.
    pub fn with_file<T: DeserializeOwned>(mut self, path: &Path, text: &str) -> Result<Self, ConfigError> {
        let file: Table = strict::parse(path, text)?;
        self.file = Some(path.into());
        for (name, value) in flatten(&file) {
            let line = line_of_key(text, &name);
            self.set(&name, value, Origin::File { path: path.into(), line });
        }
        strict::parse::<T>(path, text)?;
        Ok(self)
    }

    /// Lays over what `variable` gives for each option's environment variable.
    ///
    /// # Errors
    /// If a value is not of the option's kind.
    pub fn with_environment(mut self, variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        for option in self.options {
            let name = option.variable();
            if let Some(text) = variable(&name) {
                self = self.with_text(option.name, &text, Origin::Environment(name))?;
            }
        }
        Ok(self)
    }

    /// Lays over one option.
    ///
    /// # Errors
    /// If there is no such option, or the text is not of its kind.
    pub fn with_text(mut self, name: &str, text: &str, origin: Origin) -> Result<Self, ConfigError> {
        let told = |message: String| ConfigError::new(origin.to_string(), message);
        let option = self.options.iter().find(|option| option.name == name);
        let option = option.ok_or_else(|| ConfigError {
            suggestion: strict::nearest(name, self.options.iter().map(|option| option.name)).map(str::to_owned),
            ..told(format!("there is no option `{name}`"))
        })?;
        let value = option.value(text).map_err(|error| told(format!("`{name}`: {error}")))?;
        self.set(name, value, origin);
        Ok(self)
    }

    /// Lays over options of the command line, each `OPTION=VALUE`.
    ///
    /// # Errors
    /// As [`Layers::with_text`], and if there is no `=`.
    pub fn with_assignments(mut self, assignments: &[String]) -> Result<Self, ConfigError> {
        for text in assignments {
            let missing = || ConfigError::new(Origin::Flag.to_string(), format!("{text:?} is not OPTION=VALUE"));
            let (name, value) = text.split_once('=').ok_or_else(missing)?;
            self = self.with_text(name.trim(), value, Origin::Flag)?;
        }
        Ok(self)
    }

    /// What an error without a line of its own is about: the file if there is one.
    pub fn source(&self) -> PathBuf {
        self.file.clone().unwrap_or_else(|| "configuration".into())
    }

    /// The values, and where each came from.
    ///
    /// # Errors
    /// If a value from the environment or a flag is not what its option takes; the file was checked before.
    pub fn read<T: DeserializeOwned>(self) -> Result<(T, Vec<Setting>), ConfigError> {
        for (name, origin) in self.origins.iter().filter(|(_, origin)| !matches!(origin, Origin::Default)) {
            let mut alone = Table::new();
            if let Some(value) = lookup(&self.table, name) {
                put(&mut alone, name, value.clone());
            }
            let checked: Result<T, _> = alone.try_into();
            if let Err(error) = checked {
                let source =
                    if let Origin::File { path, .. } = origin { path.clone() } else { origin.to_string().into() };
                return Err(ConfigError::new(source, format!("`{name}`: {}", error.message())));
            }
        }
        let settings = self.settings();
        let source = self.source();
        let config =
            self.table.try_into().map_err(|error: toml::de::Error| ConfigError::new(source, error.message()))?;
        Ok((config, settings))
    }

    fn settings(&self) -> Vec<Setting> {
        let one = |(option, value): (String, Value)| {
            let origin = self.origins.get(&option).cloned().unwrap_or(Origin::Default);
            Setting { option, value: value.to_string(), origin }
        };
        flatten(&self.table).into_iter().map(one).collect()
    }

    fn set(&mut self, name: &str, value: Value, origin: Origin) {
        put(&mut self.table, name, value);
        self.origins.insert(name.into(), origin);
    }
}

/// Every value with its dotted name; arrays are values.
fn flatten(table: &Table) -> Vec<(String, Value)> {
    let mut list = Vec::new();
    for (key, value) in table {
        match value {
            Value::Table(inner) => {
                list.extend(flatten(inner).into_iter().map(|(name, value)| (format!("{key}.{name}"), value)));
            }
            value => list.push((key.clone(), value.clone())),
        }
    }
    list
}

fn lookup<'t>(table: &'t Table, name: &str) -> Option<&'t Value> {
    match name.split_once('.') {
        None => table.get(name),
        Some((outer, inner)) => lookup(table.get(outer)?.as_table()?, inner),
    }
}

fn put(table: &mut Table, name: &str, value: Value) {
    match name.split_once('.') {
        None => drop(table.insert(name.into(), value)),
        Some((outer, inner)) => {
            let entry = table.entry(outer).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(entry) = entry {
                put(entry, inner, value);
            }
        }
    }
}

/// The line on which the key `name` stands in `text`, which is valid TOML; 1 if it is written in an unusual way.
fn line_of_key(text: &str, name: &str) -> usize {
    let (table, key) = name.rsplit_once('.').unwrap_or(("", name));
    let (mut current, mut at) = (String::new(), 0);
    for line in text.split_inclusive('\n') {
        let start = line.trim_start();
        if let Some(header) = start.strip_prefix('[') {
            current = header.trim_start_matches('[').split(']').next().unwrap_or_default().trim().to_owned();
        }
        let stands_alone = |rest: &str| rest.trim_start().starts_with(['=', '.']);
        let is_key = |word: &str| start.strip_prefix(word).is_some_and(stands_alone);
        if (current == table && is_key(key)) || (current.is_empty() && is_key(name)) || current == name {
            return line_of(text, at);
        }
        at += line.len();
    }
    1
}
