//! Counting and timing, cheap enough not to be what is measured.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::figures::Figures;
use crate::job::{Extent, Job};

/// What all connections of a process measured together.
#[derive(Default)]
pub struct Tally {
    sums: Mutex<Sums>,
    /// Connections that were opened, and those that are still open.
    pub opened: AtomicUsize,
    pub open: AtomicUsize,
}

#[derive(Default)]
struct Sums {
    messages: u64,
    span: Option<(Instant, Instant)>,
}

thread_local! {
    /// The latencies of all requests of this process: its one thread that drives keeps them in one place, as many callers
    /// with a table each would be slowed by their tables.
    static LATENCIES: RefCell<Histogram<u64>> =
        RefCell::new(Histogram::new_with_max(LATENCY_MAX_NANOS, 3).expect("valid bounds"));
}

impl Tally {
    fn add(&self, messages: u64, first: Option<Instant>) {
        let mut sums = self.sums.lock().expect("no measuring thread panics");
        sums.messages += messages;
        if let Some(first) = first {
            let (from, _) = sums.span.unwrap_or((first, first));
            sums.span = Some((from.min(first), Instant::now()));
        }
    }

    /// What was measured so far; asked by the thread that measured.
    pub fn figures(&self) -> Figures {
        let sums = self.sums.lock().expect("no measuring thread panics");
        let seconds = sums.span.map_or(0.0, |(from, to)| (to - from).as_secs_f64());
        let at = |quantile| LATENCIES.with_borrow(|all| all.value_at_quantile(quantile) as f64 / 1_000.0);
        let (p50_us, p99_us, p999_us) = (at(0.5), at(0.99), at(0.999));
        Figures { messages: sums.messages, seconds, p50_us, p99_us, p999_us, ..Figures::default() }
    }
}

/// One connection's count of what it received; adds itself to the tally when it is dropped with its connection.
pub struct Meter {
    count: u64,
    first: Option<Instant>,
    tally: Arc<Tally>,
}

impl Meter {
    pub fn new(tally: &Arc<Tally>) -> Self {
        tally.opened.fetch_add(1, Ordering::Relaxed);
        tally.open.fetch_add(1, Ordering::Relaxed);
        Self { count: 0, first: None, tally: tally.clone() }
    }

    /// A message is here.
    #[inline]
    pub fn message(&mut self) {
        if self.count == 0 {
            self.first = Some(Instant::now());
        }
        self.count += 1;
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.tally.add(self.count, self.first);
        self.tally.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Says when to stop sending, without asking the clock each time.
pub struct Until {
    bound: Bound,
    asked: u32,
    every: u32,
}

/// A job's extent while it runs.
struct Bound {
    left: u64,
    end: Option<Instant>,
}

impl Bound {
    fn new(job: &Job) -> Self {
        match job.extent {
            Extent::Millis(millis) => {
                Self { left: u64::MAX, end: Some(Instant::now() + Duration::from_millis(millis)) }
            }
            Extent::Messages(count) => Self { left: count, end: None },
        }
    }

    fn is_over_at(&self, now: Instant) -> bool {
        self.end.is_some_and(|end| now >= end)
    }

    /// Takes one message of the number; whether there was one.
    #[inline]
    fn take(&mut self) -> bool {
        let any = self.left > 0;
        self.left -= u64::from(any);
        any
    }
}

impl Until {
    pub fn new(job: &Job) -> Self {
        // About as many bytes between two looks at the clock, whatever a message has.
        let every = (64 * 1024 / job.bytes.max(1)).clamp(4, 256) as u32;
        Self { bound: Bound::new(job), asked: 0, every }
    }

    #[inline]
    pub fn goes_on(&mut self) -> bool {
        self.asked += 1;
        self.bound.take() && (!self.asked.is_multiple_of(self.every) || !self.bound.is_over_at(Instant::now()))
    }
}

/// Requests on their way on one connection, or of one caller.
pub struct Pace {
    sent: VecDeque<Instant>,
    count: u64,
    first: Instant,
    bound: Bound,
    tally: Arc<Tally>,
}

/// The longest latency that is told apart, in nanoseconds.
const LATENCY_MAX_NANOS: u64 = 60_000_000_000;

impl Pace {
    pub fn new(job: &Job, tally: &Arc<Tally>) -> Self {
        let now = Instant::now();
        let bound = Bound::new(job);
        Self { sent: VecDeque::new(), count: 0, first: now, bound, tally: tally.clone() }
    }

    /// A request goes.
    #[inline]
    pub fn request(&mut self) {
        self.bound.take();
        self.sent.push_back(Instant::now());
    }

    /// An answer to the oldest request came; whether another request is to go now, which is then taken as sent.
    #[inline]
    pub fn answer(&mut self) -> bool {
        let now = Instant::now();
        let sent = self.sent.pop_front().expect("an answer without a request");
        LATENCIES.with_borrow_mut(|all| all.saturating_record((now - sent).as_nanos() as u64));
        self.count += 1;
        let again = !self.bound.is_over_at(now) && self.bound.take();
        if again {
            self.sent.push_back(now);
        }
        again
    }

    /// Whether every request is answered.
    pub fn is_over(&self) -> bool {
        self.sent.is_empty()
    }
}

impl Drop for Pace {
    fn drop(&mut self) {
        self.tally.add(self.count, Some(self.first));
    }
}
