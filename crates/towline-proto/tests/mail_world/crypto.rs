//! Signatures that a test can make: keyed checksums, repeatable, and different for every changed bit.

use towline_proto::ids::{Digest, KeyHash};
use towline_proto::mail::keys::{Crypto, PublicKey, Signature};

/// The keys of one machine. Whoever knows the public key could sign; a test has no enemies.
#[derive(Clone, Copy)]
pub(crate) struct TestCrypto(pub PublicKey);

fn sum(parts: &[&[u8]]) -> [u8; 32] {
    let mut lanes = [0x9e37_79b9_7f4a_7c15_u64, 0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb, 0x2545_f491_4f6c_dd1d];
    for (index, byte) in parts.iter().flat_map(|part| part.iter()).enumerate() {
        for (lane, state) in lanes.iter_mut().enumerate() {
            *state = (*state ^ u64::from(*byte) ^ (index as u64) << 8).wrapping_mul(0x0100_0000_01b3 + 2 * lane as u64);
            *state ^= *state >> 29;
        }
    }
    let mut bytes = [0; 32];
    for (lane, state) in lanes.iter().enumerate() {
        bytes[lane * 8..][..8].copy_from_slice(&state.to_be_bytes());
    }
    bytes
}

impl Crypto for TestCrypto {
    fn digest(&self, bytes: &[u8]) -> Digest {
        Digest(sum(&[bytes]))
    }
    fn key_hash(&self, key: &PublicKey) -> KeyHash {
        KeyHash(sum(&[&key.0]))
    }
    fn sign(&self, bytes: &[u8]) -> Signature {
        let half = sum(&[&self.0.0, bytes]);
        let mut whole = [0; 64];
        whole[..32].copy_from_slice(&half);
        whole[32..].copy_from_slice(&sum(&[bytes, &self.0.0]));
        Signature(whole)
    }
    fn public_key(&self) -> PublicKey {
        self.0
    }
    fn verify(&self, key: &PublicKey, bytes: &[u8], signature: &Signature) -> bool {
        Self(*key).sign(bytes) == *signature
    }
}
