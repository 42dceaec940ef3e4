//! A filter over a byte stream: a byte stream again.

use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::{Allowance, Direction, Filter, More, PASS_MAX_BYTES};

/// Bytes read at once. They lie on the stack, so an idle stream holds none.
const READ_BYTES: usize = 16 * 1024;

/// A byte stream behind a filter.
///
/// What is written is filtered and leaves at once, as far as the stream below takes it; [`AsyncWrite::poll_flush`] lets the
/// rest leave. Buffers that run empty are given back.
#[derive(Debug)]
pub struct Filtered<S, F> {
    io: S,
    filter: F,
    /// Filtered bytes that came and are not read.
    plain: Waiting,
    /// Whether the filter holds more of them.
    more: More,
    /// Filtered bytes to be written.
    sealed: Waiting,
    reading: Brake,
    writing: Brake,
}

/// Bytes that wait, of which the first are taken.
#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    taken: usize,
}

impl Waiting {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    fn take(&mut self, count: usize) {
        self.taken += count;
        if self.taken == self.bytes.len() {
            *self = Self::default();
        }
    }
}

/// Waits until a direction may go on.
#[derive(Debug, Default)]
struct Brake(Option<Pin<Box<Sleep>>>);

impl Brake {
    /// How many bytes may pass; pending while none may.
    fn poll(&mut self, cx: &mut Context<'_>, filter: &mut impl Filter, direction: Direction) -> Poll<(Instant, usize)> {
        loop {
            let now = Instant::now();
            match filter.allowance(now, direction) {
                Allowance::Bytes(count) => {
                    self.0 = None;
                    return Poll::Ready((now, count.min(PASS_MAX_BYTES)));
                }
                Allowance::NotBefore(at) => {
                    let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(at)));
                    if sleep.deadline() != at {
                        sleep.as_mut().reset(at);
                    }
                    ready!(sleep.as_mut().poll(cx));
                }
            }
        }
    }
}

impl<S, F: Filter> Filtered<S, F> {
    /// Puts `filter` over `io`.
    pub fn new(io: S, filter: F) -> Self {
        let (plain, sealed) = (Waiting::default(), Waiting::default());
        Self { io, filter, plain, more: More::No, sealed, reading: Brake::default(), writing: Brake::default() }
    }

    /// The filter, to see what it counted.
    pub fn filter(&self) -> &F {
        &self.filter
    }

    /// The stream below.
    pub fn get_ref(&self) -> &S {
        &self.io
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, F: Filter + Unpin> Filtered<S, F> {
    /// Gets filtered bytes into `plain`; false at the stream's end.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.more == More::Yes {
            self.more = self.filter.inbound(Instant::now(), &[], &mut self.plain.bytes)?;
            return Poll::Ready(Ok(true));
        }
        let (now, allowed) = ready!(self.reading.poll(cx, &mut self.filter, Direction::Inbound));
        let mut space = [const { MaybeUninit::uninit() }; READ_BYTES];
        let mut buffer = ReadBuf::uninit(&mut space[..allowed.min(READ_BYTES)]);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
        if buffer.filled().is_empty() {
            let inside = !self.filter.may_end();
            return Poll::Ready(if inside { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(false) });
        }
        self.more = self.filter.inbound(now, buffer.filled(), &mut self.plain.bytes)?;
        Poll::Ready(Ok(true))
    }

    fn poll_sealed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.sealed.rest().is_empty() {
            let count = ready!(Pin::new(&mut self.io).poll_write(cx, self.sealed.rest()))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sealed.take(count);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, F: Filter + Unpin> AsyncRead for Filtered<S, F> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.plain.rest().is_empty() {
            if !ready!(this.poll_fill(cx))? {
                return Poll::Ready(Ok(()));
            }
        }
        let count = this.plain.rest().len().min(buf.remaining());
        buf.put_slice(&this.plain.rest()[..count]);
        this.plain.take(count);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, F: Filter + Unpin> AsyncWrite for Filtered<S, F> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_sealed(cx))?;
        let (now, allowed) = ready!(this.writing.poll(cx, &mut this.filter, Direction::Outbound));
        let taken = &buf[..buf.len().min(allowed)];
        this.filter.outbound(now, taken, &mut this.sealed.bytes)?;
        // What is filtered is taken, whether it leaves now or with the next call.
        if let Poll::Ready(Err(error)) = this.poll_sealed(cx) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_sealed(cx))?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_sealed(cx))?;
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}
