//! A body on its way into the spool: written and hashed in order, by one stream at a time.

use bytes::Bytes;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::{Mutex, MutexGuard, watch};
use towline_proto::ids::Digest;

/// How much is read at once when a spool of an earlier run is hashed again, in bytes.
const READ_BYTES: usize = 256 * 1024;

/// How far a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArrivalState {
    /// So many bytes are written.
    Growing(u64),
    /// All bytes are there, and they are the right ones.
    Whole,
    /// It will not come.
    Cancelled,
}

/// A body on its way.
#[derive(Debug)]
pub struct Arrival {
    size: u64,
    root: Digest,
    sink: Mutex<Sink>,
    /// Counts the streams that brought it: only the newest may write.
    turn: AtomicU64,
    /// Whether somebody verifies it already.
    settling: AtomicBool,
    state: watch::Sender<ArrivalState>,
}

/// The file's end and the hash up to it. It moves onto a blocking thread and back.
#[derive(Debug)]
struct Sink {
    file: Option<(File, Box<blake3::Hasher>)>,
    written: u64,
}

/// A stream's right to write, until a newer stream takes it.
#[derive(Debug)]
pub struct Turn<'a> {
    arrival: &'a Arrival,
    number: u64,
}

impl Arrival {
    /// Opens or continues a spool. It blocks, for as long as it takes to hash what is there.
    pub(super) fn open(path: &Path, size: u64, root: Digest) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        if file.metadata()?.len() > size {
            file.set_len(0)?;
        }
        let mut hasher = Box::new(blake3::Hasher::new());
        let (mut written, mut buffer) = (0, vec![0; READ_BYTES]);
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                count => {
                    hasher.update(&buffer[..count]);
                    written += count as u64;
                }
            }
        }
        let sink = Mutex::new(Sink { file: Some((file, hasher)), written });
        Ok(Self {
            size,
            root,
            sink,
            turn: AtomicU64::new(0),
            settling: AtomicBool::new(false),
            state: watch::Sender::new(ArrivalState::Growing(written)),
        })
    }

    /// The body's length in bytes, as its envelope says.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The body's BLAKE3 root, as its envelope says.
    pub fn root(&self) -> Digest {
        self.root
    }

    /// How far it is, to be watched.
    pub fn state(&self) -> watch::Receiver<ArrivalState> {
        self.state.subscribe()
    }

    /// How many bytes are written.
    pub fn written(&self) -> u64 {
        match *self.state.borrow() {
            ArrivalState::Growing(written) => written,
            ArrivalState::Whole => self.size,
            ArrivalState::Cancelled => 0,
        }
    }

    /// Nobody may write any more, and whoever follows stops.
    pub fn cancel(&self) {
        self.turn.fetch_add(1, Ordering::SeqCst);
        self.state.send_replace(ArrivalState::Cancelled);
    }

    /// Begins a stream's turn; an older stream's ends.
    pub fn turn(&self) -> Turn<'_> {
        Turn { arrival: self, number: self.turn.fetch_add(1, Ordering::SeqCst) + 1 }
    }

    /// Whether every byte is written.
    pub fn is_full(&self) -> bool {
        self.written() >= self.size
    }

    /// Whether the caller is the first to find it full: that one verifies it.
    pub fn begin_settling(&self) -> bool {
        self.is_full() && !self.settling.swap(true, Ordering::SeqCst)
    }

    /// Compares length and hash, and syncs the file. `Ok(false)`: these are not the envelope's bytes.
    ///
    /// # Errors
    /// If the file cannot be synced.
    pub async fn verify(&self) -> io::Result<bool> {
        let mut sink = self.sink.lock().await;
        let Some((file, hasher)) = sink.file.take() else { return Err(io::ErrorKind::InvalidData.into()) };
        let right = sink.written == self.size && *hasher.finalize().as_bytes() == self.root.0;
        if right {
            blocking(move || file.sync_all()).await?;
            self.state.send_replace(ArrivalState::Whole);
        }
        Ok(right)
    }
}

/// What became of bytes that a stream brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrote {
    /// They are in the spool.
    Taken,
    /// A newer stream brings this body.
    NotItsTurn,
    /// They lie behind a gap or reach past the body's end.
    Misplaced,
}

impl Turn<'_> {
    /// Whether this stream may still write.
    pub fn is_current(&self) -> bool {
        self.arrival.turn.load(Ordering::SeqCst) == self.number
    }

    /// Writes `pieces`, whose first byte has the offset `at`; what is already there is passed over.
    ///
    /// # Errors
    /// If the disk does not take them: then the spool is of no more use.
    pub async fn write(&self, at: u64, mut pieces: Vec<Bytes>) -> io::Result<Wrote> {
        let mut sink: MutexGuard<'_, Sink> = self.arrival.sink.lock().await;
        if !self.is_current() {
            return Ok(Wrote::NotItsTurn);
        }
        // The peer chose `at`: it may be any number.
        let length = pieces.iter().map(|piece| piece.len() as u64).sum();
        let end = at.saturating_add(length);
        if at > sink.written || end > self.arrival.size {
            return Ok(Wrote::Misplaced);
        }
        let mut known = sink.written - at;
        pieces.retain_mut(|piece| {
            let skipped = known.min(piece.len() as u64);
            known -= skipped;
            *piece = piece.slice(skipped as usize..);
            !piece.is_empty()
        });
        let Some((mut file, mut hasher)) = sink.file.take() else { return Err(io::ErrorKind::InvalidData.into()) };
        let result = blocking(move || {
            for piece in &pieces {
                file.write_all(piece)?;
                hasher.update(piece);
            }
            Ok((file, hasher))
        });
        sink.file = Some(result.await?);
        sink.written = sink.written.max(end);
        self.arrival.state.send_replace(ArrivalState::Growing(sink.written));
        Ok(Wrote::Taken)
    }
}

/// Runs `work` where it may block.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
