//! Bodies on their way out: hashed first, then read at whatever offset the hub still lacks.

use crate::session::{OpenError, SendError, Session};
use bytes::Bytes;
use std::io;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use towline_proto::ids::{Digest, Lane, MessageId};
use towline_proto::mail::message::BodyHeader;

/// How much of a file is read at once, in bytes.
const READ_BYTES: usize = 256 * 1024;

/// What a message carries.
#[derive(Clone, Debug)]
pub enum Body {
    /// Bytes in memory.
    Bytes(Bytes),
    /// A file, which must stay as it was when it was hashed.
    File(PathBuf),
}

/// Why a body did not go out.
#[derive(Debug)]
pub(super) enum SendBodyError {
    /// It is gone, cannot be read or is shorter than it was.
    Unreadable(io::Error),
    /// The stream ended; the hub asks again for what it lacks.
    Stream,
}

/// The length and BLAKE3 root of a file, read once from its beginning to its end; what `b3sum` prints.
///
/// # Errors
/// If it cannot be read.
pub async fn hash_file(path: impl AsRef<Path>) -> io::Result<(u64, Digest)> {
    let path = path.as_ref().to_owned();
    let hashed = tokio::task::spawn_blocking(move || {
        let mut hasher = blake3::Hasher::new();
        let size = io::copy(&mut std::fs::File::open(path)?, &mut hasher)?;
        Ok((size, Digest(*hasher.finalize().as_bytes())))
    });
    hashed.await.map_err(io::Error::other)?
}

impl Body {
    /// Its length and BLAKE3 root.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn measure(&self) -> io::Result<(u64, Digest)> {
        match self {
            Self::Bytes(bytes) => Ok((bytes.len() as u64, Digest(*blake3::hash(bytes).as_bytes()))),
            Self::File(path) => hash_file(path).await,
        }
    }

    /// All of it, for a body that is known to be small: `size` bytes.
    pub(super) async fn read_whole(&self, size: u64) -> io::Result<Vec<u8>> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.to_vec()),
            Self::File(path) => {
                // One byte more than is wanted shows a file that grew.
                let mut whole = Vec::new();
                tokio::fs::File::open(path).await?.take(size + 1).read_to_end(&mut whole).await?;
                Ok(whole)
            }
        }
    }

    /// Sends the body from `offset` on, on a stream of its own; returns when the hub has confirmed all of it.
    pub(super) async fn send(
        &self,
        session: &Session,
        id: MessageId,
        offset: u64,
        size: u64,
    ) -> Result<(), SendBodyError> {
        let mut source = Source::open(self, offset).await.map_err(SendBodyError::Unreadable)?;
        let (mut out, _answers) = session.open(Lane::BULK).await?.split();
        out.send(BodyHeader { id, offset }.to_bytes()).await?;
        let mut left = size.saturating_sub(offset);
        while left > 0 {
            let part = source.next(left).await.map_err(SendBodyError::Unreadable)?;
            if part.is_empty() {
                out.reset(0);
                return Err(SendBodyError::Unreadable(io::ErrorKind::UnexpectedEof.into()));
            }
            left -= part.len() as u64;
            out.write_all(part).await?;
        }
        Ok(out.finish().await?)
    }
}

impl From<SendError> for SendBodyError {
    fn from(_: SendError) -> Self {
        Self::Stream
    }
}

impl From<OpenError> for SendBodyError {
    fn from(_: OpenError) -> Self {
        Self::Stream
    }
}

/// Where the bytes come from, at the offset that is next.
enum Source<'a> {
    Bytes(&'a [u8]),
    File { file: tokio::fs::File, buffer: Vec<u8> },
}

impl<'a> Source<'a> {
    async fn open(body: &'a Body, offset: u64) -> io::Result<Self> {
        match body {
            Body::Bytes(bytes) => {
                let at = usize::try_from(offset).ok().filter(|&at| at <= bytes.len());
                at.map(|at| Self::Bytes(&bytes[at..])).ok_or_else(|| io::ErrorKind::InvalidInput.into())
            }
            Body::File(path) => {
                let mut file = tokio::fs::File::open(path).await?;
                file.seek(io::SeekFrom::Start(offset)).await?;
                Ok(Self::File { file, buffer: vec![0; READ_BYTES] })
            }
        }
    }

    /// The next bytes, at most `left`; none at the end.
    async fn next(&mut self, left: u64) -> io::Result<&[u8]> {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(READ_BYTES);
        match self {
            Self::Bytes(bytes) => {
                let (part, rest) = bytes.split_at(most.min(bytes.len()));
                *bytes = rest;
                Ok(part)
            }
            Self::File { file, buffer } => {
                let n = file.read(&mut buffer[..most]).await?;
                Ok(&buffer[..n])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_and_a_file_of_the_same_bytes_measure_the_same() {
        let home = tempfile::tempdir().unwrap();
        for size in [0, 1, 300_000] {
            let bytes: Vec<u8> = (0..size).map(|i: u32| (i % 251) as u8).collect();
            let path = home.path().join("body");
            std::fs::write(&path, &bytes).unwrap();
            let measured = Body::Bytes(bytes.clone().into()).measure().await.unwrap();
            assert_eq!(measured, (u64::from(size), Digest(*blake3::hash(&bytes).as_bytes())));
            assert_eq!(Body::File(path).measure().await.unwrap(), measured);
        }
    }

    #[tokio::test]
    async fn a_source_gives_every_byte_from_any_offset_on() {
        let home = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..READ_BYTES + 1_000).map(|i| (i % 251) as u8).collect();
        let path = home.path().join("body");
        std::fs::write(&path, &bytes).unwrap();
        for body in [Body::Bytes(bytes.clone().into()), Body::File(path)] {
            for offset in [0, 1, READ_BYTES, bytes.len()] {
                let mut source = Source::open(&body, offset as u64).await.unwrap();
                let mut got = Vec::new();
                loop {
                    let part = source.next((bytes.len() - offset - got.len()) as u64).await.unwrap();
                    if part.is_empty() {
                        break;
                    }
                    got.extend_from_slice(part);
                }
                assert_eq!(got, bytes[offset..]);
            }
        }
    }
}
