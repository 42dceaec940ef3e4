//! The whole program as real processes: a hub, devices and the commands that people give.

#[path = "../support/mod.rs"]
mod support;

mod addresses;
mod asking;
mod devices;
mod documents;
mod ending;
mod hostile;
mod json;
mod leaving;
mod policy;
mod progress;
mod proof;
mod recipients;
mod tree;
