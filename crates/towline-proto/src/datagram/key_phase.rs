//! Key updates (RFC 9001 §6): which keys seal and open packets now, which opened them before, and which come next.
//!
//! The keys of a phase serve until one side begins the next; the other follows as soon as a packet of it opens. A bit in
//! each header tells odd phases from even ones, so only neighbours must be told apart, by number.
//!
//! | state | begins | we may update | a packet of the other bit is opened with |
//! |---|---|---|---|
//! | first | with the handshake's keys | when confirmed, and a packet each way was taken in this phase | the next keys |
//! | asked | by our update | no | the previous keys |
//! | turning | when the first packet of the peer opens with the new keys | no | the previous keys below that number, the next from it on |
//! | settled | three probe timeouts later, when the previous keys are gone | when a packet each way was taken in this phase | the next keys |
//!
//! | a packet | then |
//! |---|---|
//! | opens with the present keys | *asked* becomes *turning* |
//! | opens with the previous keys | it came late; nothing changes |
//! | opens with the next keys | the peer updates: the state is *turning*; a violation if it cannot have heard from us in the present phase, or numbered the packet below one of the present phase |
//! | does not open | it is counted; past the limit the link is over |
//!
//! Every packet costs one attempt with one key, made long before: what fails takes as long under any of them.

#[cfg(test)]
mod tests;

use super::crypto::{Handshake, PacketKey, PacketKeys};
use crate::time::{Duration, Instant};
use crate::wire::close::CloseCode;

/// Keys are renewed after this part of what they may seal: the rest is for a path on which the update takes long.
const RENEWED_PART: u64 = 2;

/// Why the link is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// The peer updated again before it can have heard that its last update was seen, or went back to older keys.
    #[error("keys were updated against the rules")]
    BadUpdate,
    /// The present keys sealed all that they may, and the peer did not let us update.
    #[error("the keys are used up, and the peer follows no update")]
    Spent,
    /// More packets failed to open than is safe: somebody tries to forge them.
    #[error("too many packets could not be opened")]
    Forged,
}

impl KeyFault {
    /// What the peer is told.
    pub const fn code(self) -> CloseCode {
        match self {
            Self::BadUpdate | Self::Spent => CloseCode::Protocol,
            Self::Forged => CloseCode::LinkLost,
        }
    }
}

/// A packet with a short header that is to be opened.
#[derive(Debug)]
pub struct SealedPacket<'a> {
    /// Its phase bit.
    pub phase: bool,
    /// Its whole number.
    pub number: u64,
    /// Its header, protection removed.
    pub header: &'a [u8],
    /// The rest, opened in place.
    pub content: &'a mut [u8],
}

/// See the module's page.
#[derive(Debug)]
pub struct KeyPhase {
    phase: bool,
    present: PacketKeys,
    /// `None` only if the handshake knows of no more.
    next: Option<PacketKeys>,
    previous: Option<Previous>,
    is_confirmed: bool,
    /// Packets sealed with the present keys, and the number of the first.
    sealed: u64,
    first_sealed: Option<u64>,
    /// The least number opened with the present keys.
    least_opened: Option<u64>,
    /// Something was sealed after that, so that the peer may have heard of it.
    answered: bool,
    /// The peer has a packet that was sealed with the present keys.
    acknowledged: bool,
    renew_after: u64,
    failed: u64,
    updates: u64,
}

/// What opens packets that left before the last update.
struct Previous {
    key: Box<dyn PacketKey>,
    /// `None` until the peer has followed.
    until: Option<Instant>,
}

/// With which keys a packet is tried.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Era {
    Previous,
    Present,
    Next,
}

impl KeyPhase {
    /// Begins with the first keys of the session; `handshake` gives what follows them. They are renewed after half of what
    /// they may seal, or after `renew_after` packets if that is less.
    pub fn new(first: PacketKeys, renew_after: u64, handshake: &mut dyn Handshake) -> Self {
        let renew_after = renew_after.min(first.local.sealed_max() / RENEWED_PART);
        Self {
            phase: false,
            present: first,
            next: handshake.next_keys(),
            previous: None,
            is_confirmed: false,
            sealed: 0,
            first_sealed: None,
            least_opened: None,
            answered: false,
            acknowledged: false,
            renew_after,
            failed: 0,
            updates: 0,
        }
    }

    // ask

    /// The phase bit of packets sealed now.
    pub const fn phase(&self) -> bool {
        self.phase
    }

    /// Whether [`KeyPhase::update`] would begin a phase.
    pub fn may_update(&self, now: Instant) -> bool {
        let settled = self.previous.as_ref().is_none_or(|previous| previous.is_over(now));
        self.is_confirmed && settled && self.acknowledged && self.least_opened.is_some() && self.next.is_some()
    }

    /// How many times keys were updated, by either side.
    pub const fn updates(&self) -> u64 {
        self.updates
    }

    /// How many packets could not be opened.
    pub const fn failed(&self) -> u64 {
        self.failed
    }

    // commands

    /// The handshake is confirmed (RFC 9001 §4.1.2).
    pub const fn confirm_handshake(&mut self) {
        self.is_confirmed = true;
    }

    /// The peer has our packet of that number, which it said in a packet that was opened.
    pub fn acknowledged(&mut self, number: u64) {
        self.acknowledged |= self.first_sealed.is_some_and(|first| number >= first);
    }

    /// Begins the next phase if that is allowed now; whether it was.
    pub fn update(&mut self, now: Instant, handshake: &mut dyn Handshake) -> bool {
        self.may_update(now) && self.turn(None, handshake)
    }

    /// Begins the next phase if the present keys have served long enough; ask before each packet's header is written.
    /// Whether it did.
    pub fn renew(&mut self, now: Instant, handshake: &mut dyn Handshake) -> bool {
        self.sealed >= self.renew_after && self.update(now, handshake)
    }

    // network

    /// Opens a packet in place and gives how many bytes its content has; `None` if it is not the peer's. Previous keys are
    /// kept for `kept`, three probe timeouts.
    ///
    /// # Errors
    /// [`KeyFault`]: the link is over.
    pub fn open(
        &mut self,
        now: Instant,
        packet: SealedPacket<'_>,
        kept: Duration,
        handshake: &mut dyn Handshake,
    ) -> Result<Option<usize>, KeyFault> {
        let SealedPacket { phase, number, header, content } = packet;
        self.previous.take_if(|previous| previous.is_over(now));
        let era = self.era_of(phase, number);
        let Some(bytes) = self.key_of(era).and_then(|key| key.open(number, header, content)) else {
            self.failed += 1;
            let too_many = self.failed > self.present.remote.failed_max();
            return if too_many { Err(KeyFault::Forged) } else { Ok(None) };
        };
        if era == Era::Next {
            if !self.answered || self.least_opened.is_some_and(|least| number < least) {
                return Err(KeyFault::BadUpdate);
            }
            self.turn(Some(now + kept), handshake);
        }
        if era != Era::Previous {
            self.note_opened(now + kept, number);
        }
        Ok(Some(bytes))
    }

    // output

    /// Seals a packet in place, under a header that carries [`KeyPhase::phase`].
    ///
    /// # Errors
    /// [`KeyFault::Spent`]: the link is over, and nothing was sealed.
    pub fn seal(&mut self, number: u64, header: &[u8], content: &mut [u8]) -> Result<(), KeyFault> {
        if self.sealed >= self.present.local.sealed_max() {
            return Err(KeyFault::Spent);
        }
        self.sealed += 1;
        self.first_sealed.get_or_insert(number);
        self.answered |= self.least_opened.is_some();
        self.present.local.seal(number, header, content);
        Ok(())
    }

    // inside

    fn era_of(&self, phase: bool, number: u64) -> Era {
        if phase == self.phase {
            return Era::Present;
        }
        let came_before = self.least_opened.is_none_or(|least| number < least);
        if self.previous.is_some() && came_before { Era::Previous } else { Era::Next }
    }

    fn key_of(&self, era: Era) -> Option<&dyn PacketKey> {
        match era {
            Era::Previous => self.previous.as_ref().map(|previous| &*previous.key),
            Era::Present => Some(&*self.present.remote),
            Era::Next => self.next.as_ref().map(|next| &*next.remote),
        }
    }

    /// The next keys become the present ones; whether there were any.
    fn turn(&mut self, until: Option<Instant>, handshake: &mut dyn Handshake) -> bool {
        let Some(next) = core::mem::replace(&mut self.next, handshake.next_keys()) else {
            return false;
        };
        let old = core::mem::replace(&mut self.present, next);
        self.previous = Some(Previous { key: old.remote, until });
        self.phase = !self.phase;
        self.sealed = 0;
        self.first_sealed = None;
        self.least_opened = None;
        self.answered = false;
        self.acknowledged = false;
        self.updates += 1;
        true
    }

    fn note_opened(&mut self, previous_until: Instant, number: u64) {
        if let Some(previous) = &mut self.previous {
            previous.until.get_or_insert(previous_until);
        }
        self.least_opened = Some(self.least_opened.map_or(number, |least| least.min(number)));
    }
}

impl Previous {
    fn is_over(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

impl core::fmt::Debug for Previous {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Previous").field("until", &self.until).finish_non_exhaustive()
    }
}
