//! Frames over a byte stream, with confirmations.
//!
//! Each frame goes as `length ‖ type ‖ fields`. The stream keeps order and loses nothing while it lives, so a confirmation
//! is one number: how many frames the peer's session has taken in since the link began. Probes, their answers and
//! confirmations themselves do not count. A link holds no bytes, only the references of what is not yet confirmed.

mod probe;
#[cfg(test)]
mod tests;

use crate::limits::{MAX_FRAME_BYTES, PROBE_PERIOD};
pub use crate::link::{FrameRef, Frames, LinkId, Violation};
use crate::time::{Duration, Instant};
use crate::wire::close::{Close, CloseCode};
use crate::wire::cursor::{DecodeError, Reader};
use crate::wire::frame::{FRAME_ROOM_BYTES, Frame, FrameError, close_frame, open_frame};
use probe::Probe;
use std::collections::VecDeque;

/// A confirmation goes at the latest after this many bytes of frames were taken in: a sender's ring is let go early.
const CONFIRM_AFTER_BYTES: u64 = 64 * 1024;

/// A confirmation goes at the latest after this time: `send_confirmed` waits no longer than that and the way.
const CONFIRM_AFTER: Duration = Duration::from_millis(10);

/// The least room offered to a session: a head and the largest message that is never cut into chunks.
const LEAST_ROOM_BYTES: usize = 2 * 1024;

/// How a link behaves.
#[derive(Clone, Copy, Debug)]
pub struct LinkConfig {
    /// A probe goes this often; the link is dead after two such periods without a frame.
    pub probe_period: Duration,
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self { probe_period: PROBE_PERIOD }
    }
}

/// Why a link ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// A frame announced more than any may have.
    #[error("a frame announced {announced} bytes")]
    FrameTooLarge {
        /// Its length.
        announced: u64,
    },
    /// A frame could not be read.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A rule was broken.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// Two probe periods passed without a frame.
    #[error("no word from the peer for two probe periods")]
    Silent,
}

impl LinkError {
    /// What it is called, on the wire and in counters.
    pub const fn code(&self) -> CloseCode {
        match self {
            Self::FrameTooLarge { .. } => CloseCode::FrameTooLarge,
            Self::Frame(FrameError::Malformed(_)) => CloseCode::BadFrame,
            Self::Frame(FrameError::Unknown { .. }) => CloseCode::UnknownFrame,
            Self::Violation(violation) => violation.code,
            Self::Silent => CloseCode::ProbeTimeout,
        }
    }

    /// What to say to the peer, if it still listens.
    pub fn close(&self) -> Close {
        Close::new(self.code()).with_text(self.to_string())
    }

    /// Whether only this link is at fault: the session lives on over others. Otherwise the peer broke a rule and the
    /// session is over.
    pub const fn is_of_the_link_only(&self) -> bool {
        matches!(self, Self::Silent)
    }
}

/// One byte stream that carries a session's frames.
#[derive(Debug)]
pub struct StreamLink {
    id: LinkId,
    /// What the peer has not confirmed, oldest first.
    unconfirmed: VecDeque<FrameRef>,
    /// How many frames the peer has confirmed.
    confirmed: u64,
    intake: Intake,
    probe: Probe,
}

/// What was taken in, and what of it the peer knows.
#[derive(Debug, Default)]
struct Intake {
    frames: u64,
    told: u64,
    bytes_untold: u64,
    /// When the peer must be told at the latest.
    deadline: Option<Instant>,
    /// That time has come, and nothing could be written yet.
    due: bool,
}

impl StreamLink {
    /// A link that begins now.
    pub fn new(id: LinkId, config: LinkConfig, now: Instant) -> Self {
        Self {
            id,
            unconfirmed: VecDeque::new(),
            confirmed: 0,
            intake: Intake::default(),
            probe: Probe::new(config.probe_period, now),
        }
    }

    /// Which link of the session it is.
    pub const fn id(&self) -> LinkId {
        self.id
    }

    /// The last measured round trip; `None` before the first.
    pub const fn rtt(&self) -> Option<Duration> {
        self.probe.rtt()
    }

    /// How many frames wait for their confirmation.
    pub fn in_flight(&self) -> usize {
        self.unconfirmed.len()
    }

    /// Takes whole frames from the front of `input` and says how many bytes they were; the caller keeps the rest, which is
    /// never more than [`MAX_FRAME_BYTES`] and a length.
    ///
    /// # Errors
    /// [`LinkError`]: the link is over.
    pub fn handle_input(&mut self, now: Instant, input: &[u8], session: &mut impl Frames) -> Result<usize, LinkError> {
        let mut used = 0;
        while let Some((frame, size)) = split_frame(&input[used..])? {
            used += size;
            self.probe.heard(now);
            self.handle_frame(now, Frame::decode(frame)?, size, session)?;
        }
        Ok(used)
    }

    fn handle_frame(
        &mut self,
        now: Instant,
        frame: Frame<'_>,
        size: usize,
        session: &mut impl Frames,
    ) -> Result<(), LinkError> {
        match frame {
            Frame::Ping { nonce } => self.probe.owe_answer(nonce),
            Frame::Pong { nonce } => self.probe.answered(nonce, now),
            Frame::Confirm { count } => return self.handle_confirm(now, count, session),
            Frame::Reserved { .. } => self.intake.took(now, size),
            frame => {
                session.received(now, self.id, frame)?;
                self.intake.took(now, size);
            }
        }
        Ok(())
    }

    fn handle_confirm(&mut self, now: Instant, count: u64, session: &mut impl Frames) -> Result<(), LinkError> {
        let sent = self.confirmed + self.unconfirmed.len() as u64;
        if count > sent || count < self.confirmed {
            return Err(
                Violation::new(CloseCode::Protocol, "frames confirmed that were never sent, or unconfirmed").into()
            );
        }
        for frame in self.unconfirmed.drain(..(count - self.confirmed) as usize) {
            session.confirmed(now, self.id, frame);
        }
        self.confirmed = count;
        if self.unconfirmed.is_empty() {
            self.unconfirmed.shrink_to(1024);
        }
        Ok(())
    }

    /// Appends frames to `out` until about `room` bytes are there; says whether more waits.
    pub fn poll_output(&mut self, now: Instant, room: usize, out: &mut Vec<u8>, session: &mut impl Frames) -> bool {
        let full = out.len() + room;
        self.probe.write(now, |probe| put_frame(out, probe));
        if self.intake.must_tell(now) {
            put_frame(out, &self.intake.tell());
        }
        while out.len() < full {
            if !self.fill_one(now, full - out.len(), out, session) {
                return false;
            }
            // Something goes anyway, so the peer is told on the way.
            if self.intake.untold() > 0 {
                put_frame(out, &self.intake.tell());
            }
        }
        true
    }

    fn fill_one(&mut self, now: Instant, room: usize, out: &mut Vec<u8>, session: &mut impl Frames) -> bool {
        let at = open_frame(out);
        let room = room.clamp(LEAST_ROOM_BYTES, FRAME_ROOM_BYTES);
        let Some(frame) = session.fill(now, self.id, room, out) else {
            out.truncate(at);
            return false;
        };
        close_frame(out, at);
        self.unconfirmed.push_back(frame);
        true
    }

    /// When [`StreamLink::handle_timeout`] or [`StreamLink::poll_output`] has something to do by itself. After
    /// `handle_timeout` it lies ahead, even if nothing can be written: a full byte stream must not hide a dead peer.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let probe = self.probe.poll_timeout();
        Some(self.intake.deadline.map_or(probe, |confirm| confirm.min(probe)))
    }

    /// Time has passed; drain the output afterwards. First read all that the byte stream has and give it to
    /// [`StreamLink::handle_input`]: after a pause of this process (a machine that slept, a long wait for the processor)
    /// the peer's word may lie there unread, and this link would be called dead for our own silence.
    ///
    /// # Errors
    /// [`LinkError::Silent`].
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), LinkError> {
        self.intake.due |= self.intake.deadline.take_if(|deadline| *deadline <= now).is_some();
        self.probe.handle_timeout(now)
    }

    /// The link is over: every reference that was not confirmed goes back as lost.
    pub fn shut(self, now: Instant, session: &mut impl Frames) {
        for frame in self.unconfirmed {
            session.lost(now, self.id, frame);
        }
    }
}

impl Intake {
    fn took(&mut self, now: Instant, size: usize) {
        self.frames += 1;
        self.bytes_untold += size as u64;
        if !self.due {
            self.deadline.get_or_insert(now + CONFIRM_AFTER);
        }
    }

    const fn untold(&self) -> u64 {
        self.frames - self.told
    }

    fn must_tell(&self, now: Instant) -> bool {
        self.untold() > 0
            && (self.due
                || self.bytes_untold >= CONFIRM_AFTER_BYTES
                || self.deadline.is_some_and(|deadline| deadline <= now))
    }

    fn tell(&mut self) -> Frame<'static> {
        self.told = self.frames;
        self.bytes_untold = 0;
        self.deadline = None;
        self.due = false;
        Frame::Confirm { count: self.frames }
    }
}

/// The first frame of `input` and how many bytes it takes with its length; `None` while it is not all there.
///
/// # Errors
/// [`LinkError::FrameTooLarge`], known as soon as the length is.
pub fn split_frame(input: &[u8]) -> Result<Option<(&[u8], usize)>, LinkError> {
    let mut reader = Reader::new(input);
    let length = match reader.varint("length of a frame") {
        Ok(length) => length,
        Err(DecodeError::Truncated { .. }) => return Ok(None),
        Err(other) => return Err(FrameError::from(other).into()),
    };
    if length > MAX_FRAME_BYTES as u64 {
        return Err(LinkError::FrameTooLarge { announced: length });
    }
    let frame = reader.take(length as usize, "frame").ok();
    Ok(frame.map(|frame| (frame, reader.position())))
}

/// Appends a frame with its length before it.
pub fn put_frame(out: &mut Vec<u8>, frame: &Frame<'_>) {
    let at = open_frame(out);
    frame.encode(out);
    close_frame(out, at);
}
