use super::*;
use rusqlite::Connection;
use std::sync::mpsc;

mod damage;
mod kill;
mod retention;

fn put(table: Table, key: &[u8], record: &[u8]) -> Change {
    Change::Put { table, key: key.to_vec(), record: record.to_vec() }
}

fn delete(table: Table, key: &[u8]) -> Change {
    Change::Delete { table, key: key.to_vec() }
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mail.db");
    (folder, path)
}

fn fill(path: &Path, changes: &[Change]) {
    let mailbox = Mailbox::open(path).expect("opens");
    let mut backend = mailbox.backend().expect("writes");
    backend.commit(changes).expect("commits");
    drop(mailbox);
    backend.close().expect("closes");
}

#[test]
fn what_was_committed_is_there_after_reopening() {
    let (_folder, path) = folder();
    fill(&path, &[put(Table::Device, b"a", b"one"), put(Table::Phase, b"a", b"two"), put(Table::Late, b"z", b"gone")]);
    fill(&path, &[put(Table::Phase, b"a", b"three"), delete(Table::Late, b"z"), delete(Table::Late, b"never")]);
    let mailbox = Mailbox::open(&path).expect("opens");
    assert_eq!(mailbox.damage(), None);
    let reader = mailbox.reader().expect("reads");
    assert_eq!(reader.get(Table::Device, b"a").expect("whole"), Some(b"one".to_vec()));
    assert_eq!(reader.get(Table::Phase, b"a").expect("whole"), Some(b"three".to_vec()));
    assert_eq!(reader.get(Table::Late, b"z").expect("whole"), None);
    assert_eq!(reader.all(Table::Phase).expect("reads").len(), 1);
}

#[test]
fn the_mailbox_syncs_every_commit_with_fdatasync() {
    let (_folder, path) = folder();
    let connection = schema::make(&path).expect("opens");
    let number = |name: &str| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    assert_eq!(number("synchronous"), Ok(2));
    let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).expect("a mode");
    assert_eq!(mode, "wal");
}

#[test]
fn many_writers_share_far_fewer_commits() {
    const STEPS: u64 = 2_000;
    let (_folder, path) = folder();
    let mailbox = Mailbox::open(&path).expect("opens");
    let (reporter, reports) = mpsc::channel();
    let report = move |report| drop(reporter.send(report));
    let writer = Writer::start(mailbox.backend().expect("writes"), report, |_| ()).expect("starts");
    for step in 1..=STEPS {
        writer.write(step, vec![put(Table::Message, &step.to_be_bytes(), b"record")]).expect("taken");
    }
    writer.close();
    let (mut commits, mut last) = (0, 0);
    for report in reports {
        let Report::Committed { step, .. } = report else { panic!("{report:?}") };
        assert!(step > last, "reports come in order");
        (commits, last) = (commits + 1, step);
    }
    assert_eq!(last, STEPS);
    assert!(commits < STEPS / 4, "{commits} commits");
    assert_eq!(mailbox.reader().expect("reads").all(Table::Message).expect("reads").len() as u64, STEPS);
    println!("{STEPS} steps in {commits} commits");
}

#[test]
fn after_a_failed_commit_nothing_more_is_written_or_reported() {
    let (_folder, path) = folder();
    let mailbox = Mailbox::open(&path).expect("opens");
    for successes in 0..4 {
        let plan = FailurePlan::never();
        plan.fail_after(successes);
        let backend = Failing { inner: mailbox.backend().expect("writes"), plan };
        let (reporter, reports) = mpsc::channel();
        let writer = Writer::start(backend, move |report| drop(reporter.send(report)), |_| ()).expect("starts");
        let table = Table::Phase;
        for step in 1..=successes {
            writer.write(step, vec![put(table, &[successes as u8, step as u8], b"kept")]).expect("taken");
            assert!(matches!(reports.recv(), Ok(Report::Committed { step: done, .. }) if done == step));
        }
        writer.write(9, vec![put(table, &[successes as u8, 99], b"lost")]).expect("taken");
        assert!(matches!(reports.recv(), Ok(Report::Failed(StoreError::Injected))));
        writer.close();
        assert!(reports.recv().is_err(), "the failure is the last word");
        let reader = mailbox.reader().expect("reads");
        assert_eq!(reader.get(table, &[successes as u8, 99]).expect("whole"), None);
        let kept = reader.all(table).expect("reads").iter().filter(|record| record.key[0] == successes as u8).count();
        assert_eq!(kept as u64, successes);
    }
}

#[test]
fn an_older_schema_moves_forward_in_one_step_or_not_at_all() {
    let (_folder, path) = folder();
    fill(&path, &[put(Table::Device, b"a", b"one")]);
    let second: fn(&Connection) -> rusqlite::Result<()> =
        |connection| connection.execute_batch("CREATE TABLE extra (x)");
    let broken: fn(&Connection) -> rusqlite::Result<()> =
        |connection| connection.execute_batch("CREATE TABLE half (x); CREATE TABLE device (x);");
    let mut connection = sqlite::connect(&path, sqlite::READ_WRITE).expect("opens");
    let tables = |connection: &Connection, name: &str| {
        let sql = format!("SELECT count(*) FROM sqlite_master WHERE name = '{name}'");
        connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).expect("counts")
    };
    let steps = [schema::STEPS, &[broken]].concat();
    assert!(schema::migrate(&mut connection, &path, &steps).is_err());
    assert_eq!(tables(&connection, "half"), 0, "nothing of a broken step stays");
    let steps = [schema::STEPS, &[second]].concat();
    schema::migrate(&mut connection, &path, &steps).expect("moves forward");
    assert_eq!(tables(&connection, "extra"), 1);
    drop(connection);
    let error = Mailbox::open(&path).expect_err("this program knows only the older schema").to_string();
    assert!(error.contains("schema 2, this hub knows 1"), "{error}");
}

#[test]
fn another_programs_database_is_refused_and_left_alone() {
    let (_folder, path) = folder();
    let connection = Connection::open(&path).expect("opens");
    connection.execute_batch("CREATE TABLE accounts (x); INSERT INTO accounts VALUES (1);").expect("fills");
    drop(connection);
    let before = std::fs::read(&path).expect("read");
    assert!(matches!(Mailbox::open(&path), Err(StoreError::Foreign { .. })));
    assert_eq!(std::fs::read(&path).expect("read"), before);
}

#[test]
fn a_full_disk_fails_the_commit_and_a_later_one_succeeds() {
    let (_folder, path) = folder();
    let mailbox = Mailbox::open(&path).expect("opens");
    let mut backend = mailbox.backend().expect("writes");
    backend.commit(&[put(Table::Device, b"a", b"kept")]).expect("commits");
    // SQLite's own bound on pages stands in for the disk's.
    backend.limit_pages(backend.pages() + 2);
    let large = vec![7; 1024 * 1024];
    assert!(backend.commit(&[put(Table::Body, b"b", &large)]).is_err());
    let reader = mailbox.reader().expect("reads");
    assert_eq!(reader.get(Table::Device, b"a").expect("whole"), Some(b"kept".to_vec()));
    assert_eq!(reader.get(Table::Body, b"b").expect("whole"), None);
    backend.limit_pages(1_000_000);
    backend.commit(&[put(Table::Body, b"b", &large)]).expect("space came back");
    assert_eq!(reader.get(Table::Body, b"b").expect("whole"), Some(large));
}
