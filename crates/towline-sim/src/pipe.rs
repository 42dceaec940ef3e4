//! One direction of a byte-stream link.

use crate::{MILLIS, Nanos, Rng};
use std::collections::VecDeque;

/// How a link behaves, in each direction, as long as nothing is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// How long a byte is on its way.
    pub latency: Nanos,
    /// How much later it may come, by chance. Bytes never overtake each other.
    pub jitter: Nanos,
    /// How many bytes pass in a second; `u64::MAX` for no bound.
    pub bytes_per_second: u64,
    /// How many bytes may be on their way or unread, in all: what the buffers of two kernels would hold.
    pub capacity: usize,
    /// The most bytes that arrive at once: what is written is cut into arrivals at random points up to this far apart.
    pub largest_arrival: usize,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            latency: 10 * MILLIS,
            jitter: 0,
            bytes_per_second: u64::MAX,
            capacity: 64 * 1024,
            largest_arrival: 1_460,
        }
    }
}

/// What a socket has for its reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// These came next.
    Bytes(Vec<u8>),
    /// Nothing now.
    Nothing,
    /// The other side finished, and everything before that has been read.
    End,
    /// The link was reset, and what had arrived before that has been read.
    Broken,
}

/// How far the sending end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// More may come.
    Open,
    /// Finished by its writer; the reader sees it once all bytes have arrived.
    Finished,
}

/// One direction of a link: bytes on their way, and bytes that arrived and were not read.
#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) shape: Shape,
    in_flight: VecDeque<(Nanos, Vec<u8>)>,
    arrived: VecDeque<u8>,
    /// Bytes the writer may still add.
    free: usize,
    /// Bytes ever taken from the writer.
    pub(crate) sent: u64,
    /// When the last byte on its way arrives; none arrives earlier than one before it.
    last_arrival: Nanos,
    pub(crate) tail: Tail,
    /// Nothing arrives as long as this holds.
    pub(crate) stalled: bool,
    /// What is written is taken and never arrives.
    pub(crate) swallows: bool,
}

impl Pipe {
    pub(crate) fn new(shape: Shape) -> Self {
        assert!(shape.largest_arrival > 0 && shape.bytes_per_second > 0, "a link that carries nothing is no link");
        Self {
            shape,
            in_flight: VecDeque::new(),
            arrived: VecDeque::new(),
            free: shape.capacity,
            sent: 0,
            last_arrival: 0,
            tail: Tail::Open,
            stalled: false,
            swallows: false,
        }
    }

    pub(crate) const fn free(&self) -> usize {
        self.free
    }

    /// Takes what there is room for and cuts it into arrivals, whose times are appended to `arrivals`.
    pub(crate) fn write(&mut self, now: Nanos, bytes: &[u8], rng: &mut Rng, arrivals: &mut Vec<Nanos>) -> usize {
        let taken = bytes.len().min(self.free);
        let mut rest = &bytes[..taken];
        self.free -= taken;
        self.sent += taken as u64;
        while !rest.is_empty() && !self.swallows {
            let (piece, after) =
                rest.split_at(rng.between(1, self.shape.largest_arrival as u64).min(rest.len() as u64) as usize);
            rest = after;
            let arrival = self.arrival(now, piece.len(), rng);
            self.in_flight.push_back((arrival, piece.to_vec()));
            arrivals.push(arrival);
        }
        taken
    }

    /// When `len` bytes written now are through.
    pub(crate) fn arrival(&mut self, now: Nanos, len: usize, rng: &mut Rng) -> Nanos {
        let passing = (len as u128 * u128::from(crate::SECONDS) / u128::from(self.shape.bytes_per_second)) as Nanos;
        let earliest = now + self.shape.latency + rng.between(0, self.shape.jitter);
        self.last_arrival = self.last_arrival.max(earliest) + passing;
        self.last_arrival
    }

    /// Moves what is due to the reader's side; whether anything came.
    pub(crate) fn deliver(&mut self, now: Nanos) -> bool {
        let mut came = false;
        while !self.stalled && self.in_flight.front().is_some_and(|&(arrival, _)| arrival <= now) {
            self.arrived.extend(self.in_flight.pop_front().into_iter().flat_map(|(_, bytes)| bytes));
            came = true;
        }
        came
    }

    /// What is on its way is lost.
    pub(crate) fn lose_in_flight(&mut self) {
        self.in_flight.clear();
    }

    /// Gives the writer room again.
    pub(crate) fn make_room(&mut self, count: usize) {
        self.free += count;
    }

    pub(crate) fn read(&mut self, most: usize) -> Read {
        if !self.arrived.is_empty() && most > 0 {
            let count = most.min(self.arrived.len());
            return Read::Bytes(self.arrived.drain(..count).collect());
        }
        match self.tail {
            Tail::Finished if self.in_flight.is_empty() && self.arrived.is_empty() => Read::End,
            _ => Read::Nothing,
        }
    }
}
