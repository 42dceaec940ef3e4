//! A whole tree of real documents in one command: every byte and every name arrives.

use crate::support::World;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where systems keep XML documents of many authors.
const SYSTEM: &str = "/usr/share/xml";
/// How many of the system's documents are sent at the most, and how large one may be.
const MOST: usize = 60;
const MAX_BYTES: u64 = 2_000_000;
/// How many documents of ours are sent.
const OWN: usize = 120;

/// A document as one of several old and new programs writes it: the first line says how it is encoded.
fn document(number: usize) -> (String, Vec<u8>) {
    let rows = |end: &str| -> String {
        let row = |row: usize| format!("  <item no='{row}'>Käse, größer als {}</item>{end}", number * row);
        (0..number % 50 + 1).map(row).collect()
    };
    let latin_1 = |text: String| text.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap_or(b'?')).collect();
    let utf_16 = |text: String| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let xml = |encoding: &str, end: &str| {
        format!("<?xml version=\"1.0\" encoding=\"{encoding}\"?>{end}<list>{end}{}</list>{end}", rows(end))
    };
    match number % 5 {
        0 => (format!("order {number}.xml"), xml("UTF-8", "\n").into_bytes()),
        1 => (format!("Bestellung-{number}-ü.xml"), latin_1(xml("ISO-8859-1", "\r\n"))),
        2 => (format!("bom_{number}.XML"), [b"\xef\xbb\xbf", xml("UTF-8", "\r\n").as_bytes()].concat()),
        3 => (format!("utf16.{number}.xml"), [&b"\xff\xfe"[..], &utf_16(xml("UTF-16", "\r\n"))].concat()),
        _ => (format!("no-end-of-line {number}"), xml("UTF-8", "").into_bytes()),
    }
}

/// The system's documents below `folder`, each with a name of its own and none that is hidden or looks like an option.
fn collect(folder: &Path, found: &mut BTreeMap<String, PathBuf>) {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        let Ok(metadata) = path.symlink_metadata() else { continue };
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if metadata.is_dir() {
            collect(&path, found);
        } else if metadata.is_file()
            && metadata.len() <= MAX_BYTES
            && found.len() < MOST
            && !name.starts_with(['.', '-'])
        {
            found.entry(name).or_insert(path);
        }
    }
}

#[test]
fn a_whole_tree_of_documents_arrives_with_every_byte_and_every_name() {
    let world = World::office_and_open_shop();
    let mut documents = BTreeMap::new();
    collect(Path::new(SYSTEM), &mut documents);
    let of_the_system = documents.len();
    for number in 0..OWN {
        let (name, bytes) = document(number);
        let path = world.write(&format!("tree/{}/{}/{name}", number % 3, number % 7), bytes);
        documents.insert(name, path.into());
    }
    let mut args: Vec<&str> = vec!["send", "--json", "--wait=100s"];
    args.extend(documents.values().map(|path| path.to_str().expect("UTF-8")));
    args.push("shop:");
    let sent = world.ran("office", &args);
    assert_eq!(sent.exit, Some(0), "{}", sent.stderr);
    assert_eq!(sent.states().len(), documents.len(), "one message each");
    for (name, path) in &documents {
        let (sent, arrived) = (std::fs::read(path).expect("there"), std::fs::read(world.inbox("shop", name)));
        assert!(arrived.is_ok_and(|arrived| arrived == sent), "{name} is not what was sent");
    }
    let count = std::fs::read_dir(world.device("shop").join("inbox")).expect("an inbox").count();
    assert_eq!(count, documents.len(), "nothing came twice");
    println!("sent {OWN} documents of ours and {of_the_system} of {SYSTEM}");
}
