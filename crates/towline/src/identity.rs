//! Who a machine is: an Ed25519 key pair in a file that only its owner reads.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use towline_proto::ids::{Digest, KeyHash};
use towline_proto::mail::keys::{Crypto, PublicKey, Signature};

use crate::tls::keys::{self, KeyPair};

/// The longest key file that is read, in bytes. PKCS#8 with an Ed25519 key has 48 (or 83 with its public half).
const KEY_FILE_MAX_BYTES: u64 = 4096;

/// Mode of a key file: its owner reads and writes it, nobody else.
const KEY_FILE_MODE: u32 = 0o600;

/// Mode of a folder made to hold a key file.
const KEY_FOLDER_MODE: u32 = 0o700;

/// A machine's identity: an Ed25519 key pair and the self-signed certificate it is shown with.
///
/// Peers know it by [`Identity::key_hash`]. The private half never leaves the process except into its own file.
pub struct Identity {
    pair: KeyPair,
}

/// Why an identity was not read or made.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file or its folder could not be read or written.
    #[error("key file {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("key file {}: not an Ed25519 private key in PKCS#8", path.display())]
    NotAKey {
        /// The file.
        path: PathBuf,
    },
    /// Others than the owner may read the file.
    #[error("key file {}: mode {mode:03o} lets others read it (chmod 600 it, if nobody has)", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

impl Identity {
    /// A new identity that lives in memory only.
    pub fn generate() -> Self {
        Self { pair: KeyPair::generate() }
    }

    /// Reads the identity in `path`, or makes one there: the folder with mode 0700, the file with mode 0600, both
    /// synced before this returns, so that a key that a hub has seen is never lost to a power cut.
    ///
    /// Of two processes that come at the same time, one makes the key and the other reads it.
    pub fn load_or_create(path: impl AsRef<Path>) -> Result<Self, IdentityError> {
        let path = path.as_ref();
        match Self::load(path) {
            Err(IdentityError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        match Self::create(path) {
            Err(IdentityError::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => Self::load(path),
            other => other,
        }
    }

    /// Reads the identity in `path`.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, IdentityError> {
        let path = path.as_ref();
        let failed = |source| IdentityError::Io { path: path.into(), source };
        let file = File::open(path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(IdentityError::Exposed { path: path.into(), mode });
        }
        let mut pkcs8 = Vec::new();
        file.take(KEY_FILE_MAX_BYTES).read_to_end(&mut pkcs8).map_err(failed)?;
        let pair = KeyPair::from_pkcs8(&pkcs8).map_err(|_| IdentityError::NotAKey { path: path.into() })?;
        Ok(Self { pair })
    }

    /// Makes a new identity in `path`, which must not exist.
    ///
    /// The key is written beside its place and linked into it, so that the name never stands for half a key.
    fn create(path: &Path) -> Result<Self, IdentityError> {
        let failed = |source| IdentityError::Io { path: path.into(), source };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        DirBuilder::new().recursive(true).mode(KEY_FOLDER_MODE).create(folder).map_err(failed)?;

        let identity = Self::generate();
        let draft = draft_name(path);
        let placed = write_new(&draft, identity.pair.pkcs8()).and_then(|()| fs::hard_link(&draft, path));
        let _ = fs::remove_file(&draft);
        placed.and_then(|()| File::open(folder)?.sync_all()).map_err(failed)?;
        Ok(identity)
    }

    /// The public half.
    pub fn public_key(&self) -> PublicKey {
        self.pair.public()
    }

    /// The name peers know this identity by: SHA-256 of the public key's SubjectPublicKeyInfo.
    pub fn key_hash(&self) -> KeyHash {
        keys::key_hash(&self.pair.public())
    }

    /// The self-signed X.509 certificate (DER) that this identity shows in TLS.
    pub fn certificate(&self) -> &[u8] {
        self.pair.certificate()
    }

    pub(crate) fn pair(&self) -> &KeyPair {
        &self.pair
    }
}

/// A name in the same folder that no other process takes.
fn draft_name(path: &Path) -> PathBuf {
    let mut random = [0; 8];
    keys::random(&mut random);
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", towline_proto::ids::base32(&random)));
    PathBuf::from(name)
}

/// Writes and syncs a file that did not exist.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(KEY_FILE_MODE).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.key_hash())
    }
}

impl Crypto for Identity {
    fn digest(&self, bytes: &[u8]) -> Digest {
        Digest(*blake3::hash(bytes).as_bytes())
    }

    fn key_hash(&self, key: &PublicKey) -> KeyHash {
        keys::key_hash(key)
    }

    fn sign(&self, bytes: &[u8]) -> Signature {
        self.pair.sign(bytes)
    }

    fn public_key(&self) -> PublicKey {
        self.pair.public()
    }

    fn verify(&self, key: &PublicKey, bytes: &[u8], signature: &Signature) -> bool {
        keys::verify(key, bytes, signature)
    }
}

/// Whether `signature` over `bytes` was made by the holder of `key`; needs no identity, as `towline status --verify`.
pub fn verify_signature(key: &PublicKey, bytes: &[u8], signature: &Signature) -> bool {
    keys::verify(key, bytes, signature)
}

/// The name of any public key, as in [`Identity::key_hash`].
pub fn key_hash(key: &PublicKey) -> KeyHash {
    keys::key_hash(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_read_back_the_same() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("device/device.key");
        let made = Identity::load_or_create(&path).unwrap();
        let read = Identity::load_or_create(&path).unwrap();
        assert_eq!(made.public_key(), read.public_key());
        assert_eq!(made.key_hash(), read.key_hash());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "the draft is gone");
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("device.key");
        Identity::load_or_create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Identity::load_or_create(&path), Err(IdentityError::Exposed { mode: 0o644, .. })));
    }

    #[test]
    fn a_file_that_is_no_key_is_named_and_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("device.key");
        write_new(&path, b"not a key").unwrap();
        assert!(matches!(Identity::load_or_create(&path), Err(IdentityError::NotAKey { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"not a key");
    }

    #[test]
    fn many_that_come_at_once_end_with_one_key() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("device/device.key");
        let keys: Vec<_> = std::thread::scope(|scope| {
            let runs: Vec<_> = (0..8).map(|_| scope.spawn(|| Identity::load_or_create(&path).unwrap())).collect();
            runs.into_iter().map(|run| run.join().unwrap().key_hash()).collect()
        });
        assert!(keys.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn signatures_hold_for_their_bytes_and_key_only() {
        let (one, other) = (Identity::generate(), Identity::generate());
        let made = one.sign(b"bytes");
        assert!(one.verify(&Crypto::public_key(&one), b"bytes", &made));
        assert!(!one.verify(&Crypto::public_key(&one), b"byteS", &made));
        assert!(!one.verify(&Crypto::public_key(&other), b"bytes", &made));
    }
}
