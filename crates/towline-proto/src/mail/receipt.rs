//! The receipt: the final record of a message, as one canonical byte string signed by whoever can say it.

use super::canonical;
use super::code::Code;
use super::envelope::BadEnvelope;
use super::keys::{Crypto, PublicKey, Signature};
use super::outcome::Outcome;
use crate::ids::{Digest, MessageId};
use minicbor::{Decode, Encode};

const CONTEXT: &[u8] = b"towline receipt 1\0";

/// Whose word a receipt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Signer {
    /// The recipient's own word: `handled`, `failed`, its own `refused`.
    #[n(0)]
    Recipient,
    /// What only the hub can say: `expired`, `unclear`, `withdrawn`, `refused` by policy.
    #[n(1)]
    Hub,
}

/// The final record over a message: a CBOR array in the order of these fields, in CBOR's deterministic encoding.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Receipt {
    /// BLAKE3 over the envelope's canonical bytes.
    #[n(0)]
    pub envelope: Digest,
    /// The message's name.
    #[n(1)]
    pub id: MessageId,
    /// What became of it.
    #[n(2)]
    pub outcome: Outcome,
    /// Who did it: `inbox`, `save_to`, `rule NAME`, or `hub`.
    #[n(3)]
    pub by: String,
    /// Why, as a stable word with cause and cure in `docs/model.md`.
    #[n(4)]
    pub code: Code,
    /// Why, for people: `handler exit 3`, `offline since 2026-11-02T10:00:00Z`.
    #[n(5)]
    pub reason: String,
    /// The command's exit code, where one ran to its end.
    #[n(6)]
    pub exit_code: Option<i32>,
    /// BLAKE3 over the tail of the command's output, which travels beside the receipt.
    #[n(7)]
    pub output: Digest,
    /// The signer's wall clock, in milliseconds since 1970.
    #[n(8)]
    pub time_ms: u64,
    /// Whether the outcome had been told before this word came; then it changes nothing.
    #[n(9)]
    pub late: bool,
    /// Whose word this is.
    #[n(10)]
    pub signer: Signer,
    /// The signer's key.
    #[n(11)]
    pub key: PublicKey,
}

impl Receipt {
    /// The longest encoded receipt, in bytes.
    pub const MAX_LEN: usize = 2_048;
    /// The longest `by` and `reason`, in bytes.
    pub const MAX_TEXT_LEN: usize = 512;
    /// The longest tail of a command's output that is kept, in bytes: two screens of text.
    pub const MAX_OUTPUT_LEN: usize = 4_096;

    /// Encodes and signs.
    pub fn seal(&self, crypto: &impl Crypto) -> SignedReceipt {
        let bytes = canonical::encode(self);
        let signature = crypto.sign(&signed_bytes(&bytes));
        SignedReceipt { bytes, signature }
    }
}

/// A receipt's canonical bytes and its signature, as stored and forwarded.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct SignedReceipt {
    /// The canonical encoding of a [`Receipt`].
    #[cbor(n(0), with = "minicbor::bytes")]
    pub bytes: Vec<u8>,
    /// Ed25519 over `"towline receipt 1\0"` and `bytes`, by the receipt's `key`.
    #[n(1)]
    pub signature: Signature,
}

impl SignedReceipt {
    /// Decodes without looking at the signature: for what was verified before it was stored.
    ///
    /// # Errors
    /// [`BadEnvelope::Malformed`].
    pub fn decode(&self) -> Result<Receipt, BadEnvelope> {
        let receipt: Receipt = canonical::decode(&self.bytes, Receipt::MAX_LEN)?;
        let within = receipt.by.len() <= Receipt::MAX_TEXT_LEN && receipt.reason.len() <= Receipt::MAX_TEXT_LEN;
        within.then_some(receipt).ok_or(BadEnvelope::Malformed)
    }

    /// Decodes and checks the signature against the key that the receipt names. The caller decides whether that key
    /// is the one it trusts to say this.
    ///
    /// # Errors
    /// [`BadEnvelope`].
    pub fn open(&self, crypto: &impl Crypto) -> Result<Receipt, BadEnvelope> {
        let receipt = self.decode()?;
        let genuine = crypto.verify(&receipt.key, &signed_bytes(&self.bytes), &self.signature);
        genuine.then_some(receipt).ok_or(BadEnvelope::Signature)
    }
}

fn signed_bytes(bytes: &[u8]) -> Vec<u8> {
    [CONTEXT, bytes].concat()
}
