use super::*;
use towline::Identity;
use towline::mail::Draft;
use towline_proto::ids::Digest;
use towline_proto::mail::code::Code;
use towline_proto::mail::keys::PublicKey;
use towline_proto::mail::message::Presence;
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

    fn id(&self) -> MessageId {
        self.envelope.decode().unwrap().id
    }

    fn receipt(&self, by: &Identity, signer: Signer) -> Receipt {
        Receipt {
            envelope: self.envelope.digest(by),
            id: self.id(),
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

    /// What a hub answers that names `recipient` as the recipient's key.
    fn status(&self, receipt: Option<SignedReceipt>, recipient: &Identity) -> MessageStatus {
        let recipient = Presence {
            device: "shop".parse().unwrap(),
            key: recipient.key_hash(),
            online: false,
            since_ms: 0,
            links: Vec::new(),
            rtt_us: 0,
            software: String::new(),
            waiting: 0,
        };
        MessageStatus {
            envelope: self.envelope.clone(),
            state: if receipt.is_some() { State::Decided(Outcome::Failed) } else { State::Accepted },
            deadline_left_ms: 0,
            accepted_ms: 1,
            output: if receipt.is_some() { b"no paper".to_vec() } else { Vec::new() },
            receipt,
            late: None,
            recipient,
        }
    }

    fn keys(&self, recipient: Option<&Identity>) -> Keys {
        Keys { hub: self.hub.key_hash(), recipient: recipient.map(Identity::key_hash) }
    }

    /// Checked without a key brought along.
    fn check(&self, receipt: &SignedReceipt) -> Result<Proof, String> {
        let status = self.status(Some(receipt.clone()), &self.recipient);
        check(&self.sender, self.id(), &status, &self.keys(None))
    }

    fn good(&self) -> SignedReceipt {
        self.receipt(&self.recipient, Signer::Recipient).seal(&self.recipient)
    }
}

#[test]
fn the_right_key_is_believed_and_no_other() {
    let case = Case::new();
    assert_eq!(case.check(&case.good()).unwrap().signed, Some((Signer::Recipient, case.recipient.key_hash())));
    let by_hub = case.receipt(&case.hub, Signer::Hub).seal(&case.hub);
    assert_eq!(case.check(&by_hub).unwrap().not_proved, Vec::<String>::new(), "the hub's key is the ticket's");
    let pretended = case.receipt(&case.hub, Signer::Recipient).seal(&case.hub);
    assert!(case.check(&pretended).is_err(), "the hub speaks for the recipient");
    let stranger = case.receipt(&case.sender, Signer::Recipient).seal(&case.sender);
    assert!(case.check(&stranger).is_err());
}

#[test]
fn p07_a_hub_that_names_its_own_key_as_the_recipients_passes_only_where_no_key_was_brought() {
    let case = Case::new();
    let forged = case.receipt(&case.hub, Signer::Recipient).seal(&case.hub);
    let status = case.status(Some(forged), &case.hub);
    let believed = check(&case.sender, case.id(), &status, &case.keys(None)).unwrap();
    assert!(believed.not_proved.len() == 1 && believed.not_proved[0].contains("the hub says so"), "{believed:?}");
    let brought = check(&case.sender, case.id(), &status, &case.keys(Some(&case.recipient)));
    assert!(brought.unwrap_err().starts_with("receipt: it is signed by "));
    let honest = case.status(Some(case.good()), &case.recipient);
    let proof = check(&case.sender, case.id(), &honest, &case.keys(Some(&case.recipient))).unwrap();
    assert_eq!(proof.not_proved, Vec::<String>::new());
}

#[test]
fn what_the_hub_says_beside_the_signatures_must_agree_with_them() {
    let case = Case::new();
    let good = case.status(Some(case.good()), &case.recipient);
    let said = |status: &MessageStatus, id| check(&case.sender, id, status, &case.keys(None));
    assert!(said(&good, Draft::new_id()).unwrap_err().starts_with("envelope: it is message "));
    let handled = MessageStatus { state: State::Decided(Outcome::Handled), ..good.clone() };
    assert!(said(&handled, case.id()).unwrap_err().contains("it says failed, and the hub says handled"));
    let none = MessageStatus { receipt: None, ..good.clone() };
    assert!(said(&none, case.id()).unwrap_err().starts_with("receipt: there is none"));
    let open = case.status(None, &case.recipient);
    assert_eq!(said(&open, case.id()).unwrap().signed, None);
    let stranger = check(&case.recipient, case.id(), &open, &case.keys(None)).unwrap();
    assert!(stranger.not_proved[0].contains("signed the envelope"), "only the sender knows its own key: {stranger:?}");
}

#[test]
fn p07_every_flipped_bit_of_receipt_or_output_is_refused() {
    let case = Case::new();
    let good = case.good();
    for bit in 0..good.bytes.len() * 8 {
        let mut bad = good.clone();
        bad.bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(case.check(&bad).is_err(), "bit {bit} of the receipt");
    }
    for bit in 0..64 * 8 {
        let mut bad = good.clone();
        bad.signature.0[bit / 8] ^= 1 << (bit % 8);
        assert!(case.check(&bad).is_err(), "bit {bit} of the signature");
    }
    let mut status = case.status(Some(good), &case.recipient);
    status.output = b"no papes".to_vec();
    assert!(check(&case.sender, case.id(), &status, &case.keys(None)).unwrap_err().contains("output"));
}

#[test]
fn p07_every_flipped_bit_of_a_late_word_is_refused_and_named() {
    let case = Case::new();
    let unclear = Receipt { outcome: Outcome::Failed, ..case.receipt(&case.hub, Signer::Hub) }.seal(&case.hub);
    let late = Receipt { late: true, ..case.receipt(&case.recipient, Signer::Recipient) }.seal(&case.recipient);
    let mut status = case.status(Some(unclear), &case.recipient);
    for bit in 0..late.bytes.len() * 8 {
        let mut bad = late.clone();
        bad.bytes[bit / 8] ^= 1 << (bit % 8);
        status.late = Some(bad);
        let told = check(&case.sender, case.id(), &status, &case.keys(None)).unwrap_err();
        assert!(told.starts_with("late word: "), "bit {bit}: {told}");
    }
    status.late = Some(late);
    assert!(check(&case.sender, case.id(), &status, &case.keys(None)).is_ok());
}
