//! The hub's end of the operator's socket.

use super::{Answer, Command, MAX_LINE_BYTES};
use crate::shell::Operator;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

/// Only the hub's own user may open the socket.
const SOCKET_MODE: u32 = 0o600;
/// How long the listener rests after a failed accept (out of file descriptors): it must neither end nor spin.
const REST: std::time::Duration = std::time::Duration::from_millis(100);

/// Binds the socket. One that a killed hub left behind is replaced; the mailbox's lock tells two live hubs apart.
pub(crate) fn bind(path: &Path) -> std::io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(SOCKET_MODE))?;
    Ok(listener)
}

/// Answers operators until the task is aborted.
pub(crate) async fn serve(listener: UnixListener, operator: Operator) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) if permitted(&stream) => drop(tokio::spawn(converse(stream, operator.clone()))),
            Ok(_) => tracing::warn!("another user was refused at the operator's socket"),
            Err(error) => {
                tracing::warn!(%error, "the operator's socket cannot take a connection");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

/// Whether the peer is the hub's own user or root, as the kernel says.
fn permitted(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == own.as_raw() || peer.uid() == 0)
}

async fn converse(stream: UnixStream, operator: Operator) {
    let (reading, mut writing) = stream.into_split();
    let mut reading = BufReader::new(reading);
    loop {
        let mut line = Vec::new();
        let taken = (&mut reading).take(MAX_LINE_BYTES as u64).read_until(b'\n', &mut line).await;
        if !matches!(taken, Ok(bytes) if bytes > 0) {
            return;
        }
        let answer = match serde_json::from_slice::<Command>(&line) {
            Ok(command) => operator.ask(command).await,
            Err(error) => Answer::no("usage", format!("not a command: {error}")),
        };
        let Ok(mut answer) = serde_json::to_vec(&answer) else { return };
        answer.push(b'\n');
        if writing.write_all(&answer).await.is_err() {
            return;
        }
    }
}
