use super::*;
use std::collections::BTreeMap;

type Content = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

/// The records of the sample: every table, sizes around a page's border, one over several pages.
fn sample() -> Vec<Change> {
    let mut changes = Vec::new();
    for table in Table::ALL {
        for number in 0..6u8 {
            let length = [3, 40, 200, 900][usize::from(number) % 4];
            changes.push(put(table, &[number; 16], &vec![number ^ 0x5a; length]));
        }
    }
    changes.push(put(Table::Body, b"large", &vec![1; 9_000]));
    changes.push(delete(Table::Device, &[5; 16]));
    changes
}

fn content(path: &Path) -> (Content, Vec<Damage>) {
    let mailbox = Mailbox::open(path).expect("opens whatever happened to it");
    let reader = mailbox.reader().expect("reads");
    let mut content = BTreeMap::new();
    for table in Table::ALL {
        for Record { key, bytes } in reader.all(table).expect("reads") {
            assert!(content.insert((table, key), bytes).is_none(), "a record came twice");
        }
    }
    (content, mailbox.damage().to_vec())
}

/// Opens a copy of `bytes`, and checks that whatever is missing or wrong was told and that nothing wrong is served.
fn judge(name: &str, bytes: &[u8], whole: &Content) -> usize {
    let (_folder, path) = folder();
    std::fs::write(&path, bytes).expect("written");
    let (found, damage) = match std::panic::catch_unwind(|| content(&path)) {
        Ok(result) => result,
        Err(_) => panic!("{name}: panicked"),
    };
    for (key, bytes) in &found {
        assert_eq!(whole.get(key), Some(bytes), "{name}: a record is wrong");
    }
    if found.len() < whole.len() {
        assert!(!damage.is_empty(), "{name}: records vanished silently");
        assert!(damage.iter().all(|damage| damage.kept_as.exists()), "{name}: nothing was set aside");
    }
    whole.len() - found.len()
}

#[test]
fn p17_no_flipped_byte_makes_a_record_wrong_doubled_or_silently_missing() {
    let (_folder, path) = folder();
    fill(&path, &sample());
    let bytes = std::fs::read(&path).expect("read");
    let (whole, damage) = content(&path);
    assert!(damage.is_empty());
    // Every byte of the first page's header, then a stride that is prime to the page's length: all positions in a page.
    let places = (0..100).chain((100..bytes.len()).step_by(61));
    let (mut flips, mut most) = (0, 0);
    for at in places {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        // Another program's mark is refused by name, and a flip in the schema number likewise; nothing is served then.
        if (60..72).contains(&at) {
            let (_folder, path) = folder();
            std::fs::write(&path, &flipped).expect("written");
            if Mailbox::open(&path).is_err() {
                flips += 1;
                continue;
            }
        }
        most = most.max(judge(&format!("byte {at}"), &flipped, &whole));
        flips += 1;
    }
    println!(
        "p17: reached {flips} flips in {} bytes, 0 wrong, 0 silent, at most {most} of {} records lost",
        bytes.len(),
        whole.len()
    );
}

#[test]
fn p17_a_mailbox_cut_short_at_any_page_is_told() {
    let (_folder, path) = folder();
    fill(&path, &sample());
    let bytes = std::fs::read(&path).expect("read");
    let (whole, _) = content(&path);
    for length in (1..bytes.len()).step_by(1_531) {
        judge(&format!("cut at {length}"), &bytes[..length], &whole);
    }
}

#[test]
fn a_record_that_is_damaged_while_the_hub_runs_is_not_served() {
    let (_folder, path) = folder();
    fill(&path, &[put(Table::Phase, b"a", b"right"), put(Table::Phase, b"b", b"other")]);
    let mailbox = Mailbox::open(&path).expect("opens");
    let raw = Connection::open(&path).expect("opens");
    raw.execute("UPDATE phase SET record = x'00' WHERE key = x'61'", []).expect("spoils");
    let reader = mailbox.reader().expect("reads");
    assert!(matches!(reader.get(Table::Phase, b"a"), Err(StoreError::Damaged { table: Table::Phase })));
    assert_eq!(reader.get(Table::Phase, b"b").expect("whole"), Some(b"other".to_vec()));
    assert_eq!(reader.all(Table::Phase).expect("reads").len(), 1);
}

#[test]
fn a_record_that_vanished_is_missed() {
    let (_folder, path) = folder();
    fill(&path, &[put(Table::Phase, b"a", b"right"), put(Table::Phase, b"b", b"other")]);
    Connection::open(&path).expect("opens").execute("DELETE FROM phase WHERE key = x'61'", []).expect("removes");
    let (found, damage) = content(&path);
    assert_eq!(found.len(), 1);
    assert_eq!((damage[0].missing, damage[0].spoilt), (1, 0));
    assert!(content(&path).1.is_empty(), "told once, not for ever");
}
