//! The Towline hub: named devices, durable store-and-forward, receipts, presence, permissions.
//!
//! A pure core (`towline_proto::mail::hub`) decides; this crate keeps what it decided on disk, carries its words to and
//! from the devices, and lets the operator look and act.

pub mod admin;
pub mod bodies;
pub mod config;
mod http;
mod hub;
mod metrics;
mod shell;
pub mod store;

pub use hub::{Hub, RunningHub, StartError};
