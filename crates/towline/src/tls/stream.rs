//! A TLS connection as a byte stream.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use towline_proto::mail::keys::PublicKey;

use super::buffers::Buffer;
use super::config::{ClientTls, ServerTls};
use super::error::TlsError;
use super::handshake::{Handshake, Proven, shake_hands};
use super::incoming::Incoming;
use super::record::{Fault, opened_size};
use super::records::{Opened, Records};

/// TLS over any byte stream, after the handshake: the peer's key is proven.
///
/// An end of the transport without TLS's goodbye is an error on reading (`UnexpectedEof`); `poll_shutdown` says ours.
///
/// Writes are sealed together, vectored ones without being gathered first; what is sealed counts as written. Memory for what
/// is on its way is lent by the thread: an idle stream holds none.
pub struct TlsStream<S> {
    io: S,
    records: Records,
    incoming: Incoming,
    outgoing: Outgoing,
    peer: Option<PublicKey>,
}

/// Sealed bytes that wait to be written.
#[derive(Default)]
struct Outgoing {
    /// Here as long as something waits.
    buffer: Option<Buffer>,
    from: usize,
    to: usize,
}

impl Outgoing {
    /// Lets `seal` put something behind what waits.
    fn append(&mut self, seal: impl FnOnce(&mut [u8]) -> Result<usize, rustls::Error>) -> Result<(), rustls::Error> {
        let buffer = self.buffer.get_or_insert_with(Buffer::take);
        let sealed = seal(&mut buffer[self.to..]);
        self.to += sealed.as_ref().map_or(0, |count| *count);
        self.written(0);
        sealed.map(drop)
    }

    fn waiting(&self) -> &[u8] {
        self.buffer.as_ref().map_or(&[], |buffer| &buffer[self.from..self.to])
    }

    /// Says that `count` bytes were written.
    fn written(&mut self, count: usize) {
        self.from += count;
        if self.from == self.to {
            *self = Self::default();
        }
    }
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

    async fn handshake(mut io: S, handshake: Handshake) -> Result<(Self, Proven), TlsError> {
        let (records, early, proven) = shake_hands(&mut io, handshake).await?;
        let (incoming, outgoing) = (Incoming::new(&early), Outgoing::default());
        Ok((Self { io, records, incoming, outgoing, peer: proven.peer }, proven))
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

    /// A key update that asks for one, for tests.
    #[cfg(test)]
    pub(super) fn ask_for_key(&mut self) -> Vec<u8> {
        let mut out = vec![0; 64];
        let count = self.records.renew(&mut out).expect("a fresh key seals");
        out.truncate(count);
        out
    }

    /// Writes what is sealed.
    fn poll_outgoing(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.waiting().is_empty() {
            let count = ready!(Pin::new(&mut self.io).poll_write(cx, self.outgoing.waiting()))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.written(count);
        }
        Poll::Ready(Ok(()))
    }

    /// Reads ciphertext once.
    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut buffer = ReadBuf::new(self.incoming.place());
        let read = Pin::new(&mut self.io).poll_read(cx, &mut buffer);
        let count = buffer.filled().len();
        if !matches!(read, Poll::Ready(Ok(()))) {
            self.incoming.rest();
        }
        ready!(read)?;
        if count == 0 {
            return Poll::Ready(Err(TlsError::Truncated.into()));
        }
        self.incoming.came(count);
        Poll::Ready(Ok(()))
    }

    /// Opens records as long as they are whole and `out` has room. Each is opened where its reader wants it; only one that
    /// alone is more than there is room for is opened where it stands, and handed on by and by.
    fn open(&mut self, out: &mut ReadBuf<'_>) -> Result<(), Fault> {
        let Self { incoming, records, .. } = self;
        let before = out.filled().len();
        incoming.hand_on(out);
        while !incoming.has_plain() && !records.peer_closed() && records.failed().is_none() {
            let Some(at) = incoming.next()? else { break };
            let record = incoming.take(at.clone());
            let size = opened_size(record);
            let fits = size <= out.remaining();
            if !fits && out.filled().len() > before {
                incoming.put_back(at);
                break;
            }
            let place = if fits { out.initialize_unfilled_to(size) } else { &mut [] };
            match records.open(record, place)? {
                Opened::Nothing => {}
                Opened::Out(count) => out.advance(count),
                Opened::InPlace(count) => {
                    incoming.keep(&at, count);
                    incoming.hand_on(out);
                }
            }
        }
        incoming.let_go();
        Ok(())
    }

    /// Seals what TLS itself has to say about what came, and tells whether that is anything.
    fn answer(&mut self, opened: Result<(), Fault>) -> Result<bool, TlsError> {
        let Self { records, outgoing, .. } = self;
        if let Err(fault) = opened {
            outgoing.append(|out| records.fail(fault, out))?;
            return Ok(true);
        }
        // Behind data that waits it would have to wait, too: then it goes before the data that is sealed next.
        if !records.owes_key() || !outgoing.waiting().is_empty() {
            return Ok(false);
        }
        outgoing.append(|out| records.renew(out))?;
        Ok(true)
    }

    fn failure(&self) -> Option<io::Error> {
        self.records.failed().map(|error| TlsError::Protocol(error.clone()).into())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            let opened = this.open(buf);
            if this.answer(opened)? {
                // Whoever reads lets it go out. If it cannot leave now, the next write or flush finds out why.
                let _ = this.poll_outgoing(cx);
            }
            if buf.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
            if let Some(error) = this.failure() {
                return Poll::Ready(Err(error));
            }
            if this.records.peer_closed() {
                return Poll::Ready(Ok(()));
            }
            ready!(this.poll_incoming(cx))?;
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_outgoing(cx))?;
        if let Some(error) = this.failure() {
            return Poll::Ready(Err(error));
        }
        if this.records.said_goodbye() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let (mut taken, records) = (0, &mut this.records);
        let sealed = this.outgoing.append(|out| {
            let (count, sealed) = records.seal(bufs, out)?;
            taken = count;
            Ok(sealed)
        });
        sealed.map_err(TlsError::from)?;
        // What is sealed is taken, whether it leaves now or with the next call.
        if let Poll::Ready(Err(error)) = this.poll_outgoing(cx) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_outgoing(cx))?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.records.said_goodbye() {
            let records = &mut this.records;
            this.outgoing.append(|out| records.close(out)).map_err(TlsError::from)?;
        }
        ready!(this.poll_outgoing(cx))?;
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}
