//! Ed25519 keys, digests and MACs: everything the crate needs of aws-lc-rs beside TLS itself.

use aws_lc_rs::signature::KeyPair as _;
use aws_lc_rs::{digest, hmac, rand, signature};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use towline_proto::ids::KeyHash;
use towline_proto::mail::keys::{PublicKey, Signature};

/// The DER that stands before the 32 bytes of every Ed25519 SubjectPublicKeyInfo (RFC 8410 §4): algorithm 1.3.101.112,
/// no parameters, a bit string of 33 bytes.
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A key file that is not an Ed25519 key in PKCS#8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an Ed25519 private key in PKCS#8")]
pub(crate) struct NotAKey;

/// An Ed25519 key pair with its PKCS#8 form and the self-signed certificate it is shown with.
pub(crate) struct KeyPair {
    signer: signature::Ed25519KeyPair,
    pkcs8: Vec<u8>,
    certificate: CertificateDer<'static>,
    public: PublicKey,
}

impl KeyPair {
    /// A new key from the operating system's randomness.
    pub(crate) fn generate() -> Self {
        let document = signature::Ed25519KeyPair::generate_pkcs8v1(&rand::SystemRandom::new())
            .expect("aws-lc makes an Ed25519 key from system randomness, which it waits for and never lacks");
        Self::from_pkcs8(document.as_ref()).expect("a key just made is read back")
    }

    /// Reads a key from its PKCS#8 form.
    pub(crate) fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, NotAKey> {
        let signer = signature::Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|_| NotAKey)?;
        let public = PublicKey(signer.public_key().as_ref().try_into().map_err(|_| NotAKey)?);
        let certificate = self_signed(pkcs8).map_err(|_| NotAKey)?;
        Ok(Self { signer, pkcs8: pkcs8.to_vec(), certificate, public })
    }

    pub(crate) fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    pub(crate) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    pub(crate) fn public(&self) -> PublicKey {
        self.public
    }

    pub(crate) fn sign(&self, bytes: &[u8]) -> Signature {
        let made = self.signer.sign(bytes);
        Signature(made.as_ref().try_into().expect("an Ed25519 signature has 64 bytes"))
    }
}

/// The certificate a key is shown with. Names and dates in it mean nothing to a Towline peer, which looks at the key
/// alone; rcgen's default dates (1975 to 4096) keep machines with a wrong clock able to speak.
fn self_signed(pkcs8: &[u8]) -> Result<CertificateDer<'static>, rcgen::Error> {
    let key = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(pkcs8), &rcgen::PKCS_ED25519)?;
    let mut params = rcgen::CertificateParams::new(vec!["towline".to_owned()])?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "towline");
    Ok(params.self_signed(&key)?.into())
}

/// Whether `signature` over `bytes` was made by the holder of `key`.
pub(crate) fn verify(key: &PublicKey, bytes: &[u8], made: &Signature) -> bool {
    signature::UnparsedPublicKey::new(&signature::ED25519, &key.0).verify(bytes, &made.0).is_ok()
}

/// The name of `key`: SHA-256 over its SubjectPublicKeyInfo.
pub(crate) fn key_hash(key: &PublicKey) -> KeyHash {
    let mut spki = [0; 44];
    spki[..12].copy_from_slice(&SPKI_PREFIX);
    spki[12..].copy_from_slice(&key.0);
    let hashed = digest::digest(&digest::SHA256, &spki);
    KeyHash(hashed.as_ref().try_into().expect("SHA-256 has 32 bytes"))
}

/// The Ed25519 key inside a SubjectPublicKeyInfo; `None` for any other kind of key.
pub(crate) fn key_of_spki(spki: &[u8]) -> Option<PublicKey> {
    spki.strip_prefix(&SPKI_PREFIX)?.try_into().ok().map(PublicKey)
}

/// Fills `bytes` from the operating system's randomness.
pub(crate) fn random(bytes: &mut [u8]) {
    rand::fill(bytes).expect("the operating system's randomness is waited for and never lacks");
}

/// A random number, for waits that should not all end at once.
pub(crate) fn random_number() -> u32 {
    let mut bytes = [0; 4];
    random(&mut bytes);
    u32::from_le_bytes(bytes)
}

/// HMAC-SHA-256 for join proofs.
pub(crate) struct HmacSha256;

impl towline_proto::session::handshake::Mac for HmacSha256 {
    fn sign(&self, key: &[u8; 32], input: &[u8]) -> [u8; 32] {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), input);
        tag.as_ref().try_into().expect("HMAC-SHA256 has 32 bytes")
    }

    fn verify(&self, key: &[u8; 32], input: &[u8], tag: &[u8; 32]) -> bool {
        hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, key), input, tag).is_ok()
    }
}
