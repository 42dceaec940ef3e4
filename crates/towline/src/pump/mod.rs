//! The loop under every link and connection, as a plain value: bytes in, messages up; messages down, bytes out.
//!
//! ```text
//!   Wire     the byte stream and the order of reading and writing    (does I/O)
//!   Pump     partial input, skipping, limits, the outbox             (no I/O: is handed bytes, hands out slices)
//!   Traffic  what the bytes mean: a codec and a reactor, or a session's link
//! ```
//! A byte's life inward: (1) read into a space of its thread, (2) looked at there by [`Traffic::inbound`], (3) copied into
//! the pump only if its message is not whole, or if the traffic wants no more for now. The rest of a large message is read
//! to its place in the pump at once. Outward: (1) [`Traffic::outbound`] appends to the [`Outbox`] as long as there is room,
//! (2) the driver writes the outbox's slices with one system call, (3) what is written is dropped, its room used again.
//!
//! The [`Pump`] itself touches no stream: a driver that owns its buffers and learns of completions hands it filled ones
//! and writes the slices it hands out (`tests/connection/own_driver.rs` does just that).

mod outbox;
mod space;
#[cfg(test)]
mod tests;
mod wire;

use std::io;

pub use outbox::{IOV_MAX, Outbox};
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

    /// Looks at what came and was not used yet; it is never empty. Answers go to `out` at once.
    ///
    /// # Errors
    /// The bytes are invalid, or a message said that this is the end.
    fn inbound(&mut self, input: &[u8], out: &mut Outbox) -> Result<Inbound, Self::Error>;

    /// Appends what waits to be sent, until [`Outbox::is_full`].
    ///
    /// # Errors
    /// Something to be sent cannot be.
    fn outbound(&mut self, out: &mut Outbox) -> Result<(), Self::Error>;

    /// Whether it takes more input now. A session's links always do, since nothing comes that was not granted.
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

/// The most memory taken in one step for a message that was announced and is not there, in bytes: who announces much must
/// send it before we hold it.
const GROWTH_MAX_BYTES: usize = 64 * 1024;

/// A message that was cut is looked at again when at least that much more of it is here, or all of what came, in bytes.
const COMPLETE_FROM_BYTES: usize = 1024;

/// What an idle pump keeps for the next beginning of a message, in bytes.
const KEPT_WHEN_IDLE_BYTES: usize = 512;

/// Partial input and waiting output of one byte stream.
#[derive(Debug)]
pub struct Pump {
    /// Input that is not dealt with: the beginning of a message that is not whole, at most `limit_bytes`; or what came
    /// in one piece with messages after which the traffic wanted no more.
    rest: Vec<u8>,
    /// How long `rest` must be before it is worth a look.
    awaited: usize,
    /// Bytes still to be thrown away.
    skip: u64,
    limit_bytes: usize,
    out: Outbox,
}

impl Pump {
    /// A pump that keeps at most `limit_bytes` of a message that is not whole.
    pub fn new(limit_bytes: usize) -> Self {
        Self { rest: Vec::new(), awaited: 0, skip: 0, limit_bytes, out: Outbox::default() }
    }

    // ask

    /// Whether a message has begun and is not whole.
    pub fn is_inside_message(&self) -> bool {
        !self.rest.is_empty() || self.skip > 0
    }

    /// Whether input is here that was held back because the traffic wanted no more: [`Pump::resume`] before reading on.
    pub fn holds_back(&self) -> bool {
        !self.rest.is_empty() && self.rest.len() >= self.awaited
    }

    /// How many bytes of the message that has begun are known to be missing.
    fn missing(&self) -> usize {
        if self.rest.is_empty() { 0 } else { self.awaited.saturating_sub(self.rest.len()) }
    }

    /// Bytes of memory held beyond what an idle pump keeps.
    pub(crate) fn spare_bytes(&self) -> usize {
        self.rest.capacity().saturating_sub(KEPT_WHEN_IDLE_BYTES) + self.out.spare_bytes()
    }

    // network

    /// What waits to be written.
    pub fn out(&mut self) -> &mut Outbox {
        &mut self.out
    }

    /// Takes bytes that came.
    ///
    /// # Errors
    /// [`PumpEnd::TooLarge`] or the traffic's own.
    pub fn received<T: Traffic>(&mut self, bytes: &[u8], traffic: &mut T) -> Result<(), PumpEnd<T::Error>> {
        let mut used = self.complete(bytes, traffic)?;
        if self.rest.is_empty() && bytes.len() - used >= self.awaited {
            used += self.feed(&bytes[used..], traffic)?;
        }
        self.rest.extend_from_slice(&bytes[used..]);
        Ok(())
    }

    /// Completes what is kept with the front of `bytes`, so that all behind it is looked at where it lies; returns how
    /// many of them that took.
    fn complete<T: Traffic>(&mut self, bytes: &[u8], traffic: &mut T) -> Result<usize, PumpEnd<T::Error>> {
        let mut taken = 0;
        while !self.rest.is_empty() && taken < bytes.len() {
            // Nobody may know yet how long the message is: twice as much each time, or it would be looked at for each byte.
            let more = self.missing().max(taken).max(COMPLETE_FROM_BYTES).min(bytes.len() - taken);
            let kept = self.rest.len();
            self.rest.extend_from_slice(&bytes[taken..taken + more]);
            let used = self.feed_rest(traffic)?;
            if used >= kept {
                self.rest.clear();
                return Ok(taken + used - kept);
            }
            self.rest.drain(..used);
            taken += more;
        }
        Ok(taken)
    }

    /// Where to read the rest of a large message to, if that saves copying it: behind what is here of it. The reader
    /// appends at most the buffer's spare capacity, then calls [`Pump::resume`].
    pub(crate) fn place_for_more(&mut self, at_least_bytes: usize) -> Option<&mut Vec<u8>> {
        let missing = self.missing();
        if missing < at_least_bytes {
            return None;
        }
        if self.rest.capacity() - self.rest.len() < missing.min(GROWTH_MAX_BYTES) {
            self.rest.reserve_exact(missing.min(self.rest.len().max(GROWTH_MAX_BYTES)));
        }
        Some(&mut self.rest)
    }

    /// Looks again at what is here, after the traffic wanted no more or the rest was filled in place.
    ///
    /// # Errors
    /// As [`Pump::received`].
    pub fn resume<T: Traffic>(&mut self, traffic: &mut T) -> Result<(), PumpEnd<T::Error>> {
        let used = self.feed_rest(traffic)?;
        self.rest.drain(..used);
        Ok(())
    }

    /// Hands up what is whole in the rest; returns how many of its bytes are dealt with.
    fn feed_rest<T: Traffic>(&mut self, traffic: &mut T) -> Result<usize, PumpEnd<T::Error>> {
        if !self.holds_back() {
            return Ok(0);
        }
        let rest = std::mem::take(&mut self.rest);
        let used = self.feed(&rest, traffic);
        self.rest = rest;
        used
    }

    /// Asks for output while there is room for it.
    ///
    /// # Errors
    /// The traffic's own.
    pub fn pull<T: Traffic>(&mut self, traffic: &mut T) -> Result<(), PumpEnd<T::Error>> {
        if self.out.is_full() { Ok(()) } else { traffic.outbound(&mut self.out).map_err(PumpEnd::Traffic) }
    }

    /// Gives memory back that nothing needs now; for a stream that came to rest.
    pub(crate) fn give_back(&mut self) {
        self.rest.shrink_to(KEPT_WHEN_IDLE_BYTES);
        self.out.give_back();
    }

    /// Hands whole messages up while they are wanted; returns how many bytes are dealt with.
    fn feed<T: Traffic>(&mut self, bytes: &[u8], traffic: &mut T) -> Result<usize, PumpEnd<T::Error>> {
        self.awaited = 0;
        let mut used = self.throw_away(bytes.len());
        while used < bytes.len() && traffic.wants_input() {
            let here = &bytes[used..];
            match traffic.inbound(here, &mut self.out).map_err(PumpEnd::Traffic)? {
                Inbound::Used(count) if count > 0 => used += count.min(here.len()),
                Inbound::Used(_) => {
                    self.await_total(here.len(), 1)?;
                    break;
                }
                Inbound::Need(more) => {
                    self.await_total(here.len(), more.max(1))?;
                    break;
                }
                Inbound::Skip(count) => {
                    self.skip = count;
                    used += self.throw_away(here.len());
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

    /// Waits until `more` bytes stand behind the `here` of a message, if the limit allows.
    fn await_total<E>(&mut self, here: usize, more: usize) -> Result<(), PumpEnd<E>> {
        let bytes = here.saturating_add(more);
        let limit_bytes = self.limit_bytes;
        if bytes > limit_bytes {
            return Err(PumpEnd::TooLarge { bytes, limit_bytes });
        }
        self.awaited = bytes;
        Ok(())
    }
}
