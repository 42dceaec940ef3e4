//! A folder that the operator named, opened so that nobody can bend the way there.
//!
//! Symbolic links in the operator's own path are resolved once, when the configuration is read. From then on every
//! opening walks that resolved path and refuses any link, so a link planted later leads nowhere.

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Component, Path, PathBuf};

/// The mode of folders we make: ours alone.
const PRIVATE_DIRECTORY_MODE: u32 = 0o700;

/// A folder's resolved, absolute path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Folder {
    path: PathBuf,
}

/// A folder held open: what happens to its path no longer matters.
#[derive(Debug)]
pub(crate) struct OpenFolder {
    fd: OwnedFd,
}

impl Folder {
    /// Resolves a folder that must exist.
    pub(crate) fn existing(path: &Path) -> io::Result<Self> {
        let path = path.canonicalize()?;
        if path.is_dir() { Ok(Self { path }) } else { Err(io::ErrorKind::NotADirectory.into()) }
    }

    /// Resolves a folder of our own, which is made (0700) where it is missing.
    pub(crate) fn private(path: &Path) -> io::Result<Self> {
        std::fs::DirBuilder::new().recursive(true).mode(PRIVATE_DIRECTORY_MODE).create(path)?;
        Self::existing(path)
    }

    /// Resolves a folder of our own without making it: a look at the configuration leaves nothing behind.
    pub(crate) fn planned(path: &Path) -> io::Result<Self> {
        match Self::existing(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self { path: path.into() }),
            found => found,
        }
    }

    /// The resolved path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens it; fails with `ELOOP` or `ENOTDIR` where a link has taken a component's place.
    pub(crate) fn open(&self) -> io::Result<OpenFolder> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        match openat2(CWD, &self.path, flags, Mode::empty(), resolve) {
            Ok(fd) => Ok(OpenFolder { fd }),
            // Kernels before 5.6 do not know the call and old sandboxes forbid it; a walk by hand refuses the same.
            Err(Errno::NOSYS | Errno::PERM) => self.walk(),
            Err(error) => Err(error.into()),
        }
    }

    /// [`Folder::open`] with one `openat` for each component, none of which may be a link.
    fn walk(&self) -> io::Result<OpenFolder> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mut fd = openat(CWD, "/", flags, Mode::empty())?;
        for component in self.path.components() {
            match component {
                Component::RootDir => {}
                Component::Normal(name) => fd = openat(&fd, name, flags, Mode::empty())?,
                _ => return Err(io::ErrorKind::InvalidInput.into()),
            }
        }
        Ok(OpenFolder { fd })
    }
}

impl OpenFolder {
    /// The descriptor, for `*at` calls.
    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// Makes a new file; fails where anything bears that name, even a dangling link.
    pub(crate) fn create_new(&self, name: impl AsRef<OsStr>, mode: u32) -> io::Result<File> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(&self.fd, name.as_ref(), flags, Mode::from_raw_mode(mode))?.into())
    }

    /// Opens a file for reading; never through a link, and never waiting for a pipe's other end.
    pub(crate) fn open_file(&self, name: impl AsRef<OsStr>) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(openat(&self.fd, name.as_ref(), flags, Mode::empty())?.into())
    }

    /// Opens a file of our own for reading and writing, which is made where it is missing.
    pub(crate) fn open_or_create(&self, name: impl AsRef<OsStr>, mode: u32) -> io::Result<File> {
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(&self.fd, name.as_ref(), flags, Mode::from_raw_mode(mode))?.into())
    }

    /// What bears that name, links not followed; `None` if nothing does.
    pub(crate) fn stat(&self, name: impl AsRef<OsStr>) -> io::Result<Option<rustix::fs::Stat>> {
        match rustix::fs::statat(&self.fd, name.as_ref(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a file (or a link, not what it leads to); whether there was one.
    pub(crate) fn remove(&self, name: impl AsRef<OsStr>) -> io::Result<bool> {
        match rustix::fs::unlinkat(&self.fd, name.as_ref(), AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes what was created, renamed or removed here outlast a power cut.
    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.fd)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_by_hand_opens_what_one_call_opens() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::private(&home.path().join("a/b")).unwrap();
        folder.open().unwrap().create_new("one", 0o600).unwrap();
        assert!(folder.walk().unwrap().stat("one").unwrap().is_some());
    }

    #[test]
    fn a_link_in_place_of_any_component_is_refused_either_way() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::private(&home.path().join("a/b")).unwrap();
        std::fs::rename(home.path().join("a"), home.path().join("c")).unwrap();
        std::os::unix::fs::symlink("c", home.path().join("a")).unwrap();
        assert!(folder.open().is_err());
        assert!(folder.walk().is_err());
    }

    #[test]
    fn a_planted_link_is_neither_read_nor_written() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::private(&home.path().join("in")).unwrap();
        std::fs::write(home.path().join("secret"), "x").unwrap();
        std::os::unix::fs::symlink("../secret", folder.path().join("link")).unwrap();
        let open = folder.open().unwrap();
        assert!(open.open_file("link").is_err());
        assert!(open.create_new("link", 0o600).is_err());
        assert!(open.open_or_create("link", 0o600).is_err());
    }
}
