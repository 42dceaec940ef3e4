//! The operator's socket: a Unix socket beside the mailbox, JSON lines, for the hub's own user and root only.
//!
//! One line with a [`Command`] goes in, one line with an [`Answer`] comes back; a connection may ask many times.

mod command;
pub(crate) mod serve;

pub use command::{Answer, Command, DeviceView, MessageView, StatsView, TicketView, VerdictView, WordView};

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long an answer may take: a commit on a slow disk is well inside it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest line either way, in bytes: a list of ten thousand devices fits.
pub(crate) const MAX_LINE_BYTES: usize = 8 * 1024 * 1024;

/// Why the hub on this machine gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No hub listens there.
    #[error("no hub answers at {}: {error} (is `towline hub` running with this state folder?)", path.display())]
    NoHub {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The connection broke, or the answer took too long.
    #[error("the hub gave no answer: {0}")]
    Io(#[from] std::io::Error),
    /// The answer is none that this program knows.
    #[error("the hub's answer is not understood: {0}")]
    Answer(#[from] serde_json::Error),
}

/// Asks the hub whose socket is `path`, and waits for its answer. It blocks.
///
/// # Errors
/// [`CallError`].
pub fn call(path: &Path, command: &Command) -> Result<Answer, CallError> {
    let told = |error| CallError::NoHub { path: path.into(), error };
    let mut stream = UnixStream::connect(path).map_err(told)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
    let mut line = serde_json::to_vec(command)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    let mut reader = std::io::Read::take(BufReader::new(stream), MAX_LINE_BYTES as u64);
    if reader.read_line(&mut answer)? == 0 {
        return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
    }
    Ok(serde_json::from_str(&answer)?)
}
