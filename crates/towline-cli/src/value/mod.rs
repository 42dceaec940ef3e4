//! Values as people type them on the command line; durations and sizes are the configuration's own (`towline_hub::config::units`).

pub(crate) mod key;
pub(crate) mod recipient;
