//! A body to be read: a whole file, or a spool that is followed while it grows.

use super::arrival::{Arrival, ArrivalState, blocking};
use bytes::Bytes;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::watch;

/// How much is read at once, in bytes: a fraction of a session's first grant, so a slow reader holds little.
const READ_BYTES: u64 = 128 * 1024;

/// A body to be read at offsets.
#[derive(Debug)]
pub struct Source {
    file: Arc<File>,
    size: u64,
    growing: Option<watch::Receiver<ArrivalState>>,
}

impl Source {
    pub(super) fn whole(file: File) -> io::Result<Self> {
        let size = file.metadata()?.len();
        Ok(Self { file: Arc::new(file), size, growing: None })
    }

    pub(super) fn growing(path: &Path, arrival: &Arrival) -> io::Result<Self> {
        Ok(Self { file: Arc::new(File::open(path)?), size: arrival.size(), growing: Some(arrival.state()) })
    }

    /// The next bytes from `offset` on, once they are there; none at the end.
    ///
    /// # Errors
    /// If the file cannot be read, or the body will not come.
    pub async fn read(&mut self, offset: u64) -> io::Result<Bytes> {
        let there = self.wait_past(offset).await?;
        let length = there.saturating_sub(offset).min(READ_BYTES) as usize;
        let file = self.file.clone();
        blocking(move || {
            let mut buffer = vec![0; length];
            file.read_exact_at(&mut buffer, offset)?;
            Ok(Bytes::from(buffer))
        })
        .await
    }

    /// How many bytes are there, once it is more than `offset` or all.
    async fn wait_past(&mut self, offset: u64) -> io::Result<u64> {
        let size = self.size;
        let Some(growing) = &mut self.growing else { return Ok(size) };
        let ready = |state: &ArrivalState| match *state {
            ArrivalState::Growing(written) => written > offset,
            ArrivalState::Whole | ArrivalState::Cancelled => true,
        };
        let state = *growing.wait_for(ready).await.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        match state {
            ArrivalState::Growing(written) => Ok(written),
            ArrivalState::Whole => Ok(size),
            ArrivalState::Cancelled => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}
