//! A session's part in a pool: what it is allowed, what of its peer's and its own needs waits for a turn, what it takes.

use super::pool::{Ask, Level, Usage, View};
use super::{EndReason, Phase, Session};
use crate::limits::BASE_WINDOW_BYTES;
use crate::link::StreamRef;
use crate::wire::close::Close;
use std::collections::VecDeque;

/// A whole message that is above the base, and for which the pool gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// The peer waits for credit.
    Receive(StreamRef),
    /// The application waits for memory.
    Send(StreamRef),
}

/// A turn in use.
#[derive(Clone, Copy, Debug)]
struct Turn {
    of: Want,
    /// It is over when the stream is read, or confirmed, to here; not known before something was sent.
    until: Option<u64>,
}

/// What the pool allows, and what is waited for.
#[derive(Debug)]
pub(super) struct Share {
    pub(super) view: View,
    /// In the order in which they came.
    wants: VecDeque<Want>,
    turn: Option<Turn>,
}

impl Share {
    pub(super) const fn new() -> Self {
        Self { view: View::UNSHARED, wants: VecDeque::new(), turn: None }
    }

    /// Whether windows above the base may be promised.
    pub(super) const fn may_grow(&self) -> bool {
        self.view.spare > 0
    }

    /// The largest message of a turn with its length before it.
    const fn turn_message(&self) -> u64 {
        self.view.message.saturating_add(8)
    }

    fn want(&mut self, want: Want) {
        if !self.wants.contains(&want) {
            self.wants.push_back(want);
        }
    }

    fn settled(&mut self, want: Want) {
        self.wants.retain(|&other| other != want);
    }

    /// Whether the session's turn is there for this, and nothing was sent in it yet.
    fn may_send_in_turn(&self, want: Want) -> bool {
        self.turn.is_some_and(|turn| turn.of == want && turn.until.is_none())
    }

    /// Takes the session's turn for this, if it has one that is not in use; else it waits for one.
    fn take_turn(&mut self, want: Want) -> bool {
        let taken = self.view.turn && self.turn.is_none();
        if taken {
            self.turn = Some(Turn { of: want, until: None });
            self.settled(want);
        } else {
            self.want(want);
        }
        taken
    }

    fn turn_lasts_until(&mut self, want: Want, offset: u64) {
        if let Some(turn) = self.turn.as_mut().filter(|turn| turn.of == want) {
            turn.until = Some(offset);
        }
    }
}

impl Session {
    /// What the pool allows now. Say it before each change, and whenever the pool tells this session to look.
    pub fn allow(&mut self, view: View) {
        let before = core::mem::replace(&mut self.share.view, view);
        if !view.turn {
            self.share.turn = None;
        }
        if view.room > before.room && self.send_credit.is_short() {
            self.wake_waiting();
        }
        for want in core::mem::take(&mut self.share.wants) {
            match want {
                Want::Receive(key) => self.renew_credit(key),
                Want::Send(key) => self.wake_one(key),
            }
        }
    }

    /// What it takes of the pool; ask after each change. It costs what changed, not what there is.
    pub fn usage(&mut self) -> Usage {
        let streams = self.streams.usage();
        let promised = if self.is_ended() { 0 } else { streams.promised + self.recv_credit.headroom() };
        Usage { held: streams.held, promised }
    }

    /// What it wants of the pool besides; ask after each change.
    pub fn asks(&mut self) -> Ask {
        if self.is_ended() {
            return Ask::Nothing;
        }
        if self.share.turn.is_some_and(|turn| self.is_over(turn)) {
            self.share.turn = None;
        }
        match (self.share.turn, self.share.wants.is_empty()) {
            (Some(_), _) => Ask::Using,
            (None, false) => Ask::Turn,
            (None, true) => Ask::Nothing,
        }
    }

    /// Whether something waits for the pool, so that it should be asked again in a while.
    pub fn waits_for_pool(&self) -> bool {
        let credit = self.share.turn.is_some() || !self.share.wants.is_empty() || self.streams_are_withheld();
        (credit || self.send_credit.is_short()) && !self.is_ended()
    }

    /// Whether the peer is owed streams and does not get them near the pool's bound.
    pub fn streams_are_withheld(&self) -> bool {
        self.streams.owes_peer_credit() && self.share.view.level >= Level::NoStreams
    }

    /// Ends the session here and now and lets go of all that came and was not read.
    pub fn cut(&mut self, close: Close) {
        if self.phase != Phase::Ended {
            self.end(EndReason::Closed(close));
            self.streams.for_each(|stream| stream.recv.discard());
        }
    }

    /// After the end, when [`Session::undecided`] was read: lets go of all that was to be sent.
    pub fn drop_undecided(&mut self) {
        if self.phase == Phase::Ended {
            self.streams.for_each(|stream| stream.send.drop_all());
        }
    }

    fn is_over(&self, turn: Turn) -> bool {
        let (Want::Receive(key) | Want::Send(key)) = turn.of;
        let Some(stream) = self.streams.get(key) else { return true };
        match (turn.of, turn.until) {
            (Want::Receive(_), Some(until)) => stream.recv.is_past(until),
            (Want::Send(_), Some(until)) => stream.send.is_past(until),
            (Want::Send(_), None) => stream.send.check_open().is_err(),
            (Want::Receive(_), None) => false,
        }
    }

    /// Tells the peer of more credit on a stream, if it is time for it.
    pub(super) fn renew_credit(&mut self, key: StreamRef) {
        let (max_message, want) = (self.local.max_message, Want::Receive(key));
        let promised = self.streams.usage().promised;
        let Some(stream) = self.streams.get_mut(key) else { return };
        let others = promised - stream.usage().promised;
        let floor = BASE_WINDOW_BYTES.saturating_sub(others).max(crate::limits::LANE_CREDIT_BYTES);
        let mut from = super::receive::Allowance { floor, spare: self.share.view.spare, turn: false };
        let mut renewal = stream.recv.renew(max_message, &from);
        if !renewal.lacks {
            self.share.settled(want);
        } else if self.share.take_turn(want) {
            from.turn = true;
            renewal.more += stream.recv.renew(max_message, &from).more;
            self.share.turn_lasts_until(want, stream.recv.limit);
        }
        if renewal.more > 0 {
            stream.credit_due = true;
            self.grant(renewal.more);
            self.queue_control(key);
        }
    }

    /// A stream was granted more.
    pub(super) fn grant(&mut self, more: u64) {
        self.recv_credit.grant(more, self.share.may_grow());
        self.share.view.spare = self.share.view.spare.saturating_sub(more);
    }

    /// What a stream may take into memory.
    pub(super) fn memory_for(&self, key: StreamRef) -> u64 {
        let Some(stream) = self.streams.get(key) else { return 0 };
        let room = self.send_credit.room(stream.send.room_within(self.share.view.room));
        if self.share.may_send_in_turn(Want::Send(key)) { room.max(self.share.turn_message()) } else { room }
    }

    /// What a stream wants to send finds no memory; with `enough` it is worth trying again. Says whether that is now, in
    /// the session's turn: a whole message above the base for which the peer gave credit.
    pub(super) fn lacks_memory(&mut self, key: StreamRef, credit: u64, enough: u64) -> bool {
        self.send_credit.refused(enough);
        let in_turn = enough > BASE_WINDOW_BYTES && enough <= self.share.turn_message();
        in_turn && credit >= enough && self.share.take_turn(Want::Send(key))
    }

    /// So much of a stream was taken into memory, up to `end`.
    pub(super) fn took_memory(&mut self, key: StreamRef, grown: u64, end: u64) {
        self.share.view.room = self.share.view.room.saturating_sub(grown);
        self.share.settled(Want::Send(key));
        self.share.turn_lasts_until(Want::Send(key), end);
    }
}
