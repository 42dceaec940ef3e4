//! The runtime's clock as the core's.

use tokio::time;
use towline_proto::time::Instant;

/// Maps tokio's instants (which tests can pause) to the core's and back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: time::Instant,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { origin: time::Instant::now() }
    }

    pub(crate) fn now(self) -> Instant {
        Instant::ZERO + self.origin.elapsed()
    }

    pub(crate) fn at(self, instant: Instant) -> time::Instant {
        self.origin + instant.since(Instant::ZERO)
    }
}
