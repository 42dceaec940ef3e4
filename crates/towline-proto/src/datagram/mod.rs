//! The reliable UDP engine: frames in packets, each sent once under its number, lost ones sent again in new packets.

pub mod connection_id;
pub mod control;
pub mod crypto;
pub mod delivery;
pub mod duty;
pub mod ecn;
pub mod flight;
pub mod ids;
pub mod key_phase;
pub mod link;
pub mod mtu;
pub mod number;
pub mod pacer;
pub mod packet;
pub mod params;
pub mod rtt;
pub mod seen;
pub mod strangers;
