//! From a link with TLS to a link in a session: the hello each way, as a type per state.
//!
//! A state is consumed by what it handles, so that a stale one cannot be used. Nothing here does I/O: the shell hands in
//! all bytes it has and not yet used, and sends what is written to `out`. It bounds the time by
//! [`crate::limits::HANDSHAKE_TIMEOUT`]; the bytes are bounded here, since a hello over its limit fails at its length.
//!
//! ```text
//! client: begin ─► AwaitServerHello ─► Admission
//! server: AwaitClientHello ─► Asked::New(Newcomer) ───────────────► admit │ refuse
//!                          └► Asked::Join(Claimant) ─► prove ─► Joiner ─► admit │ refuse
//!                                                  └► gone
//! ```

mod client;
mod server;
#[cfg(test)]
mod tests;

use crate::ids::SessionId;
use crate::wire::close::{Close, CloseCode};
use crate::wire::cursor::DecodeError;
use crate::wire::hello::{Feature, Params, VERSIONS};
pub use client::{Admission, AwaitServerHello, begin, begin_join};
use core::ops::RangeInclusive;
pub use server::{Asked, AwaitClientHello, Claimant, Joiner, Newcomer};

/// What one side brings to a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The versions it speaks.
    pub versions: RangeInclusive<u64>,
    /// Its limits and first grants.
    pub params: Params,
    /// What it can do besides.
    pub features: Vec<Feature>,
}

impl Default for Offer {
    fn default() -> Self {
        Self { versions: VERSIONS, params: Params::default(), features: Vec::new() }
    }
}

/// How far the bytes brought a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<S, T> {
    /// The hello is not there whole: hand the same bytes in again with more behind them.
    NeedMore(S),
    /// It is there.
    Done {
        /// What follows from it.
        value: T,
        /// How many bytes of the input it was; the session's frames come behind.
        used: usize,
    },
}

/// Why a handshake failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The peer refused, with this.
    #[error("refused: {0}")]
    TheySaid(Close),
    /// The peer broke the rules or cannot be spoken with; a server's answer to that stands in `out` already.
    #[error("{0}")]
    WeSay(Close),
}

impl Failure {
    /// The close, whoever said it.
    pub const fn close(&self) -> &Close {
        match self {
            Self::TheySaid(close) | Self::WeSay(close) => close,
        }
    }
}

/// HMAC-SHA-256, which the shell brings.
pub trait Mac {
    /// The tag over `input`.
    fn sign(&self, key: &[u8; 32], input: &[u8]) -> [u8; 32];

    /// Whether `tag` is the one over `input`, in a time that does not depend on where they differ.
    fn verify(&self, key: &[u8; 32], input: &[u8], tag: &[u8; 32]) -> bool;
}

/// The label by which both sides export 32 bytes from a session's first link (RFC 8446 §7.5, no context): its secret.
pub const SESSION_SECRET_LABEL: &[u8] = b"EXPORTER-towline-session";

/// The label by which both sides export 32 bytes from a link that joins: what binds the proof to this link and no other.
pub const JOIN_EXPORTER_LABEL: &[u8] = b"EXPORTER-towline-join";

/// The role of the side that joins. Only clients join; the word keeps a proof from ever being mirrored.
pub const JOIN_ROLE: &[u8] = b"client";

/// A session's secret: exported from its first link, kept by both sides, never sent.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionSecret(pub [u8; 32]);

impl core::fmt::Debug for SessionSecret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SessionSecret")
    }
}

/// What a join proof is a tag over, under the session's secret: this link's exporter ‖ session id ‖ role.
pub fn join_proof_input(exporter: &[u8; 32], session: SessionId) -> Vec<u8> {
    [&exporter[..], &session.0, JOIN_ROLE].concat()
}

/// The close for a hello that cannot be read.
fn unreadable(error: DecodeError) -> Close {
    let code = match error {
        DecodeError::Invalid { what: "magic" } => CloseCode::HelloExpected,
        _ => CloseCode::HelloMalformed,
    };
    Close::new(code).with_text(error.to_string())
}

/// The highest version in both ranges.
fn common_version(a: &RangeInclusive<u64>, b: &RangeInclusive<u64>) -> Option<u64> {
    let highest = *a.end().min(b.end());
    (highest >= *a.start().max(b.start())).then_some(highest)
}
