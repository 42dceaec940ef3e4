//! Real documents through real processes: they arrive unchanged, and the sender is told what became of them.

use crate::support::{World, until};
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
    let mut world = World::office_and_open_shop();
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
        let file = world.write(&format!("out/{name}"), bytes);
        let sent = world.send(&[&file, "shop:"]);
        let told = sent.message();
        assert_eq!((sent.exit, told["state"].as_str()), (Some(0), Some("handled")), "{name}: {sent:?}");
        // A name that a program could take for an option is made safe; the receipt says which name it bears.
        let placed = told["summary"].as_str().and_then(|summary| summary.strip_prefix("handled: placed as "));
        let arrived = world.inbox("shop", placed.expect("a place"));
        assert!(placed == Some(name) || *name == "-rf", "{name} is called {placed:?}");
        assert!(std::fs::read(&arrived).is_ok_and(|got| got == *bytes), "{name} is not what was sent");
    }
    assert_eq!(
        (world.terminate("shop").code(), world.terminate("hub").code()),
        (Some(0), Some(0)),
        "both drain and exit 0"
    );
}

#[test]
fn a_name_with_a_newline_is_refused_or_made_safe_and_never_splits_a_line() {
    let world = World::office_and_open_shop();
    let file = world.write("out/two\nlines", b"x");
    let sent = world.send(&[&file, "shop:"]);
    assert!(matches!(sent.exit, Some(0 | 13)), "{sent:?}");
    let folder = std::fs::read_dir(world.device("shop").join("inbox")).expect("an inbox");
    let names: Vec<String> =
        folder.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into()).collect();
    assert_eq!(names.len(), usize::from(sent.exit == Some(0)), "{names:?}");
}

#[test]
fn a_large_sparse_file_arrives_unchanged() {
    let size = if std::env::var_os(LONG).is_some() { (2 << 30) + 12_345 } else { LARGE_BYTES + 12_345 };
    let world = World::office_and_open_shop();
    let path = world.path("sparse.img");
    let mut file = std::fs::File::create(&path).expect("a file");
    file.set_len(size).expect("sparse");
    file.seek(SeekFrom::Start(size / 2)).and_then(|_| file.write_all(b"in the middle")).expect("written");
    let sent = world.ran("office", &["send", "--json", "--wait=500s", &path.to_string_lossy(), "shop:"]);
    assert_eq!(sent.exit, Some(0), "{sent:?}");
    assert_eq!(digest(&path), digest(&world.inbox("shop", "sparse.img")));
}

fn digest(path: &Path) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    std::io::copy(&mut std::fs::File::open(path).expect("there"), &mut hasher).expect("read");
    hasher.finalize()
}

#[test]
fn standard_input_and_text_arrive_under_the_given_name() {
    let world = World::office_and_open_shop();
    let mut command = world.command("office");
    command.args(["send", "-", "--name", "piped.txt", "shop:", "--wait=60s"]);
    let mut child = command.stdin(std::process::Stdio::piped()).spawn().expect("starts");
    child.stdin.take().expect("a pipe").write_all(b"through a pipe").expect("written");
    assert_eq!(child.wait().expect("ends").code(), Some(0));
    assert_eq!(std::fs::read(world.inbox("shop", "piped.txt")).expect("there"), b"through a pipe");
    let sent = world.send(&["--text", "hello", "--name", "hello.txt", "shop"]);
    assert_eq!(sent.exit, Some(0), "{sent:?}");
    assert_eq!(std::fs::read(world.inbox("shop", "hello.txt")).expect("there"), b"hello");
    let spooled = std::fs::read_dir(world.device("office").join("stdin")).expect("the spool").count();
    assert_eq!(spooled, 0, "the copy of standard input is gone");
}

#[test]
fn a_handlers_exit_code_and_output_reach_the_sender_and_the_receipt_verifies() {
    let mut world = World::office_and_shop();
    let rules = "[[rule]]\nname = \"print\"\nfile = [\"*.xml\"]\ncommand = [\"/bin/sh\", \"-c\", \"echo no paper >&2; exit 3\"]\n";
    world.write("shop/device/agent.toml", rules);
    world.open("shop");
    let order = world.write("order.xml", "<order/>");
    let sent = world.send(&[&order, "shop:"]);
    let message = sent.message();
    assert_eq!((sent.exit, message["summary"].as_str()), (Some(11), Some("failed: handler exit 3")), "{sent:?}");
    assert_eq!(message["receipt"]["exit_code"], 3);
    let id = message["id"].as_str().expect("an id");
    let status = world.ran("office", &["status", id, "--verify", "--json"]);
    let told = status.json();
    assert_eq!((status.exit, &told["verified"]), (Some(11), &true.into()), "{told}");
    assert!(told["output"].as_str().is_some_and(|output| output.contains("no paper")), "{told}");
    assert!(told["whose_word"].as_str().is_some_and(|whose| whose.contains("recipient")), "{told}");
}

#[test]
fn a_file_in_the_outbox_arrives_by_name() {
    let mut world = World::office_and_open_shop();
    world.open("office");
    let bytes = latin_1_csv();
    world.write("office/device/outbox/shop/stock.csv", &bytes);
    until("the file arrives", || world.inbox("shop", "stock.csv").exists());
    assert_eq!(std::fs::read(world.inbox("shop", "stock.csv")).expect("there"), bytes);
}
