//! Fuzzing of everything that reads what a peer sends.

pub mod codecs;
pub mod compress;
pub mod decoders;
pub mod pair;
pub mod tls;
