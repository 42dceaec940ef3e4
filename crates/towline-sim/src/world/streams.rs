//! Byte-stream links: what two kernels' sockets would do.

#[cfg(test)]
mod tests;

use super::{Event, Happening, World};
use crate::pipe::{Pipe, Read, Shape, Tail};
use crate::{Nanos, Rng};

/// One end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Socket(usize);

impl Socket {
    /// The link's other end.
    pub const fn peer(self) -> Self {
        Self(self.0 ^ 1)
    }
}

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

/// What happens to a byte-stream link. The pipe's number is that of the socket that writes into it.
#[derive(Clone, Copy, Debug)]
pub(super) enum StreamEvent {
    Arrive { pipe: usize },
    Room { pipe: usize, count: usize },
    Cut { socket: Socket, fault: Fault },
    Break { socket: Socket },
    Stall { socket: Socket, stalled: bool },
}

/// A fault that waits for a socket to have sent so much.
#[derive(Clone, Copy, Debug)]
struct Trap {
    socket: Socket,
    at_byte: u64,
    fault: Fault,
}

/// The part of a world that carries byte streams.
#[derive(Debug)]
pub(super) struct Streams {
    rng: Rng,
    pipes: Vec<Pipe>,
    /// Whether each socket knows that its link was reset.
    broken: Vec<bool>,
    traps: Vec<Trap>,
}

impl Streams {
    pub(super) const fn new(seed: u64) -> Self {
        Self { rng: Rng::new(seed), pipes: Vec::new(), broken: Vec::new(), traps: Vec::new() }
    }
}

impl World {
    /// Makes a link.
    pub fn connect(&mut self, shape: Shape) -> (Socket, Socket) {
        let first = self.streams.pipes.len();
        self.streams.pipes.extend([Pipe::new(shape), Pipe::new(shape)]);
        self.streams.broken.extend([false, false]);
        (Socket(first), Socket(first + 1))
    }

    /// Writes as many of `bytes` as there is room for; how many.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn write(&mut self, socket: Socket, bytes: &[u8]) -> Result<usize, Broken> {
        if self.streams.broken[socket.0] {
            return Err(Broken);
        }
        assert!(self.streams.pipes[socket.0].tail == Tail::Open, "a test wrote to a socket that it had finished");
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
        self.streams.pipes[socket.0].free()
    }

    /// How many bytes the socket has taken since it was made.
    pub fn sent(&self, socket: Socket) -> u64 {
        self.streams.pipes[socket.0].sent
    }

    /// Reads at most `most` bytes.
    pub fn read(&mut self, socket: Socket, most: usize) -> Read {
        let pipe = socket.peer().0;
        match self.streams.pipes[pipe].read(most) {
            Read::Bytes(bytes) => {
                let back_at = self.now + self.streams.pipes[pipe].shape.latency;
                self.schedule_stream(back_at, StreamEvent::Room { pipe, count: bytes.len() });
                Read::Bytes(bytes)
            }
            Read::Nothing if self.streams.broken[socket.0] => Read::Broken,
            other => other,
        }
    }

    /// Says that nothing more will be written.
    pub fn finish(&mut self, socket: Socket) {
        let pipe = &mut self.streams.pipes[socket.0];
        if pipe.tail == Tail::Open && !pipe.swallows {
            pipe.tail = Tail::Finished;
            let at = pipe.arrival(self.now, 0, &mut self.streams.rng);
            self.schedule_stream(at, StreamEvent::Arrive { pipe: socket.0 });
        }
    }

    /// Breaks the link now.
    pub fn cut(&mut self, socket: Socket, fault: Fault) {
        match fault {
            Fault::Reset => {
                for end in [socket, socket.peer()] {
                    self.streams.pipes[end.0].lose_in_flight();
                    self.streams.pipes[end.0].swallows = true;
                    self.schedule_stream(
                        self.now + self.streams.pipes[end.0].shape.latency,
                        StreamEvent::Break { socket: end },
                    );
                }
            }
            Fault::Silent => {
                self.cut(socket, Fault::SilentOneWay);
                self.cut(socket.peer(), Fault::SilentOneWay);
            }
            Fault::SilentOneWay => {
                self.streams.pipes[socket.0].lose_in_flight();
                self.streams.pipes[socket.0].swallows = true;
            }
        }
    }

    /// Breaks the link at a time.
    pub fn cut_at(&mut self, socket: Socket, at: Nanos, fault: Fault) {
        self.schedule_stream(at, StreamEvent::Cut { socket, fault });
    }

    /// Breaks the link when the socket has sent exactly `byte` bytes: those before it still arrive, unless `fault` is
    /// [`Fault::Reset`], which loses them if they are on their way.
    pub fn cut_after(&mut self, socket: Socket, byte: u64, fault: Fault) {
        self.streams.traps.push(Trap { socket, at_byte: byte, fault });
        self.spring_traps(socket);
    }

    /// Holds back all that the socket sends, until [`World::resume`]. Nothing is lost.
    pub fn stall(&mut self, socket: Socket) {
        self.streams.pipes[socket.0].stalled = true;
    }

    /// Holds back all that the socket sends from a time to a time.
    pub fn stall_between(&mut self, socket: Socket, from: Nanos, to: Nanos) {
        self.schedule_stream(from, StreamEvent::Stall { socket, stalled: true });
        self.schedule_stream(to, StreamEvent::Stall { socket, stalled: false });
    }

    /// Lets what was held back arrive.
    pub fn resume(&mut self, socket: Socket) {
        self.streams.pipes[socket.0].stalled = false;
        self.schedule_stream(self.now, StreamEvent::Arrive { pipe: socket.0 });
    }

    pub(super) fn apply_to_stream(&mut self, event: StreamEvent) -> Option<Happening> {
        match event {
            StreamEvent::Arrive { pipe } => {
                let readable = Happening::Readable(Socket(pipe).peer());
                let came = self.streams.pipes[pipe].deliver(self.now);
                let ended = !came && matches!(self.streams.pipes[pipe].read(0), Read::End);
                (came || ended).then_some(readable)
            }
            StreamEvent::Room { pipe, count } => {
                self.streams.pipes[pipe].make_room(count);
                Some(Happening::Writable(Socket(pipe)))
            }
            StreamEvent::Cut { socket, fault } => {
                self.cut(socket, fault);
                None
            }
            StreamEvent::Break { socket } => self.break_end(socket),
            StreamEvent::Stall { socket, stalled: true } => {
                self.stall(socket);
                None
            }
            StreamEvent::Stall { socket, stalled: false } => {
                self.resume(socket);
                None
            }
        }
    }

    /// This end learns that its link is reset: it can neither write nor, once it has read what came, read.
    fn break_end(&mut self, socket: Socket) -> Option<Happening> {
        let known = std::mem::replace(&mut self.streams.broken[socket.0], true);
        (!known).then_some(Happening::Broken(socket))
    }

    fn put(&mut self, socket: Socket, bytes: &[u8]) -> usize {
        let mut arrivals = Vec::new();
        let taken = self.streams.pipes[socket.0].write(self.now, bytes, &mut self.streams.rng, &mut arrivals);
        for at in arrivals {
            self.schedule_stream(at, StreamEvent::Arrive { pipe: socket.0 });
        }
        taken
    }

    fn bytes_until_trap(&self, socket: Socket) -> Option<usize> {
        let sent = self.streams.pipes[socket.0].sent;
        let left = |trap: &Trap| trap.at_byte.saturating_sub(sent) as usize;
        self.streams.traps.iter().filter(|trap| trap.socket == socket).map(left).min()
    }

    /// Applies the faults whose byte has come; whether there was one.
    fn spring_traps(&mut self, socket: Socket) -> bool {
        let sent = self.streams.pipes[socket.0].sent;
        let due = |trap: &Trap| trap.socket == socket && trap.at_byte <= sent;
        let sprung: Vec<Trap> = self.streams.traps.iter().copied().filter(due).collect();
        self.streams.traps.retain(|trap| !due(trap));
        for trap in &sprung {
            self.spring(*trap);
        }
        !sprung.is_empty()
    }

    /// What was sent before a silent fault's byte still arrives: only what comes behind it is swallowed.
    fn spring(&mut self, trap: Trap) {
        match trap.fault {
            Fault::Reset => self.cut(trap.socket, Fault::Reset),
            Fault::SilentOneWay => self.streams.pipes[trap.socket.0].swallows = true,
            Fault::Silent => {
                self.streams.pipes[trap.socket.0].swallows = true;
                self.streams.pipes[trap.socket.peer().0].swallows = true;
            }
        }
    }

    fn schedule_stream(&mut self, at: Nanos, event: StreamEvent) {
        self.schedule(at, Event::Stream(event));
    }
}
