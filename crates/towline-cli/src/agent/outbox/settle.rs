//! Which files of the outbox are finished: those that nobody has touched for a while.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use towline_proto::ids::DeviceName;

/// How long a file must stay as it is before it is sent: longer than a program pauses between two writes.
pub(crate) const SETTLE: Duration = Duration::from_secs(1);

/// Ends of names that programs give to files they have not finished.
const UNFINISHED: [&str; 8] = [".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".swp", "~"];

/// What a touch changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Looks {
    inode: u64,
    size: u64,
    modified_ns: i128,
    changed_ns: i128,
}

/// A file in the outbox and whom it is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Found {
    /// The recipient: the name of the folder that holds it.
    pub(crate) device: DeviceName,
    /// Where it lies.
    pub(crate) path: PathBuf,
}

/// Remembers how each file looked, and since when.
#[derive(Debug, Default)]
pub(crate) struct Settling {
    seen: HashMap<Found, (Looks, Instant)>,
}

impl Settling {
    /// Looks at the outbox and returns, in the order of their names, the files that have settled by `now`.
    pub(crate) fn scan(&mut self, outbox: &Path, now: Instant) -> Vec<Found> {
        let mut settled = Vec::new();
        let mut seen = HashMap::new();
        for (found, looks) in candidates(outbox) {
            let since = match self.seen.get(&found) {
                Some(&(before, since)) if before == looks => since,
                _ => now,
            };
            if now.duration_since(since) >= SETTLE {
                settled.push(found.clone());
            }
            seen.insert(found, (looks, since));
        }
        self.seen = seen;
        settled.sort();
        settled
    }

    /// Whether files are here that have not settled, so that it is worth looking again soon.
    pub(crate) fn waits(&self) -> bool {
        !self.seen.is_empty()
    }
}

/// Plain files in folders that bear a device's name. What cannot be read now is looked at again next time.
fn candidates(outbox: &Path) -> impl Iterator<Item = (Found, Looks)> {
    entries(outbox)
        .filter_map(|folder| Some((folder.file_name()?.to_str()?.parse::<DeviceName>().ok()?, folder)))
        .flat_map(|(device, folder)| {
            let is_folder = folder.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
            let files = is_folder.then(|| entries(&folder)).into_iter().flatten();
            files.filter_map(move |path| Some((Found { device: device.clone(), path: path.clone() }, looks(&path)?)))
        })
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()))
}

/// How a file looks; `None` if it is no finished file's name, or not a plain file (a link is not followed).
fn looks(path: &Path) -> Option<Looks> {
    let name = path.file_name()?.to_string_lossy();
    if name.starts_with('.') || UNFINISHED.iter().any(|end| name.to_ascii_lowercase().ends_with(end)) {
        return None;
    }
    let metadata = path.symlink_metadata().ok().filter(std::fs::Metadata::is_file)?;
    let nanos = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    Some(Looks {
        inode: metadata.ino(),
        size: metadata.len(),
        modified_ns: nanos(metadata.mtime(), metadata.mtime_nsec()),
        changed_ns: nanos(metadata.ctime(), metadata.ctime_nsec()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(found: Vec<Found>) -> Vec<String> {
        found
            .into_iter()
            .map(|found| format!("{}:{}", found.device, found.path.file_name().unwrap().display()))
            .collect()
    }

    #[test]
    fn a_file_is_sent_once_nobody_touched_it_for_a_while() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("shop")).unwrap();
        let file = home.path().join("shop/a.csv");
        std::fs::write(&file, "1").unwrap();
        let (mut settling, start) = (Settling::default(), Instant::now());
        assert!(settling.scan(home.path(), start).is_empty());
        assert!(settling.waits());
        std::fs::write(&file, "12").unwrap();
        assert!(settling.scan(home.path(), start + SETTLE).is_empty());
        assert!(settling.scan(home.path(), start + SETTLE * 2 - Duration::from_millis(1)).is_empty());
        assert_eq!(names(settling.scan(home.path(), start + SETTLE * 2)), ["shop:a.csv"]);
        std::fs::remove_file(file).unwrap();
        assert!(settling.scan(home.path(), start + SETTLE * 3).is_empty());
        assert!(!settling.waits());
    }

    #[test]
    fn what_is_no_finished_file_of_a_device_stays() {
        let home = tempfile::tempdir().unwrap();
        for name in
            ["shop/.hidden", "shop/a.tmp", "shop/b.PART", "shop/c~", "No Device/d", ".sent/e", "f", "shop/deep/g"]
        {
            let path = home.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        std::os::unix::fs::symlink("/etc/passwd", home.path().join("shop/link")).unwrap();
        std::os::unix::fs::symlink("shop", home.path().join("web")).unwrap();
        let mut settling = Settling::default();
        let start = Instant::now();
        settling.scan(home.path(), start);
        assert!(settling.scan(home.path(), start + SETTLE).is_empty());
        std::fs::write(home.path().join("shop/two words, ü.xml"), "x").unwrap();
        settling.scan(home.path(), start);
        assert_eq!(names(settling.scan(home.path(), start + SETTLE)), ["shop:two words, ü.xml"]);
    }
}
