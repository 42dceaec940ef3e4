//! Folders that say what became of a file: each step is one rename, so a crash leaves it on one side or the other.

use super::settle::Found;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use towline_proto::ids::{DeviceName, MessageId};
use towline_proto::mail::envelope::SignedEnvelope;
use towline_proto::mail::message::INLINE_MAX_BYTES;

/// The file beside a claimed one that holds its signed envelope.
const ENVELOPE: &str = ".envelope";

/// The file beside a failed one that says why.
const REASON: &str = ".reason";

/// How long a handled file stays in `.sent`: as long as the hub keeps a failed one's body.
const KEEP_SENT: Duration = Duration::from_secs(7 * 24 * 3_600);

/// How many handled files stay in `.sent` at most: what a person still finds something in.
const KEEP_SENT_FILES: usize = 1_000;

/// Where a claimed file stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Not accepted yet.
    Sending,
    /// Accepted.
    Sent,
    /// Refused, or over with another outcome than `handled`.
    Failed,
}

/// A file that has its message id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) id: MessageId,
    pub(super) device: DeviceName,
    pub(super) name: String,
}

/// The three folders.
#[derive(Debug)]
pub(super) struct Claims {
    outbox: PathBuf,
}

impl Place {
    fn folder(self) -> &'static str {
        match self {
            Self::Sending => ".sending",
            Self::Sent => ".sent",
            Self::Failed => ".failed",
        }
    }
}

impl Claims {
    /// The folders below `outbox`; they are made when they are needed.
    pub(super) fn new(outbox: &Path) -> Self {
        Self { outbox: outbox.to_owned() }
    }

    /// Gives a finished file its id.
    pub(super) fn claim(&self, found: &Found, id: MessageId) -> io::Result<Claim> {
        // What has no UTF-8 name goes under the name that can be read of it.
        let name = found.path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy().into_owned();
        let claim = Claim { id, device: found.device.clone(), name };
        let folder = self.folder(&claim, Place::Sending);
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        fs::rename(&found.path, folder.join(&claim.name))?;
        sync(&folder)?;
        sync(&self.outbox.join(Place::Sending.folder()))?;
        Ok(claim)
    }

    /// What stands there, oldest first. A folder whose file never came is removed.
    pub(super) fn list(&self, place: Place) -> Vec<Claim> {
        let folders = fs::read_dir(self.outbox.join(place.folder())).into_iter().flatten().flatten();
        let mut claims: Vec<Claim> = folders.filter_map(|entry| self.read(place, &entry.path())).collect();
        claims.sort_by_key(|claim| claim.id);
        claims
    }

    fn read(&self, place: Place, folder: &Path) -> Option<Claim> {
        let (id, device) = parse(folder)?;
        let names = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        let name = names.into_iter().find(|name| name != ENVELOPE && name != REASON);
        if name.is_none() && place == Place::Sending {
            // Succeeds only while it is empty: a crash came before the rename.
            let _ = fs::remove_dir(folder);
        }
        Some(Claim { id, device, name: name? })
    }

    /// What was accepted and whose outcome is not known.
    pub(super) fn awaited(&self) -> impl Iterator<Item = Claim> {
        self.list(Place::Sent).into_iter().filter(|claim| self.folder(claim, Place::Sent).join(ENVELOPE).exists())
    }

    /// Whether a claimed file is too large to travel with its envelope.
    pub(super) fn is_large(&self, claim: &Claim) -> bool {
        fs::metadata(self.file(claim, Place::Sending)).is_ok_and(|found| found.len() > INLINE_MAX_BYTES as u64)
    }

    /// Removes from `.sent` what was handled long ago, and the oldest of what is too much. What cannot be removed now
    /// is tried again the next time.
    pub(super) fn purge(&self, now: SystemTime) {
        let mut handled: Vec<(SystemTime, PathBuf)> = fs::read_dir(self.outbox.join(Place::Sent.folder()))
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|folder| is_claim(folder) && !folder.join(ENVELOPE).exists())
            // Taking the envelope away was the last change of the folder.
            .filter_map(|folder| Some((fs::metadata(&folder).ok()?.modified().ok()?, folder)))
            .collect();
        handled.sort_unstable();
        let too_many = handled.len().saturating_sub(KEEP_SENT_FILES);
        for (number, (since, folder)) in handled.iter().enumerate() {
            if number < too_many || now.duration_since(*since).is_ok_and(|age| age > KEEP_SENT) {
                let _ = fs::remove_dir_all(folder);
            }
        }
    }

    /// Where the file is.
    pub(super) fn file(&self, claim: &Claim, place: Place) -> PathBuf {
        self.folder(claim, place).join(&claim.name)
    }

    /// The envelope, if it was kept: while the message is not accepted, and while its outcome is awaited.
    pub(super) fn envelope(&self, claim: &Claim) -> Option<SignedEnvelope> {
        let places = [Place::Sending, Place::Sent].into_iter();
        let bytes = places.filter_map(|place| fs::read(self.folder(claim, place).join(ENVELOPE)).ok()).next()?;
        minicbor::decode(&bytes).ok()
    }

    /// Keeps the envelope: synced, whole or not at all.
    pub(super) fn keep_envelope(&self, claim: &Claim, envelope: &SignedEnvelope) -> io::Result<()> {
        let folder = self.folder(claim, Place::Sending);
        let bytes = minicbor::to_vec(envelope).map_err(io::Error::other)?;
        // Read as no envelope while it is not whole, so a crash half way is mended by writing it again.
        let mut file = File::create(folder.join(ENVELOPE))?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        sync(&folder)
    }

    /// Moves a claim with everything that stands beside it.
    pub(super) fn move_to(&self, claim: &Claim, from: Place, to: Place) -> io::Result<()> {
        let target = self.folder(claim, to);
        let above = self.outbox.join(to.folder());
        DirBuilder::new().recursive(true).mode(0o700).create(&above)?;
        fs::rename(self.folder(claim, from), target)?;
        sync(&above)
    }

    /// The outcome is known and good: nothing more is awaited.
    pub(super) fn settle(&self, claim: &Claim) {
        // If it stays, the outcome is asked for again.
        let _ = fs::remove_file(self.folder(claim, Place::Sent).join(ENVELOPE));
    }

    /// Moves a claim to the failed ones and says why: the reason is there before the file is.
    pub(super) fn fail(&self, claim: &Claim, from: Place, reason: &str) -> io::Result<()> {
        let mut file = File::create(self.folder(claim, from).join(REASON))?;
        writeln!(file, "{reason}")?;
        file.sync_all()?;
        self.move_to(claim, from, Place::Failed)
    }

    fn folder(&self, claim: &Claim, place: Place) -> PathBuf {
        self.outbox.join(place.folder()).join(format!("{}@{}", claim.id, claim.device))
    }
}

/// A claim's folder is called `ID@DEVICE`.
fn parse(folder: &Path) -> Option<(MessageId, DeviceName)> {
    let (id, device) = folder.file_name()?.to_str()?.split_once('@')?;
    Some((id.parse().ok()?, device.parse().ok()?))
}

fn is_claim(folder: &Path) -> bool {
    parse(folder).is_some() && folder.is_dir()
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use towline_proto::mail::keys::Signature;

    const ID: MessageId = MessageId([5; 16]);

    fn site() -> (tempfile::TempDir, Claims, Found) {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("shop")).unwrap();
        let path = home.path().join("shop/two words.csv");
        fs::write(&path, "a;b\r\n").unwrap();
        let claims = Claims::new(home.path());
        (home, claims, Found { device: "shop".parse().unwrap(), path })
    }

    fn envelope() -> SignedEnvelope {
        SignedEnvelope { bytes: vec![1, 2, 3], signature: Signature([9; 64]) }
    }

    #[test]
    fn a_file_goes_from_claimed_to_sent_to_settled_unchanged() {
        let (_home, claims, found) = site();
        let claim = claims.claim(&found, ID).unwrap();
        assert!(!found.path.exists());
        assert_eq!(claims.list(Place::Sending), std::slice::from_ref(&claim));
        assert_eq!(claims.envelope(&claim), None);
        claims.keep_envelope(&claim, &envelope()).unwrap();
        claims.move_to(&claim, Place::Sending, Place::Sent).unwrap();
        assert!(claims.list(Place::Sending).is_empty());
        assert_eq!(claims.envelope(&claim), Some(envelope()));
        claims.settle(&claim);
        assert_eq!((claims.list(Place::Sent), claims.envelope(&claim)), (vec![claim.clone()], None));
        assert_eq!(fs::read(claims.file(&claim, Place::Sent)).unwrap(), b"a;b\r\n");
    }

    #[test]
    fn handled_files_leave_after_a_while_and_awaited_and_strange_ones_stay() {
        let (home, claims, found) = site();
        let [handled, awaited] = [1, 2].map(|id| {
            fs::write(&found.path, "x").unwrap();
            let claim = claims.claim(&found, MessageId([id; 16])).unwrap();
            claims.keep_envelope(&claim, &envelope()).unwrap();
            claims.move_to(&claim, Place::Sending, Place::Sent).unwrap();
            claim
        });
        fs::create_dir(home.path().join(".sent/mine")).unwrap();
        claims.settle(&handled);
        claims.purge(SystemTime::now());
        assert_eq!(claims.list(Place::Sent).len(), 2);
        claims.purge(SystemTime::now() + KEEP_SENT + Duration::from_secs(60));
        assert_eq!(claims.list(Place::Sent), std::slice::from_ref(&awaited));
        assert_eq!(claims.awaited().collect::<Vec<_>>(), [awaited]);
        assert!(home.path().join(".sent/mine").exists());
    }

    #[test]
    fn the_oldest_handled_files_leave_when_there_are_too_many() {
        let (home, claims, _) = site();
        let now = SystemTime::now();
        for number in 0..KEEP_SENT_FILES + 3 {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&(number as u64).to_be_bytes());
            let folder = home.path().join(format!(".sent/{}@shop", MessageId(id)));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("a"), "x").unwrap();
            let before = now - Duration::from_secs(10_000 - number as u64);
            File::open(&folder).unwrap().set_modified(before).unwrap();
        }
        claims.purge(now);
        let left = claims.list(Place::Sent);
        assert_eq!((left.len(), left[0].id.0[7]), (KEEP_SENT_FILES, 3));
    }

    #[test]
    fn a_failed_file_lies_beside_its_reason() {
        let (_home, claims, found) = site();
        let claim = claims.claim(&found, ID).unwrap();
        claims.fail(&claim, Place::Sending, "no such device").unwrap();
        assert_eq!(claims.list(Place::Failed), std::slice::from_ref(&claim));
        let reason = claims.folder(&claim, Place::Failed).join(REASON);
        assert_eq!(fs::read_to_string(reason).unwrap(), "no such device\n");
    }

    /// The states that a crash can leave, and that each leads to one message of one id.
    #[test]
    fn after_a_crash_a_file_has_at_most_one_id_and_one_envelope() {
        let (home, claims, found) = site();
        // Before the rename: the file is still in its folder, the claim's folder is empty and goes.
        fs::create_dir_all(home.path().join(format!(".sending/{ID}@shop"))).unwrap();
        assert!(claims.list(Place::Sending).is_empty() && found.path.exists());
        assert_eq!(fs::read_dir(home.path().join(".sending")).unwrap().count(), 0);
        // After the rename, before the envelope: same id, no envelope was ever sent.
        let claim = claims.claim(&found, ID).unwrap();
        assert_eq!(claims.list(Place::Sending), std::slice::from_ref(&claim));
        // While the envelope is written: a torn one is none.
        fs::write(claims.folder(&claim, Place::Sending).join(ENVELOPE), &minicbor::to_vec(envelope()).unwrap()[..20])
            .unwrap();
        assert_eq!(claims.envelope(&claim), None);
        // After it: the same envelope is submitted again.
        claims.keep_envelope(&claim, &envelope()).unwrap();
        assert_eq!(claims.envelope(&claims.list(Place::Sending)[0]), Some(envelope()));
        // A new file of the same name is another message.
        fs::write(&found.path, "other").unwrap();
        claims.claim(&found, MessageId([6; 16])).unwrap();
        assert_eq!(claims.list(Place::Sending).len(), 2);
    }
}
