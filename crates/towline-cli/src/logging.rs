//! The log: on stderr, never with a payload.

use crate::failure::Failure;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Starts the log with this filter (`info`, `towline=debug`, …).
pub(crate) fn start(filter: &str, json: bool) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        Failure::usage(format!("--log {filter:?}: {error}"))
            .cure("write a level, as in `--log info`, or `--log towline=debug`")
    })?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none());
    // The journal of systemd writes its own time beside each line.
    let under_systemd = std::env::var_os("JOURNAL_STREAM").is_some();
    match (json, under_systemd) {
        (true, _) => log.json().init(),
        (false, true) => log.without_time().init(),
        (false, false) => log.init(),
    }
    Ok(())
}
