//! What is to be measured in one run: both processes are handed the same job.

use serde::{Deserialize, Serialize};

/// Who does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Peer {
    Connection,
    ConnectionSender,
    Calls,
    Session,
    SessionCalls,
    SessionBatches,
    Hand,
    Codec,
    Protosocket,
    ProtosocketRpc,
    TonicUnary,
    TonicStream,
    Blocking,
}

impl Peer {
    /// Its name in tables and rows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::ConnectionSender => "connection by sender",
            Self::Calls => "calls on a connection",
            Self::Session => "session",
            Self::SessionCalls => "calls over a session",
            Self::SessionBatches => "session in batches",
            Self::Hand => "hand",
            Self::Codec => "codec",
            Self::Protosocket => "protosocket",
            Self::ProtosocketRpc => "protosocket-rpc",
            Self::TonicUnary => "tonic unary",
            Self::TonicStream => "tonic stream",
            Self::Blocking => "blocking",
        }
    }

    /// What it is and how it is set up.
    pub fn settings(self) -> &'static str {
        match self {
            Self::Connection => {
                "towline::Connection, LengthPrefixed::u32, default ConnectionConfig, reactor sends; TLS: towline::tls with keys of both sides"
            }
            Self::ConnectionSender => "the same, but a task sends through the queue, a message at a time",
            Self::Calls => {
                "towline::call::direct over a Connection, LengthPrefixed::u32, defaults, items from a pool; a task for each call in flight"
            }
            Self::SessionCalls => {
                "towline::call::Caller and Calls over a Session as above, a task for each call in flight; plain: a test link without TLS"
            }
            Self::Session => "towline::Session over TLS 1.3 with keys of both sides, default limits, lane normal",
            Self::SessionBatches => "the same with `send_all` and `recv_many`, 256 messages at most at a time",
            Self::Hand => "tokio, own framing, 64 KiB gathered per write, vectored from 4 KiB, 256 KiB read buffer",
            Self::Codec => {
                "tokio_util Framed + LengthDelimitedCodec, defaults, `feed` and one flush; TLS: tokio-rustls 0.26, aws-lc, TLS 1.3"
            }
            Self::Protosocket => {
                "protosocket 2.0.2 Connection, buffers 4 MiB in steps of 1 MiB, 256 queued, pooled encoder, reactor sends; \
                 idle: steps of 4 KiB (its default holds 1 MiB a connection)"
            }
            Self::ProtosocketRpc => {
                "protosocket-rpc 2.0.2 with protosocket-prost, client defaults, server 4 MiB/1 MiB/256"
            }
            Self::TonicUnary => "tonic 0.14 without TLS, prost, one channel a connection, defaults and TCP_NODELAY",
            Self::TonicStream => "tonic 0.14 as above, one stream a connection: both ways, or of replies",
            Self::Blocking => "std::net, one thread, read_exact and write_all: the floor that the kernel sets",
        }
    }

    /// Whether it is ours.
    pub fn is_ours(self) -> bool {
        matches!(
            self,
            Self::Connection
                | Self::ConnectionSender
                | Self::Calls
                | Self::Session
                | Self::SessionBatches
                | Self::SessionCalls
        )
    }
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Load {
    /// The client sends as fast as it can.
    OneWay,
    /// So many requests are on their way on each connection; each answer brings the next.
    RoundTrips { in_flight: usize },
    /// One call on each connection, which the server answers with items as fast as it can.
    Items,
    /// Connections are opened and say nothing.
    Idle,
}

/// One run of one contender.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Job {
    pub peer: Peer,
    pub load: Load,
    pub tls: bool,
    pub connections: usize,
    /// A message's length in bytes.
    pub bytes: usize,
    pub extent: Extent,
}

/// How long whoever sends goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Extent {
    /// So many milliseconds: for what is told per second.
    Millis(u64),
    /// So many messages of each sender: for what is told per message, however slow the machine is just now.
    Messages(u64),
}

/// The longest message that any contender takes here, in bytes.
pub const MESSAGE_MAX_BYTES: usize = 1 << 20;
