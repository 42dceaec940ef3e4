//! Connection ids: those under which we are reached, and those under which we reach the peer (RFC 9000 §5.1).
//!
//! Either side gives the other a few ids, each with a sequence number that counts from 0, the id of the handshake. Who
//! uses one says when it will use it no more, and gets another in its place.
//!
//! | ours | then |
//! |---|---|
//! | fewer active than the peer takes | one more is issued, and announced |
//! | the peer retires one | it is forgotten; another may be issued |
//! | the peer retires one again | nothing |
//! | the peer retires one never issued, or the one it writes to | violation |
//!
//! | the peer's | then |
//! |---|---|
//! | announced: new | it is a spare |
//! | announced: known, and the same | nothing, but for what is to be retired |
//! | announced: known, and not the same; more than we take; under an id known by another number | violation |
//! | all below a number are to be retired | they are; the next spare takes the place of the one in use |
//! | the path changes | the one in use is retired, the next spare takes its place; without a spare it stays |
//!
//! Announcements and retirements go by words that are said until they are heard, in any order and more than once.

#[cfg(test)]
mod tests;

use super::connection_id::ConnectionId;
use crate::link::Violation;
use crate::wire::close::CloseCode;

/// How many ids each side gives the other at most: one in use, one for the next address, one on its way each way. What we
/// say in `active_connection_id_limit`.
pub const ACTIVE_IDS_MAX: u64 = 4;

/// How many of the peer's ids may be issued past the oldest that is not retired: sixteen changes of all of them while an
/// announcement is lost again and again.
const SEQUENCES_AHEAD_MAX: u64 = 16 * ACTIVE_IDS_MAX;

/// The least datagram that may be a reset (RFC 9000 §10.3): shorter ones could not pass for a packet.
const RESET_BYTES_MIN: usize = 21;

/// What proves that the peer forgot the link (RFC 9000 §10.3).
pub type ResetToken = [u8; 16];

/// The ids under which we are reached. See the module's page.
#[derive(Debug)]
pub struct LocalIds {
    active: Vec<(u64, ConnectionId)>,
    next_sequence: u64,
    limit: u64,
}

impl LocalIds {
    /// With the id of the handshake alone; no more are issued before the peer's limit is known.
    pub fn new(first: ConnectionId) -> Self {
        Self { active: vec![(0, first)], next_sequence: 1, limit: 1 }
    }

    // ask

    /// Whether the peer would take one more.
    pub const fn is_wanting(&self) -> bool {
        (self.active.len() as u64) < self.limit
    }

    /// All that are active.
    pub fn active(&self) -> impl Iterator<Item = ConnectionId> + '_ {
        self.active.iter().map(|(_, id)| *id)
    }

    // commands

    /// The peer takes so many at once (its `active_connection_id_limit`).
    pub fn set_limit(&mut self, limit: u64) {
        self.limit = limit.min(ACTIVE_IDS_MAX);
    }

    /// A new id is active; gives the sequence number to announce it under.
    pub fn issue(&mut self, id: ConnectionId) -> u64 {
        let sequence = self.next_sequence;
        self.active.push((sequence, id));
        self.next_sequence += 1;
        sequence
    }

    // network

    /// The peer uses an id no more, as it says in a packet to `written_to`; gives the id unless it was retired before.
    ///
    /// # Errors
    /// [`Violation`]: that id was never issued, or is used in saying so.
    pub fn retired(&mut self, sequence: u64, written_to: &ConnectionId) -> Result<Option<ConnectionId>, Violation> {
        if sequence >= self.next_sequence {
            return Err(Violation::new(CloseCode::Protocol, "a connection id retired that was never issued"));
        }
        let Some(at) = self.active.iter().position(|(active, _)| *active == sequence) else {
            return Ok(None);
        };
        if self.active[at].1 == *written_to {
            return Err(Violation::new(CloseCode::Protocol, "a connection id retired in a packet that uses it"));
        }
        Ok(Some(self.active.remove(at).1))
    }
}

/// An id of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Remote {
    sequence: u64,
    id: ConnectionId,
    reset_token: Option<ResetToken>,
}

/// The ids under which we reach the peer. See the module's page.
#[derive(Debug)]
pub struct RemoteIds {
    in_use: Remote,
    /// Fewer than [`ACTIVE_IDS_MAX`].
    spares: Vec<Remote>,
    /// The least sequence number that is not retired, those retired above it, and the least that was never issued.
    floor: u64,
    retired_above: Vec<u64>,
    next_sequence: u64,
    /// What the peer is still to be told.
    to_retire: Vec<u64>,
}

impl RemoteIds {
    /// With the id of the handshake alone.
    pub const fn new(first: ConnectionId) -> Self {
        Self {
            in_use: Remote { sequence: 0, id: first, reset_token: None },
            spares: Vec::new(),
            floor: 0,
            retired_above: Vec::new(),
            next_sequence: 1,
            to_retire: Vec::new(),
        }
    }

    // ask

    /// The one to write to.
    pub const fn in_use(&self) -> ConnectionId {
        self.in_use.id
    }

    /// Whether a datagram that could not be opened ends with the reset token of the id in use. It takes the same time
    /// wherever the two differ.
    pub fn is_reset(&self, datagram: &[u8]) -> bool {
        let Some((_, tail)) = datagram.split_last_chunk::<16>().filter(|_| datagram.len() >= RESET_BYTES_MIN) else {
            return false;
        };
        self.in_use.reset_token.is_some_and(|token| is_same(&token, tail))
    }

    // commands

    /// The server chose its own id in place of the one that we made up for it.
    pub const fn choose_first(&mut self, id: ConnectionId) {
        self.in_use.id = id;
    }

    /// The reset token of the first id (the server's `stateless_reset_token`).
    pub fn set_first_token(&mut self, token: ResetToken) {
        if self.in_use.sequence == 0 {
            self.in_use.reset_token = Some(token);
        }
    }

    /// The path changes: from now on a fresh id, so that nobody who sees both paths can tell that they are one link.
    /// Whether there was a fresh one.
    pub fn switch(&mut self) -> bool {
        let Some(at) = self.least_spare() else {
            return false;
        };
        let old = core::mem::replace(&mut self.in_use, self.spares.swap_remove(at));
        self.retire(old.sequence);
        true
    }

    // network

    /// The peer announced an id; `retire_below` is the least sequence number that it still serves.
    ///
    /// # Errors
    /// [`Violation`]: it contradicts an earlier one, or there are too many.
    pub fn announced(
        &mut self,
        sequence: u64,
        retire_below: u64,
        id: ConnectionId,
        reset_token: ResetToken,
    ) -> Result<(), Violation> {
        let fault = |what| Err(Violation::new(CloseCode::Protocol, what));
        if self.in_use.id.is_empty() {
            return fault("a connection id announced by who uses none");
        }
        if retire_below > sequence || sequence.saturating_sub(self.floor) >= SEQUENCES_AHEAD_MAX {
            return fault("connection ids announced out of order");
        }
        let remote = Remote { sequence, id, reset_token: Some(reset_token) };
        let mut known = self.spares.iter().chain(core::iter::once(&self.in_use));
        let namesake = known.find(|known| known.sequence == sequence || known.id == id).copied();
        if namesake.is_some_and(|namesake| namesake != remote) {
            return fault("a connection id announced twice, and not the same");
        }
        if namesake.is_none() && !self.is_retired(sequence) {
            self.spares.push(remote);
        }
        self.next_sequence = self.next_sequence.max(sequence + 1);
        if !self.retire_all_below(retire_below) {
            return fault("every connection id retired");
        }
        let active = self.next_sequence - self.floor - self.retired_above.len() as u64;
        if active > ACTIVE_IDS_MAX {
            return fault("more connection ids announced than are taken");
        }
        Ok(())
    }

    // output

    /// The sequence number of an id that the peer is to be told of: we use it no more.
    pub fn poll_retired(&mut self) -> Option<u64> {
        self.to_retire.pop()
    }

    // inside

    fn least_spare(&self) -> Option<usize> {
        (0..self.spares.len()).min_by_key(|&at| self.spares[at].sequence)
    }

    fn is_retired(&self, sequence: u64) -> bool {
        sequence < self.floor || self.retired_above.contains(&sequence)
    }

    /// Those that never came are retired too: they need not come any more. False if none would be left.
    fn retire_all_below(&mut self, below: u64) -> bool {
        self.spares.retain(|spare| spare.sequence >= below);
        if self.in_use.sequence < below && !self.switch() {
            return false;
        }
        for sequence in self.floor..below {
            self.retire(sequence);
        }
        true
    }

    fn retire(&mut self, sequence: u64) {
        if self.is_retired(sequence) {
            return;
        }
        self.to_retire.push(sequence);
        self.retired_above.push(sequence);
        while let Some(at) = self.retired_above.iter().position(|retired| *retired == self.floor) {
            self.retired_above.swap_remove(at);
            self.floor += 1;
        }
    }
}

/// Compares without telling by its time where two tokens differ.
fn is_same(one: &ResetToken, other: &ResetToken) -> bool {
    let differing =
        one.iter().zip(other).fold(0, |differing, (one, other)| core::hint::black_box(differing | (one ^ other)));
    differing == 0
}
