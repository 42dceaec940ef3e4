//! Links, timers and the clock.

#[cfg(test)]
mod tests;

use crate::pipe::{Pipe, Read, Shape, Tail};
use crate::{Nanos, Rng};
use std::collections::BTreeMap;

/// One end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Socket(usize);

impl Socket {
    /// The link's other end.
    pub const fn peer(self) -> Self {
        Self(self.0 ^ 1)
    }
}

/// A timer that was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TimerId(u64);

/// The link was reset: nothing can be written any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

/// How a link dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Both ends are told, after the link's latency; what was on its way is lost.
    Reset,
    /// Nothing arrives any more, either way, and nobody is told: a cable pulled.
    Silent,
    /// Nothing that this socket sends arrives any more, and nobody is told; the other direction lives.
    SilentOneWay,
}

/// What a step of the clock brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// Bytes arrived, or the other side finished.
    Readable(Socket),
    /// There is room to write again.
    Writable(Socket),
    /// The link was reset.
    Broken(Socket),
    /// A timer is due.
    Timer(TimerId),
}

/// What the clock will bring. The pipe's number is that of the socket that writes into it.
#[derive(Clone, Copy, Debug)]
enum Event {
    Arrive { pipe: usize },
    Room { pipe: usize, count: usize },
    Cut { socket: Socket, fault: Fault },
    Break { socket: Socket },
    Stall { socket: Socket, stalled: bool },
    Timer(TimerId),
}

/// A fault that waits for a socket to have sent so much.
#[derive(Clone, Copy, Debug)]
struct Trap {
    socket: Socket,
    at_byte: u64,
    fault: Fault,
}

/// A network in memory and its clock.
#[derive(Debug)]
pub struct World {
    seed: u64,
    now: Nanos,
    rng: Rng,
    pipes: Vec<Pipe>,
    /// Whether each socket knows that its link was reset.
    broken: Vec<bool>,
    traps: Vec<Trap>,
    queue: BTreeMap<(Nanos, u64), Event>,
    next_event: u64,
}

impl World {
    /// An empty world at time 0.
    pub const fn new(seed: u64) -> Self {
        let rng = Rng::new(seed);
        Self {
            seed,
            now: 0,
            rng,
            pipes: Vec::new(),
            broken: Vec::new(),
            traps: Vec::new(),
            queue: BTreeMap::new(),
            next_event: 0,
        }
    }

    /// The seed: print it when a test fails.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// The time.
    pub const fn now(&self) -> Nanos {
        self.now
    }

    /// When something happens next; `None` if nothing will.
    pub fn next_at(&self) -> Option<Nanos> {
        self.queue.keys().next().map(|&(at, _)| at)
    }

    /// Makes a link.
    pub fn connect(&mut self, shape: Shape) -> (Socket, Socket) {
        let first = self.pipes.len();
        self.pipes.extend([Pipe::new(shape), Pipe::new(shape)]);
        self.broken.extend([false, false]);
        (Socket(first), Socket(first + 1))
    }

    /// Writes as many of `bytes` as there is room for; how many.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn write(&mut self, socket: Socket, bytes: &[u8]) -> Result<usize, Broken> {
        if self.broken[socket.0] {
            return Err(Broken);
        }
        assert!(self.pipes[socket.0].tail == Tail::Open, "a test wrote to a socket that it had finished");
        let allowed = self.bytes_until_trap(socket).map_or(bytes.len(), |left| bytes.len().min(left));
        let mut written = self.put(socket, &bytes[..allowed]);
        if self.spring_traps(socket) && written == allowed {
            // The fault struck in the middle of this write: the rest is taken like the first part, and lost or not.
            written += self.put(socket, &bytes[allowed..]);
        }
        Ok(written)
    }

    /// How many bytes can be written now.
    pub fn room(&self, socket: Socket) -> usize {
        self.pipes[socket.0].free()
    }

    /// How many bytes the socket has taken since it was made.
    pub fn sent(&self, socket: Socket) -> u64 {
        self.pipes[socket.0].sent
    }

    /// Reads at most `most` bytes.
    pub fn read(&mut self, socket: Socket, most: usize) -> Read {
        let pipe = socket.peer().0;
        match self.pipes[pipe].read(most) {
            Read::Bytes(bytes) => {
                let back_at = self.now + self.pipes[pipe].shape.latency;
                self.schedule(back_at, Event::Room { pipe, count: bytes.len() });
                Read::Bytes(bytes)
            }
            Read::Nothing if self.broken[socket.0] => Read::Broken,
            other => other,
        }
    }

    /// Says that nothing more will be written.
    pub fn finish(&mut self, socket: Socket) {
        let pipe = &mut self.pipes[socket.0];
        if pipe.tail == Tail::Open && !pipe.swallows {
            pipe.tail = Tail::Finished;
            let at = pipe.arrival(self.now, 0, &mut self.rng);
            self.schedule(at, Event::Arrive { pipe: socket.0 });
        }
    }

    /// Breaks the link now.
    pub fn cut(&mut self, socket: Socket, fault: Fault) {
        match fault {
            Fault::Reset => {
                for end in [socket, socket.peer()] {
                    self.pipes[end.0].lose_in_flight();
                    self.pipes[end.0].swallows = true;
                    self.schedule(self.now + self.pipes[end.0].shape.latency, Event::Break { socket: end });
                }
            }
            Fault::Silent => {
                self.cut(socket, Fault::SilentOneWay);
                self.cut(socket.peer(), Fault::SilentOneWay);
            }
            Fault::SilentOneWay => {
                self.pipes[socket.0].lose_in_flight();
                self.pipes[socket.0].swallows = true;
            }
        }
    }

    /// Breaks the link at a time.
    pub fn cut_at(&mut self, socket: Socket, at: Nanos, fault: Fault) {
        self.schedule(at, Event::Cut { socket, fault });
    }

    /// Breaks the link when the socket has sent exactly `byte` bytes: those before it still arrive, unless `fault` is
    /// [`Fault::Reset`], which loses them if they are on their way.
    pub fn cut_after(&mut self, socket: Socket, byte: u64, fault: Fault) {
        self.traps.push(Trap { socket, at_byte: byte, fault });
        self.spring_traps(socket);
    }

    /// Holds back all that the socket sends, until [`World::resume`]. Nothing is lost.
    pub fn stall(&mut self, socket: Socket) {
        self.pipes[socket.0].stalled = true;
    }

    /// Holds back all that the socket sends from a time to a time.
    pub fn stall_between(&mut self, socket: Socket, from: Nanos, to: Nanos) {
        self.schedule(from, Event::Stall { socket, stalled: true });
        self.schedule(to, Event::Stall { socket, stalled: false });
    }

    /// Lets what was held back arrive.
    pub fn resume(&mut self, socket: Socket) {
        self.pipes[socket.0].stalled = false;
        self.schedule(self.now, Event::Arrive { pipe: socket.0 });
    }

    /// Sets a timer. A time past is due at once.
    pub fn set_timer(&mut self, at: Nanos) -> TimerId {
        let id = TimerId(self.next_event);
        self.schedule(at, Event::Timer(id));
        id
    }

    /// Forgets a timer.
    pub fn cancel_timer(&mut self, id: TimerId) {
        self.queue.retain(|_, event| !matches!(event, Event::Timer(other) if *other == id));
    }

    /// Turns the clock to the next happening and says what it is; `None` if nothing will ever happen.
    pub fn step(&mut self) -> Option<Happening> {
        loop {
            let ((at, _), event) = self.queue.pop_first()?;
            self.now = at;
            if let Some(happening) = self.apply(event) {
                return Some(happening);
            }
        }
    }

    /// Turns the clock to the next happening, but not past `limit`; `None` when the clock stands there.
    pub fn step_until(&mut self, limit: Nanos) -> Option<Happening> {
        while self.next_at().is_some_and(|at| at <= limit) {
            let ((at, _), event) = self.queue.pop_first().expect("it was just looked at");
            self.now = at;
            if let Some(happening) = self.apply(event) {
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

    fn apply(&mut self, event: Event) -> Option<Happening> {
        match event {
            Event::Arrive { pipe } => {
                let readable = Happening::Readable(Socket(pipe).peer());
                let came = self.pipes[pipe].deliver(self.now);
                let ended = !came && matches!(self.pipes[pipe].read(0), Read::End);
                (came || ended).then_some(readable)
            }
            Event::Room { pipe, count } => {
                self.pipes[pipe].make_room(count);
                Some(Happening::Writable(Socket(pipe)))
            }
            Event::Cut { socket, fault } => {
                self.cut(socket, fault);
                None
            }
            Event::Break { socket } => self.break_end(socket),
            Event::Stall { socket, stalled: true } => {
                self.stall(socket);
                None
            }
            Event::Stall { socket, stalled: false } => {
                self.resume(socket);
                None
            }
            Event::Timer(id) => Some(Happening::Timer(id)),
        }
    }

    /// This end learns that its link is reset: it can neither write nor, once it has read what came, read.
    fn break_end(&mut self, socket: Socket) -> Option<Happening> {
        let known = std::mem::replace(&mut self.broken[socket.0], true);
        (!known).then_some(Happening::Broken(socket))
    }

    fn put(&mut self, socket: Socket, bytes: &[u8]) -> usize {
        let mut arrivals = Vec::new();
        let taken = self.pipes[socket.0].write(self.now, bytes, &mut self.rng, &mut arrivals);
        for at in arrivals {
            self.schedule(at, Event::Arrive { pipe: socket.0 });
        }
        taken
    }

    fn bytes_until_trap(&self, socket: Socket) -> Option<usize> {
        let sent = self.pipes[socket.0].sent;
        let left = |trap: &Trap| trap.at_byte.saturating_sub(sent) as usize;
        self.traps.iter().filter(|trap| trap.socket == socket).map(left).min()
    }

    /// Applies the faults whose byte has come; whether there was one.
    fn spring_traps(&mut self, socket: Socket) -> bool {
        let sent = self.pipes[socket.0].sent;
        let due = |trap: &Trap| trap.socket == socket && trap.at_byte <= sent;
        let sprung: Vec<Trap> = self.traps.iter().copied().filter(due).collect();
        self.traps.retain(|trap| !due(trap));
        for trap in &sprung {
            self.spring(*trap);
        }
        !sprung.is_empty()
    }

    /// What was sent before a silent fault's byte still arrives: only what comes behind it is swallowed.
    fn spring(&mut self, trap: Trap) {
        match trap.fault {
            Fault::Reset => self.cut(trap.socket, Fault::Reset),
            Fault::SilentOneWay => self.pipes[trap.socket.0].swallows = true,
            Fault::Silent => {
                self.pipes[trap.socket.0].swallows = true;
                self.pipes[trap.socket.peer().0].swallows = true;
            }
        }
    }

    fn schedule(&mut self, at: Nanos, event: Event) {
        self.queue.insert((at.max(self.now), self.next_event), event);
        self.next_event += 1;
    }
}
