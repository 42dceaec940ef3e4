//! The reliable UDP engine: frames in packets, each sent once under its number, lost ones sent again in new packets.

pub mod delivery;
pub mod flight;
pub mod number;
pub mod rtt;
pub mod seen;
