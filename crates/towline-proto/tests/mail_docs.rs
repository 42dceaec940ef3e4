//! `docs/model.md`, `docs/mail.cddl` and `docs/vectors/mail.json` say what the code does.

#[path = "mail_world/crypto.rs"]
mod crypto;

use crypto::TestCrypto;
use towline_proto::ids::{Lane, MessageId};
use towline_proto::mail::agent::AgentCore;
use towline_proto::mail::agent::rules::Rule;
use towline_proto::mail::clock::Deadline;
use towline_proto::mail::code::{CODES, Code};
use towline_proto::mail::envelope::{Envelope, SignedEnvelope};
use towline_proto::mail::hub::HubCore;
use towline_proto::mail::hub::record::{DeviceRecord, MessageRecord, TicketRecord};
use towline_proto::mail::keys::{Crypto, PublicKey};
use towline_proto::mail::limits::{
    DEFAULT_DEADLINE_MS, LIVE_REMEMBER_MS, MAX_DEADLINE_MS, MAX_LIVE_REMEMBERED_PER_DEVICE, RESTART_GRACE_MS,
    TICKET_LIFE_MS, UNCLEAR_GRACE_MS,
};
use towline_proto::mail::message::{BodyHeader, INLINE_MAX_BYTES, Presence, Question, Role, ToDevice, ToHub};
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

/// The rows of the page's table that begins with this head: first and second cell.
fn table(head: &str) -> Vec<(&'static str, &'static str)> {
    let rows =
        MODEL.lines().skip_while(|line| !line.starts_with(head)).skip(2).take_while(|line| line.starts_with('|'));
    let cells = |row: &'static str| {
        let mut cells = row.trim_matches('|').split(" | ").map(str::trim);
        (cells.next().unwrap_or_default(), cells.next().unwrap_or_default())
    };
    rows.map(cells).collect()
}

/// The last part of a type's name, in small letters.
fn word_of<T>() -> String {
    std::any::type_name::<T>().rsplit("::").next().unwrap_or_default().to_lowercase()
}

#[test]
fn the_ten_words_of_the_model_are_words_of_the_code() {
    let accepted = format!("{:?}", ToDevice::Accepted { id: ID, deadline_left_ms: 0, recipient: presence() });
    let words = [
        ("hub", word_of::<HubCore>()),
        ("device", word_of::<DeviceRecord>()),
        ("agent", word_of::<AgentCore>()),
        ("ticket", word_of::<TicketRecord>()),
        ("message", word_of::<MessageRecord>()),
        ("acceptance", accepted.to_lowercase()),
        ("outcome", word_of::<Outcome>()),
        ("receipt", word_of::<Receipt>()),
        ("deadline", word_of::<Deadline>()),
        ("rule", word_of::<Rule>()),
    ];
    let rows = table("| word ");
    assert_eq!(rows.iter().map(|(word, _)| *word).collect::<Vec<_>>(), words.each_ref().map(|(word, _)| *word));
    for (word, name) in &words {
        assert!(name.starts_with(word.trim_end_matches("ance")), "{word} is called {name} in the code");
    }
    let meaning = |wanted: &str| rows.iter().find(|(word, _)| *word == wanted).map_or("", |(_, meaning)| *meaning);
    assert!(meaning("ticket").contains("within the hour") && TICKET_LIFE_MS == 3_600_000);
}

fn presence() -> Presence {
    Presence {
        device: "shop".parse().unwrap(),
        key: SENDER.key_hash(&SENDER.0),
        online: false,
        since_ms: 0,
        links: Vec::new(),
        rtt_us: 0,
        software: String::new(),
        waiting: 0,
    }
}

/// The encoded elements of a CBOR array.
fn elements(bytes: &[u8]) -> Vec<&[u8]> {
    let mut decoder = minicbor::Decoder::new(bytes);
    let count = decoder.array().unwrap().expect("a definite length");
    let mut elements = Vec::new();
    for _ in 0..count {
        let from = decoder.position();
        decoder.skip().unwrap();
        elements.push(&bytes[from..decoder.position()]);
    }
    assert_eq!(decoder.position(), bytes.len());
    elements
}

/// A field's name, and a change of that field alone.
type Field<T> = (&'static str, fn(&mut T));

/// The table names the array's elements in their order: a change of a field changes the element of its row.
fn holds_the_table<T: Clone>(head: &str, whole: &T, fields: &[Field<T>], encode: impl Fn(&T) -> Vec<u8>) {
    let named: Vec<&str> = table(head).iter().flat_map(|(names, _)| names.split(", ")).collect();
    assert_eq!(named, fields.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    let before = encode(whole);
    assert_eq!(elements(&before).len(), fields.len(), "every field has a row");
    for (place, (name, change)) in fields.iter().enumerate() {
        let mut changed = whole.clone();
        change(&mut changed);
        let after = encode(&changed);
        let differ = |at: &usize| elements(&before)[*at] != elements(&after)[*at];
        assert_eq!((0..fields.len()).filter(differ).collect::<Vec<_>>(), [place], "{name}");
    }
}

#[test]
fn the_envelopes_table_names_its_fields_in_their_order_and_their_bounds() {
    let fields: [Field<Envelope>; 13] = [
        ("id", |envelope| envelope.id.0[0] ^= 1),
        ("from", |envelope| envelope.from = "other".parse().unwrap()),
        ("sender", |envelope| envelope.sender.0[0] ^= 1),
        ("to", |envelope| envelope.to = "other".parse().unwrap()),
        ("deadline_ms", |envelope| envelope.deadline_ms += 1),
        ("lane", |envelope| envelope.lane = Lane::BULK),
        ("kept", |envelope| envelope.kept = false),
        ("name", |envelope| envelope.name.push('x')),
        ("content_type", |envelope| envelope.content_type.push('x')),
        ("size", |envelope| envelope.size += 1),
        ("root", |envelope| envelope.root.0[0] ^= 1),
        ("time_ms", |envelope| envelope.time_ms += 1),
        ("seal", |envelope| envelope.seal = 1),
    ];
    holds_the_table("| envelope ", &envelope(), &fields, |envelope| envelope.seal(&SENDER).bytes);
    let rows = table("| envelope ");
    let says = |names: &str, text: &str| rows.contains(&(names, text));
    assert_eq!((Envelope::MAX_NAME_LEN, Envelope::MAX_TYPE_LEN), (1_024, 255));
    assert!(says("name, content_type", "at most 1,024 and 255 bytes; data, never a path"));
    assert_eq!((DEFAULT_DEADLINE_MS, MAX_DEADLINE_MS), (3_600_000, 30 * 86_400_000));
    let deadline = "0 asks for the hub's default (1 h); more than 30 days is cut, and the acceptance says so";
    assert!(says("deadline_ms", deadline));
    assert_eq!((Lane::URGENT.0, Lane::NORMAL.0, Lane::BULK.0, Lane::COUNT), (0, 1, 2, 8));
    assert!(says("lane", "0 urgent, 1 normal, 2 bulk, 3 to 7 the application's own"));
}

#[test]
fn the_receipts_table_names_its_fields_in_their_order_and_their_bounds() {
    let fields: [Field<Receipt>; 12] = [
        ("envelope", |receipt| receipt.envelope.0[0] ^= 1),
        ("id", |receipt| receipt.id.0[0] ^= 1),
        ("outcome", |receipt| receipt.outcome = Outcome::Handled),
        ("by", |receipt| receipt.by.push('x')),
        ("code", |receipt| receipt.code = Code::Ok),
        ("reason", |receipt| receipt.reason.push('x')),
        ("exit_code", |receipt| receipt.exit_code = None),
        ("output", |receipt| receipt.output.0[0] ^= 1),
        ("time_ms", |receipt| receipt.time_ms += 1),
        ("late", |receipt| receipt.late = true),
        ("signer", |receipt| receipt.signer = Signer::Hub),
        ("key", |receipt| receipt.key.0[0] ^= 1),
    ];
    holds_the_table("| receipt | meaning", &receipt(), &fields, |receipt| receipt.seal(&SENDER).bytes);
    let rows = table("| receipt | meaning");
    let says = |names: &str, text: &str| rows.iter().any(|(row, meaning)| *row == names && meaning.contains(text));
    assert!(says("exit_code, output", "at most 4,096 bytes") && Receipt::MAX_OUTPUT_LEN == 4_096);
    let signed_by = |signer| elements(&Receipt { signer, ..receipt() }.seal(&SENDER).bytes)[10].to_vec();
    assert_eq!((signed_by(Signer::Recipient), signed_by(Signer::Hub)), (vec![0], vec![1]));
    assert!(says("signer, key", "0 the recipient, 1 the hub"));
}

#[test]
fn the_times_and_numbers_in_the_text_are_those_of_the_code() {
    let minutes = LIVE_REMEMBER_MS / 60_000;
    for text in [
        format!("For {minutes} minutes, and for the last {MAX_LIVE_REMEMBERED_PER_DEVICE} of each sender"),
        format!("at `go` + timeout + {} s", UNCLEAR_GRACE_MS as f64 / 1_000.0),
        format!("after a restart of the hub not before {} s have passed", RESTART_GRACE_MS / 1_000),
        format!("Up to {} KiB a body stands in `Submit` and `Deliver`", INLINE_MAX_BYTES / 1_024),
    ] {
        assert!(MODEL.contains(&text), "the page lacks: {text}");
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
