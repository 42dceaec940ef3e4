//! A pump on its byte stream: the only place that reads and writes.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::outbox::SLICES_MAX;
use super::{Pump, PumpEnd, Traffic};

/// Bytes read at once: one full TLS record. They lie on the stack, so an idle stream holds none.
const READ_BYTES: usize = 16 * 1024;

/// Reads in one poll; then others have their turn.
const READS_MAX: usize = 8;

/// Pulls and writes in one poll; then others have their turn.
const WRITES_MAX: usize = 8;

/// A byte stream with its pump.
#[derive(Debug)]
pub(crate) struct Wire<S> {
    io: S,
    pump: Pump,
    /// Something was written and not yet flushed.
    unflushed: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(crate) fn new(io: S, pump: Pump) -> Self {
        Self { io, pump, unflushed: false }
    }

    pub(crate) fn pump(&mut self) -> &mut Pump {
        &mut self.pump
    }

    /// Reads and writes what can be now. `Ready` only when the stream is over; the waker is set for both directions.
    pub(crate) fn poll<T: Traffic>(&mut self, cx: &mut Context<'_>, traffic: &mut T) -> Poll<PumpEnd<T::Error>> {
        // Reading first: what came may free credit, and answers leave with what was waiting.
        let read = self.poll_read(cx, traffic);
        let held_back = !traffic.wants_input();
        let written = self.poll_write(cx, traffic);
        let again = match (read, written) {
            (Err(end), _) | (_, Err(end)) => return Poll::Ready(end),
            // What held the reading back may be written now, and no waker was set for reading.
            (Ok(read), Ok(written)) => read || written || (held_back && traffic.wants_input()),
        };
        if again {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Reads until nothing is there (false) or others should have their turn (true).
    fn poll_read<T: Traffic>(&mut self, cx: &mut Context<'_>, traffic: &mut T) -> Result<bool, PumpEnd<T::Error>> {
        for _ in 0..READS_MAX {
            if !traffic.wants_input() {
                return Ok(false);
            }
            let mut space = [const { MaybeUninit::uninit() }; READ_BYTES];
            let mut buffer = ReadBuf::uninit(&mut space);
            match Pin::new(&mut self.io).poll_read(cx, &mut buffer) {
                Poll::Pending => return Ok(false),
                Poll::Ready(Err(error)) => return Err(PumpEnd::Io(error)),
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                    return Err(if self.pump.is_inside_message() { PumpEnd::Cut } else { PumpEnd::PeerClosed });
                }
                Poll::Ready(Ok(())) => self.pump.received(buffer.filled(), traffic)?,
            }
        }
        Ok(true)
    }

    /// Pulls and writes until nothing waits, the stream is full (false), or others should have their turn (true).
    fn poll_write<T: Traffic>(&mut self, cx: &mut Context<'_>, traffic: &mut T) -> Result<bool, PumpEnd<T::Error>> {
        for _ in 0..WRITES_MAX {
            self.pump.pull(traffic)?;
            if self.pump.out().is_empty() {
                return self.poll_flush(cx).map(|_| false).map_err(PumpEnd::Io);
            }
            match self.poll_write_out(cx) {
                Poll::Pending => return Ok(false),
                Poll::Ready(Err(error)) => return Err(PumpEnd::Io(error)),
                Poll::Ready(Ok(())) => {}
            }
        }
        Ok(true)
    }

    /// One write of what waits.
    fn poll_write_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let count = self.pump.out.slices(&mut slices);
        let io = Pin::new(&mut self.io);
        let written = match &slices[..count] {
            [one] => ready!(io.poll_write(cx, one))?,
            many => ready!(io.poll_write_vectored(cx, many))?,
        };
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.pump.out.advance(written);
        self.unflushed = true;
        Poll::Ready(Ok(()))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        if self.unflushed {
            match Pin::new(&mut self.io).poll_flush(cx) {
                Poll::Pending => return Ok(false),
                Poll::Ready(done) => done?,
            }
            self.unflushed = false;
        }
        Ok(true)
    }

    /// Writes what waits and says goodbye. What the peer still sends is not read.
    pub(crate) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.pump.out.is_empty() {
            ready!(self.poll_write_out(cx))?;
        }
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    /// Reads and drops what still comes, until the peer has closed too. To close with bytes unread is a reset on TCP, and
    /// that may overtake the last word.
    pub(crate) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut space = [const { MaybeUninit::uninit() }; READ_BYTES];
        loop {
            let mut buffer = ReadBuf::uninit(&mut space);
            match ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                _ => return Poll::Ready(()),
            }
        }
    }
}
