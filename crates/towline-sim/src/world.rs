//! The clock, and what it brings.

mod packets;
mod streams;

use crate::Nanos;
use crate::agenda::Agenda;
use packets::Packets;
use streams::{StreamEvent, Streams};

pub use packets::{LineId, Node};
pub use streams::{Broken, Fault, Socket};

/// A timer that was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TimerId(u64);

/// What a step of the clock brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// Bytes arrived, or the other side finished.
    Readable(Socket),
    /// There is room to write again.
    Writable(Socket),
    /// The link was reset.
    Broken(Socket),
    /// A datagram arrived.
    Datagram(Node),
    /// A timer is due.
    Timer(TimerId),
}

/// What the clock will bring.
#[derive(Clone, Copy, Debug)]
enum Event {
    Stream(StreamEvent),
    /// Something may have arrived at the line's far end.
    Line(LineId),
    /// A line's conditions change, as this entry of the list of changes says.
    Change(usize),
    Timer,
}

/// A network in memory and its clock.
#[derive(Debug)]
pub struct World {
    seed: u64,
    now: Nanos,
    agenda: Agenda<Event>,
    streams: Streams,
    packets: Packets,
}

impl World {
    /// An empty world at time 0.
    pub const fn new(seed: u64) -> Self {
        Self { seed, now: 0, agenda: Agenda::new(), streams: Streams::new(seed), packets: Packets::new(seed) }
    }

    /// The seed: print it when a test fails.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// The time.
    pub const fn now(&self) -> Nanos {
        self.now
    }

    /// When something happens next, at the earliest; `None` if nothing will.
    pub fn next_at(&self) -> Option<Nanos> {
        self.agenda.first_at()
    }

    /// Sets a timer. A time past is due at once.
    pub fn set_timer(&mut self, at: Nanos) -> TimerId {
        TimerId(self.agenda.enter_cancellable(at.max(self.now), Event::Timer))
    }

    /// Forgets a timer; nothing changes if it was due already.
    pub fn cancel_timer(&mut self, id: TimerId) {
        self.agenda.cancel(id.0);
    }

    /// Turns the clock to the next happening and says what it is; `None` if nothing will ever happen.
    pub fn step(&mut self) -> Option<Happening> {
        loop {
            if let Some(happening) = self.take_first()? {
                return Some(happening);
            }
        }
    }

    /// Turns the clock to the next happening, but not past `limit`; `None` when the clock stands there.
    pub fn step_until(&mut self, limit: Nanos) -> Option<Happening> {
        while self.next_at().is_some_and(|at| at <= limit) {
            if let Some(happening) = self.take_first().flatten() {
                return Some(happening);
            }
        }
        self.now = self.now.max(limit);
        None
    }

    /// Turns the clock to `time` and returns all that happened up to then.
    pub fn advance_to(&mut self, time: Nanos) -> Vec<Happening> {
        std::iter::from_fn(|| self.step_until(time)).collect()
    }

    /// Turns the clock to the next entry; what happened, if anybody needs to know. `None` if there is no entry.
    fn take_first(&mut self) -> Option<Option<Happening>> {
        let (at, number, event) = self.agenda.take()?;
        self.now = at;
        Some(match event {
            Event::Stream(event) => self.apply_to_stream(event),
            Event::Line(line) => self.turn_to_line(line),
            Event::Change(change) => {
                self.apply_change(change);
                None
            }
            Event::Timer => Some(Happening::Timer(TimerId(number))),
        })
    }

    fn schedule(&mut self, at: Nanos, event: Event) {
        self.agenda.enter(at.max(self.now), event);
    }
}
