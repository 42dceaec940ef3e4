//! What passes, told to the tracing subscriber: how much and when, never what.

use tokio::time::Instant;

use super::{Filter, FilterError, More};

/// Writes a trace event for every piece that passes: the stream's name, the direction, and how many bytes so far.
#[derive(Debug)]
pub struct Trace {
    name: String,
    inbound_bytes: u64,
    outbound_bytes: u64,
}

impl Trace {
    /// Events under this name; what stands between two filters is told apart by it.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), inbound_bytes: 0, outbound_bytes: 0 }
    }

    /// Bytes that passed from the peer and to it.
    pub fn bytes(&self) -> (u64, u64) {
        (self.inbound_bytes, self.outbound_bytes)
    }
}

impl Filter for Trace {
    fn inbound(&mut self, _now: Instant, bytes: &[u8], out: &mut Vec<u8>) -> Result<More, FilterError> {
        self.inbound_bytes += bytes.len() as u64;
        tracing::trace!(stream = %self.name, bytes = bytes.len(), total = self.inbound_bytes, "inbound");
        out.extend_from_slice(bytes);
        Ok(More::No)
    }

    fn outbound(&mut self, _now: Instant, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), FilterError> {
        self.outbound_bytes += bytes.len() as u64;
        tracing::trace!(stream = %self.name, bytes = bytes.len(), total = self.outbound_bytes, "outbound");
        out.extend_from_slice(bytes);
        Ok(())
    }
}
