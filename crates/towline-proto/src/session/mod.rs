//! A session: streams in lanes over links that come and go.
//!
//! The law: one change, then drain every output (links' output, events, timeout), then the next change.
//!
//! A session bounds its own memory: what it granted, and what it keeps unconfirmed. How much that is follows from the
//! [`pool`] that it shares with others, whose state is an argument like time: [`Session::allow`] before a change,
//! [`Session::usage`] and [`Session::asks`] after it. A session that is told nothing shares with nobody.

mod arrive;
mod commands;
mod credit;
mod events;
pub mod handshake;
mod links;
mod pace;
pub mod pool;
mod receive;
mod rest;
mod resume;
mod schedule;
mod send;
mod share;
mod streams;

pub use crate::wire::receive_state::{ReceiveState, StreamState};
pub use events::{EndReason, Event, Mark, OpenError, Order, RecvError, SendError, Side, Stats, StreamKey};

use crate::ids::{Lane, SessionId};
use crate::link::{LinkId, StreamRef};
use crate::time::{Duration, Instant};
use crate::wire::close::{Close, CloseCode};
use crate::wire::frame::Open;
use crate::wire::hello::Params;
use bytes::Bytes;
use credit::{RecvCredit, SendCredit};
use receive::RecvHalf;
use rest::Work;
use schedule::Schedule;
use send::{Ending, SendHalf};
use share::Share;
use std::collections::VecDeque;
use streams::{Stream, Streams};

/// How far the session is on its way to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// The close goes when everything sent before it is confirmed (at once, if it tells of a fault).
    Closing(Close),
    Ended,
}

#[derive(Debug)]
struct Link {
    id: LinkId,
    frames: u64,
}

/// One end of a session. It owns the bytes; links pull them.
#[derive(Debug)]
pub struct Session {
    id: SessionId,
    local: Params,
    peer: Params,
    streams: Streams,
    lanes: [StreamRef; Lane::COUNT],
    schedule: Schedule,
    /// Streams with something other than bytes to say.
    control: VecDeque<StreamRef>,
    send_credit: SendCredit,
    recv_credit: RecvCredit,
    share: Share,
    /// Streams that were refused credit, in the order of their refusal.
    waiting: Vec<StreamRef>,
    events: VecDeque<Event>,
    links: Vec<Link>,
    next_link: u32,
    kept_until: Option<Instant>,
    work: Option<Work>,
    phase: Phase,
    scratch: Vec<u8>,
    sent_bytes: u64,
    resent_bytes: u64,
}

impl Session {
    /// A session as the two hellos agreed on it.
    pub fn new(side: Side, id: SessionId, local: Params, peer: Params) -> Self {
        let unused_lane = Stream { open_known: true, ..new_stream(&local, &peer, None, None, true) };
        let (streams, lanes) = Streams::new(side, peer.max_streams, local.max_streams, unused_lane);
        Self {
            id,
            streams,
            lanes,
            schedule: Schedule::default(),
            control: VecDeque::new(),
            send_credit: SendCredit::new(peer.session_credit),
            recv_credit: RecvCredit::new(local.session_credit),
            share: Share::new(),
            waiting: Vec::new(),
            events: VecDeque::new(),
            links: Vec::new(),
            next_link: 0,
            kept_until: None,
            work: None,
            phase: Phase::Open,
            scratch: Vec::new(),
            sent_bytes: 0,
            resent_bytes: 0,
            local,
            peer,
        }
    }

    /// The session's name.
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// Whether it is over.
    pub fn is_ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// A lane's permanent stream.
    pub fn lane(&self, lane: Lane) -> StreamKey {
        StreamKey(self.lanes[usize::from(lane.0) % Lane::COUNT])
    }

    /// Whether everything up to `mark` is in the peer's memory. A closed stream's says yes only if it was watched.
    pub fn is_confirmed(&self, stream: StreamKey, mark: Mark) -> bool {
        self.streams.get(stream.0).is_some_and(|stream| stream.send.is_confirmed(mark.0))
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Session::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let look = self.work.map(|work| work.look_at);
        self.kept_until.into_iter().chain(look).min()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.kept_until.is_some_and(|until| until <= now) {
            self.end(EndReason::ResumeTimeOver);
        }
        self.look_for_rest(now);
    }

    /// Whether a link that polls now would get something.
    pub fn wants_to_send(&self) -> bool {
        let sending = !self.schedule.is_empty() || !self.control.is_empty();
        let credit = self.recv_credit.due || self.streams.owes_peer_credit() && !self.streams_are_withheld();
        self.phase != Phase::Ended && (sending || credit || self.may_say_close())
    }

    /// Figures.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats {
            sent_bytes: self.sent_bytes,
            resent_bytes: self.resent_bytes,
            streams: self.streams.count,
            links: self.links.len(),
            ..Stats::default()
        };
        for (_, stream) in self.streams.iter() {
            stats.held_bytes += stream.usage().held as usize;
            stats.unread_bytes += stream.recv.unread();
            stats.unconfirmed_bytes += stream.send.unconfirmed();
        }
        stats
    }

    /// Each message that is not confirmed, with its stream: what happened to it is not known once the session is over.
    pub fn undecided(&self) -> impl Iterator<Item = (StreamKey, Bytes)> + '_ {
        self.streams
            .iter()
            .flat_map(|(key, stream)| stream.send.undecided().into_iter().map(move |message| (StreamKey(key), message)))
    }

    /// A new link, to be driven by a `StreamLink` with this id.
    pub fn add_link(&mut self, now: Instant) -> LinkId {
        let _ = now;
        let id = LinkId(self.next_link);
        self.next_link += 1;
        self.links.push(Link { id, frames: 0 });
        self.kept_until = None;
        id
    }

    /// A link is gone; shut its `StreamLink` first, so that its references are back.
    pub fn remove_link(&mut self, now: Instant, link: LinkId) {
        let before = self.links.len();
        self.links.retain(|known| known.id != link);
        if self.links.len() < before && self.links.is_empty() && self.phase != Phase::Ended {
            let kept = self.local.resume_time_ms.min(self.peer.resume_time_ms);
            self.kept_until = Some(now + Duration::from_millis(kept));
        }
    }

    /// Ends the session in order: nothing more is sent, what was sent is confirmed, then the peer is told. With a code
    /// that tells of a fault the peer is told at once. [`Event::Ended`] follows.
    pub fn close(&mut self, close: Close) {
        if self.phase == Phase::Open {
            self.phase = Phase::Closing(close);
        }
    }

    /// Ends the session here and now; [`Session::undecided`] then says what was not confirmed.
    pub fn end(&mut self, reason: EndReason) {
        if self.phase != Phase::Ended {
            self.phase = Phase::Ended;
            self.kept_until = None;
            self.rest();
            self.events.push_back(Event::Ended(reason));
        }
    }

    fn may_say_close(&self) -> bool {
        match &self.phase {
            Phase::Closing(close) => {
                let orderly = matches!(close.code, CloseCode::Done | CloseCode::Draining);
                let ends = |stream: &Stream| matches!(stream.send.ending, Ending::Finish { .. });
                // Every stream is looked at only once, when all their bytes are confirmed.
                !orderly || self.send_credit.held() == 0 && !self.streams.iter().any(|(_, stream)| ends(stream))
            }
            Phase::Open | Phase::Ended => false,
        }
    }
}

/// A stream at its beginning, granted what the hellos say.
fn new_stream(local: &Params, peer: &Params, id: Option<u64>, open: Option<Open>, here: bool) -> Stream {
    let mut recv = RecvHalf::new(local.stream_credit);
    recv.as_complete = open.is_some_and(|open| open.as_complete);
    Stream {
        id,
        open,
        opened_here: here,
        open_known: !here,
        send: SendHalf::new(peer.stream_credit),
        end_confirmed: false,
        recv,
        settled: false,
        touched: false,
        stop: None,
        in_waiting: false,
        credit_due: false,
        in_control: false,
        in_schedule: false,
    }
}
