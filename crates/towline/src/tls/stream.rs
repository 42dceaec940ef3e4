//! A TLS connection as a byte stream.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use towline_proto::mail::keys::PublicKey;

use super::config::{ClientTls, ServerTls};
use super::error::TlsError;
use super::key_exchange::KeyExchange;
use super::machine::{Exporter, Machine};

/// Bytes read from the transport at once: one full record. It lies on the stack, so an idle connection has none.
const READ_BYTES: usize = 16 * 1024;

/// Plain bytes sealed at once: four full records, written together.
const WRITE_MAX_BYTES: usize = 64 * 1024;

/// TLS over any byte stream, after the handshake: the peer's key is proven.
///
/// An end of the transport without TLS's goodbye is an error on reading (`UnexpectedEof`); `poll_shutdown` says ours.
pub struct TlsStream<S> {
    io: S,
    machine: Machine,
    peer: Option<PublicKey>,
}

/// What a handshake leaves to both sides.
pub(crate) struct Proven {
    /// The key that the peer holds; `None` if it showed none or one of another kind than Ed25519.
    pub(crate) peer: Option<PublicKey>,
    pub(crate) key_exchange: KeyExchange,
    pub(crate) exporter: Exporter,
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream<S> {
    /// The client's handshake. The caller bounds its time.
    pub(crate) async fn connect(io: S, config: &ClientTls) -> Result<(Self, Proven), TlsError> {
        Self::handshake(io, config.begin()?).await
    }

    /// The server's handshake. The caller bounds its time.
    pub(crate) async fn accept(io: S, config: &ServerTls) -> Result<(Self, Proven), TlsError> {
        Self::handshake(io, config.begin()?).await
    }

    async fn handshake(io: S, machine: Machine) -> Result<(Self, Proven), TlsError> {
        let mut stream = Self { io, machine, peer: None };
        stream.machine.begin()?;
        let done = std::future::poll_fn(|cx| stream.poll_handshake(cx)).await;
        if done.is_err() {
            // The alert tells the peer why; if it cannot be written now, the cut tells enough.
            let _ = std::future::poll_fn(|cx| Poll::Ready(stream.poll_outgoing(cx))).await;
        }
        done?;
        let machine = &mut stream.machine;
        machine.check_alpn()?;
        let (peer, key_exchange) = (machine.peer_key(), machine.key_exchange()?);
        let proven = Proven { peer, key_exchange, exporter: machine.take_exporter()? };
        stream.peer = peer;
        Ok((stream, proven))
    }

    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TlsError>> {
        loop {
            ready!(self.poll_outgoing(cx))?;
            if !self.machine.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_incoming(cx))?;
        }
    }

    /// The peer's key, proven by the handshake; `None` if it showed none or one of another kind than Ed25519, which only
    /// an authority's word admits.
    pub fn peer(&self) -> Option<PublicKey> {
        self.peer
    }

    /// The stream below, for its socket options. Reading or writing there breaks TLS.
    pub fn get_ref(&self) -> &S {
        &self.io
    }

    pub(crate) fn get_mut(&mut self) -> &mut S {
        &mut self.io
    }

    /// Writes what is sealed.
    fn poll_outgoing(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TlsError>> {
        while !self.machine.outgoing().is_empty() {
            let count = ready!(Pin::new(&mut self.io).poll_write(cx, self.machine.outgoing()))?;
            if count == 0 {
                return Poll::Ready(Err(io::Error::from(io::ErrorKind::WriteZero).into()));
            }
            self.machine.written(count);
        }
        Poll::Ready(Ok(()))
    }

    /// Reads ciphertext once and opens what is whole.
    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TlsError>> {
        let mut space = [const { MaybeUninit::uninit() }; READ_BYTES];
        let mut buffer = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
        if buffer.filled().is_empty() {
            return Poll::Ready(Err(TlsError::Truncated));
        }
        Poll::Ready(self.machine.received(buffer.filled()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.machine.plain().is_empty() {
            if this.machine.peer_closed() {
                return Poll::Ready(Ok(()));
            }
            let read = this.poll_incoming(cx);
            // TLS itself may have something to say (a key update, an alert); whoever reads lets it go out.
            let said = this.poll_outgoing(cx);
            ready!(read)?;
            if let Poll::Ready(Err(error)) = said {
                return Poll::Ready(Err(error.into()));
            }
        }
        let count = this.machine.plain().len().min(buf.remaining());
        buf.put_slice(&this.machine.plain()[..count]);
        this.machine.read(count);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_outgoing(cx))?;
        let taken = &buf[..buf.len().min(WRITE_MAX_BYTES)];
        if !taken.is_empty() {
            this.machine.seal(taken)?;
            // What is sealed is taken, whether it leaves now or with the next call.
            if let Poll::Ready(Err(error)) = this.poll_outgoing(cx) {
                return Poll::Ready(Err(error.into()));
            }
        }
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_outgoing(cx))?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.machine.close()?;
        ready!(this.poll_outgoing(cx))?;
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}
