//! A connection that was let in, before and after its handshake.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::House;
use super::gate::{Pass, Refusal};
use crate::tcp;
use crate::tls::{Acceptor, TlsError, TlsStream};

/// A connection that a [`Listener`](super::Listener) let in and that has not begun to speak.
#[derive(Debug)]
pub struct Incoming {
    stream: PlacedStream,
    remote: SocketAddr,
    house: Arc<House>,
}

/// Why a connection that was let in came to nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The peer took longer than the listener allows.
    #[error("the handshake was not through in {limit:?}")]
    Timeout {
        /// The time it had.
        limit: Duration,
    },
    /// TLS failed.
    #[error(transparent)]
    Tls(TlsError),
}

impl Incoming {
    pub(super) fn new(stream: TcpStream, remote: SocketAddr, pass: Pass, house: Arc<House>) -> Self {
        let stream = tcp::Stream::new(stream, house.config.urgent_in_place);
        Self { stream: PlacedStream { stream, pass }, remote, house }
    }

    /// Where it comes from.
    pub fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// The stream as it is, for a protocol without a handshake.
    pub fn plain(mut self) -> PlacedStream {
        self.stream.pass.handshake_done();
        self.stream
    }

    /// The stream under TLS, within the listener's time for handshakes. To be awaited on the connection's own task, so
    /// that a slow peer delays no other.
    ///
    /// # Errors
    /// The time is over, or TLS failed; the listener counts both.
    pub async fn secure(self, acceptor: &Acceptor) -> Result<TlsStream<PlacedStream>, HandshakeError> {
        let Self { stream, house, .. } = self;
        let limit = house.config.handshake_timeout;
        match timeout(limit, acceptor.accept(stream)).await {
            Ok(Ok(mut secure)) => {
                secure.get_mut().pass.handshake_done();
                Ok(secure)
            }
            Ok(Err(error)) => {
                house.refused(Refusal::HandshakeFailed);
                Err(HandshakeError::Tls(error))
            }
            Err(_) => {
                house.refused(Refusal::HandshakeTimeout);
                Err(HandshakeError::Timeout { limit })
            }
        }
    }
}

/// A TCP stream with its place in the listener's count, which is given back when it is dropped.
#[derive(Debug)]
pub struct PlacedStream {
    stream: tcp::Stream,
    pass: Pass,
}

impl PlacedStream {
    /// The stream, for its addresses and options.
    pub fn get_ref(&self) -> &TcpStream {
        self.stream.get_ref()
    }
}

impl AsyncRead for PlacedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for PlacedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
