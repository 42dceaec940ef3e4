use super::*;
use tempfile::TempDir;

const ID: MessageId = MessageId([9; 16]);

fn store() -> (TempDir, Store) {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(&home.path().join("store")).unwrap();
    (home, store)
}

fn expected(body: &[u8]) -> Expected {
    Expected { size: body.len() as u64, root: Digest(*blake3::hash(body).as_bytes()) }
}

#[test]
fn bodies_of_no_one_and_many_bytes_come_out_unchanged() {
    let (_home, store) = store();
    for size in [0, 1, 4_095, 4_096, 4_097, 300_000] {
        let body: Vec<u8> = (0..size).map(|i: u32| (i % 251) as u8).collect();
        store.put(ID, &body, expected(&body)).unwrap();
        assert_eq!(std::fs::read(store.path(ID)).unwrap(), body);
        assert_eq!(store.held(ID).unwrap(), u64::from(size));
    }
}

#[test]
fn a_body_is_taken_up_again_at_every_offset_that_is_held() {
    let (_home, store) = store();
    let body: Vec<u8> = (1..=255).collect();
    for cut in 0..=body.len() {
        let mut first = store.begin(ID, 0, expected(&body)).unwrap();
        first.write(&body[..cut]).unwrap();
        drop(first);
        let held = store.held(ID).unwrap();
        assert_eq!(held, cut as u64);
        let mut second = store.begin(ID, held, expected(&body)).unwrap();
        second.write(&body[cut..]).unwrap();
        second.finish().unwrap();
        assert_eq!(std::fs::read(store.path(ID)).unwrap(), body);
    }
}

#[test]
fn an_offset_past_what_is_held_is_refused() {
    let (_home, store) = store();
    assert!(matches!(store.begin(ID, 1, expected(b"ab")), Err(StoreError::Io(_))));
}

#[test]
fn wrong_bytes_are_never_ready_and_are_forgotten() {
    let (_home, store) = store();
    assert!(matches!(store.put(ID, b"abd", expected(b"abc")), Err(StoreError::Integrity)));
    assert!(matches!(store.put(ID, b"ab", expected(b"abc")), Err(StoreError::Integrity)));
    assert!(matches!(store.put(ID, b"abcd", expected(b"abc")), Err(StoreError::Integrity)));
    assert_eq!(store.held(ID).unwrap(), 0);
    assert!(!store.path(ID).exists());
}

#[test]
fn zeros_take_no_room_and_are_there_all_the_same() {
    use std::os::unix::fs::MetadataExt as _;
    let (_home, store) = store();
    let mut body = vec![0; 3 << 20];
    body[1 << 20] = 1;
    let want = expected(&body);
    let mut incoming = store.begin(ID, 0, want).unwrap();
    for part in body.chunks(10_007) {
        incoming.write(part).unwrap();
    }
    incoming.finish().unwrap();
    assert_eq!(std::fs::read(store.path(ID)).unwrap(), body);
    assert!(std::fs::metadata(store.path(ID)).unwrap().blocks() * 512 < 1 << 20);
}

/// 2 GiB and 5 bytes: past what a signed 32-bit length can say. Sparse, so it costs the hash alone.
#[test]
fn a_body_of_more_than_two_gigabytes_arrives_whole() {
    let (_home, store) = store();
    let (half, tail) = (vec![0; 1 << 20], b"tail!");
    let mut hasher = blake3::Hasher::new();
    for _ in 0..2_048 {
        hasher.update(&half);
    }
    hasher.update(tail);
    let want = Expected { size: (2_048 << 20) + 5, root: Digest(*hasher.finalize().as_bytes()) };
    let mut incoming = store.begin(ID, 0, want).unwrap();
    (0..2_048).for_each(|_| incoming.write(&half).unwrap());
    incoming.write(tail).unwrap();
    assert_eq!(incoming.written(), want.size);
    incoming.finish().unwrap();
    assert_eq!(store.held(ID).unwrap(), want.size);
}

#[test]
fn only_what_nobody_knows_is_swept() {
    let (_home, store) = store();
    let other = MessageId([1; 16]);
    store.put(ID, b"a", expected(b"a")).unwrap();
    store.put(other, b"b", expected(b"b")).unwrap();
    std::fs::write(store.folder().path().join("notes.txt"), "mine").unwrap();
    assert_eq!(store.remove_unless(|id| id == ID).unwrap(), 1);
    assert!(store.path(ID).exists() && !store.path(other).exists());
    assert!(store.folder().path().join("notes.txt").exists());
}
