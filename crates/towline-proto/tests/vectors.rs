//! Golden bytes for other languages: `docs/vectors/*.json` are what this crate writes and reads.
//!
//! After a wanted change, `TOWLINE_WRITE_VECTORS=1 cargo test -p towline-proto --test vectors` writes them anew.

use serde_json::{Value, json};
use std::path::PathBuf;
use towline_proto::call::exchange::CallId;
use towline_proto::call::{Begin, Code, Metadata, Packet, Part, Status, Word};
use towline_proto::ids::{Lane, SessionId};
use towline_proto::time::Duration;
use towline_proto::wire::close::{Close, CloseCode, Retry};
use towline_proto::wire::cursor::{Reader, put_varint};
use towline_proto::wire::frame::{Frame, Open};
use towline_proto::wire::hello::{ClientHello, Intent, Params, RESERVED_FEATURE, ServerHello, Verdict};
use towline_proto::wire::receive_state::{ReceiveState, StreamState};

/// Holds the file against `vectors`: name, meaning, bytes.
fn hold(file: &str, vectors: Vec<(&str, Value, Vec<u8>)>) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/vectors").join(file);
    let entry =
        |(name, means, bytes): (&str, Value, Vec<u8>)| json!({"name": name, "means": means, "hex": hex(&bytes)});
    let ours: Vec<Value> = vectors.into_iter().map(entry).collect();
    if std::env::var_os("TOWLINE_WRITE_VECTORS").is_some() {
        std::fs::write(&path, serde_json::to_string_pretty(&ours).unwrap() + "\n").unwrap();
    }
    let theirs: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(ours, theirs, "{}", path.display());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn varints_are_those_of_the_vectors() {
    let values = [0, 37, 63, 64, 15_293, 16_383, 16_384, 494_878_333, 1 << 30, 151_288_809_941_952_652, (1 << 62) - 1];
    let vectors = values.map(|value: u64| {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, value);
        assert_eq!(Reader::new(&bytes).varint("number"), Ok(value));
        ("varint", json!(value.to_string()), bytes)
    });
    hold("varint.json", vectors.into());
}

#[test]
fn frames_are_those_of_the_vectors() {
    let open = Some(Open { lane: Lane::NORMAL, as_complete: false });
    let as_complete = Some(Open { lane: Lane::BULK, as_complete: true });
    let close = Close::new(CloseCode::Draining).with_text("bye");
    let frames: Vec<(&str, Value, Frame<'_>)> = vec![
        ("ping", json!({"nonce": 7}), Frame::Ping { nonce: 7 }),
        ("pong", json!({"nonce": 7}), Frame::Pong { nonce: 7 }),
        ("confirm", json!({"count": 300}), Frame::Confirm { count: 300 }),
        ("close", json!({"code": "draining", "blame": "us", "retry": "yes", "text": "bye"}), Frame::Close(close)),
        ("session-credit", json!({"limit": 294_912}), Frame::SessionCredit { limit: 294_912 }),
        ("streams-credit", json!({"count": 256}), Frame::StreamsCredit { count: 256 }),
        ("stream-credit", json!({"stream": 9, "limit": 262_144}), Frame::StreamCredit { stream: 9, limit: 262_144 }),
        (
            "run",
            json!({"stream": 1, "lane": "normal", "offset": 0, "messages": ["hi", ""]}),
            Frame::Run { stream: 1, open, offset: 0, messages: b"\x02hi\x00" },
        ),
        (
            "run without open",
            json!({"stream": 1, "offset": 4, "messages": ["x"]}),
            Frame::Run { stream: 1, open: None, offset: 4, messages: b"\x01x" },
        ),
        (
            "chunk",
            json!({"stream": 8, "lane": "bulk", "as_complete": true, "offset": 105, "start": 100, "bytes": "abc"}),
            Frame::Chunk { stream: 8, open: as_complete, offset: 105, start: 100, bytes: b"abc" },
        ),
        (
            "bytes",
            json!({"stream": 9, "offset": 70_000, "bytes": "raw"}),
            Frame::Bytes { stream: 9, open: None, offset: 70_000, bytes: b"raw" },
        ),
        (
            "end",
            json!({"stream": 9, "final_offset": 70_003}),
            Frame::End { stream: 9, open: None, final_offset: 70_003 },
        ),
        (
            "reset",
            json!({"stream": 9, "final_offset": 5, "code": 2}),
            Frame::Reset { stream: 9, open: None, final_offset: 5, code: 2 },
        ),
        ("stop", json!({"stream": 9, "code": 3}), Frame::Stop { stream: 9, open: None, code: 3 }),
        ("blocked", json!({"stream": 9, "need": 500_000}), Frame::Blocked { stream: 9, open: None, need: 500_000 }),
        ("reserved", json!({"type": 66, "skipped": "zz"}), Frame::Reserved { kind: 0x42, body: b"zz" }),
    ];
    let vectors = frames.into_iter().map(|(name, means, frame)| {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        assert_eq!(Frame::decode(&bytes), Ok(frame), "{name}");
        (name, means, bytes)
    });
    hold("frame.json", vectors.collect());
}

#[test]
fn closes_are_those_of_the_vectors() {
    let later = Close::new(CloseCode::Memory).with_text("too slow").with_retry(Retry::After(Duration::from_secs(5)));
    let vectors = CloseCode::ALL.iter().map(|&code| Close::new(code)).chain([later]).map(|close| {
        let mut bytes = Vec::new();
        close.encode(&mut bytes);
        assert_eq!(Close::decode(&mut Reader::new(&bytes)), Ok(close.clone()));
        let means = json!({
            "code": close.code.number(), "blame": close.blame.word(), "retry": close.retry.word(), "text": close.text(),
        });
        (close.code.word(), means, bytes)
    });
    hold("close.json", vectors.collect());
}

#[test]
fn call_words_are_those_of_the_vectors() {
    let token = || Metadata(vec![("token".into(), b"t-1"[..].into())]);
    let begin = |left| Begin { method: "greet", time_left: left, metadata: Metadata::default() };
    let words = [
        ("begin", json!({"method": "greet"}), Word::Begin(begin(None), None)),
        (
            "begin with item, time and metadata",
            json!({"method": "greet", "time_left_ms": 5_000, "metadata": {"token": "t-1"}, "item": "kitchen"}),
            Word::Begin(Begin { metadata: token(), ..begin(Some(Duration::from_secs(5))) }, Some(b"kitchen")),
        ),
        ("no time left", json!({"method": "greet", "time_left_ms": 0}), Word::Begin(begin(Some(Duration::ZERO)), None)),
        ("item", json!({"item": "more"}), Word::Item(b"more")),
        ("empty item", json!({"item": ""}), Word::Item(b"")),
        ("last item", json!({"item": "hello kitchen", "code": 0}), Word::Last(b"hello kitchen")),
        (
            "status",
            json!({"code": 9, "text": "not now", "detail": "abc", "metadata": {"token": "t-1"}}),
            Word::Status(Status::new(Code::FailedPrecondition, "not now").with_detail("abc"), token()),
        ),
        ("status ok", json!({"code": 0}), Word::Status(Code::Ok.into(), Metadata::default())),
    ];
    let vectors = words.into_iter().map(|(name, means, word)| {
        let mut bytes = Vec::new();
        word.encode(&mut bytes);
        assert_eq!(Word::decode(&bytes), Ok(word), "{name}");
        (name, means, bytes)
    });
    hold("call.json", vectors.collect());
}

#[test]
fn call_packets_are_those_of_the_vectors() {
    let begin = |ends, left| Part::Begin { item: &b"hi"[..], ends, time_left: left };
    let refused = Status::new(Code::NotFound, "no such key").with_detail("abc");
    let parts = [
        ("begin", json!({"item": "hi", "ends": false}), begin(false, None)),
        (
            "begin, and all",
            json!({"item": "hi", "ends": true, "time_left_ms": 250}),
            begin(true, Some(Duration::from_millis(250))),
        ),
        ("item", json!({"item": "more"}), Part::Item(&b"more"[..])),
        ("end", json!({}), Part::End),
        ("last", json!({"item": "done"}), Part::Last(&b"done"[..])),
        ("status", json!({"code": 5, "text": "no such key", "detail": "abc"}), Part::Status(refused)),
        ("give up", json!({"code": 1}), Part::GiveUp(Code::Cancelled)),
        ("credit", json!({"limit": 98_304}), Part::Credit(98_304)),
    ];
    let vectors = parts.into_iter().enumerate().map(|(number, (name, mut means, part))| {
        means["call"] = json!(100 * number);
        let packet = Packet { call: CallId(100 * number as u64), part };
        let mut bytes = Vec::new();
        let put = |item: &&[u8], out: &mut Vec<u8>| {
            out.extend_from_slice(item);
            Ok::<_, ()>(())
        };
        packet.encode(&mut bytes, put).unwrap();
        assert_eq!(Packet::decode(&bytes), Ok(packet), "{name}");
        (name, means, bytes)
    });
    hold("call_packet.json", vectors.collect());
}

#[test]
fn hellos_are_those_of_the_vectors() {
    let params = Params::default();
    let received = ReceiveState {
        next_ids: [12, 9],
        streams: vec![
            StreamState { id: 0, contiguous_end: 5, ranges: vec![] },
            StreamState { id: 10, contiguous_end: 100, ranges: vec![(110, 120), (200, 201)] },
        ],
    };
    let join = Intent::Join { session: SessionId([0x11; 16]), proof: [0x22; 32], received: received.clone() };
    let new = ClientHello { versions: 1..=1, intent: Intent::New, params, features: vec![] };
    let join = ClientHello { intent: join, features: vec![(RESERVED_FEATURE, b"grease".to_vec())], ..new.clone() };
    let state = json!({"next_ids": [12, 9], "streams": [{"id": 0, "contiguous_end": 5, "ranges": []},
        {"id": 10, "contiguous_end": 100, "ranges": [[110, 120], [200, 201]]}]});
    let grease = json!([{"type": RESERVED_FEATURE, "value": "grease"}]);
    let mut vectors = Vec::new();
    for (name, means, hello) in [
        ("client, new", json!({"versions": [1, 1], "params": shown(&params)}), new),
        (
            "client, join",
            json!({"versions": [1, 1], "received": state, "params": shown(&params), "features": grease}),
            join,
        ),
    ] {
        let mut bytes = Vec::new();
        hello.encode(&mut bytes);
        assert_eq!(ClientHello::decode(&bytes), Ok(Some((hello, bytes.len()))));
        vectors.push((name, means, bytes));
    }
    let refusal = Close::new(CloseCode::UnknownKey).with_text("join first");
    for (name, means, verdict) in [
        ("server, new", json!({"params": shown(&params)}), Verdict::New { session: SessionId([0x11; 16]), params }),
        ("server, joined", json!({"received": state}), Verdict::Joined { received }),
        ("server, gone", json!({}), Verdict::Gone),
        ("server, refused", json!({"code": "unknown-key", "text": "join first"}), Verdict::Refused(refusal)),
    ] {
        let hello = ServerHello { version: 1, verdict, features: vec![] };
        let mut bytes = Vec::new();
        hello.encode(&mut bytes);
        assert_eq!(ServerHello::decode(&bytes), Ok(Some((hello, bytes.len()))));
        vectors.push((name, means, bytes));
    }
    hold("hello.json", vectors);
}

fn shown(params: &Params) -> Value {
    json!({"max_message": params.max_message, "stream_credit": params.stream_credit,
        "session_credit": params.session_credit, "max_streams": params.max_streams, "resume_time_ms": params.resume_time_ms})
}

/// A reader written in another language from the pages alone reads every vector as it is meant.
#[test]
fn a_reader_in_python_written_from_the_pages_reads_every_vector() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../clients/python/check_vectors.py");
    match std::process::Command::new("python3").args(["-B", script]).output() {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout)),
        Err(error) => println!("skipped: python3 cannot be run: {error}"),
    }
}
