//! TLS for bare connections.

use tokio::io::{AsyncRead, AsyncWrite};
use towline_proto::ids::KeyHash;

use super::config::{ClientTls, ServerTls};
use super::error::TlsError;
use super::key_exchange::PostQuantum;
use super::stream::TlsStream;
use crate::identity::Identity;

/// The server's side of TLS for connections of one protocol, which `alpn` names in the handshake: a peer that names another
/// is refused.
#[derive(Clone)]
pub struct Acceptor(ServerTls);

impl Acceptor {
    /// Shows this identity's key and demands a key of the client; [`TlsStream::peer`] tells which it was.
    ///
    /// # Errors
    /// The identity cannot be used for TLS.
    pub fn with_identity(identity: &Identity, alpn: &[u8]) -> Result<Self, TlsError> {
        Ok(Self(ServerTls::with_key(identity, alpn, PostQuantum::Require)?))
    }

    /// Shows a certificate, with its chain up to the authority that clients trust; demands nothing of them. All in PEM.
    ///
    /// # Errors
    /// Chain or key are not what they should be, or do not belong together.
    pub fn with_certificate(chain: &[u8], key: &[u8], alpn: &[u8]) -> Result<Self, TlsError> {
        Ok(Self(ServerTls::with_certificate(chain, key, alpn)?))
    }

    /// The handshake. Its time is not bounded here: [`crate::listen`] does that.
    ///
    /// # Errors
    /// The peer broke the rules, speaks another protocol, or went away.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, io: S) -> Result<TlsStream<S>, TlsError> {
        TlsStream::accept(io, &self.0).await.map(|(stream, _)| stream)
    }
}

/// The client's side of TLS for connections of one protocol.
#[derive(Clone)]
pub struct Connector(ClientTls);

impl Connector {
    /// To whoever holds the key `peer`, showing this identity's own.
    ///
    /// # Errors
    /// The identity cannot be used for TLS.
    pub fn to_key(identity: &Identity, peer: KeyHash, alpn: &[u8]) -> Result<Self, TlsError> {
        Ok(Self(ClientTls::to_key(identity, peer, alpn, PostQuantum::Require)?))
    }

    /// To the host of that name, for which one of the authorities in `roots` (PEM) must vouch; shows nothing.
    ///
    /// # Errors
    /// The name or the authorities' certificates are not what they should be.
    pub fn to_name(name: &str, roots: &[u8], alpn: &[u8]) -> Result<Self, TlsError> {
        Ok(Self(ClientTls::to_name(name, roots, alpn)?))
    }

    /// The handshake. Its time is not bounded here.
    ///
    /// # Errors
    /// The peer is not who it should be, broke the rules, speaks another protocol, or went away.
    pub async fn connect<S: AsyncRead + AsyncWrite + Unpin>(&self, io: S) -> Result<TlsStream<S>, TlsError> {
        TlsStream::connect(io, &self.0).await.map(|(stream, _)| stream)
    }
}
