//! Every bound that both sides of the wire know: its name, unit, value and reason.
//!
//! A bound that only one part needs stands with that part.

use core::time::Duration;

/// The longest hello, in bytes after its length: room for the state of [`MAX_STREAMS`] streams of each opener, and for
/// features to come. Nothing longer is buffered for a peer that has not said hello.
pub const MAX_HELLO_BYTES: usize = 64 * 1024;

/// The longest frame on a byte stream, in bytes after its length: a chunk of 16 KiB (one TLS record) with its head.
/// Smaller frames would cost heads, larger ones would keep an urgent message waiting behind them.
pub const MAX_FRAME_BYTES: usize = 16 * 1024 + 64;

/// The longest text in a close, in bytes: one line for people.
pub const MAX_CLOSE_TEXT_BYTES: usize = 256;

/// The most features in a hello: four times what anybody could name today.
pub const MAX_FEATURES: usize = 64;

/// The longest value of one feature, in bytes.
pub const MAX_FEATURE_BYTES: usize = 1_024;

/// The most streams that each side may have opened and not yet closed. It bounds the state a joining hello carries.
pub const MAX_STREAMS: u64 = 1_024;

/// The most streams in the state of a hello: both openers' and the lanes' permanent ones.
pub const MAX_STATE_STREAMS: usize = 2 * MAX_STREAMS as usize + crate::ids::Lane::COUNT;

/// The most ranges past the contiguous end that a hello states for one stream. What is not stated is sent again, which
/// costs time and nothing else.
pub const MAX_STATE_RANGES: usize = 256;

/// The default for the largest message delivered whole, in bytes; what is larger travels as a body.
pub const DEFAULT_MAX_MESSAGE_BYTES: u64 = 256 * 1024;

/// The largest `max_message` that a peer may state, in bytes: a message delivered whole is held whole.
pub const MAX_MAX_MESSAGE_BYTES: u64 = 16 * 1024 * 1024;

/// A stream's first credit, in bytes, while the shared pool is more than half free; [`BASE_WINDOW_BYTES`] otherwise.
pub const DEFAULT_STREAM_CREDIT_BYTES: u64 = 256 * 1024;

/// The credit of a session that is guaranteed whatever else happens, in bytes, and how much it may always have unsent or
/// unconfirmed: two full chunks, so that one is on the way while the other is read.
pub const BASE_WINDOW_BYTES: u64 = 32 * 1024;

/// What a session may hold, in bytes, without ever being cut for memory: its base window each way.
pub const SESSION_BASE_BYTES: u64 = 2 * BASE_WINDOW_BYTES;

/// The credit that each lane's permanent stream keeps of its own, in bytes, so that an unread one blocks no other.
pub const LANE_CREDIT_BYTES: u64 = 4 * 1024;

/// A session's first credit over all its streams, in bytes: the first grant and every lane's own.
pub const DEFAULT_SESSION_CREDIT_BYTES: u64 = DEFAULT_STREAM_CREDIT_BYTES + LANES * LANE_CREDIT_BYTES;

/// A session's first credit over all its streams while the shared pool is not more than half free, in bytes: the base
/// window and every lane's own.
pub const BASE_SESSION_CREDIT_BYTES: u64 = BASE_WINDOW_BYTES + LANES * LANE_CREDIT_BYTES;

/// The most that a session keeps unsent or unconfirmed, in bytes, however much credit the peer and the pool give: four of
/// the largest messages.
pub const SEND_HELD_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// The default bound of a pool, in bytes: what 16,384 sessions hold with every window at its base.
pub const DEFAULT_POOL_BYTES: u64 = 16_384 * SESSION_BASE_BYTES;

/// So many times a pool's bound may be promised as windows. Windows are empty while their readers keep up, so that a
/// pool without this would be promised away and unused; too much of it costs cut sessions, never memory.
pub const POOL_OVERCOMMIT: u64 = 4;

/// For so long a session keeps its turn at a pool's reserve: as long as a message of the default largest size takes at
/// 200 kbit/s.
pub const POOL_TURN_TIME: Duration = Duration::from_secs(10);

/// The default for how many streams a peer may have open at once.
pub const DEFAULT_MAX_STREAMS: u64 = 256;

/// How long a session without links is kept.
pub const DEFAULT_RESUME_TIME: Duration = Duration::from_secs(600);

/// The longest `resume_time` that a peer may state: a day, after which no memory should still wait for it.
pub const MAX_RESUME_TIME: Duration = Duration::from_secs(86_400);

/// The longest retry-after in a close; longer ones are taken as this.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(86_400);

/// How long a peer has from connecting to the end of its hello, TLS included.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The period of probes on a silent link. A link is dead after [`PROBE_PERIODS`] silent ones: 15 s in all.
pub const PROBE_PERIOD: Duration = Duration::from_millis(7_500);

/// The shortest period of probes that may be set: two of them hold two lost packets and their retransmissions (200 ms,
/// 400 ms). Shorter ones would call living peers dead for a little loss.
pub const MIN_PROBE_PERIOD: Duration = Duration::from_millis(500);

/// The longest period of probes that may be set: routers that translate addresses forget a silent connection after five
/// minutes and more, seldom earlier, and a dead peer is told within ten.
pub const MAX_PROBE_PERIOD: Duration = Duration::from_secs(300);

/// How many silent probe periods a link survives.
pub const PROBE_PERIODS: u32 = 2;

const LANES: u64 = crate::ids::Lane::COUNT as u64;
