//! Signatures as an argument: the core names no cryptographic library.

use crate::ids::{Digest, KeyHash};

/// An Ed25519 public key (RFC 8032), raw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, minicbor::Encode, minicbor::Decode)]
#[cbor(transparent)]
pub struct PublicKey(#[cbor(with = "minicbor::bytes")] pub [u8; 32]);

/// An Ed25519 signature (RFC 8032), raw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(transparent)]
pub struct Signature(#[cbor(with = "minicbor::bytes")] pub [u8; 64]);

/// What the mail cores need of cryptography. Every function is pure: the same arguments give the same answer.
pub trait Crypto {
    /// BLAKE3 of `bytes`.
    fn digest(&self, bytes: &[u8]) -> Digest;
    /// The name of `key` (see [`KeyHash`]).
    fn key_hash(&self, key: &PublicKey) -> KeyHash;
    /// Signs with this machine's own key.
    fn sign(&self, bytes: &[u8]) -> Signature;
    /// This machine's own key.
    fn public_key(&self) -> PublicKey;
    /// Whether `signature` over `bytes` was made by the holder of `key`.
    fn verify(&self, key: &PublicKey, bytes: &[u8], signature: &Signature) -> bool;
}

impl<T: Crypto + ?Sized> Crypto for &T {
    fn digest(&self, bytes: &[u8]) -> Digest {
        (**self).digest(bytes)
    }
    fn key_hash(&self, key: &PublicKey) -> KeyHash {
        (**self).key_hash(key)
    }
    fn sign(&self, bytes: &[u8]) -> Signature {
        (**self).sign(bytes)
    }
    fn public_key(&self) -> PublicKey {
        (**self).public_key()
    }
    fn verify(&self, key: &PublicKey, bytes: &[u8], signature: &Signature) -> bool {
        (**self).verify(key, bytes, signature)
    }
}
