//! SIGTERM and Ctrl-C: the two polite ways to ask a running command to end.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Heard from its making on, so that none is missed between the start and the wait.
pub(crate) struct EndAsked {
    term: Signal,
    int: Signal,
}

impl EndAsked {
    pub(crate) fn listen() -> Self {
        let listen = |kind| signal(kind).expect("the runtime has its signal driver");
        Self { term: listen(SignalKind::terminate()), int: listen(SignalKind::interrupt()) }
    }

    /// Returns when somebody asks.
    pub(crate) async fn wait(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}
