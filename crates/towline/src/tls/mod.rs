//! TLS 1.3 with pinned keys: the only module that names rustls or aws-lc-rs.
//!
//! Both sides show a self-signed Ed25519 certificate. The client accepts one key, the server any key (who may enter is
//! decided after, by its admit hook). X25519MLKEM768 is the only key exchange unless the operator says `prefer`, so a
//! recording made today is of no use to tomorrow's quantum computer. No tickets, no resumption, no 0-RTT: a resumed
//! handshake would skip the verifier.

mod config;
mod error;
mod exporter;
mod key_exchange;
pub(crate) mod keys;
mod machine;
mod stream;
#[cfg(test)]
mod tests;
mod verify;

pub(crate) use config::{ClientTls, ServerTls};
pub(crate) use error::TlsError;
pub use key_exchange::{BadPostQuantum, KeyExchange, PostQuantum};
pub(crate) use stream::{Proven, TlsStream};
