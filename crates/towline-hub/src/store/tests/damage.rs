use super::*;
use crate::store::mark::Mark;
use std::collections::BTreeMap;

type Content = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

/// Set to flip every byte and cut at every length; without it a sample is taken.
const EVERY: &str = "TOWLINE_TEST_LONG";

/// How far apart the sample's places are, in bytes: prime to the lengths of pages and frames, so that all positions in
/// them are met.
const STRIDE: usize = 2_503;

/// The files of a mailbox whose hub was killed.
#[derive(Clone)]
struct Files {
    main: Vec<u8>,
    log: Vec<u8>,
    mark: Vec<u8>,
}

impl Files {
    fn read(path: &Path) -> Self {
        let read = |ending| std::fs::read(with_ending(path, ending)).unwrap_or_default();
        Self { main: read(""), log: read("-wal"), mark: read(".synced") }
    }

    fn write(&self, path: &Path) {
        for (ending, bytes) in [("", &self.main), ("-wal", &self.log), (".synced", &self.mark)] {
            std::fs::write(with_ending(path, ending), bytes).expect("written");
        }
    }
}

/// What the flips and cuts of a test did together.
#[derive(Default)]
struct Tally {
    cases: usize,
    told: usize,
    /// The most records that one case lost.
    most: usize,
}

/// Commits that make every kind of page: leaves, inner pages, long records over several pages, pages given back, older
/// rows of keys that were written again.
fn commits() -> Vec<Vec<Change>> {
    let mut commits = Vec::new();
    for round in 0..3u8 {
        let mut changes = Vec::new();
        for table in Table::ALL {
            for number in 0..12u8 {
                let length = [3, 40, 200, 900][usize::from(number + round) % 4];
                changes.push(put(table, &[number; 16], &vec![number ^ round ^ 0x5a; length]));
            }
        }
        changes.push(put(Table::Body, &[77; 16], &vec![round; 9_000]));
        changes.push(delete(Table::Device, &[round; 16]));
        commits.push(changes);
    }
    // Enough small records that a table and its index have inner pages.
    commits.push((0..250u8).map(|number| put(Table::Phase, &[100, number], &[number; 30])).collect());
    commits.push((0..40u8).map(|number| delete(Table::Phase, &[100, number])).collect());
    commits.push(vec![put(Table::Phase, &[3; 16], b"the newest"), put(Table::Ticket, b"last", b"of all")]);
    commits
}

/// Writes `in_main` commits and closes, then the others, of which the log is kept as a kill leaves it.
fn killed(in_main: usize) -> (Files, Content) {
    let (_folder, path) = folder();
    let commits = commits();
    let (first, rest) = commits.split_at(in_main);
    for changes in first {
        fill(&path, changes);
    }
    let mailbox = Mailbox::open(&path).expect("opens");
    let mut backend = mailbox.backend().expect("writes");
    for changes in rest {
        backend.commit(changes).expect("commits");
    }
    let files = Files::read(&path);
    drop((backend, mailbox));
    let (whole, damage) = content(&path);
    assert_eq!(damage, None);
    (files, whole)
}

fn content(path: &Path) -> (Content, Option<Damage>) {
    let mailbox = Mailbox::open(path).expect("opens whatever happened to it");
    let reader = mailbox.reader().expect("reads");
    let mut content = BTreeMap::new();
    for table in Table::ALL {
        for Record { key, bytes } in reader.all(table).expect("reads") {
            assert!(content.insert((table, key), bytes).is_none(), "a record came twice");
        }
    }
    // Whatever it was, it goes on.
    mailbox.backend().expect("writes").commit(&[put(Table::Late, b"next", b"word")]).expect("commits");
    assert_eq!(reader.get(Table::Late, b"next").expect("whole"), Some(b"word".to_vec()));
    (content, mailbox.damage().cloned())
}

impl Tally {
    /// Opens `files`, and checks that nothing wrong is served, and that what is missing was told and set aside. At most
    /// `may_be_lost` records may be missing.
    fn judge(&mut self, name: &str, files: &Files, whole: &Content, may_be_lost: usize) {
        let (_folder, path) = folder();
        files.write(&path);
        let Ok((found, damage)) = std::panic::catch_unwind(|| content(&path)) else { panic!("{name}: see above") };
        for (key, bytes) in &found {
            assert_eq!(whole.get(key), Some(bytes), "{name}: {key:?} is wrong");
        }
        let lost = whole.len() - found.len();
        assert!(lost <= may_be_lost, "{name}: {lost} records are lost, {damage:?}");
        assert!(lost == 0 || damage.is_some(), "{name}: records vanished silently");
        if let Some(damage) = damage {
            assert!(damage.kept_as.exists(), "{name}: nothing was set aside");
            assert_eq!(damage.served, found.len() as u64, "{name}");
            assert!(damage.lost.is_none_or(|told| told == lost as u64), "{name}: {damage:?}, and {lost} are lost");
            self.told += 1;
        }
        self.cases += 1;
        self.most = self.most.max(lost);
    }

    /// Flips one bit of each place in `file`.
    fn flip(&mut self, name: &str, files: &Files, file: fn(&mut Files) -> &mut Vec<u8>, whole: &Content) {
        let length = file(&mut files.clone()).len();
        for at in places(length) {
            let mut flipped = files.clone();
            file(&mut flipped)[at] ^= 1 << (at % 8);
            self.judge(&format!("{name}, byte {at}"), &flipped, whole, 1);
        }
    }

    fn tell(&self, what: &str, whole: &Content) {
        let Self { cases, told, most } = self;
        let all = whole.len();
        println!(
            "p17: reached {cases} {what}, {told} told, 0 wrong, 0 doubled, 0 silent, at most {most} of {all} records lost"
        );
    }
}

/// All places of a file, or a sample: its first bytes, its last, and a stride.
fn places(length: usize) -> Vec<usize> {
    if std::env::var_os(EVERY).is_some() {
        return (0..length).collect();
    }
    let mut places: Vec<usize> = (0..length.min(112))
        .step_by(5)
        .chain((112..length).step_by(STRIDE))
        .chain(length.saturating_sub(2)..length)
        .collect();
    places.dedup();
    places
}

#[test]
fn p17_a_flip_in_the_main_file_costs_at_most_the_record_that_it_hit() {
    let (files, whole) = killed(commits().len());
    assert!(files.log.is_empty(), "everything stands in the main file");
    let mut tally = Tally::default();
    tally.flip("main file", &files, |files| &mut files.main, &whole);
    tally.tell("flips in the main file", &whole);
}

#[test]
fn p17_a_flip_in_the_log_costs_at_most_the_record_that_it_hit() {
    let (files, whole) = killed(2);
    assert!(files.log.len() > 100_000);
    let mut tally = Tally::default();
    tally.flip("log", &files, |files| &mut files.log, &whole);
    tally.flip("main file below a log", &files, |files| &mut files.main, &whole);
    tally.flip("mark", &files, |files| &mut files.mark, &whole);
    tally.tell("flips in log, main file and mark", &whole);
}

#[test]
fn p17_a_mailbox_cut_short_at_any_length_serves_what_is_left_of_it_and_says_so() {
    let (files, whole) = killed(commits().len());
    let mut tally = Tally::default();
    for length in places(files.main.len()) {
        let mut cut = files.clone();
        cut.main.truncate(length);
        tally.judge(&format!("cut at {length}"), &cut, &whole, whole.len());
    }
    assert_eq!(tally.told, tally.cases, "no cut goes unseen");
    tally.tell("cuts of the main file", &whole);
}

/// The log's end carries the newest commits: without it older ones are served, each of them whole, and that is told.
#[test]
fn p17_a_log_cut_short_at_any_length_is_told() {
    let (files, _) = killed(2);
    let (mut told, mut cases) = (0, 0);
    for length in places(files.log.len()) {
        let (_folder, path) = folder();
        let mut cut = files.clone();
        cut.log.truncate(length);
        cut.write(&path);
        let damage = content(&path).1.expect("what was acknowledged is missed");
        assert_eq!((damage.flaw, damage.lost), (Flaw::Behind, None), "cut at {length}");
        (told, cases) = (told + 1, cases + 1);
    }
    println!("p17: reached {told} of {cases} cuts of the log told");
}

/// Where the log's commits end, in frames.
fn commit_ends(log: &[u8]) -> Vec<usize> {
    let frames = log[32..].chunks_exact(24 + PAGE_BYTES);
    let ends = frames.enumerate().filter(|(_, frame)| frame[4..8] != [0; 4]).map(|(at, _)| at + 1);
    ends.collect()
}

fn frame_at(number: usize) -> usize {
    32 + number * (24 + PAGE_BYTES)
}

/// The files as they were before the last commit was acknowledged, and what they hold.
fn before_the_last_commit() -> (Files, Content, Vec<usize>) {
    let (mut files, mut whole) = killed(2);
    let ends = commit_ends(&files.log);
    let (_folder, path) = folder();
    Mark::open(&path).expect("opens").set(commits().len() as u64 - 1).expect("written");
    files.mark = std::fs::read(Mark::path(&path)).expect("read");
    whole.remove(&(Table::Ticket, b"last".to_vec()));
    whole.insert((Table::Phase, vec![3; 16]), vec![3 ^ 2 ^ 0x5a; [3, 40, 200, 900][(3 + 2) % 4]]);
    (files, whole, ends)
}

#[test]
fn what_a_kill_leaves_of_a_commit_is_no_damage_and_is_not_served() {
    let (files, whole, ends) = before_the_last_commit();
    let (last, end) = (frame_at(ends[ends.len() - 2]), frame_at(ends[ends.len() - 1]));
    for length in (last..end).step_by(509) {
        let (_folder, path) = folder();
        let mut cut = files.clone();
        cut.log.truncate(length);
        cut.write(&path);
        assert_eq!(content(&path), (whole.clone(), None), "cut at {length}");
    }
}

#[test]
fn what_a_power_cut_leaves_of_a_commit_is_damage_only_if_the_mark_knows_it() {
    let (files, whole, ends) = before_the_last_commit();
    let known = killed(2).0.mark;
    // The commit's first frame never came to the disk, the others did.
    let lost = frame_at(ends[ends.len() - 2]);
    let mut torn = files.clone();
    torn.log[lost..lost + 24 + PAGE_BYTES].fill(0);
    let (_folder, path) = folder();
    torn.write(&path);
    assert_eq!(content(&path), (whole, None));
    let (_folder, path) = folder();
    Files { mark: known, ..torn }.write(&path);
    assert!(content(&path).1.is_some(), "it was acknowledged");
}

#[test]
fn a_break_with_a_later_commit_behind_it_is_damage_even_without_the_mark() {
    let (files, whole) = killed(2);
    let ends = commit_ends(&files.log);
    let mut flipped = Files { mark: Vec::new(), ..files };
    flipped.log[frame_at(ends[0]) + 24 + 2_000] ^= 4;
    let (_folder, path) = folder();
    flipped.write(&path);
    let (found, damage) = content(&path);
    assert_eq!(damage.map(|damage| damage.flaw), Some(Flaw::Log));
    assert!(found.len() + 1 >= whole.len());
}

#[test]
fn the_frames_of_an_older_log_are_no_damage() {
    let (_folder, path) = folder();
    let mailbox = Mailbox::open(&path).expect("opens");
    let mut backend = mailbox.backend().expect("writes");
    for changes in commits() {
        backend.commit(&changes).expect("commits");
    }
    let long = std::fs::metadata(with_ending(&path, "-wal")).expect("a log").len();
    let passive = sqlite::connect(&path, sqlite::READ_WRITE).expect("opens");
    passive.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).expect("written back");
    backend.commit(&[put(Table::Ticket, b"new", b"log")]).expect("commits");
    assert_eq!(
        std::fs::metadata(with_ending(&path, "-wal")).expect("a log").len(),
        long,
        "the log begins anew in its file"
    );
    let files = Files::read(&path);
    let (_other, path) = folder();
    files.write(&path);
    let (found, damage) = content(&path);
    assert_eq!((damage, found.get(&(Table::Ticket, b"new".to_vec()))), (None, Some(&b"log".to_vec())));
}

#[test]
fn a_mailbox_that_is_gone_or_older_than_what_was_acknowledged_is_told() {
    let (_folder, path) = folder();
    fill(&path, &commits()[0]);
    let older = Files::read(&path);
    fill(&path, &commits()[1]);
    let newer = Files::read(&path);
    for (main, flaw) in [(older.main, Flaw::Behind), (Vec::new(), Flaw::Gone)] {
        let (_folder, path) = folder();
        Files { main, ..newer.clone() }.write(&path);
        assert_eq!(content(&path).1.map(|damage| damage.flaw), Some(flaw));
        assert_eq!(content(&path).1, None, "told once");
    }
}

#[test]
fn saving_that_was_interrupted_is_finished() {
    let (mut files, whole) = killed(2);
    let at = frame_at(1) + 24 + 100;
    files.log[at] ^= 1;
    for moved in 0..=3 {
        let (_folder, path) = folder();
        files.write(&path);
        let kept = content(&path).1.expect("damaged").kept_as;
        // Back to the moment when so many of the old files had been set aside.
        std::fs::rename(&path, with_ending(&path, ".saved")).expect("moved");
        for ending in ["-wal", "-shm", ""].into_iter().skip(moved) {
            let _ = std::fs::rename(with_ending(&kept, ending), with_ending(&path, ending));
        }
        let (found, damage) = content(&path);
        assert_eq!(damage, None, "it was told when it was found");
        assert!(found.len() + 1 >= whole.len());
        assert_eq!(rescue::set_aside(&path), std::slice::from_ref(&kept));
        assert!(with_ending(&kept, "-wal").exists(), "the evidence is whole");
    }
}

#[test]
fn a_mailbox_that_sqlite_vacuumed_is_whole() {
    let (_folder, path) = folder();
    for changes in commits() {
        fill(&path, &changes);
    }
    sqlite::connect(&path, sqlite::READ_WRITE).expect("opens").execute_batch("VACUUM").expect("done");
    assert_eq!(content(&path).1, None);
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
    assert_eq!(damage.map(|damage| (damage.flaw, damage.lost)), Some((Flaw::Census, Some(1))));
    assert_eq!(content(&path).1, None, "told once, not for ever");
}
