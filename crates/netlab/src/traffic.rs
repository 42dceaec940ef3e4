//! Traffic by which a lab is measured: sender and receiver are threads of this process, so they share one clock.

use crate::lab::{FAR, Lab, NEAR};
use crate::punctual::{METER, be_punctual};
use std::io;
use std::net::UdpSocket;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use towline_sim::{HEADERS, Nanos};

/// How much a receiver's kernel keeps for it, in bytes: enough for a thread that does not run for 50 ms at 1 Gbit/s.
const RECEIVE_BUFFER: usize = 16 * 1024 * 1024;

/// How long a receiver waits before it looks whether it is to end.
const PATIENCE: Duration = Duration::from_millis(20);

/// How long a sender rests between its bursts.
const REST: Duration = Duration::from_micros(300);

/// The bytes of the time of sending, which every packet begins with.
const STAMP: usize = 8;

/// What is sent from near to far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) bits_per_second: u64,
    /// The size of a packet with the headers of IP and UDP.
    pub(crate) packet: usize,
    pub(crate) lasts: Duration,
    /// Whether the receiver sends everything back (`Some(1)`), a word for every so many, or nothing.
    pub(crate) answer_every: Option<u64>,
}

/// A packet that came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) sent: Nanos,
    pub(crate) arrived: Nanos,
}

impl Arrival {
    pub(crate) const fn delay(&self) -> Nanos {
        self.arrived - self.sent
    }
}

/// What became of a load.
#[derive(Debug)]
pub(crate) struct Flow {
    /// When the first packet left.
    pub(crate) began: Nanos,
    pub(crate) sent: u64,
    /// What came at the far side.
    pub(crate) there: Vec<Arrival>,
    /// What came back to the near side; `sent` is when its question left.
    pub(crate) back: Vec<Arrival>,
}

/// Sends a load and waits until the link is empty again.
pub(crate) fn flow(lab: &Lab, load: Load) -> io::Result<Flow> {
    let near = lab.near().enter(|| UdpSocket::bind((NEAR, 0)))?;
    let far = lab.far().enter(|| UdpSocket::bind((FAR, 0)))?;
    for socket in [&near, &far] {
        socket.set_read_timeout(Some(PATIENCE))?;
        rustix::net::sockopt::set_socket_recv_buffer_size_force(socket, RECEIVE_BUFFER)?;
    }
    near.connect(far.local_addr()?)?;
    far.connect(near.local_addr()?)?;
    // All three begin together, once each has its priority.
    let (ready, over) = (Barrier::new(3), AtomicBool::new(false));
    let epoch = Instant::now();
    let receive = |socket, answer| {
        be_punctual(METER);
        ready.wait();
        receive(socket, epoch, &over, answer)
    };
    let send = || {
        be_punctual(METER);
        ready.wait();
        send(&near, epoch, load)
    };
    std::thread::scope(|scope| {
        let there = scope.spawn(|| receive(&far, load.answer_every));
        let back = scope.spawn(|| receive(&near, None));
        let sent = scope.spawn(send).join().expect("the sender does not panic");
        wait_until_empty(lab);
        over.store(true, Ordering::Relaxed);
        let [there, back] = [there, back].map(|thread| thread.join().expect("a receiver does not panic"));
        let (began, sent) = sent?;
        Ok(Flow { began, sent, there: there?, back: back? })
    })
}

fn now(epoch: Instant) -> Nanos {
    epoch.elapsed().as_nanos() as Nanos
}

/// When it began, and how many packets it sent.
fn send(socket: &UdpSocket, epoch: Instant, load: Load) -> io::Result<(Nanos, u64)> {
    let begun = Instant::now();
    let mut packet = vec![0; load.packet - HEADERS];
    let per_second = load.bits_per_second as f64 / (load.packet * 8) as f64;
    let mut sent = 0;
    while begun.elapsed() < load.lasts {
        let due = (begun.elapsed().as_secs_f64() * per_second) as u64;
        while sent <= due && begun.elapsed() < load.lasts {
            packet[..STAMP].copy_from_slice(&now(epoch).to_le_bytes());
            socket.send(&packet)?;
            sent += 1;
        }
        std::thread::sleep(REST);
    }
    Ok((begun.duration_since(epoch).as_nanos() as Nanos, sent))
}

fn receive(socket: &UdpSocket, epoch: Instant, over: &AtomicBool, answer: Option<u64>) -> io::Result<Vec<Arrival>> {
    let (mut arrivals, mut packet) = (Vec::new(), [0; 2_048]);
    loop {
        match socket.recv(&mut packet) {
            Ok(_) => {
                let (stamp, _) = packet.split_first_chunk().expect("it has more than eight bytes");
                arrivals.push(Arrival { sent: Nanos::from_le_bytes(*stamp), arrived: now(epoch) });
                if answer.is_some_and(|every| (arrivals.len() as u64).is_multiple_of(every)) {
                    socket.send(&packet[..STAMP])?;
                }
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                if over.load(Ordering::Relaxed) {
                    return Ok(arrivals);
                }
            }
            Err(error) => return Err(error),
        }
    }
}

/// Until nothing waits and nothing is on its way, in either direction, for as long as a receiver's patience.
fn wait_until_empty(lab: &Lab) {
    let mut before = None;
    loop {
        let counts = lab.snapshots().map(|way| way.counts);
        let empty = counts.iter().all(|way| way.in_flight() == 0);
        if empty && before == Some(counts) {
            return;
        }
        before = Some(counts);
        std::thread::sleep(PATIENCE * 2);
    }
}
