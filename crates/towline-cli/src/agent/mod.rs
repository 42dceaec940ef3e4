//! The agent: the program on a device that takes its messages, places or handles them, and sends what lies in its outbox.

pub(crate) mod config;
mod folder;
mod journal;
mod names;
mod place;
mod run;
mod store;
mod tail;
mod users;
