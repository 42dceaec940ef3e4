//! TLS 1.3: the only module that names rustls or aws-lc-rs.
//!
//! Between two Towline peers both sides show a self-signed Ed25519 certificate. The client accepts one key, the server any
//! key (who may enter is decided after, by its admit hook). X25519MLKEM768 is the only key exchange unless the operator
//! says `prefer`, so a recording made today is of no use to tomorrow's quantum computer. No tickets, no resumption, no
//! 0-RTT: a resumed handshake would skip the verifier.
//!
//! For a bare [`Connection`](crate::connection::Connection) an [`Acceptor`] and a [`Connector`] put the same under any byte
//! stream, or certificates of an authority for peers that know no keys. The goodbye (close_notify) is sent at an orderly
//! end and demanded of the peer: a stream without it ends as [`Cut`](crate::connection::ConnectionEnd::Cut).

mod bare;
mod buffers;
mod config;
mod error;
mod exporter;
mod handshake;
mod incoming;
mod key_exchange;
pub(crate) mod keys;
mod record;
mod records;
mod stream;
#[cfg(test)]
mod tests;
mod verify;

pub use bare::{Acceptor, Connector};
pub(crate) use config::{ClientTls, ServerTls};
pub use error::{TlsError, WrongKey};
pub(crate) use handshake::Proven;
pub use key_exchange::{BadPostQuantum, KeyExchange, PostQuantum};
pub use stream::TlsStream;
