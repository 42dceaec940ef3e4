//! Codec, reactor and queue as the pump's traffic during one poll.

use std::task::{Context, Poll};

use super::queue::{Outgoing, Supply};
use super::reactor::{Reactor, Replies};
use crate::codec::{Decoder, Encoder, Verdict};
use crate::pump::{Inbound, Outbox, Traffic};

/// Messages handed up in one poll, and messages encoded in one poll; then other tasks have their turn. A fifth of a
/// millisecond for small messages.
const MESSAGES_PER_POLL: usize = 4_096;

/// What stands above the wire.
pub(super) struct Parts<C: Decoder, R: Reactor<C>> {
    pub(super) codec: C,
    pub(super) reactor: R,
    pub(super) replies: Replies<R::Outbound>,
    pub(super) outgoing: Outgoing<R::Outbound>,
    /// Whether it is the reactor's turn to send, after a sender's message.
    pub(super) reactor_next: bool,
    pub(super) flow: Flow,
    pub(super) received: u64,
    pub(super) encoded: u64,
}

/// What still goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// Everything.
    Both,
    /// The peer has ended: what is ready is sent, nothing is waited for.
    OutOnly,
    /// Nothing more is read or taken; what was answered is sent.
    RepliesOnly,
}

/// Why the traffic cannot go on.
pub(super) enum Fault<D, E> {
    Decode(D),
    Encode(E),
    TooSlow,
}

/// What the reactor said when it was last asked for work of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Own {
    Some,
    Later,
    None,
}

/// The parts as traffic during one poll.
pub(super) struct Turn<'a, 'b, C: Decoder, R: Reactor<C>> {
    parts: &'a mut Parts<C, R>,
    cx: &'a mut Context<'b>,
    may_receive: usize,
    may_encode: usize,
}

impl<'a, 'b, C, R> Turn<'a, 'b, C, R>
where
    C: Decoder + Encoder<Message = R::Outbound>,
    R: Reactor<C>,
{
    pub(super) fn new(parts: &'a mut Parts<C, R>, cx: &'a mut Context<'b>) -> Self {
        Self { parts, cx, may_receive: MESSAGES_PER_POLL, may_encode: MESSAGES_PER_POLL }
    }

    /// Counts what went through; whether it stopped so that others have their turn.
    pub(super) fn end(self) -> bool {
        self.parts.received += (MESSAGES_PER_POLL - self.may_receive) as u64;
        self.may_receive == 0 || self.may_encode == 0
    }

    #[inline(always)]
    fn encode(&mut self, message: R::Outbound, out: &mut Outbox) -> Result<(), <Self as Traffic>::Error> {
        self.may_encode = self.may_encode.saturating_sub(1);
        self.parts.encoded += 1;
        self.parts.codec.encode(message, out).map_err(Fault::Encode)
    }

    #[inline]
    fn encode_replies(&mut self, out: &mut Outbox) -> Result<(), <Self as Traffic>::Error> {
        while !self.parts.replies.is_empty() && !out.is_full() {
            if let Some(reply) = self.parts.replies.pop() {
                self.encode(reply, out)?;
            }
        }
        Ok(())
    }

    /// Encodes what senders and reactor have, one of each in turn.
    fn encode_both(&mut self, out: &mut Outbox) -> Result<Own, <Self as Traffic>::Error> {
        let mut own = Own::Some;
        while !out.is_full() && self.may_encode > 0 {
            let reactor_first = self.parts.reactor_next && own == Own::Some;
            let queued = if reactor_first { None } else { self.parts.outgoing.next() };
            let message = match queued {
                Some(message) => {
                    self.parts.reactor_next = true;
                    message
                }
                None if own == Own::Some => match self.parts.reactor.poll_outbound(self.cx) {
                    Poll::Ready(Some(message)) => {
                        self.parts.reactor_next = false;
                        message
                    }
                    Poll::Ready(None) => {
                        own = Own::None;
                        continue;
                    }
                    Poll::Pending => {
                        own = Own::Later;
                        continue;
                    }
                },
                None => break,
            };
            self.encode(message, out)?;
        }
        Ok(own)
    }
}

impl<C, R> Traffic for Turn<'_, '_, C, R>
where
    C: Decoder + Encoder<Message = R::Outbound>,
    R: Reactor<C>,
{
    type Error = Fault<<C as Decoder>::Error, <C as Encoder>::Error>;

    #[inline]
    fn inbound(&mut self, input: &[u8], out: &mut Outbox) -> Result<Inbound, Self::Error> {
        match self.parts.codec.decode(input).map_err(Fault::Decode)? {
            Verdict::Need(more) => Ok(Inbound::Need(more)),
            Verdict::Skip(count) => Ok(Inbound::Skip(count)),
            Verdict::Message(message, used) => {
                self.may_receive -= 1;
                if self.parts.reactor.message(message, &mut self.parts.replies).is_break() {
                    self.parts.flow = Flow::RepliesOnly;
                }
                self.encode_replies(out)?;
                Ok(Inbound::Used(used))
            }
        }
    }

    fn outbound(&mut self, out: &mut Outbox) -> Result<(), Self::Error> {
        if self.parts.flow == Flow::RepliesOnly {
            return self.encode_replies(out);
        }
        let supply = self.parts.outgoing.refill(out.room(), self.may_encode);
        if supply == Supply::Disconnect {
            return Err(Fault::TooSlow);
        }
        while let Some(message) = self.parts.outgoing.next_urgent() {
            self.encode(message, out)?;
        }
        self.encode_replies(out)?;
        let own = self.encode_both(out)?;
        if supply == Supply::Finished && own == Own::None {
            self.parts.flow = Flow::RepliesOnly;
        }
        Ok(())
    }

    /// Only answers that find no room stop the reading: two sides that both send much must still read each other.
    #[inline]
    fn wants_input(&self) -> bool {
        self.parts.flow == Flow::Both && self.may_receive > 0 && self.parts.replies.is_empty()
    }
}
