//! The agent's core: what a device does with the messages that come to it.

pub mod io;
pub mod names;
pub mod record;
pub mod rules;
pub mod template;
