//! Network namespaces that leave with their owner.

use crate::Unable;
use rustix::fs::FlockOperation;
use rustix::thread::LinkNameSpaceType;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Where iproute2 keeps the names of namespaces.
const NAMES: &str = "/run/netns";

/// How the name of every namespace begins that is made here; none with another name is ever touched.
pub const PREFIX: &str = "netlab-";

/// A network namespace of our own, removed when dropped.
///
/// The file behind its name is locked while its owner lives. So the next lab knows those whose owner was killed and removes
/// them, whatever became of process ids.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    file: File,
}

impl Namespace {
    /// Makes one, `near` or `far`, with its loopback up.
    pub(crate) fn new(side: &str) -> Result<Self, Unable> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{}{}-{side}", own_prefix(), NEXT.fetch_add(1, Ordering::Relaxed));
        if !rustix::process::geteuid().is_root() {
            return Err(Unable::NotRoot);
        }
        let _names = hold_names();
        ip(&["netns", "add", &name])?;
        let opened = File::open(Path::new(NAMES).join(&name)).and_then(|file| {
            rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
            Ok(file)
        });
        let file = opened.map_err(|why| {
            remove(&name);
            Unable::Step(format!("taking hold of namespace {name}"), why.to_string())
        })?;
        let namespace = Self { name, file };
        ip(&["-n", &namespace.name, "link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    /// Its name, for `ip netns exec NAME …`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs something inside, on a thread of its own. A socket or device that it opens stays inside, wherever it is used.
    ///
    /// # Errors
    /// What the work answers, or that the namespace cannot be entered.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> std::io::Result<T> + Send) -> std::io::Result<T> {
        let inside = || {
            rustix::thread::move_into_link_name_space(self.file.as_fd(), Some(LinkNameSpaceType::Network))?;
            work()
        };
        std::thread::scope(|scope| scope.spawn(inside).join().expect("the work does not panic"))
    }

    /// A command that will run inside.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

fn own_prefix() -> String {
    format!("{PREFIX}{:x}-", std::process::id())
}

fn remove(name: &str) {
    // Nobody could do anything about a failure: the next lab tries again.
    _ = Command::new("ip").args(["netns", "del", name]).output();
}

/// Removes all namespaces of this process, for one that is about to end without unwinding.
pub fn remove_own() {
    let own = own_prefix();
    names().iter().filter_map(|path| path.file_name()?.to_str()).filter(|name| name.starts_with(&own)).for_each(remove);
}

/// Keeps other labs from looking for stale namespaces between the making of one and its lock. (A file of our own: iproute2 takes
/// the directory's lock.)
fn hold_names() -> Option<File> {
    let names = File::create("/run/netlab.lock").ok()?;
    rustix::fs::flock(&names, FlockOperation::LockExclusive).ok()?;
    Some(names)
}

/// Removes the namespaces of labs whose process is gone; how many.
pub fn remove_stale() -> usize {
    let _names = hold_names();
    let stale = |path: &&PathBuf| {
        let lock = |file| rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
        File::open(path).is_ok_and(lock)
    };
    let names = names();
    let stale: Vec<_> = names.iter().filter(stale).filter_map(|path| path.file_name()?.to_str()).collect();
    stale.iter().for_each(|name| remove(name));
    stale.len()
}

fn names() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(NAMES).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX)).map(|entry| entry.path()).collect()
}

/// Runs iproute2.
pub(crate) fn ip(arguments: &[&str]) -> Result<(), Unable> {
    let output = Command::new("ip").args(arguments).output().map_err(|_| Unable::NoIproute)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Unable::Step(format!("ip {}", arguments.join(" ")), said))
}
