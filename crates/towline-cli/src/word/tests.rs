use super::*;
use towline::Identity;
use towline::mail::Draft;
use towline_proto::ids::Digest;
use towline_proto::mail::code::Code;
use towline_proto::mail::keys::PublicKey;
use towline_proto::mail::outcome::Outcome;

struct Case {
    sender: Identity,
    recipient: Identity,
    hub: Identity,
    envelope: SignedEnvelope,
}

impl Case {
    fn new() -> Self {
        let sender = Identity::generate();
        let draft = Draft::new("shop".parse().unwrap());
        let envelope = draft.seal(Draft::new_id(), "office".parse().unwrap(), (3, Digest([1; 32])), &sender);
        Self { sender, recipient: Identity::generate(), hub: Identity::generate(), envelope }
    }

    fn receipt(&self, by: &Identity, signer: Signer) -> Receipt {
        Receipt {
            envelope: self.envelope.digest(by),
            id: self.envelope.decode().unwrap().id,
            outcome: Outcome::Failed,
            by: "rule print".into(),
            code: Code::HandlerExit,
            reason: "handler exit 3".into(),
            exit_code: Some(3),
            output: by.digest(b"no paper"),
            time_ms: 1,
            late: false,
            signer,
            key: PublicKey(by.public_key().0),
        }
    }

    fn check(&self, receipt: &SignedReceipt, output: &[u8]) -> Result<Receipt, String> {
        let keys = (self.recipient.key_hash(), self.hub.key_hash());
        verify(&self.sender, (&self.envelope, receipt, output), keys)
    }
}

#[test]
fn a_receipt_says_outcome_and_reason() {
    let case = Case::new();
    let mut receipt = case.receipt(&case.recipient, Signer::Recipient);
    assert_eq!(summary(&receipt), "failed: handler exit 3");
    (receipt.outcome, receipt.reason) = (Outcome::Handled, String::new());
    assert_eq!(summary(&receipt), "handled by rule print");
}

#[test]
fn the_right_key_is_believed_and_no_other() {
    let case = Case::new();
    let good = case.receipt(&case.recipient, Signer::Recipient).seal(&case.recipient);
    assert!(case.check(&good, b"no paper").is_ok());
    let by_hub = case.receipt(&case.hub, Signer::Hub).seal(&case.hub);
    assert!(case.check(&by_hub, b"no paper").is_ok());
    let pretended = case.receipt(&case.hub, Signer::Recipient).seal(&case.hub);
    assert!(case.check(&pretended, b"no paper").is_err(), "the hub speaks for the recipient");
    let stranger = case.receipt(&case.sender, Signer::Recipient).seal(&case.sender);
    assert!(case.check(&stranger, b"no paper").is_err());
}

#[test]
fn p07_every_flipped_bit_of_receipt_or_output_is_refused() {
    let case = Case::new();
    let good = case.receipt(&case.recipient, Signer::Recipient).seal(&case.recipient);
    for bit in 0..good.bytes.len() * 8 {
        let mut bad = good.clone();
        bad.bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(case.check(&bad, b"no paper").is_err(), "bit {bit} of the receipt");
    }
    for bit in 0..64 * 8 {
        let mut bad = good.clone();
        bad.signature.0[bit / 8] ^= 1 << (bit % 8);
        assert!(case.check(&bad, b"no paper").is_err(), "bit {bit} of the signature");
    }
    assert!(case.check(&good, b"no papes").is_err());
}
