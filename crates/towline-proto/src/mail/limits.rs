//! Every bound of the mail cores, with its unit and reason. What an operator may change is a field of [`HubConfig`].
//!
//! [`HubConfig`]: super::hub::HubConfig

/// A message without a deadline of its own may start within this time, in milliseconds: an hour, so that a sender
/// who said nothing still hears something the same morning.
pub const DEFAULT_DEADLINE_MS: u64 = 3_600_000;

/// The longest deadline; a longer one is cut to this and the acceptance says so. In milliseconds: 30 days, so that
/// nothing waits for a device that will never return.
pub const MAX_DEADLINE_MS: u64 = 30 * 24 * 3_600_000;

/// The longest run that the hub waits for, in milliseconds: a day.
pub const MAX_TIMEOUT_MS: u64 = 24 * 3_600_000;

/// How long after `go` + timeout the hub still waits for the word of a run that was killed at its timeout, in
/// milliseconds. With it, and half of 5 s left for the way, the sender knows by `go` + timeout + 5 s.
pub const UNCLEAR_GRACE_MS: u64 = 2_500;

/// How long after a restart the hub still waits for the words of runs whose time passed while it was down, in
/// milliseconds: the devices must first notice, connect and attach again.
pub const RESTART_GRACE_MS: u64 = 15_000;

/// How long a live message may stay unconfirmed by the recipient's session, in milliseconds.
pub const LIVE_CONFIRM_MS: u64 = 15_000;

/// How long a relayed ping waits for its answer, in milliseconds: as long as a silent peer may stay unnoticed.
pub const PING_WAIT_MS: u64 = 15_000;

/// How long a ticket is good, in milliseconds: an hour, long enough to walk to the other machine.
pub const TICKET_LIFE_MS: u64 = 3_600_000;

/// How long a body that stopped arriving is kept for its sender to go on, in milliseconds: a session's resume time.
pub const UPLOAD_KEEP_MS: u64 = 600_000;

/// The largest body by default, in bytes: 64 GiB.
pub const MAX_BODY_BYTES: u64 = 64 << 30;

/// Undecided messages in all, by default. The hub holds each one's envelope (≤ 2 KiB) in memory: 200 MiB at the most.
pub const MAX_UNDECIDED: u64 = 100_000;

/// Undecided messages for one recipient, by default.
pub const MAX_UNDECIDED_PER_RECIPIENT: u64 = 10_000;

/// Bytes of undecided bodies for one recipient, by default: 256 GiB.
pub const MAX_UNDECIDED_BYTES_PER_RECIPIENT: u64 = 256 << 30;

/// Bodies that one device may have on their way to the hub at a time: each holds an open file there.
pub const MAX_UPLOADS_PER_DEVICE: usize = 64;

/// Live messages that one device may have unconfirmed, over all its sessions: each holds up to 64 KiB in the
/// recipient's session, also when the session that sent it is gone.
pub const MAX_LIVE_PER_DEVICE: usize = 64;

/// How long the hub knows the id of a live message that was given to its recipient, in milliseconds: a session's
/// resume time, after which no sender still says again what it said before its session was lost.
pub const LIVE_REMEMBER_MS: u64 = 600_000;

/// Live messages that were given to their recipients and of which the hub knows the ids, for each sending device: four
/// times what it may have unconfirmed, since only the result of what was unconfirmed can have been lost.
pub const MAX_LIVE_REMEMBERED_PER_DEVICE: usize = 4 * MAX_LIVE_PER_DEVICE;

/// Sessions that one device may have at a time: one agent and a shell full of senders.
pub const MAX_SESSIONS_PER_DEVICE: usize = 256;

/// Messages that one session may watch by asking; what it submitted is watched besides.
pub const MAX_WATCHED_MESSAGES_PER_SESSION: usize = 1_024;

/// Presence watches of one session.
pub const MAX_PRESENCE_WATCHES_PER_SESSION: usize = 16;

/// Pings on their way to agents, in all.
pub const MAX_PINGS: usize = 1_024;

/// Tickets that are neither used nor past, in all.
pub const MAX_TICKETS: usize = 10_000;

/// Messages said to an agent on one lane and not yet stored there: enough to fill a long path, and with
/// [`DELIVER_WINDOW_BYTES`] a bound for what a slow agent can make the hub hold.
pub const DELIVER_WINDOW_MESSAGES: usize = 64;

/// Inline bytes said to an agent on one lane and not yet stored there, in bytes: half of a session's first grant is
/// in flight while the other half is stored.
pub const DELIVER_WINDOW_BYTES: u64 = 512 * 1024;

/// The longest software, link or path description that is kept, in bytes.
pub const MAX_DESCRIPTION_LEN: usize = 128;

/// Links of one session that are listed.
pub const MAX_LINKS_LISTED: usize = 16;

/// When a sender that met a full quota should try again, in milliseconds.
pub const QUOTA_RETRY_MS: u64 = 10_000;

/// When a sender that met a draining hub should try again, in milliseconds.
pub const DRAIN_RETRY_MS: u64 = 2_000;

/// Messages that an agent holds at a time: twice what a hub sends by default, so the hub's quota speaks first.
pub const MAX_HELD: usize = 20_000;

/// Bodies that an agent takes before their acceptance, at a time.
pub const MAX_OFFERS: usize = 64;

/// How long an offered body that was not accepted is kept, in milliseconds.
pub const OFFER_KEEP_MS: u64 = 600_000;

/// Reports that an agent remembers after the hub has them, newest last: at ≤ 7 KiB each, 7 MiB.
pub const MAX_REMEMBERED: usize = 1_000;

/// Inbox and `save_to` messages for which an agent asks `go` at once; the hub's order keeps them in order.
pub const PLACE_WINDOW: usize = 64;

/// How long placing a file may take, in milliseconds, from `go` on: a copy of a large file across file systems.
pub const PLACE_TIMEOUT_MS: u64 = 600_000;

/// Bodies of messages that were not handled stay this long for a retry, in milliseconds: 7 days. The store sweeps.
pub const KEEP_FAILED_MS: u64 = 7 * 24 * 3_600_000;

/// Records of decided messages stay this long, in milliseconds: 90 days. The store sweeps.
pub const KEEP_RECORDS_MS: u64 = 90 * 24 * 3_600_000;
