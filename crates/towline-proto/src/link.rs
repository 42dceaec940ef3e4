//! Where links and sessions meet: the session owns bytes, links hold references and pull.

use crate::time::Instant;
use crate::wire::close::{Close, CloseCode};
use crate::wire::frame::Frame;

/// One link of a session, numbered by it; a number is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub u32);

/// A reference to something that a session has given to a link, to be handed back exactly once: confirmed or lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRef {
    pub(crate) stream: StreamRef,
    pub(crate) item: Item,
}

/// A stream's place in its session's table, and which tenant of that place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct StreamRef {
    pub(crate) index: u32,
    pub(crate) tenant: u32,
}

impl StreamRef {
    /// For what belongs to the session as a whole.
    pub(crate) const NONE: Self = Self { index: u32::MAX, tenant: 0 };
}

/// What a frame said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Data { from: u64, to: u64 },
    End,
    Reset,
    Stop,
    StreamCredit { limit: u64 },
    Blocked { need: u64 },
    SessionCredit { limit: u64 },
    StreamsCredit { count: u64 },
    Close,
    Grease,
}

/// What a link pulls from and gives to; the session implements it.
pub trait Frames {
    /// Writes one frame of at most `room` bytes (type and fields) to the end of `out` and returns the reference to hand
    /// back. `None`: nothing to send on this link now.
    fn fill(&mut self, now: Instant, link: LinkId, room: usize, out: &mut Vec<u8>) -> Option<FrameRef>;

    /// The peer has this frame in its memory.
    fn confirmed(&mut self, now: Instant, link: LinkId, frame: FrameRef);

    /// This frame may not have arrived, and this link will not carry it again.
    fn lost(&mut self, now: Instant, link: LinkId, frame: FrameRef);

    /// A frame came.
    ///
    /// # Errors
    /// [`Violation`]: the session is over; tell the peer so.
    fn received(&mut self, now: Instant, link: LinkId, frame: Frame<'_>) -> Result<(), Violation>;
}

/// The peer broke a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {what}")]
pub struct Violation {
    /// What the peer is told.
    pub code: CloseCode,
    /// Which rule.
    pub what: &'static str,
}

impl Violation {
    pub(crate) const fn new(code: CloseCode, what: &'static str) -> Self {
        Self { code, what }
    }

    /// What to say to the peer.
    pub fn close(&self) -> Close {
        Close::new(self.code).with_text(self.what)
    }
}
