//! The task that owns a session's links and its time.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Sleep, sleep_until};
use towline_proto::session::EndReason;
use towline_proto::session::handshake::Joiner;
use towline_proto::stream_link::{LinkConfig, LinkError};
use towline_proto::time::Instant;
use towline_proto::wire::close::Close;
use towline_proto::wire::receive_state::ReceiveState;

use super::LinkState;
use super::link::{FreshLink, Link};
use super::shared::Shared;
use crate::pump::PumpEnd;

/// How long the last words of a session may take to leave, over all its links.
const GOODBYE_TIME: Duration = Duration::from_secs(2);

/// A session that waits for the pool looks again this often. Turns are told at once; what nobody tells is that the pool
/// was emptied a little.
const POOL_LOOK_TIME: Duration = Duration::from_secs(1);

/// Joins that may wait for the task.
pub(crate) const JOINS_MAX: usize = 4;

/// A link whose peer proved that it belongs to this session, to be answered by the session's task.
pub(crate) struct Join {
    pub(crate) link: FreshLink,
    pub(crate) joiner: Joiner,
}

/// What a try to come back brought.
pub(crate) enum Rejoined {
    /// A link, and what the peer has received.
    Link(Box<FreshLink>, ReceiveState),
    /// The peer no longer knows the session.
    Gone,
    /// The peer refuses for good.
    Refused(Close),
}

/// Comes back to the peer: one future that tries until it has an answer.
pub(crate) type Rejoin = Pin<Box<dyn Future<Output = Rejoined> + Send>>;

/// Ends when the peer is better reached by a new link than by the one that lives.
pub(crate) type Moved = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How a client gets new links.
pub(crate) trait Reconnect: Send {
    /// Called when no link is left, with what was received.
    fn rejoin(&mut self, received: ReceiveState) -> Rejoin;
    /// Called with each new link. When it ends, the link is given up and `rejoin` called.
    fn moved(&mut self) -> Moved;
}

/// How a session gets new links.
pub(crate) enum Supply {
    /// The client's.
    Reconnect(Box<dyn Reconnect>),
    /// The server's: peers join. Boxed, for the channel's memory has 32 places from the start, however few are in use.
    Joins(mpsc::Receiver<Box<Join>>),
}

/// Owns the links, the timer and the way to new links; see the module's page.
pub(crate) struct SessionTask {
    shared: Arc<Shared>,
    links: Vec<Link>,
    supply: Supply,
    rejoin: Option<Rejoin>,
    moved: Option<Moved>,
    config: LinkConfig,
    timer: Pin<Box<Sleep>>,
    /// When the timer rings; never later than there is something to do.
    rings_at: Instant,
    /// The sum of the links' round-trip times as the handles see them.
    shown_rtt: Duration,
    /// When the last words must have left; set when the session is over.
    goodbye: Option<Instant>,
}

impl SessionTask {
    /// A task whose session begins with `first`, on which `answer` leaves before anything else.
    pub(crate) fn new(
        shared: Arc<Shared>,
        first: FreshLink,
        answer: &[u8],
        supply: Supply,
        config: LinkConfig,
    ) -> Self {
        let now = shared.clock.now();
        let timer = Box::pin(sleep_until(shared.clock.at(now)));
        let (links, rejoin, moved, goodbye) = (Vec::new(), None, None, None);
        let (rings_at, shown_rtt) = (now, Duration::ZERO);
        let mut task = Self { shared, links, supply, rejoin, moved, config, timer, rings_at, shown_rtt, goodbye };
        task.add_link(first, answer, now);
        task
    }

    fn add_link(&mut self, fresh: FreshLink, first: &[u8], now: Instant) {
        let id = self.shared.lock().core.add_link(now);
        self.links.push(Link::new(fresh, id, self.config, now, first));
        self.show_links();
        self.shared.link_state.send_replace(LinkState::Connected);
    }

    /// What the handles see of the links. It is brought up to date before a change is told, so that nobody who hears
    /// "connected" finds no link.
    fn show_links(&self) {
        self.shared.lock().links = self.links.iter().map(Link::info).collect();
    }

    fn remove_links(&mut self, now: Instant) {
        while !self.links.is_empty() {
            self.remove_link(0, now);
        }
    }

    fn remove_link(&mut self, index: usize, now: Instant) {
        self.links.remove(index).shut(&self.shared, now);
        self.show_links();
        if !self.links.is_empty() {
            return;
        }
        let over = {
            let mut state = self.shared.lock();
            state.losses += 1;
            state.ended.is_some()
        };
        if !over {
            self.shared.link_state.send_replace(LinkState::Disconnected);
        }
    }

    /// New links, from peers that join or from our own coming back.
    fn poll_supply(&mut self, cx: &mut Context<'_>, now: Instant) {
        match &mut self.supply {
            Supply::Joins(joins) => {
                if let Poll::Ready(Some(join)) = joins.poll_recv(cx) {
                    self.take_join(*join, now);
                    cx.waker().wake_by_ref();
                }
            }
            Supply::Reconnect(way) if !self.links.is_empty() => {
                let moved = self.moved.get_or_insert_with(|| way.moved());
                if moved.as_mut().poll(cx).is_ready() {
                    self.remove_links(now);
                    cx.waker().wake_by_ref();
                }
            }
            Supply::Reconnect(way) => {
                self.moved = None;
                let shared = &self.shared;
                let rejoin = self.rejoin.get_or_insert_with(|| way.rejoin(shared.lock().core.receive_state()));
                if let Poll::Ready(answer) = rejoin.as_mut().poll(cx) {
                    self.rejoin = None;
                    self.take_rejoined(answer, now);
                }
            }
        }
    }

    /// The peer joins with a new link because it gave its old ones up: they are shut first, so that both sides state
    /// what they have received with nothing still on the way.
    fn take_join(&mut self, join: Join, now: Instant) {
        self.remove_links(now);
        let received = self.shared.lock().core.receive_state();
        let peer = join.joiner.received().clone();
        let mut answer = Vec::new();
        join.joiner.admit(received, &mut answer);
        self.resume(&peer, now);
        self.add_link(join.link, &answer, now);
    }

    fn take_rejoined(&mut self, answer: Rejoined, now: Instant) {
        match answer {
            Rejoined::Link(link, received) => {
                self.resume(&received, now);
                self.add_link(*link, &[], now);
            }
            Rejoined::Gone => self.end(EndReason::Gone),
            Rejoined::Refused(close) => self.end(EndReason::ClosedByPeer(close)),
        }
    }

    fn resume(&mut self, received: &ReceiveState, now: Instant) {
        self.shared.change(|state| {
            if let Err(violation) = state.core.resume(now, received) {
                state.core.end(EndReason::Violated(violation));
            }
        });
    }

    fn end(&mut self, reason: EndReason) {
        self.shared.change(|state| state.core.end(reason));
    }

    fn poll_links(&mut self, cx: &mut Context<'_>, now: Instant) {
        let mut index = 0;
        while index < self.links.len() {
            match self.links[index].poll(cx, &self.shared, now) {
                Poll::Pending => index += 1,
                Poll::Ready(end) => {
                    tracing::debug!(session = %self.shared.id, reason = %end, "link over");
                    self.judge(end);
                    if self.shared.lock().ended.is_some() {
                        return;
                    }
                    self.remove_link(index, now);
                    // The way back begins with the next poll.
                    cx.waker().wake_by_ref();
                }
            }
        }
        let rtt = self.rtt();
        if rtt != self.shown_rtt {
            self.shown_rtt = rtt;
            self.show_links();
        }
    }

    /// All round-trip times together: another sum when one was measured anew.
    fn rtt(&self) -> Duration {
        self.links.iter().filter_map(Link::rtt).sum()
    }

    /// A link's end ends the session only if the peer broke a rule.
    fn judge(&mut self, end: PumpEnd<LinkError>) {
        if let PumpEnd::Traffic(error) = end
            && !error.is_of_the_link_only()
        {
            let close = error.close();
            // The core may have ended itself over it, which cutting would take for the end of the matter: the peer is told.
            self.shared.change(|state| {
                state.last_word = Some(close.clone());
                state.core.end(EndReason::Closed(close));
            });
        }
    }

    /// The session is over: its last words leave, bounded in time.
    fn poll_goodbye(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<()> {
        let until = *self.goodbye.get_or_insert(now + GOODBYE_TIME);
        let last_word = self.shared.lock().last_word.take();
        if let Some(close) = last_word {
            self.links.iter_mut().for_each(|link| link.say_close(&close));
        }
        let shared = &self.shared;
        self.links.retain_mut(|link| link.poll_close(cx, shared, now).is_pending());
        if self.links.is_empty() || now >= until {
            return Poll::Ready(());
        }
        self.sleep_until(cx, now, Some(until))
    }

    /// Arms the timer. `Pending`, or woken at once if the time is already there.
    ///
    /// A time that moved away is met by a timer that rings too early and is armed anew then: most move with each read.
    fn sleep_until(&mut self, cx: &mut Context<'_>, now: Instant, at: Option<Instant>) -> Poll<()> {
        let Some(at) = at else { return Poll::Pending };
        if at < self.rings_at || self.rings_at <= now {
            self.rings_at = at;
            self.timer.as_mut().reset(self.shared.clock.at(at));
        }
        if self.timer.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// The next moment at which core or links have something to do.
    fn next_timeout(&self, now: Instant) -> Option<Instant> {
        let (core, pool) = {
            let core = &self.shared.lock().core;
            (core.poll_timeout(), core.waits_for_pool().then(|| now + POOL_LOOK_TIME))
        };
        self.links.iter().map(Link::poll_timeout).chain([core, pool]).flatten().min()
    }
}

impl Future for SessionTask {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let now = this.shared.clock.now();
        let is_over = this.shared.change(|state| {
            state.wakes(cx.waker());
            state.core.handle_timeout(now);
            state.core.is_ended()
        });
        if !is_over {
            this.poll_supply(cx, now);
            this.poll_links(cx, now);
        }
        if this.shared.lock().ended.is_some() {
            return this.poll_goodbye(cx, now);
        }
        let next = this.next_timeout(now);
        let has_room = this.links.iter_mut().any(Link::has_room);
        if !this.shared.may_sleep(has_room) {
            cx.waker().wake_by_ref();
        }
        this.sleep_until(cx, now, next)
    }
}

impl Drop for SessionTask {
    /// Handles must not wait for a task that is gone (a runtime that shuts down).
    fn drop(&mut self) {
        let close = Close::new(towline_proto::wire::close::CloseCode::Internal).with_text("the session's task is gone");
        self.end(EndReason::Closed(close));
        self.shared.part();
    }
}
