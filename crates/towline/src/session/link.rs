//! One link of a session: its byte stream, its pump, and its frames.

use std::net::SocketAddr;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use towline_proto::limits::MAX_FRAME_BYTES;
use towline_proto::stream_link::{LinkConfig, LinkError, LinkId, StreamLink, put_frame};
use towline_proto::time::Instant;
use towline_proto::wire::close::Close;
use towline_proto::wire::frame::Frame;

use super::LinkInfo;
use super::link_stream::LinkStream;
use super::shared::Shared;
use crate::listen::Pass;
use crate::pump::{Inbound, Outbox, Pump, PumpEnd, Traffic, Wire};
use crate::tls::KeyExchange;

/// The most that a length before a frame takes.
const FRAME_LENGTH_MAX_BYTES: usize = 8;

/// A link that was admitted and is not yet in its session's hands.
pub(crate) struct FreshLink {
    pub(crate) stream: LinkStream,
    /// What came behind the hello.
    pub(crate) input: Vec<u8>,
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) transport: &'static str,
    pub(crate) key_exchange: KeyExchange,
    /// The server's count of connections, given back when the link is gone.
    pub(crate) pass: Option<Pass>,
}

/// A link that the session's task owns.
pub(crate) struct Link {
    wire: Wire<LinkStream>,
    frames: StreamLink,
    /// What came behind the hello, until the first poll.
    early: Vec<u8>,
    remote: Option<SocketAddr>,
    transport: &'static str,
    /// Our last word is written, and only the peer's end is waited for.
    said_all: bool,
    key_exchange: KeyExchange,
    _pass: Option<Pass>,
}

impl Link {
    /// Takes a link over. `first` leaves before any frame (the server's answer).
    pub(crate) fn new(fresh: FreshLink, id: LinkId, config: LinkConfig, now: Instant, first: &[u8]) -> Self {
        let FreshLink { stream, input, remote, transport, key_exchange, pass } = fresh;
        let mut pump = Pump::new(MAX_FRAME_BYTES + FRAME_LENGTH_MAX_BYTES);
        pump.out().put(first);
        let frames = StreamLink::new(id, config, now);
        let wire = Wire::new(stream, pump);
        Self { wire, frames, early: input, remote, transport, key_exchange, said_all: false, _pass: pass }
    }

    pub(crate) fn info(&self) -> LinkInfo {
        let (remote, transport, key_exchange) = (self.remote, self.transport, self.key_exchange);
        LinkInfo { remote, transport, key_exchange, rtt: self.rtt() }
    }

    /// Whether nothing waits for its byte stream, so that more may go.
    pub(crate) fn has_room(&mut self) -> bool {
        self.wire.pump().out().is_empty()
    }

    /// The round-trip time last measured by a probe.
    pub(crate) fn rtt(&self) -> Option<Duration> {
        self.frames.rtt()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.frames.poll_timeout()
    }

    /// Does what can be done now; `Ready` when the link is over.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, shared: &Shared, now: Instant) -> Poll<PumpEnd<LinkError>> {
        let time_is_up = |frames: &StreamLink| frames.poll_timeout().is_some_and(|at| at <= now);
        if time_is_up(&self.frames) {
            // Its timer rings when little is going on: an idle link holds no buffers.
            self.wire.pump().give_back();
        }
        let mut traffic = FrameTraffic { frames: &mut self.frames, shared, now };
        let early = std::mem::take(&mut self.early);
        if !early.is_empty()
            && let Err(end) = self.wire.pump().received(&early, &mut traffic)
        {
            return Poll::Ready(end);
        }
        let over = self.wire.poll(cx, &mut traffic);
        // What came is read before the peer's silence is judged.
        if over.is_pending()
            && time_is_up(&self.frames)
            && let Err(error) = self.frames.handle_timeout(now)
        {
            return Poll::Ready(PumpEnd::Traffic(error));
        }
        over
    }

    /// Puts the session's last word behind what waits.
    pub(crate) fn say_close(&mut self, close: &Close) {
        self.wire.pump().out().gather(|tail| put_frame(tail, &Frame::Close(close.clone())));
    }

    /// Writes what waits, says goodbye and waits until the peer has done so too.
    pub(crate) fn poll_close(&mut self, cx: &mut Context<'_>, shared: &Shared, now: Instant) -> Poll<()> {
        if !self.said_all {
            let mut traffic = FrameTraffic { frames: &mut self.frames, shared, now };
            if self.wire.pump().pull(&mut traffic).is_err() || ready!(self.wire.poll_close(cx)).is_err() {
                return Poll::Ready(());
            }
            self.said_all = true;
        }
        self.wire.poll_drain(cx)
    }

    /// The link is over: what it had not confirmed goes back to the session.
    pub(crate) fn shut(self, shared: &Shared, now: Instant) {
        shared.change(|state| {
            let id = self.frames.id();
            self.frames.shut(now, &mut state.core);
            state.core.remove_link(now, id);
        });
    }
}

/// A link's frames as the pump's traffic: the session core is the reactor.
struct FrameTraffic<'a> {
    frames: &'a mut StreamLink,
    shared: &'a Shared,
    now: Instant,
}

impl Traffic for FrameTraffic<'_> {
    type Error = LinkError;

    fn inbound(&mut self, input: &[u8], _out: &mut Outbox) -> Result<Inbound, LinkError> {
        let used = self.shared.change(|state| self.frames.handle_input(self.now, input, &mut state.core));
        Ok(match used? {
            0 => Inbound::Need(1),
            count => Inbound::Used(count),
        })
    }

    fn outbound(&mut self, out: &mut Outbox) -> Result<(), LinkError> {
        let room = out.room();
        self.shared.change(|state| out.gather(|tail| self.frames.poll_output(self.now, room, tail, &mut state.core)));
        Ok(())
    }
}
