//! The hub's core: what becomes of every message.

mod config;
pub mod io;
pub mod record;

pub use config::HubConfig;
