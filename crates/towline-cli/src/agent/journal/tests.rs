use super::failing::FailingJournal;
use super::*;
use towline_proto::mail::agent::record::Stage;
use towline_proto::mail::envelope::SignedEnvelope;
use towline_proto::mail::keys::Signature;

fn id(n: u8) -> MessageId {
    MessageId([n; 16])
}

fn hold(n: u8) -> JournalWrite {
    let envelope = SignedEnvelope { bytes: vec![n; 40], signature: Signature([n; 64]) };
    let record = HeldRecord { id: id(n), order: u64::from(n), envelope, stage: Stage::Incoming };
    JournalWrite::Hold { record, body: None }
}

fn stages(journal: &mut impl Journal) -> Vec<(MessageId, Stage)> {
    let mut held: Vec<_> = journal.load().unwrap().held.into_iter().map(|held| (held.id, held.stage)).collect();
    held.sort_by_key(|(id, _)| *id);
    held
}

#[test]
fn what_was_committed_is_there_after_opening_again() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("journal.db");
    let mut journal = SqliteJournal::open(&path).unwrap();
    let stage = JournalWrite::Stage { id: id(1), stage: Stage::Stored { ran: true } };
    journal.commit(&[JournalWrite::Incarnation(7), hold(1), hold(2), stage]).unwrap();
    let remember = RememberedRecord { id: id(3), order: 1, word: None };
    journal.commit(&[JournalWrite::Forget { id: id(2) }, JournalWrite::Remember(remember.clone())]).unwrap();
    drop(journal);
    let mut journal = SqliteJournal::open(&path).unwrap();
    assert_eq!(stages(&mut journal), [(id(1), Stage::Stored { ran: true })]);
    let snapshot = journal.load().unwrap();
    assert_eq!((snapshot.incarnation, snapshot.remembered), (7, vec![remember]));
    journal.commit(&[JournalWrite::ForgetReport { id: id(3) }]).unwrap();
    assert!(journal.load().unwrap().remembered.is_empty());
}

#[test]
fn changes_that_belong_together_come_together_or_not_at_all() {
    let home = tempfile::tempdir().unwrap();
    let mut journal = SqliteJournal::open(&home.path().join("journal.db")).unwrap();
    let stray = JournalWrite::Stage { id: id(9), stage: Stage::Incoming };
    assert!(matches!(journal.commit(&[hold(1), stray]), Err(JournalError::Missing(missing)) if missing == id(9)));
    assert!(stages(&mut journal).is_empty());
}

#[test]
fn a_damaged_record_is_put_aside_and_the_others_serve() {
    let home = tempfile::tempdir().unwrap();
    let mut journal = SqliteJournal::open(&home.path().join("journal.db")).unwrap();
    let [JournalWrite::Hold { record, .. }, _] = [hold(1), hold(2)] else { unreachable!() };
    for at in 0..record.to_bytes().len() {
        journal.commit(&[hold(1), hold(2)]).unwrap();
        let mut bytes = record.to_bytes();
        bytes[at] ^= 1 << (at % 8);
        journal.connection.execute("UPDATE held SET record = ?1 WHERE id = ?2", params![bytes, id(1).0]).unwrap();
        assert_eq!(stages(&mut journal), [(id(2), Stage::Incoming)], "byte {at}");
    }
    let aside: i64 = journal.connection.query_row("SELECT count(*) FROM damaged", [], |row| row.get(0)).unwrap();
    assert_eq!(usize::try_from(aside), Ok(record.to_bytes().len()));
}

#[test]
fn a_journal_of_a_newer_program_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("journal.db");
    let journal = SqliteJournal::open(&path).unwrap();
    journal.connection.pragma_update(None, "user_version", SCHEMA + 1).unwrap();
    drop(journal);
    assert!(matches!(SqliteJournal::open(&path), Err(JournalError::Newer { found }) if found == SCHEMA + 1));
}

#[test]
fn a_journal_that_fails_keeps_exactly_what_it_made() {
    for made in [false, true] {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("journal.db");
        let mut journal = FailingJournal::new(SqliteJournal::open(&path).unwrap(), 2, made);
        journal.commit(&[hold(1)]).unwrap();
        assert!(journal.commit(&[hold(2)]).is_err());
        assert!(journal.commit(&[hold(3)]).is_err());
        drop(journal);
        assert_eq!(stages(&mut SqliteJournal::open(&path).unwrap()).len(), if made { 2 } else { 1 });
    }
}
