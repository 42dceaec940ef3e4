//! TLS 1.3 for the rivals: a certificate made for the run, which the client is told to trust.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// The name in the certificate.
const NAME: &str = "localhost";

/// The server's side, and its certificate in hexadecimal.
pub fn acceptor() -> (TlsAcceptor, String) {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("a certificate can be made");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("the key is a key");
    let certificate = made.cert.der().clone();
    let hex = certificate.iter().map(|byte| format!("{byte:02x}")).collect();
    let config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider has TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("the key fits the certificate");
    (TlsAcceptor::from(Arc::new(config)), hex)
}

/// The client's side.
pub fn connector(hex: &str) -> TlsConnector {
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("the greeting is hexadecimal");
    let certificate: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from(certificate)).expect("the certificate is one");
    let config = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider has TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// The name that the client asks for.
pub fn name() -> ServerName<'static> {
    ServerName::try_from(NAME).expect("the name is one")
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
