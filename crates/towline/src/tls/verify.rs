//! Which certificates are accepted: exactly one key, or any Ed25519 key.
//!
//! A certificate's own signature, names and dates are not looked at: the handshake's CertificateVerify proves that the
//! peer holds the key, and the key is the whole identity.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme};
use towline_proto::ids::KeyHash;
use towline_proto::mail::keys::PublicKey;

use super::error::WrongKey;
use super::keys;

/// The key that a certificate carries; an error for anything but one well-formed Ed25519 certificate.
pub(super) fn key_of(certificate: &CertificateDer<'_>) -> Result<PublicKey, Error> {
    let parsed = ParsedCertificate::try_from(certificate)?;
    let spki = parsed.subject_public_key_info();
    keys::key_of_spki(&spki).ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))
}

/// A chain means a certificate authority, which has no say here.
fn only_one(intermediates: &[CertificateDer<'_>]) -> Result<(), Error> {
    if intermediates.is_empty() { Ok(()) } else { Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) }
}

/// How a peer proves that it holds its certificate's key: the same three methods of rustls' two traits.
macro_rules! ed25519_in_tls13 {
    () => {
        fn verify_tls12_signature(
            &self,
            _message: &[u8],
            _cert: &CertificateDer<'_>,
            _signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Err(Error::General("TLS 1.2 is not spoken here".into()))
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls13_signature(message, cert, signed, &self.algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ED25519]
        }
    };
}

/// The client's: the peer must hold exactly this key.
#[derive(Debug)]
pub(super) struct Pinned {
    pub(super) wanted: KeyHash,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = keys::key_hash(&key_of(end_entity)?);
        if shown != self.wanted {
            let wrong = WrongKey { wanted: self.wanted, shown };
            return Err(Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(wrong)))));
        }
        only_one(intermediates)?;
        Ok(ServerCertVerified::assertion())
    }

    ed25519_in_tls13!();
}

/// The server's: any Ed25519 key, of which the peer proves possession.
#[derive(Debug)]
pub(super) struct AnyKey {
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for AnyKey {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        key_of(end_entity)?;
        only_one(intermediates)?;
        Ok(ClientCertVerified::assertion())
    }

    ed25519_in_tls13!();
}

#[cfg(test)]
pub(super) mod tests {
    //! A careless client's verifier, for tests against foreign programs.

    use super::*;

    #[derive(Debug)]
    pub(in super::super) struct AnyServer {
        pub(in super::super) algorithms: WebPkiSupportedAlgorithms,
    }

    impl ServerCertVerifier for AnyServer {
        fn verify_server_cert(
            &self,
            _end_entity: &CertificateDer<'_>,
            _intermediates: &[CertificateDer<'_>],
            _server_name: &ServerName<'_>,
            _ocsp_response: &[u8],
            _now: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        ed25519_in_tls13!();
    }
}
