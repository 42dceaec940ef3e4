//! The envelope: what the sender says of a message, as one canonical byte string that it signs.

use super::canonical::{self, NotCanonical};
use super::keys::{Crypto, PublicKey, Signature};
use crate::ids::{DeviceName, Digest, Lane, MessageId};
use minicbor::{Decode, Encode};

/// Prefixed to an envelope's bytes before they are signed, so that no other signature can pass for an envelope's.
const CONTEXT: &[u8] = b"towline envelope 1\0";

/// What the sender says of a message. It is signed before the body is sent, so a file is hashed first.
///
/// On the wire and on disk it is a CBOR array in the order of these fields, in CBOR's deterministic encoding
/// (RFC 8949 §4.2.1); the hub stores and forwards those bytes as they came.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Envelope {
    /// The message's name, chosen by the sender. A sender never uses one twice.
    #[n(0)]
    pub id: MessageId,
    /// The sender's name at the time of sending.
    #[n(1)]
    pub from: DeviceName,
    /// The sender's key: the one that signs.
    #[n(2)]
    pub sender: PublicKey,
    /// The recipient's name, resolved by the hub on acceptance.
    #[n(3)]
    pub to: DeviceName,
    /// How long after its acceptance the message may start, in milliseconds; 0 asks for the hub's default.
    #[n(4)]
    pub deadline_ms: u64,
    /// The lane on which it travels.
    #[n(5)]
    pub lane: Lane,
    /// Whether the hub keeps it until its outcome (`true`) or hands it to a device that is online now or to nobody.
    #[n(6)]
    pub kept: bool,
    /// The file's name as the sender calls it: data, never a path; may be empty.
    #[n(7)]
    pub name: String,
    /// The media type, or empty.
    #[n(8)]
    pub content_type: String,
    /// The body's length in bytes.
    #[n(9)]
    pub size: u64,
    /// BLAKE3 of the body: what `b3sum` prints.
    #[n(10)]
    pub root: Digest,
    /// The sender's wall clock, in milliseconds since 1970. Nothing is decided by it.
    #[n(11)]
    pub time_ms: u64,
    /// How the body is sealed: 0 is not at all; other values are kept for end-to-end encryption.
    #[n(12)]
    pub seal: u8,
}

impl Envelope {
    /// The longest file name, in bytes: four times what file systems take, so that a long one is refused by its recipient with a receipt.
    pub const MAX_NAME_LEN: usize = 1_024;
    /// The longest media type, in bytes (RFC 6838 §4.2 allows 127 + 1 + 127).
    pub const MAX_TYPE_LEN: usize = 255;
    /// The longest encoded envelope, in bytes.
    pub const MAX_LEN: usize = 2_048;

    /// Encodes and signs.
    pub fn seal(&self, crypto: &impl Crypto) -> SignedEnvelope {
        let bytes = canonical::encode(self);
        let signature = crypto.sign(&signed_bytes(&bytes));
        SignedEnvelope { bytes, signature }
    }
}

/// An envelope's canonical bytes and its sender's signature, as stored and forwarded.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct SignedEnvelope {
    /// The canonical encoding of an [`Envelope`].
    #[cbor(n(0), with = "minicbor::bytes")]
    pub bytes: Vec<u8>,
    /// Ed25519 over `"towline envelope 1\0"` and `bytes`, by the envelope's `sender`.
    #[n(1)]
    pub signature: Signature,
}

/// Why an envelope cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEnvelope {
    /// Not the canonical encoding of an envelope, or a field is over its limit.
    #[error("the envelope is malformed")]
    Malformed,
    /// The signature is not the sender's.
    #[error("the envelope's signature is not its sender's")]
    Signature,
}

impl From<NotCanonical> for BadEnvelope {
    fn from(_: NotCanonical) -> Self {
        Self::Malformed
    }
}

impl SignedEnvelope {
    /// Decodes without looking at the signature: for what was verified before it was stored.
    ///
    /// # Errors
    /// [`BadEnvelope::Malformed`].
    pub fn decode(&self) -> Result<Envelope, BadEnvelope> {
        let envelope: Envelope = canonical::decode(&self.bytes, Envelope::MAX_LEN)?;
        let within = envelope.name.len() <= Envelope::MAX_NAME_LEN
            && envelope.content_type.len() <= Envelope::MAX_TYPE_LEN
            && usize::from(envelope.lane.0) < Lane::COUNT;
        within.then_some(envelope).ok_or(BadEnvelope::Malformed)
    }

    /// Decodes and checks the signature.
    ///
    /// # Errors
    /// [`BadEnvelope`].
    pub fn open(&self, crypto: &impl Crypto) -> Result<Envelope, BadEnvelope> {
        let envelope = self.decode()?;
        let genuine = crypto.verify(&envelope.sender, &signed_bytes(&self.bytes), &self.signature);
        genuine.then_some(envelope).ok_or(BadEnvelope::Signature)
    }

    /// The digest over the bytes, by which a receipt names the envelope.
    pub fn digest(&self, crypto: &impl Crypto) -> Digest {
        crypto.digest(&self.bytes)
    }
}

fn signed_bytes(bytes: &[u8]) -> Vec<u8> {
    [CONTEXT, bytes].concat()
}
