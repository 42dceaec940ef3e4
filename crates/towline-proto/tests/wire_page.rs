//! `docs/wire.md` and `docs/calls.md` say what the code does: their tables are held against the code's.

use std::collections::BTreeMap;
use towline_proto::datagram::{connection_id, packet, params, strangers};
use towline_proto::wire::close::CloseCode;
use towline_proto::wire::frame::kind;
use towline_proto::{call, limits};

const WIRE: &str = include_str!("../../../docs/wire.md");
const CALLS: &str = include_str!("../../../docs/calls.md");

/// The rows of the first table behind a heading, as cells without back-ticks.
fn table(page: &str, heading: &str) -> Vec<Vec<String>> {
    let (_, behind) = page.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no heading {heading}"));
    let rows = behind.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cells = |row: &str| row.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect();
    rows.skip(2).map(cells).collect()
}

#[test]
fn the_pages_close_codes_are_the_codes_of_the_table() {
    let ours: Vec<Vec<String>> = CloseCode::ALL
        .iter()
        .map(|code| {
            let (number, exit) = (code.number().to_string(), code.exit_code().to_string());
            let words =
                [&number, code.word(), code.blame().word(), code.retry().word(), &exit, code.cause(), code.cure()];
            words.map(|word| word.replace('`', "")).into()
        })
        .collect();
    assert_eq!(table(WIRE, "## Close codes"), ours);
}

#[test]
fn the_pages_frame_types_are_those_of_the_code() {
    let ours = BTreeMap::from([
        ("Ping", kind::PING),
        ("Pong", kind::PONG),
        ("Confirm", kind::CONFIRM),
        ("Close", kind::CLOSE),
        ("SessionCredit", kind::SESSION_CREDIT),
        ("StreamsCredit", kind::STREAMS_CREDIT),
        ("StreamCredit", kind::STREAM_CREDIT),
        ("Run", kind::RUN),
        ("Chunk", kind::CHUNK),
        ("Bytes", kind::BYTES),
        ("End", kind::END),
        ("Reset", kind::RESET),
        ("Stop", kind::STOP),
        ("Blocked", kind::BLOCKED),
    ]);
    let number = |text: &str| u64::from_str_radix(&text[2..4], 16).unwrap();
    let rows = table(WIRE, "## Frame types");
    let theirs: BTreeMap<_, _> = rows.iter().map(|row| (row[1].as_str(), number(&row[0]))).collect();
    assert_eq!(theirs, ours);
}

#[test]
fn the_pages_limits_are_those_of_the_code() {
    let ours: BTreeMap<&str, u64> = BTreeMap::from([
        ("MAX_HELLO_BYTES", limits::MAX_HELLO_BYTES as u64),
        ("MAX_FRAME_BYTES", limits::MAX_FRAME_BYTES as u64),
        ("MAX_CLOSE_TEXT_BYTES", limits::MAX_CLOSE_TEXT_BYTES as u64),
        ("MAX_FEATURES", limits::MAX_FEATURES as u64),
        ("MAX_FEATURE_BYTES", limits::MAX_FEATURE_BYTES as u64),
        ("MAX_STREAMS", limits::MAX_STREAMS),
        ("MAX_STATE_STREAMS", limits::MAX_STATE_STREAMS as u64),
        ("MAX_STATE_RANGES", limits::MAX_STATE_RANGES as u64),
        ("MAX_MAX_MESSAGE_BYTES", limits::MAX_MAX_MESSAGE_BYTES),
        ("LANE_CREDIT_BYTES", limits::LANE_CREDIT_BYTES),
    ]);
    assert_eq!(limits_of(&table(WIRE, "## Limits")), ours);
}

#[test]
fn the_pages_limits_of_datagrams_are_those_of_the_code() {
    let ours: BTreeMap<&str, u64> = BTreeMap::from([
        ("VERSION", u64::from(packet::VERSION)),
        ("INITIAL_DATAGRAM_BYTES", packet::INITIAL_DATAGRAM_BYTES as u64),
        ("MAX_ID_BYTES", connection_id::MAX_ID_BYTES as u64),
        ("LOCAL_ID_BYTES", connection_id::LOCAL_ID_BYTES as u64),
        ("FIRST_ID_BYTES_MIN", connection_id::FIRST_ID_BYTES_MIN as u64),
        ("RESET_ANSWERED_BYTES", strangers::RESET_ANSWERED_BYTES as u64),
        ("RESET_BYTES_MIN", packet::RESET_BYTES_MIN as u64),
    ]);
    assert_eq!(limits_of(&table(WIRE, "### Limits of datagrams")), ours);
}

#[test]
fn the_pages_transport_parameters_are_those_of_the_code() {
    let rows = table(WIRE, "### Transport parameters");
    let theirs: Vec<_> = rows.iter().map(|row| (row[0].as_str(), row[1].as_str(), row[2].as_str())).collect();
    let ours = params::TABLE.map(|(id, name, of_servers)| (id, name, if of_servers { "server" } else { "both" }));
    let ours: Vec<_> = ours.iter().map(|(id, name, from)| (format!("{id:#04x}"), *name, *from)).collect();
    assert_eq!(theirs, ours.iter().map(|(id, name, from)| (id.as_str(), *name, *from)).collect::<Vec<_>>());
}

fn limits_of(rows: &[Vec<String>]) -> BTreeMap<&str, u64> {
    rows.iter().map(|row| (row[0].as_str(), row[1].replace(',', "").parse().unwrap())).collect()
}

#[test]
fn the_page_of_calls_has_the_codes_and_limits_of_the_code() {
    let codes: Vec<_> =
        call::Code::ALL.iter().map(|code| vec![code.number().to_string(), code.word().into()]).collect();
    assert_eq!(table(CALLS, "## Codes"), codes);
    let limits = BTreeMap::from([
        ("MAX_METHOD_BYTES", call::MAX_METHOD_BYTES as u64),
        ("MAX_METADATA", call::MAX_METADATA as u64),
        ("MAX_METADATA_KEY_BYTES", call::MAX_METADATA_KEY_BYTES as u64),
        ("MAX_METADATA_VALUE_BYTES", call::MAX_METADATA_VALUE_BYTES as u64),
        ("MAX_STATUS_TEXT_BYTES", call::MAX_STATUS_TEXT_BYTES as u64),
        ("MAX_STATUS_DETAIL_BYTES", call::MAX_STATUS_DETAIL_BYTES as u64),
    ]);
    assert_eq!(limits_of(&table(CALLS, "## Limits")), limits);
}
