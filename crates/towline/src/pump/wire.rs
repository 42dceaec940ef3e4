//! A pump on its byte stream: the only place that reads and writes.

use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::space::with_space;
use super::{IOV_MAX, Pump, PumpEnd, Traffic};

/// When at least that much is missing of a message, it is read to its place instead of by way of the thread's space.
const READ_IN_PLACE_FROM_BYTES: usize = 64 * 1024;

/// Reads in one poll; then others have their turn.
const READS_MAX: usize = 8;

/// Pulls and writes in one poll; then others have their turn.
const WRITES_MAX: usize = 8;

/// Up to that many slices are listed in a small table, more in one of [`IOV_MAX`], which costs 16 KiB of stack to fill.
const FEW_SLICES: usize = 16;

/// A byte stream with its pump.
#[derive(Debug)]
pub(crate) struct Wire<S> {
    io: S,
    pump: Pump,
    /// Something was written and not yet flushed.
    unflushed: bool,
    /// Our direction is ended.
    shut: bool,
    moved: Moved,
}

/// Bytes that went over a wire since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) read_bytes: u64,
    pub(crate) written_bytes: u64,
}

/// How a direction stopped for now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// Nothing is to be done before its waker is woken.
    Idle,
    /// There may be more, but others should have their turn.
    Turn,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(crate) fn new(io: S, pump: Pump) -> Self {
        Self { io, pump, unflushed: false, shut: false, moved: Moved::default() }
    }

    pub(crate) fn pump(&mut self) -> &mut Pump {
        &mut self.pump
    }

    /// What went over it so far.
    pub(crate) fn moved(&self) -> Moved {
        self.moved
    }

    /// Reads and writes what can be now. `Ready` only when the stream is over; the waker is set for both directions.
    pub(crate) fn poll<T: Traffic>(&mut self, cx: &mut Context<'_>, traffic: &mut T) -> Poll<PumpEnd<T::Error>> {
        // Reading first: what came may free credit, and answers leave with what was waiting.
        let read = match self.poll_read(cx, traffic) {
            Ok(read) => read,
            Err(end) => return Poll::Ready(end),
        };
        let held_back = !traffic.wants_input();
        let written = match self.poll_write(cx, traffic) {
            Ok(written) => written,
            Err(end) => return Poll::Ready(end),
        };
        // What held the reading back may be written now, and no waker was set for reading.
        if read == Rest::Turn || written == Rest::Turn || (held_back && traffic.wants_input()) {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Only writes: for a stream whose other end said that nothing more comes, or from which nothing more is wanted.
    pub(crate) fn poll_only_write<T: Traffic>(
        &mut self,
        cx: &mut Context<'_>,
        traffic: &mut T,
    ) -> Poll<Result<(), PumpEnd<T::Error>>> {
        if self.poll_write(cx, traffic)? == Rest::Turn {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.pump.out.is_empty() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn poll_read<T: Traffic>(&mut self, cx: &mut Context<'_>, traffic: &mut T) -> Result<Rest, PumpEnd<T::Error>> {
        for _ in 0..READS_MAX {
            self.pump.resume(traffic)?;
            if !traffic.wants_input() {
                return Ok(Rest::Idle);
            }
            match self.poll_read_once(cx, traffic) {
                Poll::Pending => return Ok(Rest::Idle),
                Poll::Ready(Err(end)) => return Err(end),
                Poll::Ready(Ok(0)) if self.pump.is_inside_message() => return Err(PumpEnd::Cut),
                Poll::Ready(Ok(0)) => return Err(PumpEnd::PeerClosed),
                Poll::Ready(Ok(count)) => self.moved.read_bytes += count as u64,
            }
        }
        Ok(Rest::Turn)
    }

    /// One read, handed to the pump; how many bytes came.
    fn poll_read_once<T: Traffic>(
        &mut self,
        cx: &mut Context<'_>,
        traffic: &mut T,
    ) -> Poll<Result<usize, PumpEnd<T::Error>>> {
        if let Some(place) = self.pump.place_for_more(READ_IN_PLACE_FROM_BYTES) {
            // The future keeps nothing between polls, so dropping it with nothing read loses nothing.
            let count = ready!(pin!(self.io.read_buf(place)).poll(cx)).map_err(PumpEnd::Io)?;
            self.pump.resume(traffic)?;
            return Poll::Ready(Ok(count));
        }
        with_space(|space| {
            let mut buffer = ReadBuf::new(space);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer)).map_err(PumpEnd::Io)?;
            self.pump.received(buffer.filled(), traffic)?;
            Poll::Ready(Ok(buffer.filled().len()))
        })
    }

    /// Reads once and throws away what comes; whether there may be more.
    fn poll_throw_away(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        with_space(|space| {
            let mut buffer = ReadBuf::new(space);
            let read = ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer));
            Poll::Ready(read.is_ok() && !buffer.filled().is_empty())
        })
    }

    /// Pulls and writes until nothing waits or the stream is full.
    fn poll_write<T: Traffic>(&mut self, cx: &mut Context<'_>, traffic: &mut T) -> Result<Rest, PumpEnd<T::Error>> {
        for _ in 0..WRITES_MAX {
            self.pump.pull(traffic)?;
            if self.pump.out.is_empty() {
                return self.poll_flush(cx).map(|_| Rest::Idle).map_err(PumpEnd::Io);
            }
            match self.poll_write_out(cx) {
                Poll::Pending => return Ok(Rest::Idle),
                Poll::Ready(done) => done.map_err(PumpEnd::Io)?,
            }
        }
        Ok(Rest::Turn)
    }

    /// One write of what waits.
    fn poll_write_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let written = match self.pump.out.pieces() {
            0 | 1 => ready!(Pin::new(&mut self.io).poll_write(cx, self.pump.out.first()))?,
            2..=FEW_SLICES => ready!(self.poll_write_slices::<FEW_SLICES>(cx))?,
            _ => ready!(self.poll_write_slices::<IOV_MAX>(cx))?,
        };
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.pump.out.advance(written);
        self.moved.written_bytes += written as u64;
        self.unflushed = true;
        Poll::Ready(Ok(()))
    }

    fn poll_write_slices<const COUNT: usize>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); COUNT];
        let count = self.pump.out.slices(&mut slices);
        Pin::new(&mut self.io).poll_write_vectored(cx, &slices[..count])
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
        if !self.shut {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
            self.shut = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads and throws away until the peer's end. A stream that is dropped with something unread resets the connection,
    /// and a reset overtakes what we wrote last.
    pub(crate) fn poll_hear_out(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..READS_MAX {
            if !ready!(self.poll_throw_away(cx)) {
                return Poll::Ready(());
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads and drops what still comes, until the peer has closed too. To close with bytes unread is a reset on TCP, and
    /// that may overtake the last word.
    pub(crate) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while ready!(self.poll_throw_away(cx)) {}
        Poll::Ready(())
    }
}
