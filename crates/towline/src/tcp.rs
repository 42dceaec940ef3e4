//! TCP as codecs need it: every byte in its place, the urgent one too.
//!
//! The kernel takes an urgent byte (`MSG_OOB`) out of the stream unless it is told not to, and a codec behind it waits for a
//! byte that never comes. A [`Listener`](crate::listen::Listener) sees to that for connections that it takes; [`connect`]
//! and [`prepare`] for those that this side opened.
//!
//! ```no_run
//! # use towline::codec::Delimited;
//! # use towline::connection::{Connection, Reactor};
//! # async fn run(reactor: impl Reactor<Delimited, Outbound = bytes::Bytes>) -> std::io::Result<()> {
//! let stream = towline::tcp::connect("localhost:7000").await?;
//! let (sender, connection) = Connection::new(stream, Delimited::lines(1_024), reactor, Default::default());
//! # drop((sender, connection)); Ok(()) }
//! ```

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream, lookup_host};

/// Connects to `address` (`host:port`, each of the host's addresses in turn). Small writes leave at once (`TCP_NODELAY`),
/// and urgent bytes are read in their place from the first byte on.
///
/// It waits as long as the system does, minutes perhaps: put a timeout around it. Cancel safe.
///
/// # Errors
/// The system's, of the last address; it names `address`.
pub async fn connect(address: &str) -> io::Result<Stream> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("cannot connect to {address}: {error}"));
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "no such address");
    for found in lookup_host(address).await.map_err(named)? {
        let socket = if found.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // Before there is anything to read.
        SockRef::from(&socket).set_out_of_band_inline(true)?;
        match socket.connect(found).await {
            Ok(connected) => {
                connected.set_nodelay(true)?;
                return Ok(Stream::new(connected, true));
            }
            Err(error) => failed = error,
        }
    }
    Err(named(failed))
}

/// Urgent bytes in their place on a stream that was connected otherwise, before anything was read from it. Where a peer
/// may send several at once, [`connect`] is safer: of those that came before, the kernel may have kept only the last.
///
/// # Errors
/// The system's.
pub fn prepare(stream: TcpStream) -> io::Result<Stream> {
    SockRef::from(&stream).set_out_of_band_inline(true)?;
    Ok(Stream::new(stream, true))
}

/// A TCP stream on which urgent bytes are read in their place. It costs one more system call after a read that left
/// nothing.
#[derive(Debug)]
pub struct Stream {
    socket: TcpStream,
    /// Whether an urgent byte may stand among the others.
    in_place: bool,
}

impl Stream {
    pub(crate) fn new(socket: TcpStream, in_place: bool) -> Self {
        Self { socket, in_place }
    }

    /// The stream as the runtime has it, for its addresses and options.
    pub fn get_ref(&self) -> &TcpStream {
        &self.socket
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.in_place {
            return Pin::new(&mut this.socket).poll_read(cx, buf);
        }
        // A read ends at an urgent byte though more is there. The runtime takes a short read for the last and waits for
        // the kernel's next word, which never comes when all was there before: so it is asked until it says "not now".
        loop {
            ready!(this.socket.poll_read_ready(cx))?;
            match this.socket.try_read_buf(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done.map(|_| ())),
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
