//! One datagram link: a session's frames in packets, acknowledged, paced, and given back when lost.
//!
//! It writes and reads the *content* of packets; whoever owns it seals and opens them under the numbers that it gives.
//! A packet's content is frames, each `length ‖ type ‖ fields` as on a byte stream; a length of 0 is a byte of padding.
//!
//! | timer | set | then |
//! |---|---|---|
//! | loss | while a packet that left later than another is delivered | the older one is lost |
//! | probe | while anything is on its way | the oldest goes again, past window and pacer; twice the time after each |
//! | acknowledge | while one is owed | it goes |
//! | pace | while the pacer held back what could go | it goes |

#[cfg(test)]
mod tests;

use super::control::{Controller, News};
use super::delivery::Delivery;
use super::duty::{Duty, HELD_MAX, Mark};
use super::flight::{Flight, Lost};
use super::pacer::Pacer;
use super::rtt::Rtt;
use super::seen::Seen;
use crate::link::{FrameRef, Frames, LinkId, Violation};
use crate::time::{Duration, Instant};
use crate::wire::ack::{ACK, ACK_ECN, Ack, AckHead, EcnCounts, put_ack};
use crate::wire::close::CloseCode;
use crate::wire::cursor::{DecodeError, Reader, put_varint};
use crate::wire::frame::{Frame, FrameError, close_frame, open_frame};

/// The type of the frame by which a sender tells that acknowledgements need not name packets below a number.
pub const SETTLED: u64 = 0x22;

/// What goes before a frame of a packet at most: its length.
const FRAME_LENGTH_BYTES: usize = 2;

/// No frame is asked of a session for less room than that: a head and a few bytes.
const LEAST_ROOM_BYTES: usize = 64;

/// The longest that probes wait for each other; a path that is dead for longer is asked this often.
const PROBE_MAX: Duration = Duration::from_secs(10);

/// The first packets of a path are of this size, headers of IP and UDP not counted: what every path of the Internet
/// passes (RFC 9000 §14).
pub const FIRST_PACKET_BYTES: usize = 1_200;

/// Why a packet that was opened ends the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// A frame could not be read.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A rule was broken.
    #[error(transparent)]
    Violation(#[from] Violation),
}

/// See the module's page.
#[derive(Debug)]
pub struct DatagramLink {
    id: LinkId,
    flight: Flight,
    rtt: Rtt,
    delivery: Delivery,
    seen: Seen,
    duty: Duty,
    pacer: Pacer,
    control: Box<dyn Controller>,
    /// The largest packet, headers of IP and UDP not counted, and how much of that is not content.
    packet_bytes: usize,
    overhead_bytes: usize,
    /// Probes since something was last delivered, and how many packets they still may send.
    probes: u32,
    probes_due: u32,
    /// The pacer held something back until then.
    paced_until: Option<Instant>,
    /// What must be delivered before the peer is told again what is settled.
    settled_told_at: u64,
    settled_told: u64,
    peer_marks: EcnCounts,
    /// References of the packet being written.
    scratch: Vec<FrameRef>,
}

impl DatagramLink {
    /// A link that begins now. A packet's seal and header take `overhead_bytes`.
    pub fn new(id: LinkId, control: Box<dyn Controller>, overhead_bytes: usize, now: Instant) -> Self {
        Self {
            id,
            flight: Flight::new(id),
            rtt: Rtt::new(now),
            delivery: Delivery::new(now),
            seen: Seen::default(),
            duty: Duty::default(),
            pacer: Pacer::new(now, FIRST_PACKET_BYTES as u64),
            control,
            packet_bytes: FIRST_PACKET_BYTES,
            overhead_bytes,
            probes: 0,
            probes_due: 0,
            paced_until: None,
            settled_told_at: 0,
            settled_told: 0,
            peer_marks: EcnCounts::default(),
            scratch: Vec::new(),
        }
    }

    // ask

    /// The round trips of its path.
    pub const fn rtt(&self) -> &Rtt {
        &self.rtt
    }

    /// Bytes on their way.
    pub const fn in_flight(&self) -> u64 {
        self.flight.in_flight()
    }

    /// Who decides how much may be on its way.
    pub fn control(&self) -> &dyn Controller {
        &*self.control
    }

    /// The largest number of the peer's packets that came: what the next number is expanded against.
    pub const fn largest_seen(&self) -> Option<u64> {
        self.seen.largest()
    }

    /// The last of our packets known to have arrived: what the next number is shortened against.
    pub fn newest_delivered(&self) -> Option<u64> {
        self.flight.newest_delivered()
    }

    /// When [`DatagramLink::handle_timeout`] or [`DatagramLink::poll_packet`] has something to do by itself.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.flight.poll_timeout(&self.rtt), self.probe_at(), self.duty.due_at(), self.paced_until]
            .into_iter()
            .flatten()
            .min()
    }

    /// The largest packet changes: the path passes more, or less, than was thought.
    pub fn set_packet_bytes(&mut self, bytes: usize) {
        self.packet_bytes = bytes;
        self.control.set_packet_bytes(bytes as u64);
    }

    // network

    /// A packet was opened. One that came before is dropped without a word.
    ///
    /// # Errors
    /// [`PacketError`]: the peer broke a rule, and the link is over.
    pub fn handle_packet(
        &mut self,
        now: Instant,
        number: u64,
        mark: Option<Mark>,
        content: &[u8],
        session: &mut impl Frames,
    ) -> Result<(), PacketError> {
        let largest = self.seen.largest();
        if !self.seen.insert(number) {
            return Ok(());
        }
        if largest < Some(number) {
            self.duty.largest_came(now);
        }
        mark.into_iter().for_each(|mark| self.duty.count_mark(mark));
        let mut reader = Reader::new(content);
        let mut asks = false;
        while !reader.is_empty() {
            let frame = reader.prefixed(content.len(), "frame").map_err(FrameError::from)?;
            asks |= !frame.is_empty() && self.handle_frame(now, frame, session)?;
        }
        if asks {
            self.duty.owe(now, self.rtt.smoothed());
        }
        Ok(())
    }

    /// Takes one frame; whether it asks for an acknowledgement.
    fn handle_frame(&mut self, now: Instant, frame: &[u8], session: &mut impl Frames) -> Result<bool, PacketError> {
        let mut reader = Reader::new(frame);
        let kind = reader.varint("frame type").map_err(FrameError::from)?;
        match kind {
            ACK | ACK_ECN => {
                let ack = Ack::decode(kind, &mut reader).map_err(FrameError::from)?;
                self.handle_ack(now, &ack, session)?;
                return Ok(false);
            }
            SETTLED => {
                let below = settled(reader).map_err(FrameError::from)?;
                self.seen.told_below(below);
                return Ok(false);
            }
            _ => {}
        }
        match Frame::decode(frame)? {
            Frame::Ping { .. } => self.duty.hurry(now),
            Frame::Pong { .. } | Frame::Reserved { .. } => {}
            Frame::Confirm { .. } => {
                return Err(Violation::new(CloseCode::Protocol, "a confirmation on a datagram link").into());
            }
            frame => session.received(now, self.id, frame)?,
        }
        Ok(true)
    }

    fn handle_ack(&mut self, now: Instant, ack: &Ack<'_>, session: &mut impl Frames) -> Result<(), PacketError> {
        let brought = self.flight.acknowledged(now, ack, &mut self.rtt, &mut self.delivery, session)?;
        let lost = self.flight.find_lost(now, &self.rtt, &mut self.delivery, session);
        if brought.bytes > 0 {
            self.probes = 0;
            self.probes_due = 0;
        }
        let marked = ack.head.ecn.map_or(0, |marks| marks.ce.saturating_sub(self.peer_marks.ce));
        self.peer_marks = ack.head.ecn.unwrap_or(self.peer_marks);
        let (delivered, sample) = (brought.bytes, brought.sample);
        self.tell_control(now, lost, |news| News { delivered, sample, marked, ..news });
        Ok(())
    }

    fn tell_control<'a>(&'a mut self, now: Instant, lost: Lost, more: impl FnOnce(News<'a>) -> News<'a>) {
        let news = News {
            delivered: 0,
            delivered_in_all: self.delivery.delivered(),
            lost: lost.bytes,
            lost_sent_at: lost.newest_sent_at,
            sample: None,
            marked: 0,
            in_flight: self.flight.in_flight(),
            rtt: &self.rtt,
        };
        self.control.heard(now, &more(news));
        if lost.dead {
            self.control.path_was_dead(now);
        }
    }

    /// Time has passed; drain the output afterwards.
    pub fn handle_timeout(&mut self, now: Instant, session: &mut impl Frames) {
        if self.flight.poll_timeout(&self.rtt).is_some_and(|at| at <= now) {
            let lost = self.flight.find_lost(now, &self.rtt, &mut self.delivery, session);
            self.tell_control(now, lost, |news| news);
        }
        if self.probe_at().is_some_and(|at| at <= now) {
            self.probes += 1;
            self.probes_due = 2;
            self.flight.give_oldest_again(now, &mut self.delivery, session);
        }
    }

    fn probe_at(&self) -> Option<Instant> {
        let wait = self.rtt.probe_timeout(HELD_MAX) * (1 << self.probes.min(16));
        Some(self.flight.last_sent_at()? + wait.min(PROBE_MAX))
    }

    // output

    /// Appends the content of a packet that should leave now and gives the number to seal it under; `None` if none should.
    pub fn poll_packet(&mut self, now: Instant, out: &mut Vec<u8>, session: &mut impl Frames) -> Option<u64> {
        let at = out.len();
        let acknowledge = self.duty.due_at().is_some_and(|due| due <= now);
        let may_send = self.may_send(now);
        if !may_send && !acknowledge {
            return None;
        }
        if self.duty.is_owed() {
            self.put_ack(now, out);
        }
        let counts = may_send && self.put_frames(now, at, out, session);
        if !counts && !acknowledge {
            // An acknowledgement alone that is not due yet goes with what comes next.
            out.truncate(at);
            return None;
        }
        self.duty.done();
        let number = self.flight.next_number();
        if counts {
            self.leave(now, out.len() - at);
        } else {
            self.flight.sent_uncounted(now);
        }
        Some(number)
    }

    /// Notes a packet that leaves with so much content.
    fn leave(&mut self, now: Instant, content_bytes: usize) {
        let bytes = content_bytes + self.overhead_bytes;
        self.probes_due = self.probes_due.saturating_sub(1);
        self.pacer.sent(bytes as u64);
        self.flight.sent(now, bytes as u32, self.scratch.drain(..), &mut self.delivery);
    }

    /// Whether window and pacer let a packet go that counts.
    fn may_send(&mut self, now: Instant) -> bool {
        self.paced_until = None;
        if self.probes_due > 0 {
            return true;
        }
        if self.flight.in_flight() + self.packet_bytes as u64 > self.control.window() {
            return false;
        }
        self.paced_until = self.pacer.poll(now, self.control.rate(), self.packet_bytes as u64);
        self.paced_until.is_none()
    }

    fn put_ack(&self, now: Instant, out: &mut Vec<u8>) {
        let came = self.duty.largest_at();
        let clock_micros = came.as_nanos() / 1_000;
        let head = AckHead { delay: now.since(came), clock_micros, ecn: self.duty.marks() };
        let at = open_frame(out);
        let room = self.packet_bytes - self.overhead_bytes - FRAME_LENGTH_BYTES;
        if put_ack(out, room, &head, self.seen.runs()) {
            close_frame(out, at);
        } else {
            out.truncate(at);
        }
    }

    /// Fills a packet that begins at `at` with what the session has, or with a probe that is due; whether there was
    /// anything.
    fn put_frames(&mut self, now: Instant, at: usize, out: &mut Vec<u8>, session: &mut impl Frames) -> bool {
        let full = at + self.packet_bytes - self.overhead_bytes;
        let room =
            |out: &Vec<u8>| full.checked_sub(out.len() + FRAME_LENGTH_BYTES).filter(|room| *room >= LEAST_ROOM_BYTES);
        self.put_settled(room(out).is_some(), out);
        while let Some(room) = room(out) {
            let frame = open_frame(out);
            let Some(reference) = session.fill(now, self.id, room, out) else {
                out.truncate(frame);
                self.delivery.ran_dry(self.flight.in_flight());
                break;
            };
            close_frame(out, frame);
            self.scratch.push(reference);
        }
        let must_probe = self.scratch.is_empty() && self.probes_due > 0 && room(out).is_some();
        if must_probe {
            let frame = open_frame(out);
            Frame::Ping { nonce: 0 }.encode(out);
            close_frame(out, frame);
        }
        must_probe || !self.scratch.is_empty()
    }

    /// Tells the peer once a round trip which packets need not be named any more.
    fn put_settled(&mut self, has_room: bool, out: &mut Vec<u8>) {
        let below = self.flight.settled_below();
        if has_room && self.delivery.delivered() >= self.settled_told_at && below > self.settled_told {
            self.settled_told = below;
            self.settled_told_at = self.delivery.delivered() + self.flight.in_flight();
            let frame = open_frame(out);
            put_varint(out, SETTLED);
            put_varint(out, below);
            close_frame(out, frame);
        }
    }

    /// The link is over: every reference that was not confirmed goes back as lost.
    pub fn shut(self, now: Instant, session: &mut impl Frames) {
        self.flight.shut(now, session);
    }
}

fn settled(mut reader: Reader<'_>) -> Result<u64, DecodeError> {
    let below = reader.varint("settled number")?;
    reader.finish("settled").map(|()| below)
}
