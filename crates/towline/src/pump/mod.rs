//! The loop under every link and connection, as a plain value: bytes in, messages up; messages down, bytes out.
//!
//! ```text
//!   Wire   the byte stream and the order of reading and writing      (does I/O)
//!   Pump   partial input, skipping, limits, the outbox               (no I/O: is handed bytes, hands out slices)
//!   Traffic  what the bytes mean: a codec and a reactor, or a session's link
//! ```
//! A byte's life inward: read into a buffer on the stack, looked at there by [`Traffic::inbound`], and copied into the
//! pump only if its message is not whole. Outward: [`Traffic::outbound`] appends to the [`Outbox`] as long as there is
//! room, the wire writes the outbox's slices with one system call, and what is written is dropped.

mod outbox;
#[cfg(test)]
mod tests;
mod wire;

use std::io;

pub use outbox::Outbox;
pub(crate) use wire::Wire;

/// How much of the input is used, or what it lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inbound {
    /// That many bytes are dealt with; look again at what follows.
    Used(usize),
    /// At least that many more bytes must come first.
    Need(usize),
    /// That many bytes are to be thrown away as they come, without being kept.
    Skip(u64),
}

/// What the bytes of a pump mean.
pub trait Traffic {
    /// Why the traffic cannot go on.
    type Error;

    /// Looks at what came and was not used yet; it is never empty.
    ///
    /// # Errors
    /// The bytes are invalid, or a message said that this is the end.
    fn inbound(&mut self, input: &[u8]) -> Result<Inbound, Self::Error>;

    /// Appends what waits to be sent, until [`Outbox::is_full`].
    ///
    /// # Errors
    /// Something to be sent cannot be.
    fn outbound(&mut self, out: &mut Outbox) -> Result<(), Self::Error>;

    /// Whether it can take more input now. A session's links always can, since nothing comes that was not granted.
    fn wants_input(&self) -> bool {
        true
    }
}

/// Why a pump stopped.
#[derive(Debug, thiserror::Error)]
pub enum PumpEnd<E> {
    /// The peer ended the stream between two messages.
    #[error("the peer closed")]
    PeerClosed,
    /// The stream ended inside a message.
    #[error("the stream was cut inside a message")]
    Cut,
    /// A message is larger than this side takes.
    #[error("a message needs {bytes} bytes, more than the limit of {limit_bytes}")]
    TooLarge {
        /// What it would need.
        bytes: usize,
        /// The named limit.
        limit_bytes: usize,
    },
    /// The traffic cannot go on.
    #[error(transparent)]
    Traffic(E),
    /// The byte stream failed.
    #[error(transparent)]
    Io(io::Error),
}

/// Partial input and waiting output of one byte stream.
#[derive(Debug)]
pub struct Pump {
    /// The beginning of a message that is not whole. Never longer than `limit_bytes`.
    rest: Vec<u8>,
    /// Bytes still to be thrown away.
    skip: u64,
    limit_bytes: usize,
    out: Outbox,
}

impl Pump {
    /// A pump that keeps at most `limit_bytes` of a message that is not whole.
    pub fn new(limit_bytes: usize) -> Self {
        Self { rest: Vec::new(), skip: 0, limit_bytes, out: Outbox::default() }
    }

    /// Whether a message has begun and is not whole.
    pub fn is_inside_message(&self) -> bool {
        !self.rest.is_empty() || self.skip > 0
    }

    /// What waits to be written.
    pub fn out(&mut self) -> &mut Outbox {
        &mut self.out
    }

    /// Takes bytes that came.
    ///
    /// # Errors
    /// [`PumpEnd::TooLarge`] or the traffic's own.
    pub fn received<T: Traffic>(&mut self, bytes: &[u8], traffic: &mut T) -> Result<(), PumpEnd<T::Error>> {
        if self.rest.is_empty() {
            let used = self.feed(bytes, traffic)?;
            return self.keep(&bytes[used..]);
        }
        self.rest.extend_from_slice(bytes);
        let rest = std::mem::take(&mut self.rest);
        let used = self.feed(&rest, traffic)?;
        if used == 0 {
            self.rest = rest;
            return self.check(self.rest.len());
        }
        self.keep(&rest[used..])
    }

    /// Asks for output while there is room for it.
    ///
    /// # Errors
    /// The traffic's own.
    pub fn pull<T: Traffic>(&mut self, traffic: &mut T) -> Result<(), PumpEnd<T::Error>> {
        if self.out.is_full() { Ok(()) } else { traffic.outbound(&mut self.out).map_err(PumpEnd::Traffic) }
    }

    /// Hands whole messages up; returns how many bytes are dealt with.
    fn feed<T: Traffic>(&mut self, bytes: &[u8], traffic: &mut T) -> Result<usize, PumpEnd<T::Error>> {
        let mut used = self.throw_away(bytes.len());
        while used < bytes.len() {
            match traffic.inbound(&bytes[used..]).map_err(PumpEnd::Traffic)? {
                Inbound::Used(0) => break,
                Inbound::Used(count) => used += count.min(bytes.len() - used),
                Inbound::Need(more) => {
                    self.check((bytes.len() - used).saturating_add(more))?;
                    break;
                }
                Inbound::Skip(count) => {
                    self.skip = count;
                    used += self.throw_away(bytes.len() - used);
                }
            }
        }
        Ok(used)
    }

    /// Throws away what is to be skipped, of `present` bytes.
    fn throw_away(&mut self, present: usize) -> usize {
        let now = usize::try_from(self.skip).unwrap_or(usize::MAX).min(present);
        self.skip -= now as u64;
        now
    }

    fn keep<E>(&mut self, rest: &[u8]) -> Result<(), PumpEnd<E>> {
        self.check(rest.len())?;
        self.rest = rest.to_vec();
        Ok(())
    }

    fn check<E>(&self, bytes: usize) -> Result<(), PumpEnd<E>> {
        let limit_bytes = self.limit_bytes;
        if bytes <= limit_bytes { Ok(()) } else { Err(PumpEnd::TooLarge { bytes, limit_bytes }) }
    }
}
