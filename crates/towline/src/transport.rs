//! What carries links: TCP, and memory for tests and for programs that talk to themselves.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// The most that the kernel keeps of what is written and not yet sent, in bytes. What lies there can no longer be
/// overtaken by an urgent message; what is in flight does not count.
const NOT_SENT_MAX_BYTES: u32 = 128 * 1024;

/// How much a link in memory holds each way, in bytes.
const MEMORY_LINK_BYTES: usize = 64 * 1024;

/// Connections in memory that may wait to be taken.
const MEMORY_BACKLOG: usize = 64;

/// A byte stream under TLS.
pub(crate) trait Carrier: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Carrier for T {}

/// A byte stream with what is known of its ends.
pub(crate) struct Carried {
    pub(crate) io: Box<dyn Carrier>,
    pub(crate) local: Option<SocketAddr>,
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) transport: &'static str,
}

impl Carried {
    /// A TCP connection, set up for many small messages: nothing waits to be joined with more, little waits unsent.
    pub(crate) fn tcp(stream: TcpStream, remote: SocketAddr) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        // Not every kernel has it; without it urgent messages wait a little longer.
        let _ = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(NOT_SENT_MAX_BYTES);
        let local = stream.local_addr().ok();
        Ok(Self { io: Box::new(stream), local, remote: Some(remote), transport: "tcp" })
    }

    fn memory(stream: DuplexStream) -> Self {
        Self { io: Box::new(stream), local: None, remote: None, transport: "memory" }
    }
}

/// A place in memory that a client connects to; see [`memory`].
#[derive(Clone, Debug)]
pub struct MemoryDialer(mpsc::Sender<DuplexStream>);

/// A place in memory that a server listens on; see [`memory`].
#[derive(Debug)]
pub struct MemoryListener(mpsc::Receiver<DuplexStream>);

/// A way from clients to a server without sockets, for tests and within one process. TLS runs over it as over TCP.
pub fn memory() -> (MemoryDialer, MemoryListener) {
    let (sender, receiver) = mpsc::channel(MEMORY_BACKLOG);
    (MemoryDialer(sender), MemoryListener(receiver))
}

impl MemoryDialer {
    pub(crate) async fn dial(&self) -> io::Result<Carried> {
        let (near, far) = tokio::io::duplex(MEMORY_LINK_BYTES);
        self.0.send(far).await.map_err(|_| io::ErrorKind::ConnectionRefused)?;
        Ok(Carried::memory(near))
    }
}

impl MemoryListener {
    /// The next connection; `None` when every dialer is gone.
    pub(crate) async fn accept(&mut self) -> Option<Carried> {
        self.0.recv().await.map(Carried::memory)
    }
}
