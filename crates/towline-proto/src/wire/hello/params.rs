//! What each side grants and can take, stated once at a session's beginning.

use crate::limits;
use crate::time::Duration;
use crate::wire::cursor::{DecodeError, Reader, put_varint};

/// One side's limits and first grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// The largest message, in bytes, that this side takes whole.
    pub max_message: u64,
    /// The first credit of every opened stream towards this side, in bytes.
    pub stream_credit: u64,
    /// The first credit of the whole session towards this side, in bytes, the lanes' own included.
    pub session_credit: u64,
    /// How many streams the other side may have open at once.
    pub max_streams: u64,
    /// How long this side keeps the session when it has no link, in milliseconds.
    pub resume_time_ms: u64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            max_message: limits::DEFAULT_MAX_MESSAGE_BYTES,
            stream_credit: limits::DEFAULT_STREAM_CREDIT_BYTES,
            session_credit: limits::DEFAULT_SESSION_CREDIT_BYTES,
            max_streams: limits::DEFAULT_MAX_STREAMS,
            resume_time_ms: limits::DEFAULT_RESUME_TIME.as_millis() as u64,
        }
    }
}

impl Params {
    /// How long this side keeps the session when it has no link.
    pub const fn resume_time(&self) -> Duration {
        Duration::from_millis(self.resume_time_ms)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let fields = [self.max_message, self.stream_credit, self.session_credit, self.max_streams, self.resume_time_ms];
        fields.into_iter().for_each(|field| put_varint(out, field));
    }

    /// What is stated above a limit that both sides know is taken as that limit: a generous peer is no broken one.
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            max_message: reader.varint("max message")?.min(limits::MAX_MAX_MESSAGE_BYTES),
            stream_credit: reader.varint("stream credit")?,
            session_credit: reader.varint("session credit")?,
            max_streams: reader.varint("max streams")?.min(limits::MAX_STREAMS),
            resume_time_ms: reader.varint("resume time")?.min(limits::MAX_RESUME_TIME.as_millis() as u64),
        })
    }
}
