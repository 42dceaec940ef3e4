//! Whether the peer is too slow and whether the connection rests, as a plain value: time and counts in, a verdict out.

use std::time::Duration;

use tokio::time::Instant;

use super::end::{ConnectionConfig, Timeout};

/// A connection that did nothing for so long gives its buffers back.
const REST: Duration = Duration::from_secs(1);

/// What a connection shows of itself after each turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight {
    pub(super) read_bytes: u64,
    pub(super) written_bytes: u64,
    pub(super) received: u64,
    /// Whether this side takes input; else silence is not the peer's fault.
    pub(super) reads: bool,
    pub(super) inside_message: bool,
    /// Whether encoded bytes wait to be written.
    pub(super) writes: bool,
    /// Whether it holds memory that an idle connection does not need.
    pub(super) spare: bool,
}

/// What is due when a span is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The connection ends.
    Timeout(Timeout),
    /// Memory is given back.
    Rest,
}

/// Watches one connection.
#[derive(Debug)]
pub(super) struct Watch {
    silence: Span,
    message: Span,
    stall: Span,
    rest: Span,
}

/// A time that runs while something lasts and nothing moves.
#[derive(Debug)]
struct Span {
    limit: Option<Duration>,
    since: Option<Instant>,
    moved: u64,
}

impl Span {
    fn new(limit: Option<Duration>) -> Self {
        Self { limit, since: None, moved: 0 }
    }

    fn look(&mut self, now: Instant, lasts: bool, moved: u64) {
        if !lasts || moved != self.moved {
            self.since = None;
        }
        self.moved = moved;
        if lasts {
            self.since.get_or_insert(now);
        }
    }

    fn ends(&self) -> Option<Instant> {
        Some(self.since? + self.limit?)
    }
}

impl Watch {
    /// A watch over what `config` limits, and over the rest.
    pub(super) fn new(config: &ConnectionConfig) -> Self {
        Self {
            silence: Span::new(config.silence_timeout),
            message: Span::new(config.message_timeout),
            stall: Span::new(config.stall_timeout),
            rest: Span::new(Some(REST)),
        }
    }

    /// Whether it wants to see that; else asking the clock can be spared.
    pub(super) fn wants(&self, sight: &Sight) -> bool {
        sight.spare || self.times_out()
    }

    /// Whether there is a timeout.
    pub(super) fn times_out(&self) -> bool {
        [&self.silence, &self.message, &self.stall].iter().any(|span| span.limit.is_some())
    }

    /// Sees how the connection is after a turn.
    pub(super) fn look(&mut self, now: Instant, sight: Sight) {
        self.silence.look(now, sight.reads, sight.read_bytes);
        self.message.look(now, sight.reads && sight.inside_message, sight.received);
        self.stall.look(now, sight.writes, sight.written_bytes);
        self.rest.look(now, sight.spare, sight.read_bytes.wrapping_add(sight.written_bytes));
    }

    /// Memory was given back.
    pub(super) fn rested(&mut self) {
        self.rest.since = None;
    }

    /// What is due first if nothing happens before, and when.
    pub(super) fn next(&self) -> Option<(Instant, Due)> {
        let spans = [
            (&self.silence, Due::Timeout(Timeout::Silence)),
            (&self.message, Due::Timeout(Timeout::Message)),
            (&self.stall, Due::Timeout(Timeout::Stall)),
            (&self.rest, Due::Rest),
        ];
        spans.into_iter().filter_map(|(span, due)| Some((span.ends()?, due))).min_by_key(|(at, _)| *at)
    }
}
