//! Calls over one connection: which are open, what each may still send, what a packet that came means.
//!
//! A session has streams with order, credit and ends; a bare connection has none, so this keeps the little of them that
//! calls need. It looks at no items: whoever drives it keeps them, in the slot that each call has, and asks before every
//! step. A call that is over keeps its slot until it is forgotten, so that what came last can be read.
//!
//! ```text
//!            caller                                answering side
//!   begin ─►  Begin(item)  ─────────────────────►  received: New
//!   send  ─►  Item*, End   ─────────────────────►  received: Item*, End
//!             received: Item*      ◄─────────────  Item*            ◄─ send
//!             received: Last | Status  ◄─────────  Last | Status    ◄─ finish
//!   either:   GiveUp  ◄───────────────────────►    either side, at any time; the call is over for both
//! ```
//! Credit is an absolute number of bytes of items: who has sent less than that may begin one more, whatever its length,
//! so the other side holds at most its window and one item of each call.

use super::Code;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// How many calls each side may have open, by default. What is over it is refused with `resource-exhausted`.
pub const DEFAULT_MAX_CALLS: usize = 1_024;

/// How many bytes of items wait for their reader on one call before its writer waits, by default.
pub const DEFAULT_CALL_WINDOW_BYTES: u64 = 64 * 1024;

/// What an item counts beside its own bytes: about what holding it costs, so that credit bounds empty items, too.
pub const ITEM_OVERHEAD_BYTES: u64 = 32;

/// The name of a call on its connection. The side that connected opens even ones, the other odd ones; they only grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u64);

/// What a packet says of its call, beside its item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The call begins with an item; `ends` if no other follows.
    Begin {
        /// Whether this is all that the caller sends.
        ends: bool,
    },
    /// One more item.
    Item,
    /// The caller sends no more.
    End,
    /// The answer's last item; all is well.
    Last,
    /// The answer's end, without an item.
    Status,
    /// The side that says it wants nothing more of the call.
    GiveUp,
    /// The other side may send items up to this sum of bytes.
    Credit(u64),
}

/// What is to be done with a packet that came; the slot is its call's.
#[derive(Debug, PartialEq, Eq)]
pub enum Arrival<'a, S> {
    /// A call that is to be answered.
    New(&'a mut S),
    /// For the call's reader: an item, or an end. After *last* and *status* the call is over.
    Deliver(&'a mut S),
    /// More may be sent on the call.
    Writable(&'a mut S),
    /// The other side gave the call up; it is over.
    Over(&'a mut S),
    /// It belongs to a call that is over, and means nothing any more.
    Late,
    /// A new call that is refused with this code; say so.
    Refuse(Code),
}

/// The peer broke a rule of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A call began with an id that is this side's, or not above the last.
    #[error("a call began with the id {0}, which is not the next of its side")]
    BadId(u64),
    /// More was sent than there was credit for.
    #[error("call {0}: an item without credit")]
    NoCredit(u64),
    /// A packet that its sender may not send, or not any more.
    #[error("call {0}: a packet that has no place there")]
    BadStep(u64),
}

/// Why a call was not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("as many calls are open as may be")]
pub struct TooMany;

#[derive(Debug)]
struct Call<S> {
    sends: Direction,
    receives: Direction,
    /// How much of what came was taken by its reader.
    taken: u64,
    /// Nothing more is said or heard of it.
    over: bool,
    slot: S,
}

/// One direction of a call.
#[derive(Clone, Copy, Debug)]
struct Direction {
    open: bool,
    /// Bytes of items so far.
    bytes: u64,
    /// Up to where one more may be begun.
    limit: u64,
}

impl Direction {
    fn may_begin_one(&self) -> bool {
        self.open && self.bytes < self.limit
    }
}

/// The calls of one connection, each with a slot of the driver's; see the module's page.
#[derive(Debug)]
pub struct Exchange<S = ()> {
    next: u64,
    /// The lowest id with which the peer may begin.
    peer_next: u64,
    own_open: usize,
    peer_open: usize,
    max_calls: usize,
    window: u64,
    calls: HashMap<u64, Call<S>, BuildHasherDefault<IdHasher>>,
}

/// Spreads ids, which are a sequence, for one multiplication. A peer that chose its ids so that all fall together would
/// make one lookup pass over as many calls as are open at most, and those are bounded; a keyed hash would cost every call
/// more than the rest of its bookkeeping.
#[derive(Clone, Copy, Debug, Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Not used for ids, and right for all else.
        bytes.iter().for_each(|&byte| self.write_u64(self.0 ^ u64::from(byte)));
    }

    #[inline]
    fn write_u64(&mut self, id: u64) {
        /// 2^64 divided by the golden ratio: neighbours fall far apart.
        const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
        let product = id.wrapping_mul(SPREAD);
        // The table takes its place from the low bits, which a product leaves poor, and a tag from the high ones.
        self.0 = product ^ (product >> 32);
    }
}

impl<S> Exchange<S> {
    /// For the side that connected, or the other, with both sides' agreed bounds.
    pub fn new(connected: bool, max_calls: usize, window_bytes: u64) -> Self {
        let (next, peer_next) = if connected { (0, 1) } else { (1, 0) };
        Self { next, peer_next, own_open: 0, peer_open: 0, max_calls, window: window_bytes, calls: HashMap::default() }
    }

    /// How many calls are open, both sides' together.
    pub fn open(&self) -> usize {
        self.own_open + self.peer_open
    }

    /// How many calls [`Exchange::begin`] has places for.
    pub fn room(&self) -> usize {
        self.max_calls - self.own_open
    }

    fn is_own(&self, id: u64) -> bool {
        id % 2 == self.next % 2
    }

    fn fresh(&self, sent: u64, received: u64, slot: S) -> Call<S> {
        let direction = |bytes| Direction { open: true, bytes, limit: self.window };
        Call { sends: direction(sent), receives: direction(received), taken: 0, over: false, slot }
    }

    fn known(&self, id: CallId) -> Option<&Call<S>> {
        self.calls.get(&id.0).filter(|call| !call.over)
    }

    fn known_mut(&mut self, id: CallId) -> Option<&mut Call<S>> {
        self.calls.get_mut(&id.0).filter(|call| !call.over)
    }

    /// Begins a call with an item of `bytes`.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn begin(&mut self, bytes: u64, ends: bool, slot: S) -> Result<CallId, TooMany> {
        if self.room() == 0 {
            return Err(TooMany);
        }
        let id = self.next;
        self.next += 2;
        self.own_open += 1;
        let mut call = self.fresh(bytes, 0, slot);
        call.sends.open = !ends;
        self.calls.insert(id, call);
        Ok(CallId(id))
    }

    /// A call's slot, until the call is forgotten.
    pub fn slot(&mut self, id: CallId) -> Option<&mut S> {
        self.calls.get_mut(&id.0).map(|call| &mut call.slot)
    }

    /// Every call's slot, in no order.
    pub fn slots(&mut self) -> impl Iterator<Item = &mut S> {
        self.calls.values_mut().map(|call| &mut call.slot)
    }

    /// Whether the call is not over.
    pub fn is_open(&self, id: CallId) -> bool {
        self.known(id).is_some()
    }

    /// Whether one more item may be sent now.
    pub fn may_send(&self, id: CallId) -> bool {
        self.known(id).is_some_and(|call| call.sends.may_begin_one())
    }

    /// Whether the call still takes anything from this side.
    pub fn is_sending(&self, id: CallId) -> bool {
        self.known(id).is_some_and(|call| call.sends.open)
    }

    /// Sends an item of `bytes` if that may be; whether it does.
    pub fn send(&mut self, id: CallId, bytes: u64) -> bool {
        let call = self.known_mut(id).filter(|call| call.sends.may_begin_one());
        call.map(|call| call.sends.bytes += bytes).is_some()
    }

    /// The caller sends no more.
    pub fn end(&mut self, id: CallId) {
        if let Some(call) = self.known_mut(id) {
            call.sends.open = false;
        }
    }

    /// This side says no more and hears no more: it has answered, or gives the call up. Says whether the call was open.
    pub fn close(&mut self, id: CallId) -> bool {
        let Some(call) = self.known_mut(id) else { return false };
        call.over = true;
        self.count_closed(self.is_own(id.0));
        true
    }

    fn count_closed(&mut self, own: bool) {
        *(if own { &mut self.own_open } else { &mut self.peer_open }) -= 1;
    }

    /// Closes the call if it is open, and gives its slot back.
    pub fn forget(&mut self, id: CallId) -> Option<S> {
        let call = self.calls.remove(&id.0)?;
        if !call.over {
            self.count_closed(self.is_own(id.0));
        }
        Some(call.slot)
    }

    /// The connection is over, and every call with it.
    pub fn close_all(&mut self) {
        (self.own_open, self.peer_open) = (0, 0);
        self.calls.values_mut().for_each(|call| call.over = true);
    }

    /// The reader took an item of `bytes`; returns the credit that is to be told, now and then.
    pub fn took(&mut self, id: CallId, bytes: u64) -> Option<u64> {
        let window = self.window;
        let call = self.known_mut(id)?;
        call.taken += bytes;
        let limit = call.taken + window;
        // Half a window at a time: fewer would be talk, more would let the writer stand still.
        let due = call.receives.open && limit - call.receives.limit >= window / 2;
        due.then(|| {
            call.receives.limit = limit;
            limit
        })
    }

    /// A packet came, its item of `bytes` (0 without one).
    ///
    /// # Errors
    /// [`Fault`]: the connection is to be ended.
    pub fn received(&mut self, id: CallId, step: Step, bytes: u64) -> Result<Arrival<'_, S>, Fault>
    where
        S: Default,
    {
        if let Step::Begin { ends } = step {
            return self.begun(id.0, ends, bytes);
        }
        let own = self.is_own(id.0);
        if id.0 >= if own { self.next } else { self.peer_next } {
            return Err(Fault::BadStep(id.0));
        }
        let ends = matches!(step, Step::Last | Step::Status | Step::GiveUp);
        let Some(call) = self.calls.get_mut(&id.0).filter(|call| !call.over) else { return Ok(Arrival::Late) };
        match (step, own) {
            (Step::Item, _) | (Step::Last, true) if call.receives.may_begin_one() => call.receives.bytes += bytes,
            (Step::Item, _) | (Step::Last, true) if call.receives.open => return Err(Fault::NoCredit(id.0)),
            (Step::End, false) | (Step::Status, true) if call.receives.open => {}
            (Step::Credit(limit), _) => {
                call.sends.limit = call.sends.limit.max(limit);
                return Ok(if call.sends.open { Arrival::Writable(&mut call.slot) } else { Arrival::Late });
            }
            (Step::GiveUp, _) => {}
            _ => return Err(Fault::BadStep(id.0)),
        }
        call.receives.open = step == Step::Item;
        call.over = ends;
        let slot = &mut call.slot;
        if ends {
            *(if own { &mut self.own_open } else { &mut self.peer_open }) -= 1;
        }
        Ok(if step == Step::GiveUp { Arrival::Over(slot) } else { Arrival::Deliver(slot) })
    }

    fn begun(&mut self, id: u64, ends: bool, bytes: u64) -> Result<Arrival<'_, S>, Fault>
    where
        S: Default,
    {
        if self.is_own(id) || id < self.peer_next {
            return Err(Fault::BadId(id));
        }
        self.peer_next = id.checked_add(2).ok_or(Fault::BadId(id))?;
        if self.peer_open >= self.max_calls {
            return Ok(Arrival::Refuse(Code::ResourceExhausted));
        }
        self.peer_open += 1;
        let mut call = self.fresh(0, bytes, S::default());
        call.receives.open = !ends;
        Ok(Arrival::New(&mut self.calls.entry(id).insert_entry(call).into_mut().slot))
    }
}

#[cfg(test)]
mod tests;
