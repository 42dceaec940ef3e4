use super::*;
use bytes::Bytes;

/// A test may block wherever it is.
const HERE: MayBlock = MayBlock::FOR_TESTS;
const BOOT: BootId = BootId([1; 16]);

fn body() -> (Vec<u8>, Digest) {
    let bytes: Vec<u8> = (0..300_000u32).map(|number| (number % 251) as u8).collect();
    let root = Digest(*blake3::hash(&bytes).as_bytes());
    (bytes, root)
}

fn id(number: u8) -> MessageId {
    MessageId([number; 16])
}

fn open(folder: &Path, referred: &[(MessageId, Digest)]) -> Bodies {
    Bodies::open(folder, BOOT, referred).expect("opens")
}

async fn arrive(bodies: &Bodies, id: MessageId, bytes: &[u8], root: Digest) {
    let arrival = bodies.arrival(&HERE, id, bytes.len() as u64, root).expect("spool");
    let written = arrival.turn().write(0, vec![Bytes::copy_from_slice(bytes)]).await.expect("written");
    assert_eq!(written, Wrote::Taken);
    assert!(arrival.begin_settling() && !arrival.begin_settling());
    assert!(arrival.verify().await.expect("synced"));
    bodies.keep(&HERE, id, &arrival).expect("kept");
}

async fn read_all(mut source: Source) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let piece = source.read(all.len() as u64).await.expect("read");
        if piece.is_empty() {
            return all;
        }
        all.extend_from_slice(&piece);
    }
}

#[tokio::test]
async fn a_body_is_followed_while_it_arrives_and_then_stands_under_its_hash() {
    let folder = tempfile::tempdir().expect("a folder");
    let bodies = Arc::new(open(folder.path(), &[]));
    let (bytes, root) = body();
    let arrival = bodies.arrival(&HERE, id(1), bytes.len() as u64, root).expect("spool");
    let reader = tokio::spawn(read_all(bodies.source(id(1)).expect("opens").expect("is arriving")));
    let turn = arrival.turn();
    for (number, piece) in bytes.chunks(70_001).enumerate() {
        let wrote = turn.write(number as u64 * 70_001, vec![Bytes::copy_from_slice(piece)]).await.expect("written");
        assert_eq!(wrote, Wrote::Taken);
    }
    assert!(arrival.verify().await.expect("synced"));
    bodies.keep(&HERE, id(1), &arrival).expect("kept");
    assert_eq!(reader.await.expect("reads"), bytes);
    bodies.accepted(id(1));
    assert_eq!(std::fs::read(folder.path().join("bodies").join(root.to_string())).expect("there"), bytes);
    bodies.release(id(1));
    assert!(bodies.source(id(1)).expect("no error").is_none());
    assert_eq!(std::fs::read_dir(folder.path().join("bodies")).expect("reads").count(), 0);
}

#[tokio::test]
async fn a_wrong_hash_is_noticed() {
    let folder = tempfile::tempdir().expect("a folder");
    let bodies = open(folder.path(), &[]);
    let (mut bytes, root) = body();
    bytes[150_000] ^= 1;
    let arrival = bodies.arrival(&HERE, id(1), bytes.len() as u64, root).expect("spool");
    arrival.turn().write(0, vec![bytes.into()]).await.expect("written");
    assert!(!arrival.verify().await.expect("no disk error"));
    bodies.drop_spool(id(1));
    assert_eq!(std::fs::read_dir(folder.path().join("spool")).expect("reads").count(), 0);
}

#[tokio::test]
async fn only_the_newest_stream_writes_overlaps_are_passed_over_gaps_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let bodies = open(folder.path(), &[]);
    let (bytes, root) = body();
    let all = Bytes::from(bytes);
    let arrival = bodies.arrival(&HERE, id(1), all.len() as u64, root).expect("spool");
    let first = arrival.turn();
    assert_eq!(first.write(0, vec![all.slice(..1_000)]).await.expect("written"), Wrote::Taken);
    let second = arrival.turn();
    assert_eq!(first.write(1_000, vec![all.slice(1_000..2_000)]).await.expect("no error"), Wrote::NotItsTurn);
    assert_eq!(second.write(1_500, vec![all.slice(1_500..2_000)]).await.expect("no error"), Wrote::Misplaced);
    assert_eq!(
        second.write(400, vec![all.slice(400..900), all.slice(900..5_000)]).await.expect("written"),
        Wrote::Taken
    );
    assert_eq!(arrival.written(), 5_000);
    let too_long = vec![all.slice(5_000..), Bytes::from_static(b"x")];
    assert_eq!(second.write(5_000, too_long).await.expect("no error"), Wrote::Misplaced);
    assert_eq!(second.write(5_000, vec![all.slice(5_000..)]).await.expect("written"), Wrote::Taken);
    assert!(arrival.is_full() && arrival.verify().await.expect("synced"));
}

#[tokio::test]
async fn a_spool_of_the_same_boot_goes_on_where_it_was_and_one_of_another_boot_is_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (bytes, root) = body();
    let all = Bytes::from(bytes);
    let size = all.len() as u64;
    open(folder.path(), &[])
        .arrival(&HERE, id(1), size, root)
        .expect("spool")
        .turn()
        .write(0, vec![all.slice(..77_777)])
        .await
        .expect("written");
    let bodies = open(folder.path(), &[]);
    let arrival = bodies.arrival(&HERE, id(1), size, root).expect("spool");
    assert_eq!(arrival.written(), 77_777);
    arrival.turn().write(77_777, vec![all.slice(77_777..)]).await.expect("written");
    assert!(arrival.verify().await.expect("synced"), "the hash goes over what was there before");
    let other = Bodies::open(folder.path(), BootId([2; 16]), &[]).expect("opens");
    assert_eq!(other.arrival(&HERE, id(1), size, root).expect("spool").written(), 0);
}

#[tokio::test]
async fn one_file_serves_all_messages_with_the_same_body_until_the_last_lets_go() {
    let folder = tempfile::tempdir().expect("a folder");
    let (bytes, root) = body();
    let bodies = open(folder.path(), &[]);
    for number in 1..=2 {
        arrive(&bodies, id(number), &bytes, root).await;
        bodies.accepted(id(number));
    }
    arrive(&bodies, id(3), &bytes, root).await;
    bodies.release(id(1));
    bodies.drop_spool(id(3));
    assert_eq!(read_all(bodies.source(id(2)).expect("opens").expect("there")).await, bytes);
    // A new start counts anew, and sweeps what nothing refers to.
    std::fs::write(folder.path().join("bodies").join("orphan"), b"x").expect("written");
    let bodies = open(folder.path(), &[(id(2), root)]);
    assert_eq!(std::fs::read_dir(folder.path().join("bodies")).expect("reads").count(), 1);
    bodies.release(id(2));
    assert_eq!(std::fs::read_dir(folder.path().join("bodies")).expect("reads").count(), 0);
}
