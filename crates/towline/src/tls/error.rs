//! Why a TLS link failed.

use std::io;

use rustls::CertificateError;
use towline_proto::ids::KeyHash;

/// Why TLS failed, in a handshake or after.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The peer holds another key than the pinned one.
    #[error(transparent)]
    WrongKey(WrongKey),
    /// Bytes ended without a close_notify: somebody cut the connection, perhaps to hide its end.
    #[error("the connection was cut without TLS's goodbye")]
    Truncated,
    /// The peer proved no key; our verifiers demand one, so this is never seen.
    #[error("the peer showed no key")]
    NoKey,
    /// The peer does not speak this protocol (ALPN).
    #[error("the peer did not agree on the protocol to speak")]
    Alpn,
    /// The peer sent more handshake than any honest one has.
    #[error("the peer's handshake is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The bound.
        limit_bytes: usize,
    },
    /// The peer broke TLS's rules, cannot do what we ask for, or told us so by an alert.
    #[error("{0}")]
    Protocol(rustls::Error),
    /// The transport below failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The peer holds another key than the pinned one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the peer showed the key {shown}, not {wanted}")]
pub struct WrongKey {
    /// The name of the key that was to be shown.
    pub wanted: KeyHash,
    /// The name of the key that was shown.
    pub shown: KeyHash,
}

impl From<rustls::Error> for TlsError {
    fn from(error: rustls::Error) -> Self {
        if let rustls::Error::InvalidCertificate(CertificateError::Other(other)) = &error
            && let Some(wrong) = other.0.downcast_ref::<WrongKey>()
        {
            return Self::WrongKey(*wrong);
        }
        Self::Protocol(error)
    }
}

impl From<TlsError> for io::Error {
    fn from(error: TlsError) -> Self {
        match error {
            TlsError::Io(error) => error,
            TlsError::Truncated => Self::new(io::ErrorKind::UnexpectedEof, error),
            other => Self::new(io::ErrorKind::InvalidData, other),
        }
    }
}
