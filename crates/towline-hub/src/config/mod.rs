//! Configuration: a strict TOML reader for every file of Towline's, and the hub's own options.

pub mod hub;
pub mod origin;
pub mod pq;
pub mod strict;
pub mod units;
