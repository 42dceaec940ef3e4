use super::*;
use crate::agent::store::Expected;
use proptest::prelude::*;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;
use towline_proto::ids::Digest;
use towline_proto::mail::agent::names::file_name;

const ID: MessageId = MessageId([3; 16]);
const BODY: &[u8] = b"<order/>";
const MODE: u32 = 0o640;

struct Site {
    home: TempDir,
    store: Store,
    inbox: Folder,
}

impl Site {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let inbox = Folder::private(&home.path().join("inbox")).unwrap();
        Self { store: Store::open(&home.path().join("store")).unwrap(), inbox, home }
    }

    /// A site whose inbox lies on another file system than its store, if this machine has one.
    fn across() -> Option<(Self, TempDir)> {
        let mut site = Self::new();
        let memory = tempfile::tempdir_in("/dev/shm").ok()?;
        site.inbox = Folder::private(memory.path()).unwrap();
        let device = |path: &Path| rustix::fs::stat(path).unwrap().st_dev;
        (device(site.inbox.path()) != device(site.store.folder().path())).then_some((site, memory))
    }

    fn put(&self) {
        let root = Digest(*blake3::hash(BODY).as_bytes());
        self.store.put(ID, BODY, Expected { size: BODY.len() as u64, root }).unwrap();
    }

    fn place(&self, name: &str) -> Result<String, PlaceError> {
        self.put();
        self.place_if(name, &|| true)
    }

    fn place_if(&self, name: &str, in_time: &dyn Fn() -> bool) -> Result<String, PlaceError> {
        let name = SafeName::new(name).unwrap();
        place(&self.store, &Placing { id: ID, folder: &self.inbox, name: &name, mode: MODE, in_time })
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(self.inbox.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

#[test]
fn a_file_appears_under_its_name_and_leaves_the_store() {
    let site = Site::new();
    assert_eq!(site.place("order.xml").unwrap(), "order.xml");
    let path = site.inbox.path().join("order.xml");
    assert_eq!(std::fs::read(&path).unwrap(), BODY);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
    assert!(!site.store.path(ID).exists());
    assert!(was_placed(&site.store, ID).unwrap());
}

#[test]
fn a_taken_name_is_numbered_and_nothing_is_replaced() {
    let site = Site::new();
    std::fs::write(site.inbox.path().join("order.xml"), "mine").unwrap();
    std::fs::create_dir(site.inbox.path().join("order (2).xml")).unwrap();
    assert_eq!(site.place("order.xml").unwrap(), "order (3).xml");
    assert_eq!(site.place("ORDER.xml").unwrap(), "ORDER.xml");
    assert_eq!(std::fs::read(site.inbox.path().join("order.xml")).unwrap(), b"mine");
}

#[test]
fn when_every_number_is_taken_the_id_tells_files_apart() {
    let site = Site::new();
    let name = SafeName::new("a").unwrap();
    (1..=MAX_NUMBER).for_each(|n| std::fs::write(site.inbox.path().join(name.numbered(n)), "").unwrap());
    assert_eq!(site.place("a").unwrap(), format!("a ({ID})"));
}

#[test]
fn p27_a_planted_symlink_is_neither_followed_nor_replaced() {
    let sites = [Some((Site::new(), None)), Site::across().map(|(site, memory)| (site, Some(memory)))];
    for (site, _memory) in sites.into_iter().flatten() {
        let outside = site.home.path().join("outside");
        std::fs::write(&outside, "untouched").unwrap();
        symlink(&outside, site.inbox.path().join("order.xml")).unwrap();
        symlink(site.home.path().join("dangling"), site.inbox.path().join("order (2).xml")).unwrap();
        symlink(&outside, site.inbox.path().join(hidden_name(ID))).unwrap();
        assert_eq!(site.place("order.xml").unwrap(), "order (3).xml");
        assert_eq!(std::fs::read(&outside).unwrap(), b"untouched");
        assert!(!site.home.path().join("dangling").exists());
        let placed = std::fs::symlink_metadata(site.inbox.path().join("order (3).xml")).unwrap();
        assert!(placed.is_file());
    }
}

#[test]
fn a_missing_folder_leaves_the_body_in_the_store() {
    let site = Site::new();
    std::fs::remove_dir(site.inbox.path()).unwrap();
    assert!(matches!(site.place("a"), Err(PlaceError::NotPlaced(_))));
    assert_eq!(std::fs::read(site.store.path(ID)).unwrap(), BODY);
    assert!(!was_placed(&site.store, ID).unwrap());
}

#[test]
fn a_file_crosses_to_another_file_system_whole() {
    let Some((site, _memory)) = Site::across() else { return };
    std::fs::write(site.inbox.path().join("order.xml"), "mine").unwrap();
    assert_eq!(site.place("order.xml").unwrap(), "order (2).xml");
    assert_eq!(site.names(), ["order (2).xml", "order.xml"]);
    assert_eq!(std::fs::read(site.inbox.path().join("order (2).xml")).unwrap(), BODY);
    assert_eq!(std::fs::read_dir(site.store.folder().path()).unwrap().count(), 0);
}

#[test]
fn nothing_is_shown_once_the_time_is_over() {
    let sites = [Some((Site::new(), None)), Site::across().map(|(site, memory)| (site, Some(memory)))];
    for (site, _memory) in sites.into_iter().flatten() {
        site.put();
        // In time at first, and no more when a copy is ready.
        for times in [0, 1] {
            let left = std::cell::Cell::new(times);
            let result = site.place_if("a", &|| left.replace(0) > 0);
            assert!(matches!(result, Err(PlaceError::TooLate)) || times == 1 && result.is_ok());
        }
        assert!(site.names().iter().all(|name| name == "a"));
    }
}

/// Each state in which a crash can leave a move across file systems, and what may be said afterwards.
#[test]
fn after_a_crash_the_store_knows_whether_the_copy_was_shown() {
    let Some((site, _memory)) = Site::across() else { return };
    let hidden = site.inbox.path().join(hidden_name(ID));
    let shown = site.inbox.path().join("order.xml");
    let crash = |note: Option<u8>, hidden_there: bool, shown_there: bool| {
        site.put();
        if let Some(state) = note {
            write_note(&site.store.open_folder().unwrap(), ID, state, &site.inbox).unwrap();
        }
        let _ = (std::fs::remove_file(&hidden), std::fs::remove_file(&shown));
        hidden_there.then(|| std::fs::write(&hidden, "part"));
        shown_there.then(|| std::fs::write(&shown, BODY));
        was_placed(&site.store, ID).unwrap()
    };
    assert!(!crash(None, false, false), "before anything");
    assert!(!crash(Some(COPYING), false, false), "before the copy");
    assert!(!crash(Some(COPYING), true, false), "while copying");
    assert!(!crash(Some(WHOLE), true, false), "after the copy, before the rename");
    assert!(!hidden.exists(), "the copy is cleared away");
    assert!(site.store.path(ID).exists());
    assert!(crash(Some(WHOLE), false, true), "after the rename");
    assert!(!site.store.path(ID).exists());
}

#[test]
fn after_a_crash_between_link_and_unlink_the_file_was_shown() {
    let site = Site::new();
    site.put();
    std::fs::hard_link(site.store.path(ID), site.inbox.path().join("a")).unwrap();
    assert!(was_placed(&site.store, ID).unwrap());
    assert!(!site.store.path(ID).exists());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn p27_nothing_is_written_outside_the_inbox(name in hostile_name()) {
        let site = Site::new();
        if let Ok(safe) = file_name(&name, ID) {
            let placed = site.place(&safe).unwrap();
            prop_assert_eq!(site.names(), vec![placed]);
        }
        let mut around: Vec<_> = std::fs::read_dir(site.home.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        around.sort();
        prop_assert_eq!(around, ["inbox", "store"]);
    }
}

fn hostile_name() -> impl Strategy<Value = String> {
    let corpus =
        ["../x", "/etc/x", "..", "a\0b", "CON", "\u{202e}gpj.exe", "a\nb", "\"'`", "-rf", ".hidden", "Ünïcödé 漢字"];
    let corpus: Vec<String> =
        corpus.iter().map(ToString::to_string).chain(["x".repeat(255), "x".repeat(4_096)]).collect();
    prop_oneof![prop::sample::select(corpus), any::<String>(), "[./\\\\a-c\u{0}-\u{2}]{1,20}"]
}

/// A thread swaps the folder for a symlink and back while files are placed: 20,000 tries; a million with
/// `TOWLINE_TEST_LONG`, or what `TOWLINE_RACE_TRIES` says.
#[test]
fn p28_a_folder_swapped_for_a_symlink_never_leads_outside() {
    let usual = if std::env::var_os("TOWLINE_TEST_LONG").is_some() { 1_000_000 } else { 20_000 };
    let tries: u32 = std::env::var("TOWLINE_RACE_TRIES").ok().and_then(|n| n.parse().ok()).unwrap_or(usual);
    let site = Site::new();
    let (inbox, aside, outside) =
        (site.inbox.path().to_owned(), site.home.path().join("aside"), site.home.path().join("outside"));
    std::fs::create_dir(&outside).unwrap();
    let done = AtomicBool::new(false);
    let (mut placed, mut refused) = (0u32, 0u32);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                std::fs::rename(&inbox, &aside).unwrap();
                symlink(&outside, &inbox).unwrap();
                std::fs::remove_file(&inbox).unwrap();
                std::fs::rename(&aside, &inbox).unwrap();
            }
        });
        let body = site.store.path(ID);
        for _ in 0..tries {
            std::fs::write(&body, BODY).unwrap();
            match site.place_if("x", &|| true) {
                Ok(name) => {
                    placed += 1;
                    let _ = (std::fs::remove_file(inbox.join(&name)), std::fs::remove_file(aside.join(&name)));
                }
                Err(PlaceError::NotPlaced(_)) => refused += 1,
                Err(other) => panic!("{other}"),
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0, "{placed} placed, {refused} refused");
    assert!(placed > 0);
    println!("p28: reached 0 escapes in {tries} tries ({placed} placed, {refused} refused)");
}
