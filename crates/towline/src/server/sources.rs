//! Taking connections, whatever the system says.

use std::io;

use tokio::net::TcpListener;

use crate::listen;
use crate::transport::{Carried, MemoryListener};

/// One place where connections come from.
pub(super) enum Listener {
    Tcp(TcpListener),
    Memory(MemoryListener),
    /// Fails as often as told before each connection.
    #[cfg(test)]
    Faulty(TcpListener, Vec<i32>),
}

impl Listener {
    async fn accept(&mut self) -> io::Result<Option<Carried>> {
        match self {
            Self::Tcp(listener) => accept_tcp(listener).await.map(Some),
            Self::Memory(listener) => Ok(listener.accept().await),
            #[cfg(test)]
            Self::Faulty(listener, faults) => match faults.pop() {
                Some(number) => Err(io::Error::from_raw_os_error(number)),
                None => accept_tcp(listener).await.map(Some),
            },
        }
    }
}

async fn accept_tcp(listener: &TcpListener) -> io::Result<Carried> {
    let (stream, remote) = listener.accept().await?;
    Carried::tcp(stream, remote)
}

/// Takes connections for ever; no error ends it. (It returns when a listener in memory has no dialer left.)
pub(super) async fn run(mut listener: Listener, mut take: impl FnMut(Carried), mut failed: impl FnMut(&io::Error)) {
    loop {
        match listener.accept().await {
            Ok(Some(carried)) => take(carried),
            Ok(None) => return,
            Err(error) => {
                failed(&error);
                listen::recover(&error).await;
            }
        }
    }
}
