//! A hub that lies: its mailbox is changed by hand, checksums and all, and `status --verify` says what does not fit.

use crate::support::World;
use crate::support::home::Ran;
use rusqlite::{Connection, params};

/// The tables' numbers, as they stand in every checksum.
const TABLES: [(&str, u8); 2] = [("message", 2), ("phase", 3)];

/// A shop that rejects every order and says why, and the id of one order that it rejected.
fn rejected() -> (World, String) {
    let mut world = World::office_and_shop();
    let rule =
        "[[rule]]\nname = \"print\"\nfile = [\"*.xml\"]\ncommand = [\"/bin/sh\", \"-c\", \"echo no paper; exit 3\"]\n";
    world.write("shop/device/agent.toml", rule);
    world.open("shop");
    let order = world.write("order.xml", "<order/>");
    let sent = world.send(&[&order, "shop:"]);
    assert_eq!(sent.exit, Some(11), "{sent:?}");
    let id = sent.message()["id"].as_str().expect("an id").to_owned();
    (world, id)
}

/// Changes `from` into `to` in the one record of the table that holds it; `fair` leaves the old checksum beside it.
fn tamper(world: &World, table: &str, from: &str, to: &str, fair: bool) {
    assert_eq!(from.len(), to.len(), "no length changes");
    let mailbox = Connection::open(world.path("hub/hub/mail.db")).expect("the mailbox");
    let mut rows = mailbox.prepare(&format!("SELECT key, record FROM {table}")).expect("a table");
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
    let rows: Vec<(Vec<u8>, Vec<u8>)> = rows.map(|row| row.expect("a row")).collect();
    let place = |record: &[u8]| record.windows(from.len()).position(|part| part == from.as_bytes());
    let (key, mut record) =
        rows.into_iter().find(|(_, record)| place(record).is_some()).expect("the text stands there");
    let at = place(&record).expect("just found");
    record[at..at + to.len()].copy_from_slice(to.as_bytes());
    let number = TABLES.iter().find(|(name, _)| *name == table).expect("one of the two").1;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[number]).update(&(key.len() as u64).to_le_bytes()).update(&key).update(&record);
    let checksum = hasher.finalize().as_bytes()[..16].to_vec();
    let changed = if fair {
        mailbox.execute(&format!("UPDATE {table} SET record = ?2 WHERE key = ?1"), params![key, record])
    } else {
        let sql = format!("UPDATE {table} SET record = ?2, checksum = ?3 WHERE key = ?1");
        mailbox.execute(&sql, params![key, record, checksum])
    };
    assert_eq!(changed.expect("changed"), 1);
}

fn verify(world: &World, id: &str) -> Ran {
    world.ran("office", &["status", id, "--verify", "--json"])
}

/// `--verify` ends with 8 and its one object says which part does not fit.
fn does_not_verify(world: &World, id: &str, words: &str) {
    let ran = verify(world, id);
    let told = ran.json();
    assert_eq!((ran.exit, &told["verified"]), (Some(8), &false.into()), "{told}");
    assert!(told["error"]["what"].as_str().is_some_and(|what| what.contains(words)), "{told}");
    let people = world.ran("office", &["status", id, "--verify"]);
    assert!(people.exit == Some(8) && people.stderr.contains(words), "{people:?}");
    assert_eq!(world.ran("office", &["status", id]).exit, Some(11), "unasked, the hub is believed");
}

#[test]
fn p07_one_byte_changed_in_a_stored_receipt_is_noticed_and_named() {
    let (world, id) = rejected();
    assert_eq!(verify(&world, &id).exit, Some(11));
    tamper(&world, "phase", "handler exit 3", "handler exit 4", false);
    does_not_verify(&world, &id, "receipt: its signature is not its key's");
}

#[test]
fn p07_one_byte_changed_in_a_stored_envelope_is_noticed_and_named() {
    let (world, id) = rejected();
    tamper(&world, "message", "order.xml", "order.xmk", false);
    does_not_verify(&world, &id, "envelope: the envelope's signature is not its sender's");
}

#[test]
fn p07_one_byte_changed_in_the_stored_output_is_noticed_and_named() {
    let (world, id) = rejected();
    tamper(&world, "phase", "no paper", "no papes", false);
    does_not_verify(&world, &id, "receipt: the command's output is not the one that it names");
}

#[test]
fn a_byte_changed_by_the_disk_is_not_served_at_all() {
    let (world, id) = rejected();
    tamper(&world, "phase", "handler exit 3", "handler exit 4", true);
    let ran = world.ran("office", &["status", &id]);
    assert!(ran.exit.is_some_and(|exit| exit != 0 && exit != 11) && ran.stderr.contains("  do: "), "{ran:?}");
}

#[test]
fn a_key_brought_along_proves_whose_word_it_is_and_a_wrong_one_ends_with_8() {
    let (world, id) = rejected();
    let key = |who: &str| world.ran(who, &["config", "show", "--json"]).json()["settings"].clone();
    let key = |who: &str| {
        let settings = key(who);
        let one = settings.as_array().expect("settings").iter().find(|one| one["option"] == "device.key");
        one.expect("a key").get("value").and_then(|value| value.as_str()).expect("text").to_owned()
    };
    let believed = verify(&world, &id);
    let told = believed.json();
    assert!(told["not_proved"][0].as_str().is_some_and(|what| what.contains("the hub says so")), "{told}");
    let shop = key("shop");
    assert_eq!(told["signer_key"], shop.as_str());
    let file = world.write("shop.key", format!("{shop}\n"));
    for brought in [&shop, &file] {
        let proved = world.ran("office", &["status", &id, "--verify", "--key", brought, "--json"]);
        let none = serde_json::json!([]);
        assert_eq!((proved.exit, &proved.json()["not_proved"]), (Some(11), &none), "{proved:?}");
    }
    let wrong = world.ran("office", &["status", &id, "--verify", "--key", &key("office")]);
    assert!(wrong.exit == Some(8) && wrong.stderr.contains("receipt: it is signed by "), "{wrong:?}");
    assert_eq!(world.ran("office", &["status", &id, "--verify", "--key", "shop"]).exit, Some(2));
    assert_eq!(world.ran("office", &["status", &id, "--key", &shop]).exit, Some(2), "a key that nothing would ask");
}
