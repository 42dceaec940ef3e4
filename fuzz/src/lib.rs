//! Fuzzing of everything that reads what a peer sends.

pub mod decoders;
pub mod pair;
