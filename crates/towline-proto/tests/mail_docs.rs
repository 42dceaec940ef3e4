//! `docs/model.md`, `docs/mail.cddl` and `docs/vectors/mail.json` say what the code does.

#[path = "mail_world/crypto.rs"]
mod crypto;

use crypto::TestCrypto;
use towline_proto::ids::{Lane, MessageId};
use towline_proto::mail::code::{CODES, Code};
use towline_proto::mail::envelope::{Envelope, SignedEnvelope};
use towline_proto::mail::keys::{Crypto, PublicKey};
use towline_proto::mail::message::{BodyHeader, Question, Role, ToDevice, ToHub};
use towline_proto::mail::outcome::{OUTCOMES, Outcome, State};
use towline_proto::mail::receipt::{Receipt, SignedReceipt, Signer};

const MODEL: &str = include_str!("../../../docs/model.md");
const VECTORS: &str = include_str!("../../../docs/vectors/mail.json");
const SENDER: TestCrypto = TestCrypto(PublicKey([1; 32]));
const ID: MessageId = MessageId([7; 16]);

fn envelope() -> Envelope {
    Envelope {
        id: ID,
        from: "shop".parse().unwrap(),
        sender: SENDER.0,
        to: "kitchen-7".parse().unwrap(),
        deadline_ms: 60_000,
        lane: Lane::NORMAL,
        kept: true,
        name: "order 1.xml".into(),
        content_type: "application/xml".into(),
        size: 5,
        root: SENDER.digest(b"<a/>\n"),
        time_ms: 1_793_613_600_000,
        seal: 0,
    }
}

fn receipt() -> Receipt {
    Receipt {
        envelope: envelope().seal(&SENDER).digest(&SENDER),
        id: ID,
        outcome: Outcome::Failed,
        by: "rule orders".into(),
        code: Code::HandlerExit,
        reason: "handler exit 3".into(),
        exit_code: Some(3),
        output: SENDER.digest(b""),
        time_ms: 1_793_613_600_000,
        late: false,
        signer: Signer::Recipient,
        key: SENDER.0,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn examples() -> Vec<(&'static str, Vec<u8>)> {
    let id = ID;
    vec![
        ("envelope", envelope().seal(&SENDER).bytes),
        ("receipt", receipt().seal(&SENDER).bytes),
        ("to-hub Attach", ToHub::Attach { role: Role::Agent, software: "towline 0.1.0".into() }.to_bytes()),
        ("to-hub Delivered", ToHub::Delivered { id }.to_bytes()),
        ("to-hub GoRequest", ToHub::GoRequest { id, request: 1, by: "inbox".into(), timeout_ms: 9 }.to_bytes()),
        ("to-hub Ask Withdraw", ToHub::Ask { ask: 4, question: Question::Withdraw { id } }.to_bytes()),
        ("to-hub Ask Who", ToHub::Ask { ask: 5, question: Question::Who { device: None, watch: true } }.to_bytes()),
        ("to-device Go", ToDevice::Go { id, request: 1, left_ms: 59_000 }.to_bytes()),
        ("to-device Update started", ToDevice::Update { id, state: State::Started }.to_bytes()),
        ("to-device Update expired", ToDevice::Update { id, state: State::Decided(Outcome::Expired) }.to_bytes()),
        ("to-device Late", ToDevice::Late { id }.to_bytes()),
        ("body-header", BodyHeader { id, offset: 65_536 }.to_bytes()),
    ]
}

#[test]
fn the_examples_are_encoded_as_the_vectors_say() {
    let lines: Vec<String> = examples()
        .iter()
        .map(|(name, bytes)| format!("  {{\"name\": \"{name}\", \"hex\": \"{}\"}}", hex(bytes)))
        .collect();
    let text = format!("[\n{}\n]\n", lines.join(",\n"));
    assert_eq!(VECTORS, text, "docs/vectors/mail.json should be:\n{text}");
}

#[test]
fn the_codes_and_states_of_the_model_are_the_codes_and_states_of_the_program() {
    let rows: Vec<&str> =
        MODEL.lines().skip_while(|line| *line != "## Codes").filter(|line| line.contains("| `")).collect();
    let wanted: Vec<String> = CODES
        .iter()
        .enumerate()
        .map(|(number, code)| {
            format!("| {number} | `{code}` | {} | {} | {} |", code.exit_code(), code.cause(), code.cure())
        })
        .collect();
    assert_eq!(rows, wanted);
    for outcome in OUTCOMES {
        assert!(MODEL.contains(&format!("| `{outcome}` | {} |", outcome.exit_code())), "{outcome}");
    }
    for state in [State::Accepted, State::Delivered, State::Started] {
        assert!(MODEL.contains(&format!("| `{state}` | 6 | ")), "{state}");
    }
}

#[test]
fn p07_every_flipped_bit_of_a_receipt_or_envelope_is_refused() {
    let (signed, sealed) = (receipt().seal(&SENDER), envelope().seal(&SENDER));
    assert_eq!(signed.open(&SENDER), Ok(receipt()));
    assert_eq!(sealed.open(&SENDER), Ok(envelope()));
    let mut flips = 0;
    for bit in 0..(signed.bytes.len() + 64) * 8 {
        let mut bad: SignedReceipt = signed.clone();
        match bad.bytes.get_mut(bit / 8) {
            Some(byte) => *byte ^= 1 << (bit % 8),
            None => bad.signature.0[bit / 8 - signed.bytes.len()] ^= 1 << (bit % 8),
        }
        assert!(bad.open(&SENDER).is_err(), "bit {bit} of the receipt");
        flips += 1;
    }
    for bit in 0..(sealed.bytes.len() + 64) * 8 {
        let mut bad: SignedEnvelope = sealed.clone();
        match bad.bytes.get_mut(bit / 8) {
            Some(byte) => *byte ^= 1 << (bit % 8),
            None => bad.signature.0[bit / 8 - sealed.bytes.len()] ^= 1 << (bit % 8),
        }
        assert!(bad.open(&SENDER).is_err(), "bit {bit} of the envelope");
        flips += 1;
    }
    println!("p07: reached {flips} of {flips} bit flips refused");
}

#[test]
fn an_encoding_that_is_not_canonical_is_refused() {
    let sealed = envelope().seal(&SENDER);
    let mut longer = sealed.clone();
    longer.bytes.push(0);
    assert!(longer.decode().is_err());
    assert!(SignedEnvelope { bytes: vec![0x9f], ..sealed.clone() }.decode().is_err());
    let too_long = Envelope { name: "x".repeat(Envelope::MAX_NAME_LEN + 1), ..envelope() };
    assert!(too_long.seal(&SENDER).decode().is_err());
    let longest = Envelope { name: "x".repeat(Envelope::MAX_NAME_LEN), ..envelope() };
    assert!(longest.seal(&SENDER).decode().is_ok());
}
