//! Reading the write-ahead log ourselves, before SQLite does (its file format, section 4).
//!
//! SQLite ends the log at the first frame whose salts or checksum do not fit, and says nothing. That is right for what
//! a kill or a power cut leaves, and wrong for damage. What tells them apart:
//! - Frames are appended in one run for each commit, which ends in a *commit frame*; the next commit begins after the
//!   sync of this one. So only the last commit can be torn. A break with a later commit behind it is damage.
//! - A kill leaves a beginning of what was written: nothing stands behind its break.
//! - A power cut may leave any part of the last commit, which was then never acknowledged. Whether it was is known to
//!   the [mark](super::mark), so a break in the last commit is damage if the mark says that it was synced.
//! - Behind the end may stand frames of an older log: they have other salts.
//!
//! Checksums are cumulative, each frame's beginning with that of the frame before, as it is stored. So a broken frame
//! does not hide what stands behind it, and the next frame tells whether its content or only its checksum was hit.

use super::PAGE_BYTES;
use super::error::StoreError;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// The log's header, in bytes.
const HEADER_LEN: usize = 32;
/// A frame's header, in bytes: page number, size of the database in a commit frame, two salts, two checksums.
const FRAME_HEADER_LEN: usize = 24;
const FRAME_LEN: usize = FRAME_HEADER_LEN + PAGE_BYTES;

/// Two sums, as the log's format says.
type Sum = [u32; 2];

/// One page, as the log has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Which page.
    pub(crate) page: u32,
    /// Where its content begins in the log.
    pub(crate) at: u64,
    /// Whether it ends a commit.
    commit: bool,
    /// Whether page number, commit mark and content are what was written.
    pub(crate) whole: bool,
    /// Whether SQLite takes it: salts and checksum fit, too.
    taken: bool,
    /// Whether it belongs to this log and not to an older one.
    ours: bool,
}

/// The log's frames up to the last that belongs to it.
#[derive(Debug, Default)]
pub(crate) struct Log {
    frames: Vec<Frame>,
    /// Whether SQLite does not even take the header.
    header_broken: bool,
}

impl Log {
    /// Reads the log at `path`. No file is an empty log.
    pub(crate) fn read(path: &Path) -> Result<Self, StoreError> {
        let told = || StoreError::io("read", path);
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(told()(error)),
        };
        let mut header = [0; HEADER_LEN];
        if file.metadata().map_err(told())?.len() < HEADER_LEN as u64 {
            return Ok(Self::default());
        }
        file.read_exact_at(&mut header, 0).map_err(told())?;
        Walk::new(&header).run(&file).map_err(told())
    }

    /// Whether something is broken that no kill and no power cut leaves so.
    pub(crate) fn is_broken(&self) -> bool {
        if self.header_broken {
            // It was synced ahead of every frame.
            return self.frames.iter().any(|frame| frame.whole);
        }
        let Some(first) = self.frames.iter().position(|frame| !frame.taken) else { return false };
        let torn = self.frames[first..].iter().position(|frame| frame.commit);
        torn.is_some_and(|commit| self.frames[first + commit + 1..].iter().any(|frame| frame.whole))
    }

    /// Where the log may end, in frames, from the end that SQLite sees to the furthest that a damaged commit frame allows.
    pub(crate) fn ends(&self) -> Vec<usize> {
        let taken = if self.header_broken { 0 } else { self.frames.iter().take_while(|frame| frame.taken).count() };
        let after_last_commit =
            |frames: &[Frame]| frames.iter().rposition(|frame| frame.commit && frame.ours).map_or(0, |at| at + 1);
        let (sound, last) = (after_last_commit(&self.frames[..taken]), after_last_commit(&self.frames));
        // A hit on the very mark that makes a frame a commit frame: that frame is the first that is not whole.
        let hidden = self.frames[last..].iter().position(|frame| !frame.whole).map(|at| last + at + 1);
        let mut ends = if self.is_broken() { vec![last] } else { vec![sound, last] };
        ends.extend(hidden);
        ends.dedup();
        ends
    }

    /// The frames up to `end`.
    pub(crate) fn up_to(&self, end: usize) -> &[Frame] {
        &self.frames[..end]
    }
}

/// The way through the frames.
struct Walk {
    big_endian: bool,
    /// None while the header is broken and no frame was seen: then the first frame's hold.
    salts: Option<[u8; 8]>,
    /// What the next frame's checksum may begin with: as stored, and as it should have been stored.
    before: Vec<Sum>,
    log: Log,
}

impl Walk {
    fn new(header: &[u8; HEADER_LEN]) -> Self {
        let big_endian = header[3] & 1 == 1;
        let (stored, computed) = (sum_at(header, 24), sum([0, 0], &header[..24], big_endian));
        let right = stored == computed && sound_start(header);
        Self {
            big_endian: if right { big_endian } else { cfg!(target_endian = "big") },
            salts: right.then(|| bytes_at(header, 16)),
            before: if right { vec![stored] } else { vec![stored, computed] },
            log: Log { frames: Vec::new(), header_broken: !right },
        }
    }

    fn run(mut self, file: &File) -> io::Result<Log> {
        let mut bytes = vec![0; FRAME_LEN];
        let length = file.metadata()?.len();
        let mut at = HEADER_LEN as u64;
        while at + FRAME_LEN as u64 <= length {
            file.read_exact_at(&mut bytes, at)?;
            self.step(&bytes, at);
            at += FRAME_LEN as u64;
        }
        let ours = self.log.frames.iter().rposition(|frame| frame.ours).map_or(0, |last| last + 1);
        self.log.frames.truncate(ours);
        Ok(self.log)
    }

    fn step(&mut self, bytes: &[u8], at: u64) {
        let salts = *self.salts.get_or_insert_with(|| bytes_at(bytes, 8));
        let stored = sum_at(bytes, 16);
        let computed: Vec<Sum> = self.before.iter().map(|&before| self.sum_of(before, bytes)).collect();
        let salted = bytes_at(bytes, 8) == salts;
        // Frames of an older log fit among themselves; one of this log whose salts were hit follows on its own kind.
        let follows = salted || self.log.frames.last().is_none_or(|previous| previous.ours);
        let fits = computed.iter().position(|&sum| sum == stored && follows);
        if fits == Some(1)
            && let Some(previous) = self.log.frames.last_mut()
        {
            // Only its checksum was hit.
            previous.whole = true;
        }
        let number = |at| u32::from_be_bytes(bytes_at(bytes, at));
        self.log.frames.push(Frame {
            page: number(0),
            at: at + FRAME_HEADER_LEN as u64,
            commit: number(4) != 0,
            whole: fits.is_some(),
            taken: fits == Some(0) && salted,
            ours: salted || fits.is_some(),
        });
        self.before = if fits.is_some() { vec![stored] } else { vec![stored, computed[0]] };
    }

    fn sum_of(&self, before: Sum, frame: &[u8]) -> Sum {
        let head = sum(before, &frame[..8], self.big_endian);
        sum(head, &frame[FRAME_HEADER_LEN..], self.big_endian)
    }
}

/// Magic number, format and page size of a mailbox's log.
fn sound_start(header: &[u8]) -> bool {
    header[..3] == [0x37, 0x7f, 0x06]
        && header[3] & 0xfe == 0x82
        && header[4..8] == 3_007_000u32.to_be_bytes()
        && header[8..12] == (PAGE_BYTES as u32).to_be_bytes()
}

/// The log's checksum over `bytes`, a multiple of eight, going on from `from`.
fn sum(from: Sum, bytes: &[u8], big_endian: bool) -> Sum {
    let word = |bytes: [u8; 4]| if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
    let (pairs, _) = bytes.as_chunks::<8>();
    pairs.iter().fold(from, |[first, second], &[a, b, c, d, e, f, g, h]| {
        let first = first.wrapping_add(word([a, b, c, d])).wrapping_add(second);
        [first, second.wrapping_add(word([e, f, g, h])).wrapping_add(first)]
    })
}

fn sum_at(bytes: &[u8], at: usize) -> Sum {
    [u32::from_be_bytes(bytes_at(bytes, at)), u32::from_be_bytes(bytes_at(bytes, at + 4))]
}

/// `N` bytes of a header that is long enough.
fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("as many as asked for")
}
