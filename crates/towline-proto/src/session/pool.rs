//! The memory that many sessions share, and what may be taken out of it.
//!
//! A pool knows of each session what it really holds and what its peer was promised (credit that is not yet used or not
//! yet read). Promises may be several times the bound; only what is held counts for the steps towards it:
//!
//! ```text
//!  held: 0 ──────── 1/2 ──────── 3/4 ──────── 7/8 ───────── 15/16 ───────── bound ──►
//!        first grant  first grant  windows      no new        no new          the session that
//!        256 KiB      at the base  only renew   streams       sessions        holds most is cut
//!                                  to the base
//! ```
//! What a session needs above its base and does not get is met in turn, out of a reserve (the last 1/16): a session has a
//! *turn* for one message at a time. After each report, with [`Pool::victim`] cut as often as there is one,
//! `held ≤ max(bound, sessions × SESSION_BASE_BYTES + reserve)`.

#[cfg(test)]
mod tests;

use crate::limits::{
    BASE_SESSION_CREDIT_BYTES, BASE_WINDOW_BYTES, MAX_MAX_MESSAGE_BYTES, POOL_OVERCOMMIT, POOL_TURN_TIME,
    SESSION_BASE_BYTES,
};
use crate::time::Instant;
use crate::wire::hello::Params;
use std::collections::VecDeque;

/// How near a pool is to its bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// More than half is free.
    #[default]
    Free,
    /// Windows still grow.
    Used,
    /// Windows are only renewed, and only to the base.
    Near,
    /// And no new streams.
    NoStreams,
    /// And no new sessions.
    NoSessions,
    /// Above the bound: whoever holds most is cut.
    Over,
}

impl Level {
    /// The word for people and logs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Used => "used",
            Self::Near => "near",
            Self::NoStreams => "no-streams",
            Self::NoSessions => "no-sessions",
            Self::Over => "over",
        }
    }
}

/// A pool's fixed sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    bound: u64,
    /// What one turn may take: the largest message, in a ring that doubled for it.
    turn_bytes: u64,
}

/// A pool's bound is too small.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a pool of {bound} bytes is too small for messages of {max_message} bytes: it must have at least {least}")]
pub struct TooSmall {
    /// What was wanted, in bytes.
    pub bound: u64,
    /// The largest message delivered whole, in bytes.
    pub max_message: u64,
    /// The least bound for such messages, in bytes.
    pub least: u64,
}

impl Bounds {
    /// Of a pool of so many bytes for sessions whose largest message has so many.
    ///
    /// # Errors
    /// [`TooSmall`]: the reserve has no room for one message.
    pub const fn new(bound: u64, max_message: u64) -> Result<Self, TooSmall> {
        let largest = if max_message < MAX_MAX_MESSAGE_BYTES { max_message } else { MAX_MAX_MESSAGE_BYTES };
        let turn_bytes = 2 * largest.next_power_of_two();
        let least = 16 * turn_bytes;
        if bound < least { Err(TooSmall { bound, max_message, least }) } else { Ok(Self { bound, turn_bytes }) }
    }

    /// The bound itself, in bytes.
    pub const fn bound(&self) -> u64 {
        self.bound
    }

    /// What is kept for messages above the base, one turn at a time, in bytes.
    pub const fn reserve(&self) -> u64 {
        self.bound / 16
    }

    /// The largest message that is guaranteed to find its turn, in bytes.
    pub const fn max_message(&self) -> u64 {
        self.turn_bytes / 2
    }

    const fn near(&self) -> u64 {
        self.bound / 4 * 3
    }

    const fn turns(&self) -> usize {
        (self.reserve() / self.turn_bytes) as usize
    }

    /// The level at which so much is held.
    pub const fn level(&self, held: u64) -> Level {
        match held {
            _ if held > self.bound => Level::Over,
            _ if held >= self.bound / 16 * 15 => Level::NoSessions,
            _ if held >= self.bound / 8 * 7 => Level::NoStreams,
            _ if held >= self.near() => Level::Near,
            _ if held >= self.bound / 2 => Level::Used,
            _ => Level::Free,
        }
    }

    /// What a session may take when so much is held and promised; `turn`: it has a turn at the reserve.
    pub const fn view(&self, held: u64, promised: u64, turn: bool) -> View {
        let promises = self.bound.saturating_mul(POOL_OVERCOMMIT);
        let level = self.level(held);
        let room = self.near().saturating_sub(held);
        let spare = if room == 0 { 0 } else { promises.saturating_sub(promised) };
        let half_free = matches!(level, Level::Free) && promised < promises / 2;
        View { level, room, spare, half_free, turn, message: self.max_message() }
    }
}

/// What the pool allows a session at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// How near the pool is to its bound.
    pub level: Level,
    /// How many bytes may be taken into memory before windows stop growing.
    pub room: u64,
    /// How many bytes of credit above the base may be promised.
    pub spare: u64,
    /// Whether more than half is free, of memory and of promises.
    pub half_free: bool,
    /// This session may take one message out of the reserve.
    pub turn: bool,
    /// The largest such message, in bytes; a larger one waits until there is room.
    pub message: u64,
}

impl View {
    /// Of a session that shares with nobody.
    pub const UNSHARED: Self =
        Self { level: Level::Free, room: u64::MAX, spare: u64::MAX, half_free: true, turn: false, message: u64::MAX };

    /// The first grants of a session that begins now: what was wished while more than half is free, else the base.
    pub fn first_grants(&self, wished: Params) -> Params {
        if self.half_free {
            return wished;
        }
        Params {
            stream_credit: wished.stream_credit.min(BASE_WINDOW_BYTES),
            session_credit: wished.session_credit.min(BASE_SESSION_CREDIT_BYTES),
            ..wished
        }
    }
}

/// What a session takes of its pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of memory it holds: rings of both directions and the streams' records.
    pub held: u64,
    /// Bytes of credit that its peer has not used, or used and this side has not read.
    pub promised: u64,
}

/// What a session wants of its pool besides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ask {
    /// Nothing; a turn it had is given back.
    #[default]
    Nothing,
    /// A message above the base waits for a turn.
    Turn,
    /// It uses its turn.
    Using,
}

/// A session's place in its pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberId(u32);

#[derive(Debug, Default)]
struct Member {
    usage: Usage,
    ended: bool,
}

/// A turn at the reserve.
#[derive(Debug)]
struct Turn {
    holder: MemberId,
    since: Instant,
    used: bool,
}

/// New sessions are refused near the bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{held} of {bound} bytes are held: no new sessions")]
pub struct Refused {
    /// Bytes held.
    pub held: u64,
    /// The pool's bound, in bytes.
    pub bound: u64,
}

/// The state of a pool. Who shares it reports each change and then cuts the [`Pool::victim`], if there is one.
#[derive(Debug)]
pub struct Pool {
    bounds: Bounds,
    total: Usage,
    members: Vec<Option<Member>>,
    free: Vec<u32>,
    waiting: VecDeque<MemberId>,
    turns: Vec<Turn>,
    told: VecDeque<MemberId>,
}

impl Pool {
    /// An empty pool.
    pub const fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            total: Usage { held: 0, promised: 0 },
            members: Vec::new(),
            free: Vec::new(),
            waiting: VecDeque::new(),
            turns: Vec::new(),
            told: VecDeque::new(),
        }
    }

    /// Its sizes.
    pub const fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// What all sessions take together.
    pub const fn total(&self) -> Usage {
        self.total
    }

    /// How many sessions share it.
    pub fn sessions(&self) -> usize {
        self.members.len() - self.free.len()
    }

    /// How many wait for a turn.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Takes a session in.
    ///
    /// # Errors
    /// [`Refused`], near the bound.
    pub fn admit(&mut self) -> Result<MemberId, Refused> {
        if self.bounds.level(self.total.held) >= Level::NoSessions {
            return Err(Refused { held: self.total.held, bound: self.bounds.bound });
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.members.push(None);
            self.members.len() as u32 - 1
        });
        self.members[index as usize] = Some(Member::default());
        Ok(MemberId(index))
    }

    /// A session's memory is gone.
    pub fn leave(&mut self, now: Instant, id: MemberId) {
        let Some(member) = self.members.get_mut(id.0 as usize).and_then(Option::take) else { return };
        self.free.push(id.0);
        self.total.held -= member.usage.held;
        self.total.promised -= member.usage.promised;
        self.forget(id);
        self.told.retain(|&told| told != id);
        self.pass_turns_on(now);
    }

    /// A session is over: what it holds is its application's to read, it is never cut and wants nothing.
    pub fn ended(&mut self, id: MemberId) {
        if let Some(member) = self.member(id) {
            member.ended = true;
        }
    }

    /// What a session takes now, and wants. One that used its turn and wants another waits behind the others.
    pub fn report(&mut self, now: Instant, id: MemberId, usage: Usage, ask: Ask) {
        let Some(member) = self.member(id) else { return };
        let before = core::mem::replace(&mut member.usage, usage);
        self.total.held = self.total.held - before.held + usage.held;
        self.total.promised = self.total.promised - before.promised + usage.promised;
        let turn = self.turns.iter_mut().find(|turn| turn.holder == id);
        match (ask, turn) {
            (Ask::Using, Some(turn)) => turn.used = true,
            (Ask::Turn, Some(turn)) if !turn.used => {}
            (Ask::Turn, _) if self.waiting.contains(&id) => {}
            (Ask::Turn, _) => {
                self.forget(id);
                self.waiting.push_back(id);
            }
            (Ask::Nothing | Ask::Using, _) => self.forget(id),
        }
        self.pass_turns_on(now);
    }

    /// What a session may take.
    pub fn view(&self, id: MemberId) -> View {
        self.bounds.view(self.total.held, self.total.promised, self.has_turn(id))
    }

    /// The next session whose view is another one, and that should look.
    pub fn poll_told(&mut self) -> Option<MemberId> {
        self.told.pop_front()
    }

    /// Whether some session should look.
    pub fn is_to_tell(&self) -> bool {
        !self.told.is_empty()
    }

    /// Who is to be cut: above the bound, the session that holds most, if that is more than it is guaranteed.
    pub fn victim(&self) -> Option<(MemberId, Usage)> {
        if self.bounds.level(self.total.held) != Level::Over {
            return None;
        }
        let members = self.members.iter().zip(0..).filter_map(|(member, index)| Some((member.as_ref()?, index)));
        members
            .map(|(member, index)| (member, MemberId(index)))
            .filter(|(member, id)| !member.ended && member.usage.held > self.guaranteed(*id))
            .max_by_key(|(member, _)| member.usage.held)
            .map(|(member, id)| (id, member.usage))
    }

    /// Whether a session may take one message out of the reserve.
    pub fn has_turn(&self, id: MemberId) -> bool {
        self.turns.iter().any(|turn| turn.holder == id)
    }

    fn guaranteed(&self, id: MemberId) -> u64 {
        SESSION_BASE_BYTES + if self.has_turn(id) { self.bounds.turn_bytes } else { 0 }
    }

    fn member(&mut self, id: MemberId) -> Option<&mut Member> {
        self.members.get_mut(id.0 as usize)?.as_mut()
    }

    /// A session neither waits nor has a turn.
    fn forget(&mut self, id: MemberId) {
        if !self.waiting.is_empty() || !self.turns.is_empty() {
            self.waiting.retain(|&waits| waits != id);
            self.turns.retain(|turn| turn.holder != id);
        }
    }

    /// Turns that took too long go to who waits, and free ones too.
    fn pass_turns_on(&mut self, now: Instant) {
        if self.waiting.is_empty() {
            return;
        }
        let Self { turns, told, .. } = self;
        turns.retain(|turn| {
            let over = now.since(turn.since) >= POOL_TURN_TIME;
            if over {
                told.push_back(turn.holder);
            }
            !over
        });
        while self.turns.len() < self.bounds.turns()
            && let Some(holder) = self.waiting.pop_front()
        {
            self.turns.push(Turn { holder, since: now, used: false });
            self.told.push_back(holder);
        }
    }
}
