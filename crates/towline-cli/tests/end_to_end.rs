//! Real documents through real processes: they arrive unchanged, and the sender is told what became of them.

mod common;

use common::site::{Site, until};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

/// The large sparse file's size where nobody asks for more: it crosses a session's windows many times.
const LARGE_BYTES: u64 = 64 * 1024 * 1024;
/// Set to any value to send a file beyond 2 GiB instead.
const LONG: &str = "TOWLINE_TEST_LONG";

/// Bytes that old programs write.
fn latin_1_csv() -> Vec<u8> {
    let mut text = b"sku;name;price\r\n".to_vec();
    (0..3_000).for_each(|row| {
        text.extend_from_slice(format!("B-{row};").as_bytes());
        text.extend_from_slice(b"K\xe4se und Br\xfche;1,50\r\n");
    });
    text
}

/// An XML document of this machine, or one of ours where it has none.
fn xml() -> Vec<u8> {
    let system = Path::new("/usr/share/mime/packages/freedesktop.org.xml");
    std::fs::read(system)
        .unwrap_or_else(|_| format!("<orders>{}</orders>", "<order n='1'>ü</order>".repeat(50_000)).into_bytes())
}

#[test]
fn real_documents_arrive_unchanged_under_their_names() {
    let (site, hub) = Site::open();
    let shop = site.start_shop();
    let documents: [(&str, Vec<u8>); 8] = [
        ("freedesktop.org.xml", xml()),
        ("stock.csv", latin_1_csv()),
        ("utf-8.csv", "näme;größe\r\n".repeat(10).into_bytes()),
        ("empty", Vec::new()),
        ("one byte", vec![0]),
        ("a \"quoted\" 'name'.txt", b"x".repeat(70_000)),
        ("Füße – 日本.txt", b"y".repeat(64 * 1024)),
        ("-rf", b"not an option".to_vec()),
    ];
    for (name, bytes) in &documents {
        let file = site.office.write(&format!("out/{name}"), bytes);
        let sent = site.send(&[&file.to_string_lossy(), "shop:"]);
        let told = sent.json()["messages"][0].clone();
        assert_eq!((sent.exit, told["state"].as_str()), (Some(0), Some("handled")), "{name}: {sent:?}");
        let arrived = site.inbox(name);
        assert!(std::fs::read(&arrived).is_ok_and(|got| got == *bytes), "{name} is not what was sent");
    }
    assert_eq!((shop.stop(), hub.stop()), (Some(0), Some(0)), "both drain and exit 0");
}

#[test]
fn a_name_with_a_newline_is_refused_or_made_safe_and_never_splits_a_line() {
    let (site, _hub) = Site::open();
    let _shop = site.start_shop();
    let file = site.office.write("out/two\nlines", b"x");
    let sent = site.send(&[&file.to_string_lossy(), "shop:"]);
    assert!(matches!(sent.exit, Some(0 | 13)), "{sent:?}");
    let folder = std::fs::read_dir(site.shop.path("device/inbox")).expect("an inbox");
    let names: Vec<String> =
        folder.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into()).collect();
    assert_eq!(names.len(), usize::from(sent.exit == Some(0)), "{names:?}");
}

#[test]
fn a_large_sparse_file_arrives_unchanged() {
    let size = if std::env::var_os(LONG).is_some() { (2 << 30) + 12_345 } else { LARGE_BYTES + 12_345 };
    let (site, _hub) = Site::open();
    let _shop = site.start_shop();
    let path = site.office.path("sparse.img");
    let mut file = std::fs::File::create(&path).expect("a file");
    file.set_len(size).expect("sparse");
    file.seek(SeekFrom::Start(size / 2)).and_then(|_| file.write_all(b"in the middle")).expect("written");
    let sent = site.office.run(&["send", "--json", "--wait=500s", &path.to_string_lossy(), "shop:"]);
    assert_eq!(sent.exit, Some(0), "{sent:?}");
    assert_eq!(digest(&path), digest(&site.inbox("sparse.img")));
}

fn digest(path: &Path) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    std::io::copy(&mut std::fs::File::open(path).expect("there"), &mut hasher).expect("read");
    hasher.finalize()
}

#[test]
fn standard_input_and_text_arrive_under_the_given_name() {
    let (site, _hub) = Site::open();
    let _shop = site.start_shop();
    let mut command = site.office.command(&["send", "-", "--name", "piped.txt", "shop:", "--wait=60s"]);
    let mut child = command.stdin(std::process::Stdio::piped()).spawn().expect("starts");
    child.stdin.take().expect("a pipe").write_all(b"through a pipe").expect("written");
    assert_eq!(child.wait().expect("ends").code(), Some(0));
    assert_eq!(std::fs::read(site.inbox("piped.txt")).expect("there"), b"through a pipe");
    let sent = site.send(&["--text", "hello", "--name", "hello.txt", "shop"]);
    assert_eq!(sent.exit, Some(0), "{sent:?}");
    assert_eq!(std::fs::read(site.inbox("hello.txt")).expect("there"), b"hello");
    let spooled = std::fs::read_dir(site.office.path("device/stdin")).expect("the spool").count();
    assert_eq!(spooled, 0, "the copy of standard input is gone");
}

#[test]
fn a_handlers_exit_code_and_output_reach_the_sender_and_the_receipt_verifies() {
    let (site, _hub) = Site::open();
    let rules = "[[rule]]\nname = \"print\"\nfile = [\"*.xml\"]\ncommand = [\"/bin/sh\", \"-c\", \"echo no paper >&2; exit 3\"]\n";
    site.shop.write("device/agent.toml", rules);
    let _shop = site.start_shop();
    let order = site.office.write("order.xml", "<order/>");
    let sent = site.send(&[&order.to_string_lossy(), "shop:"]);
    let message = sent.json()["messages"][0].clone();
    assert_eq!((sent.exit, message["summary"].as_str()), (Some(11), Some("failed: handler exit 3")), "{sent:?}");
    assert_eq!(message["receipt"]["exit_code"], 3);
    let id = message["id"].as_str().expect("an id");
    let status = site.office.run(&["status", id, "--verify", "--json"]);
    let told = status.json();
    assert_eq!((status.exit, &told["verified"]), (Some(11), &true.into()), "{told}");
    assert!(told["output"].as_str().is_some_and(|output| output.contains("no paper")), "{told}");
    assert!(told["whose_word"].as_str().is_some_and(|whose| whose.contains("recipient")), "{told}");
}

#[test]
fn who_and_ping_exit_0_online_6_offline_3_unknown() {
    let (site, _hub) = Site::open();
    assert_eq!(site.office.run(&["who", "shop"]).exit, Some(6));
    assert_eq!(site.office.run(&["ping", "shop"]).exit, Some(6));
    assert_eq!(site.office.run(&["who", "nobody"]).exit, Some(3));
    assert_eq!(site.office.run(&["ping", "nobody"]).exit, Some(3));
    let shop = site.start_shop();
    let ping = site.office.run(&["ping", "shop", "--json"]);
    assert_eq!(ping.exit, Some(0), "{ping:?}");
    assert!(ping.json()["rtt_us"].as_u64().is_some_and(|rtt| rtt > 0) && ping.json()["path"].is_string(), "{ping:?}");
    assert_eq!(shop.stop(), Some(0));
    until("the shop is offline", || site.office.run(&["who", "shop"]).exit == Some(6));
}

#[test]
fn a_message_to_an_offline_device_expires_and_a_live_one_is_not_kept() {
    let (site, _hub) = Site::open();
    let sent = site.send(&["--text", "late", "shop", "--deadline", "1s"]);
    assert_eq!(sent.exit, Some(7), "{sent:?}");
    let live = site.office.run(&["send", "--text", "now", "shop", "--live", "--json"]);
    assert_eq!(live.exit, Some(6), "{live:?}");
    assert_eq!(live.json()["messages"][0]["code"], "not-here");
    let unknown = site.office.run(&["send", "--text", "x", "nobody:"]);
    assert_eq!(unknown.exit, Some(3), "{unknown:?}");
    let some = site.send(&["--text", "x", "shop:", "nobody:", "--deadline", "1s"]);
    assert_eq!(some.json()["messages"].as_array().map(Vec::len), Some(2), "one message and one outcome each");
}

#[test]
fn a_file_in_the_outbox_arrives_by_name() {
    let (site, _hub) = Site::open();
    let (_office, _shop) = (site.start_office(), site.start_shop());
    let bytes = latin_1_csv();
    site.office.write("device/outbox/shop/stock.csv", &bytes);
    until("the file arrives", || site.inbox("stock.csv").exists());
    assert_eq!(std::fs::read(site.inbox("stock.csv")).expect("there"), bytes);
}

#[test]
fn without_a_hub_the_address_is_named_and_the_exit_code_is_5() {
    let (site, hub) = Site::open();
    assert_eq!(hub.stop(), Some(0));
    let sent = site.office.run(&["send", "--text", "x", "shop"]);
    assert_eq!(sent.exit, Some(5), "{sent:?}");
    assert!(sent.stderr.contains("127.0.0.1:") && sent.stderr.contains("  do: "), "{}", sent.stderr);
}

#[test]
fn a_revoked_device_is_refused_with_exit_4() {
    let (site, _hub) = Site::open();
    assert_eq!(site.hub.run(&["device", "revoke", "office"]).exit, Some(0));
    assert_eq!(site.office.run(&["who"]).exit, Some(4));
}
