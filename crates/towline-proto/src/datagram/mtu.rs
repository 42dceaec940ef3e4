//! Path MTU discovery by packets that are larger than what is known to pass (RFC 8899).
//!
//! Sizes are those of UDP payloads, in bytes. A probe is a packet for nothing else, so its loss costs nobody anything and
//! says nothing of congestion; who sends it must keep it out of both.
//!
//! | state | event | then |
//! |---|---|---|
//! | searching | a probe is asked for and sent | probing |
//! | probing | the probe arrived | that size is used; searching a larger one, or found |
//! | probing | it is lost, for the first or second time | searching, the same size |
//! | probing | it is lost for the third time | that size is too large; searching a smaller one, or found |
//! | found | ten minutes | searching everything above what is used |
//! | any | a row of large packets is lost and none arrives, while small ones do | the base is used; searching below what was used |
//! | any | the bound is lowered | nothing above it is used or searched |

#[cfg(test)]
mod tests;

use crate::time::{Duration, Instant};

/// What every path must pass (RFC 9000 §14).
pub const BASE_BYTES: usize = super::link::FIRST_PACKET_BYTES;

/// Where paths end in practice: IPv6's least MTU, tunnels, PPPoE, Ethernet, jumbo frames; each under IPv6 and IPv4.
const LIKELY_BYTES: [usize; 12] = [1_232, 1_252, 1_332, 1_372, 1_392, 1_412, 1_444, 1_452, 1_464, 1_472, 8_952, 8_972];

/// How often a size is tried: a path that loses one packet in ten is misjudged once in a thousand times.
const TRIES: u32 = 3;

/// The search ends when no more than this could be won.
const WORTH_BYTES: usize = 16;

/// So long a result is believed (RFC 8899 §5.1.1).
const BELIEVED: Duration = Duration::from_secs(600);

/// So many large packets in a row, all lost while small ones arrive, are no chance: at 30 % loss that is one in
/// 170,000.
const BLACK_HOLE_PACKETS: u32 = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Searching { size: usize, failed: u32 },
    Probing { size: usize, failed: u32, number: u64 },
    Found { until: Instant },
}

/// See the module's page.
#[derive(Debug)]
pub struct Mtu {
    state: State,
    /// The largest size that is known to pass, and the least that is known not to.
    passes: usize,
    too_large: usize,
    bound: usize,
    /// Large packets lost since one arrived, and whether a small one arrived since the first of them was found lost.
    large_lost: u32,
    small_passed: bool,
}

impl Mtu {
    /// A path of which nothing is known; packets above `bound` are never tried.
    pub fn new(bound: usize, now: Instant) -> Self {
        let bound = bound.max(BASE_BYTES);
        let state = State::Found { until: now };
        let (passes, too_large) = (BASE_BYTES, bound + 1);
        let mut mtu = Self { state, passes, too_large, bound, large_lost: 0, small_passed: false };
        mtu.search(now);
        mtu
    }

    // ask

    /// The largest packet that may leave.
    pub const fn size(&self) -> usize {
        self.passes
    }

    /// The size of the probe that should leave now, if one should. Tell [`Mtu::probe_sent`] when it did.
    pub const fn wanted(&self) -> Option<usize> {
        match self.state {
            State::Searching { size, .. } => Some(size),
            _ => None,
        }
    }

    /// When [`Mtu::handle_timeout`] has something to do.
    pub const fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Found { until } if self.passes < self.bound => Some(until),
            _ => None,
        }
    }

    // time and network

    /// What was found is no longer believed: the path may pass more by now.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|at| at <= now) {
            self.too_large = self.bound + 1;
            self.search(now);
        }
    }

    /// The probe left under this number.
    pub const fn probe_sent(&mut self, number: u64) {
        if let State::Searching { size, failed } = self.state {
            self.state = State::Probing { size, failed, number };
        }
    }

    /// A packet arrived at the peer; whether [`Mtu::size`] is another now.
    pub fn delivered(&mut self, now: Instant, number: u64, bytes: usize) -> bool {
        if bytes <= BASE_BYTES {
            self.small_passed |= self.large_lost > 0;
        } else {
            (self.large_lost, self.small_passed) = (0, false);
        }
        match self.state {
            State::Probing { size, number: probe, .. } if probe == number => {
                self.passes = size;
                self.search(now);
                true
            }
            _ => false,
        }
    }

    /// A packet is lost; whether [`Mtu::size`] is another now. A probe of ours is known by its number.
    pub fn lost(&mut self, now: Instant, number: u64, bytes: usize) -> bool {
        match self.state {
            State::Probing { size, failed, number: probe } if probe == number => {
                if failed + 1 < TRIES {
                    self.state = State::Searching { size, failed: failed + 1 };
                } else {
                    self.too_large = size;
                    self.search(now);
                }
                return false;
            }
            _ => {}
        }
        if bytes > BASE_BYTES && bytes <= self.passes {
            self.large_lost += 1;
        }
        if self.large_lost < BLACK_HOLE_PACKETS || !self.small_passed || self.passes == BASE_BYTES {
            return false;
        }
        self.too_large = self.passes;
        self.begin_below(now);
        true
    }

    /// The peer takes no packets above `bound`; whether [`Mtu::size`] is another now.
    pub fn lower_bound(&mut self, now: Instant, bound: usize) -> bool {
        let bound = bound.max(BASE_BYTES);
        if bound >= self.bound {
            return false;
        }
        let before = self.passes;
        self.bound = bound;
        self.passes = self.passes.min(bound);
        self.too_large = self.too_large.min(bound + 1);
        if !matches!(self.state, State::Found { .. }) {
            self.search(now);
        }
        self.passes != before
    }

    /// Another path, of which nothing is known.
    pub fn begin_again(&mut self, now: Instant) {
        self.too_large = self.bound + 1;
        self.begin_below(now);
    }

    fn begin_below(&mut self, now: Instant) {
        self.passes = BASE_BYTES;
        (self.large_lost, self.small_passed) = (0, false);
        self.search(now);
    }

    /// Goes on with the next size, or ends the search.
    fn search(&mut self, now: Instant) {
        self.state = match self.next() {
            Some(size) => State::Searching { size, failed: 0 },
            None => State::Found { until: now + BELIEVED },
        };
    }

    /// The largest that is allowed first, for mostly it passes; then the middle one of the likely sizes between what passes
    /// and what does not; then the middle.
    fn next(&self) -> Option<usize> {
        if self.passes == self.bound {
            return None;
        }
        if self.too_large > self.bound {
            return Some(self.bound);
        }
        let between = |size: &&usize| **size > self.passes && **size < self.too_large;
        let likely = LIKELY_BYTES.iter().filter(between).count();
        let first = LIKELY_BYTES.iter().filter(between).nth(likely / 2);
        let gap = self.too_large - self.passes;
        first.copied().or_else(|| (gap > WORTH_BYTES).then(|| self.passes + gap / 2))
    }
}
