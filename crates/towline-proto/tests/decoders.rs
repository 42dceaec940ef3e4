//! Whatever bytes come: no decoder panics, and none holds more than a small multiple of them. The fuzz targets call the same
//! functions; here their seeds are replayed, and mutated by a seeded generator.

#[path = "../../../fuzz/src/decoders.rs"]
#[allow(unreachable_pub)] // It is a crate's public module where the fuzz targets use it.
mod decoders;
#[path = "../../../fuzz/src/pair.rs"]
#[allow(unreachable_pub)] // As above.
mod pair;

use decoders::DECODERS;
use std::path::PathBuf;
use towline_proto::datagram::connection_id::ConnectionId;
use towline_proto::datagram::crypto::checksum::InitialSum;
use towline_proto::datagram::crypto::{InitialCrypto, Side};
use towline_proto::datagram::packet::{Draft, Header, put_reset, put_retry, put_versions};
use towline_proto::datagram::params::{FirstIds, Params};
use towline_proto::ids::{Digest, KeyHash, Lane, MessageId};
use towline_proto::mail::code::Code;
use towline_proto::mail::envelope::{Envelope, SignedEnvelope};
use towline_proto::mail::keys::{Crypto, PublicKey, Signature};
use towline_proto::mail::message::{Answer, Presence, Question, Role, ToDevice, ToHub};
use towline_proto::mail::outcome::Outcome;
use towline_proto::mail::receipt::{Receipt, SignedReceipt, Signer};
use towline_proto::time::Duration;
use towline_sim::Rng;

/// Mutated inputs per decoder in an ordinary run.
const INPUTS: u64 = 40_000;

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(name)
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> = std::fs::read_dir(folder(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "no seeds for {name}");
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

#[test]
fn p18_no_input_makes_a_decoder_panic_or_hold_more_than_came() {
    if std::env::var_os("TOWLINE_WRITE_SEEDS").is_some() {
        write_seeds();
    }
    replay(0x7041_1318, INPUTS);
}

#[test]
#[ignore = "long: the full figure takes hours"]
fn p18_no_input_of_the_full_figure_makes_a_decoder_panic() {
    replay(0x7041_1319, 100_000_000);
}

#[test]
fn sessions_under_random_orders_lose_nothing_and_a_hostile_peer_breaks_none() {
    let mut rng = Rng::new(0x5e55_1045);
    for round in 0..150 {
        let orders = rng.bytes(400);
        println!("seed 0x5e551045, round {round}");
        pair::session_pair(&orders);
    }
    let frames = seeds("stream_link");
    for _ in 0..INPUTS {
        pair::hostile_peer(&mutated(&frames, &mut rng)[..]);
    }
}

fn replay(seed: u64, inputs: u64) {
    println!("seed {seed:#x}");
    for (name, decode) in DECODERS {
        let seeds = seeds(name);
        seeds.iter().for_each(|seed| decode(seed));
        seeds.iter().flat_map(|seed| (0..seed.len()).map(|cut| &seed[..cut])).for_each(decode);
        let mut rng = Rng::new(seed);
        for _ in 0..inputs {
            decode(&mutated(&seeds, &mut rng));
        }
    }
    println!("p18: reached {inputs} mutated inputs for each of {} decoders, 0 panics", DECODERS.len());
}

/// A seed with a few things done to it, or plain chance.
fn mutated(seeds: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = if rng.chance(50) {
        let length = rng.below(64) as usize;
        rng.bytes(length)
    } else {
        rng.pick(seeds).clone()
    };
    for _ in 0..=rng.below(4) {
        let at = rng.below(bytes.len() as u64 + 1) as usize;
        match rng.below(6) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, rng.next() as u8),
            2 => drop(bytes.splice(at..at, rng.bytes(8))),
            3 => bytes.extend_from_slice(&rng.pick(seeds).clone()[..]),
            // Lengths and counts at their largest are what decoders trip over.
            4 => drop(bytes.splice(at..at, [0xff; 8])),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << rng.below(8);
                }
            }
        }
    }
    bytes
}

/// Signs with zeros: what stands in an envelope matters here, not who signed it.
struct Nobody;

impl Crypto for Nobody {
    fn digest(&self, _: &[u8]) -> Digest {
        Digest([0; 32])
    }
    fn key_hash(&self, key: &PublicKey) -> KeyHash {
        KeyHash(key.0)
    }
    fn sign(&self, _: &[u8]) -> Signature {
        Signature([0; 64])
    }
    fn public_key(&self) -> PublicKey {
        PublicKey([1; 32])
    }
    fn verify(&self, _: &PublicKey, _: &[u8], _: &Signature) -> bool {
        true
    }
}

fn write_seeds() {
    let write = |target: &str, name: &str, bytes: &[u8]| {
        std::fs::create_dir_all(folder(target)).unwrap();
        std::fs::write(folder(target).join(name), bytes).unwrap();
    };
    for (target, file) in [
        ("frame", "frame.json"),
        ("close", "close.json"),
        ("call_word", "call.json"),
        ("call_packet", "call_packet.json"),
    ] {
        vectors(file).iter().enumerate().for_each(|(n, (_, bytes))| write(target, &format!("{n:02}"), bytes));
    }
    for (n, (name, bytes)) in vectors("hello.json").iter().enumerate() {
        let target = if name.starts_with("client") { "client_hello" } else { "server_hello" };
        write(target, &format!("{n:02}"), bytes);
    }
    for piece in [0u8, 6, 255] {
        let frames = vectors("frame.json").into_iter().filter(|(name, _)| name != "confirm");
        let framed = frames.flat_map(|(_, bytes)| [vec![bytes.len() as u8], bytes].concat());
        write("stream_link", &format!("pieces-{piece}"), &[piece].into_iter().chain(framed).collect::<Vec<u8>>());
    }
    let (envelope, receipt) = (envelope(), receipt());
    write("envelope", "plain", &envelope.bytes);
    write("receipt", "plain", &receipt.bytes);
    for (n, message) in to_hub(&envelope, &receipt).iter().enumerate() {
        write("to_hub", &format!("{n:02}"), &message.to_bytes());
    }
    for (n, message) in to_device(&envelope, &receipt).iter().enumerate() {
        write("to_device", &format!("{n:02}"), &message.to_bytes());
    }
    for (n, datagram) in datagrams().iter().enumerate() {
        write("datagram_packets", &format!("{n:02}"), datagram);
    }
    for (n, params) in transport_params().iter().enumerate() {
        write("datagram_params", &format!("{n:02}"), params);
    }
}

/// Name and bytes of each golden vector of a file.
fn vectors(file: &str) -> Vec<(String, Vec<u8>)> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/vectors").join(file);
    let entries: Vec<serde_json::Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let bytes =
        |hex: &str| (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    entries.iter().map(|e| (e["name"].as_str().unwrap().into(), bytes(e["hex"].as_str().unwrap()))).collect()
}

const ID: MessageId = MessageId([3; 16]);

fn envelope() -> SignedEnvelope {
    Envelope {
        id: ID,
        from: "shop".parse().unwrap(),
        sender: PublicKey([1; 32]),
        to: "kitchen".parse().unwrap(),
        deadline_ms: 30_000,
        lane: Lane::NORMAL,
        kept: true,
        name: "order 7.xml".into(),
        content_type: "text/xml".into(),
        size: 1_234,
        root: Digest([4; 32]),
        time_ms: 1_790_000_000_000,
        seal: 0,
    }
    .seal(&Nobody)
}

fn receipt() -> SignedReceipt {
    Receipt {
        envelope: Digest([5; 32]),
        id: ID,
        outcome: Outcome::Handled,
        by: "inbox".into(),
        code: Code::Ok,
        reason: String::new(),
        exit_code: Some(3),
        output: Digest([6; 32]),
        time_ms: 1_790_000_000_000,
        late: false,
        signer: Signer::Recipient,
        key: PublicKey([1; 32]),
    }
    .seal(&Nobody)
}

fn to_hub(envelope: &SignedEnvelope, receipt: &SignedReceipt) -> Vec<ToHub> {
    vec![
        ToHub::Attach { role: Role::Agent, software: "towline 0.1".into() },
        ToHub::Join { token: [8; 16], software: "towline 0.1".into() },
        ToHub::Submit { envelope: envelope.clone(), body: Some(b"<order/>".to_vec()) },
        ToHub::GoRequest { id: ID, request: 1, by: "rule print".into(), timeout_ms: 60_000 },
        ToHub::Report { receipt: receipt.clone(), output: b"printed".to_vec() },
        ToHub::Ask { ask: 1, question: Question::Status { id: ID, watch: true } },
        ToHub::Ask { ask: 2, question: Question::Who { device: Some("kitchen".parse().unwrap()), watch: false } },
        ToHub::SendBody { id: ID, offset: 1 << 33 },
    ]
}

fn to_device(envelope: &SignedEnvelope, receipt: &SignedReceipt) -> Vec<ToDevice> {
    let presence = Presence {
        device: "kitchen".parse().unwrap(),
        key: KeyHash([7; 32]),
        online: true,
        since_ms: 1_790_000_000_000,
        links: vec!["tcp 192.0.2.7:50312".into()],
        rtt_us: 1_500,
        software: "towline 0.1".into(),
        waiting: 2,
    };
    vec![
        ToDevice::Accepted { id: ID, deadline_left_ms: 30_000, recipient: presence.clone() },
        ToDevice::Deliver { envelope: envelope.clone(), body: None },
        ToDevice::Go { id: ID, request: 1, left_ms: 20_000 },
        ToDevice::Outcome { receipt: receipt.clone(), output: vec![] },
        ToDevice::Answer { ask: 2, answer: Answer::Who(vec![presence]) },
        ToDevice::Ping { ping: 9 },
    ]
}

/// One of each kind of datagram behind the byte that says how it is met (filled up, none free), and a few together.
fn datagrams() -> Vec<Vec<u8>> {
    let (destination, source) = (ConnectionId::from([1; 8]), ConnectionId::from([2; 8]));
    let keys = InitialSum.initial_keys(Side::Client, &destination).local;
    let sealed = |header: &Header<'_>, bytes: usize| {
        let mut out = vec![];
        let draft = Draft::begin(header, 2, &mut out);
        out.extend_from_slice(b"\x03\x24\x00\x07");
        draft.seal(5, bytes, &*keys.header, &*keys.packet, &mut out);
        out
    };
    let initial = |token, bytes| sealed(&Header::Initial { destination, source, token }, bytes);
    let handshake = sealed(&Header::Handshake { destination, source }, 0);
    let session = sealed(&Header::Session { destination, key_phase: true }, 0);
    let (mut retry, mut versions, mut reset) = (vec![], vec![], vec![]);
    put_retry(&destination, &source, b"token", &source, &InitialSum, &mut retry);
    put_versions(&destination, &source, [1, 2, 3, 4], &mut versions);
    put_reset(&[0; 22], [3; 16], &mut reset);
    let together = [initial(&[], 0), handshake.clone(), session.clone()].concat();
    let all = [initial(&[], 1_200), initial(&[9; 84], 1_200), handshake, session, retry, versions, reset, together];
    all.iter().zip([0, 2, 0, 0, 0, 0, 0, 0]).map(|(datagram, how)| [&[how][..], datagram].concat()).collect()
}

fn transport_params() -> Vec<Vec<u8>> {
    let (initial_source, other) = (ConnectionId::from([1; 8]), Some(ConnectionId::from([2; 8])));
    let of_client = Params::new(FirstIds { initial_source, original_destination: None, retry_source: None });
    let first_ids = FirstIds { initial_source, original_destination: other, retry_source: other };
    let (max_idle, reset_token) = (Some(Duration::from_secs(30)), Some([3; 16]));
    let of_server = Params { max_idle, reset_token, first_ids, ..of_client };
    let encoded = |params: &Params| {
        let mut out = vec![];
        params.encode(0x1234_5678, &mut out);
        out
    };
    [of_client, of_server].iter().map(encoded).collect()
}
