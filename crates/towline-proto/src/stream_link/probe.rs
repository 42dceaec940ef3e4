//! Probes: is the peer alive, and how far away is it.

use super::LinkError;
use crate::limits::PROBE_PERIODS;
use crate::time::{Duration, Instant};
use crate::wire::frame::Frame;

/// A timer later than this part of a period was no accident of scheduling.
const LATE_PARTS: u32 = 4;

/// The probing of one link. A probe goes at the start (for the first round-trip time) and once a period.
#[derive(Debug)]
pub(super) struct Probe {
    period: Duration,
    /// When the link is dead, if no word comes until then.
    dead_at: Instant,
    next_probe: Instant,
    /// A probe waits to be written.
    due: bool,
    nonce: u64,
    /// The probe on its way, and when it went.
    asked: Option<(u64, Instant)>,
    /// The peer's probe that waits for an answer; a newer one takes its place, so a flood of probes costs one answer.
    owed: Option<u64>,
    rtt: Option<Duration>,
}

impl Probe {
    pub(super) fn new(period: Duration, now: Instant) -> Self {
        let dead_at = now + period * PROBE_PERIODS;
        Self { period, dead_at, next_probe: now, due: false, nonce: 0, asked: None, owed: None, rtt: None }
    }

    pub(super) const fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    pub(super) fn heard(&mut self, now: Instant) {
        self.dead_at = now + self.period * PROBE_PERIODS;
    }

    pub(super) const fn owe_answer(&mut self, nonce: u64) {
        self.owed = Some(nonce);
    }

    pub(super) fn answered(&mut self, nonce: u64, now: Instant) {
        if let Some((_, at)) = self.asked.take_if(|(asked, _)| *asked == nonce) {
            self.rtt = Some(now.since(at));
        }
    }

    /// Writes what is due: an answer, a probe.
    pub(super) fn write(&mut self, now: Instant, mut put: impl FnMut(&Frame<'_>)) {
        if let Some(nonce) = self.owed.take() {
            put(&Frame::Pong { nonce });
        }
        if self.due || now >= self.next_probe {
            self.due = false;
            self.nonce += 1;
            self.asked = Some((self.nonce, now));
            self.next_probe = now + self.period;
            put(&Frame::Ping { nonce: self.nonce });
        }
    }

    pub(super) fn poll_timeout(&self) -> Instant {
        self.next_probe.min(self.dead_at)
    }

    /// Moves on even if nothing can be written now: what is due must not hide when the link is dead.
    ///
    /// A timer that comes late was kept waiting by this side itself: the process was stopped, the machine slept. What the
    /// peer said meanwhile may still be on its way, so that time is not counted as its silence, and it is asked once more.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Result<(), LinkError> {
        let own_pause = now.since(self.poll_timeout());
        if own_pause > self.period / LATE_PARTS {
            self.dead_at = (self.dead_at + own_pause).max(now + self.period);
        }
        if now >= self.next_probe {
            self.due = true;
            self.next_probe = now + self.period;
        }
        if now >= self.dead_at { Err(LinkError::Silent) } else { Ok(()) }
    }
}
