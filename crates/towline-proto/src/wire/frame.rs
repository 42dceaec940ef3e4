//! Frames: what a session says over a link.
//!
//! On a byte stream each frame is `length varint ‖ type varint ‖ fields` (the length counts what follows it). Types of
//! streams come in pairs: the odd one carries `open`, a byte that says the stream's lane (bits 0–2) and whether its
//! messages are wanted as they complete (bit 3). `open` stands on every frame of a stream until one of them is confirmed,
//! since links reorder. What runs to the frame's end (messages, bytes) has no length of its own.

mod codec;
#[cfg(test)]
mod tests;

use super::close::Close;
use crate::ids::Lane;

/// The lowest type that an unknown frame may have and be skipped; it must also be even.
pub const FIRST_SKIPPABLE_TYPE: u64 = 0x40;

/// The types' numbers. Those of [`kind::RUN`] to [`kind::BLOCKED`] have their twin with `open` one above.
pub mod kind {
    /// Link probe.
    pub const PING: u64 = 0x01;
    /// Its answer.
    pub const PONG: u64 = 0x02;
    /// Byte-stream links only: how many frames were taken in.
    pub const CONFIRM: u64 = 0x03;
    /// The session ends.
    pub const CLOSE: u64 = 0x04;
    /// The sum of all streams may grow to here.
    pub const SESSION_CREDIT: u64 = 0x05;
    /// So many streams may be opened in all.
    pub const STREAMS_CREDIT: u64 = 0x06;
    /// A stream may grow to here.
    pub const STREAM_CREDIT: u64 = 0x08;
    /// Whole messages.
    pub const RUN: u64 = 0x10;
    /// A piece of one message.
    pub const CHUNK: u64 = 0x12;
    /// Raw bytes.
    pub const BYTES: u64 = 0x14;
    /// The stream ends here.
    pub const END: u64 = 0x16;
    /// The stream is given up here.
    pub const RESET: u64 = 0x18;
    /// The receiver wants no more.
    pub const STOP: u64 = 0x1a;
    /// The sender waits for credit.
    pub const BLOCKED: u64 = 0x1c;
}

/// What a stream is: stands on its first frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Open {
    /// The stream's lane.
    pub lane: Lane,
    /// Whether its messages are wanted as they complete, in whatever order.
    pub as_complete: bool,
}

/// One frame, its bytes still in the buffer they came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Link probe: answer with the same nonce.
    Ping {
        /// Chosen by the prober.
        nonce: u64,
    },
    /// The answer to a probe.
    Pong {
        /// The probe's.
        nonce: u64,
    },
    /// Byte-stream links only: all frames but probes and confirmations, up to this many, were taken in by the session.
    Confirm {
        /// Since the link began.
        count: u64,
    },
    /// The session ends.
    Close(Close),
    /// All streams' offsets together may grow to here.
    SessionCredit {
        /// The sum.
        limit: u64,
    },
    /// The peer may open this many streams in all.
    StreamsCredit {
        /// Since the session began.
        count: u64,
    },
    /// A stream may grow to here.
    StreamCredit {
        /// Which.
        stream: u64,
        /// The offset.
        limit: u64,
    },
    /// Whole messages, each `length varint ‖ bytes`.
    Run {
        /// Which stream.
        stream: u64,
        /// What it is.
        open: Option<Open>,
        /// Where the first begins.
        offset: u64,
        /// All of them.
        messages: &'a [u8],
    },
    /// A piece of one message.
    Chunk {
        /// Which stream.
        stream: u64,
        /// What it is.
        open: Option<Open>,
        /// Where this piece begins.
        offset: u64,
        /// Where the message begins: at its length.
        start: u64,
        /// The piece.
        bytes: &'a [u8],
    },
    /// Raw bytes.
    Bytes {
        /// Which stream.
        stream: u64,
        /// What it is.
        open: Option<Open>,
        /// Where they begin.
        offset: u64,
        /// They.
        bytes: &'a [u8],
    },
    /// The stream ends, complete.
    End {
        /// Which.
        stream: u64,
        /// What it is.
        open: Option<Open>,
        /// Its length.
        final_offset: u64,
    },
    /// The stream is given up; what has not arrived never will.
    Reset {
        /// Which.
        stream: u64,
        /// What it is.
        open: Option<Open>,
        /// The highest offset that was ever sent.
        final_offset: u64,
        /// Why; the application's.
        code: u32,
    },
    /// The receiver wants no more; the sender answers with a reset.
    Stop {
        /// Which.
        stream: u64,
        /// What it is.
        open: Option<Open>,
        /// Why; the application's.
        code: u32,
    },
    /// The sender waits for credit.
    Blocked {
        /// Which stream.
        stream: u64,
        /// What it is.
        open: Option<Open>,
        /// The offset it wants to reach.
        need: u64,
    },
    /// A type that this version does not know and skips. Each peer now and then sends one, so that skipping stays tested.
    Reserved {
        /// The type: even, at least [`FIRST_SKIPPABLE_TYPE`].
        kind: u64,
        /// Skipped.
        body: &'a [u8],
    },
}

pub use codec::{Data, FrameError, put_data_head};

/// The most that a frame written with [`open_frame`] may have, in bytes: what a length of two bytes can say, and about one
/// TLS record.
pub const FRAME_ROOM_BYTES: usize = 0x3fff;

/// Leaves room for the length of a frame whose type and fields are appended next; [`close_frame`] fills it in.
pub fn open_frame(out: &mut Vec<u8>) -> usize {
    let at = out.len();
    out.extend_from_slice(&[0, 0]);
    at
}

/// Writes the length of the frame that was opened at `at`, in its shortest form.
pub fn close_frame(out: &mut Vec<u8>, at: usize) {
    let length = out.len() - at - 2;
    debug_assert!(length <= FRAME_ROOM_BYTES, "a frame of {length} bytes");
    if length < 0x40 {
        out.copy_within(at + 2.., at + 1);
        out.pop();
        out[at] = length as u8;
    } else {
        out[at..at + 2].copy_from_slice(&(length as u16 | 0x4000).to_be_bytes());
    }
}
