//! The thread that moves packets between two TUN devices, each by the times of its line.

use crate::packet::IpPacket;
use crate::punctual::{FORWARDER, be_punctual};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Instant;
use towline_sim::{Conditions, Counts, ETHERNET, Line, Nanos, Rng, SECONDS};
use tun_rs::SyncDevice;

/// How many packets are read from a device before the lines are served again.
const BATCH: usize = 32;

/// How many spare buffers are kept: what fills 100 ms of 1 Gbit/s.
const SPARE: usize = 8_192;

/// Lateness is counted in steps of this, up to [`STEPS`] of them.
const STEP: Nanos = 10_000;
const STEPS: usize = 2_000;

/// How much later than the line said packets were handed to a kernel.
#[derive(Clone, Debug)]
pub struct Lateness {
    steps: Vec<u64>,
    worst: Nanos,
}

impl Lateness {
    fn new() -> Self {
        Self { steps: vec![0; STEPS], worst: 0 }
    }

    fn note(&mut self, late: Nanos) {
        self.steps[((late / STEP) as usize).min(STEPS - 1)] += 1;
        self.worst = self.worst.max(late);
    }

    /// The lateness that this part of all packets did not exceed, to 10 µs; 20 ms for more than that.
    pub fn quantile(&self, part: f64) -> Nanos {
        let total: u64 = self.steps.iter().sum();
        let wanted = (total as f64 * part).ceil() as u64;
        let mut seen = 0;
        let step = self.steps.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        (step.unwrap_or(0) as u64 + 1) * STEP
    }

    /// The greatest.
    pub const fn worst(&self) -> Nanos {
        self.worst
    }
}

/// What one direction has done so far.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// When, on the forwarder's clock.
    pub at: Nanos,
    /// What became of the packets.
    pub counts: Counts,
    /// How many bytes wait or are being sent.
    pub queued_bytes: u64,
    /// Packets that the far kernel did not take: a fault of the emulator, not of the link.
    pub not_taken: u64,
}

/// One direction: from a device to the other.
struct Way {
    line: Line<IpPacket>,
    not_taken: u64,
}

struct State {
    ways: [Way; 2],
    lateness: Lateness,
    stop: bool,
}

/// A running forwarder; it ends when dropped.
pub(crate) struct Forwarder {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    begun: Instant,
    state: Mutex<State>,
    wake: OwnedFd,
}

impl Shared {
    fn now(&self) -> Nanos {
        self.begun.elapsed().as_nanos() as Nanos
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    fn wake(&self) {
        rustix::io::write(&self.wake, &1_u64.to_ne_bytes()).expect("it holds far more than is ever added");
    }
}

impl Forwarder {
    /// Starts to forward: the first of the conditions is that of the way from the first device to the second.
    pub(crate) fn start(devices: [SyncDevice; 2], conditions: [Conditions; 2], seed: u64) -> std::io::Result<Self> {
        let mut rng = Rng::new(seed);
        let ways = conditions.map(|conditions| Way { line: Line::new(conditions, rng.fork()), not_taken: 0 });
        let state = Mutex::new(State { ways, lateness: Lateness::new(), stop: false });
        let wake = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        let shared = Arc::new(Shared { begun: Instant::now(), state, wake });
        let thread = std::thread::Builder::new().name("netlab-forwarder".into()).spawn({
            let shared = Arc::clone(&shared);
            move || run(&shared, &devices)
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    pub(crate) fn set_conditions(&self, conditions: [Conditions; 2]) {
        let mut state = self.shared.lock();
        let now = self.shared.now();
        for (way, conditions) in state.ways.iter_mut().zip(conditions) {
            way.line.set_conditions(now, conditions);
        }
        drop(state);
        self.shared.wake();
    }

    pub(crate) fn snapshots(&self) -> [Snapshot; 2] {
        let mut state = self.shared.lock();
        let at = self.shared.now();
        state.ways.each_mut().map(|way| Snapshot {
            at,
            counts: *way.line.counts(),
            queued_bytes: way.line.queued_bytes(at),
            not_taken: way.not_taken,
        })
    }

    pub(crate) fn take_lateness(&self) -> Lateness {
        std::mem::replace(&mut self.shared.lock().lateness, Lateness::new())
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.wake();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the forwarder does not panic");
        }
    }
}

fn run(shared: &Shared, devices: &[SyncDevice; 2]) {
    be_punctual(FORWARDER);
    let mut spare = Vec::new();
    loop {
        let mut state = shared.lock();
        if state.stop {
            return;
        }
        let mut more = false;
        for (from, device) in devices.iter().enumerate() {
            more |= read(shared, device, &mut state.ways[from], &mut spare);
        }
        let now = shared.now();
        let State { ways, lateness, .. } = &mut *state;
        for (from, way) in ways.iter_mut().enumerate() {
            while let Some((due, packet)) = way.line.poll(now) {
                way.not_taken += u64::from(devices[1 - from].send(&packet.0).is_err());
                lateness.note(shared.now() - due);
                if spare.len() < SPARE {
                    spare.push(packet.0);
                }
            }
        }
        let next = state.ways.iter().filter_map(|way| way.line.next_at()).min();
        drop(state);
        let wait = if more { Some(0) } else { next.map(|next| next.saturating_sub(shared.now())) };
        sleep(shared, devices, wait);
    }
}

/// Gives a line what its device has, at most a batch; whether there may be more.
fn read(shared: &Shared, device: &SyncDevice, way: &mut Way, spare: &mut Vec<Vec<u8>>) -> bool {
    for _ in 0..BATCH {
        let mut bytes = spare.pop().unwrap_or_default();
        bytes.resize(ETHERNET, 0);
        match device.recv(&mut bytes) {
            Ok(size) => {
                bytes.truncate(size);
                way.line.offer(shared.now(), IpPacket(bytes));
            }
            Err(_) => {
                spare.push(bytes);
                return false;
            }
        }
    }
    true
}

/// Until a device has a packet, the lines are to be served, or somebody wakes us.
fn sleep(shared: &Shared, devices: &[SyncDevice; 2], wait: Option<Nanos>) {
    let timeout = wait.map(|wait| Timespec { tv_sec: (wait / SECONDS) as i64, tv_nsec: (wait % SECONDS) as _ });
    let mut polled = [
        PollFd::new(&devices[0], PollFlags::IN),
        PollFd::new(&devices[1], PollFlags::IN),
        PollFd::new(&shared.wake, PollFlags::IN),
    ];
    // Interrupted or not: the caller looks at everything anyhow.
    _ = poll(&mut polled, timeout.as_ref());
    if polled[2].revents().contains(PollFlags::IN) {
        _ = rustix::io::read(&shared.wake, &mut [0; 8]);
    }
}
