//! The hello: the first frame each way on every link, once TLS is up.
//!
//! Its form is the same in every version, so that any two versions can at least tell each other why they part.
//! ```text
//! hello    := length varint (≤ 65,536) ‖ magic [4] ‖ …            length counts what follows it
//! client   := "TWLC" ‖ lowest varint ‖ highest varint ‖ intent ‖ params ‖ features
//! intent   := 0 (new) | 1 (join) ‖ session [16] ‖ proof [32] ‖ state
//! server   := "TWLS" ‖ version varint ‖ verdict ‖ features
//! verdict  := 0 (new) ‖ session [16] ‖ params | 1 (joined) ‖ state | 2 (gone) | 3 (refused) ‖ close
//! params   := max_message ‖ stream_credit ‖ session_credit ‖ max_streams ‖ resume_time_ms       (varints)
//! state    := see `wire::receive_state`
//! features := count varint (≤ 64) ‖ count × (type varint ‖ length varint (≤ 1,024) ‖ value)
//! ```

mod params;
#[cfg(test)]
mod tests;

use super::close::Close;
use super::cursor::{DecodeError, Reader, put_prefixed, put_varint};
use super::receive_state::ReceiveState;
use crate::ids::SessionId;
use crate::limits::{MAX_FEATURE_BYTES, MAX_FEATURES, MAX_HELLO_BYTES, MAX_STATE_RANGES};
use core::ops::RangeInclusive;
pub use params::Params;

/// The versions that this crate speaks.
pub const VERSIONS: RangeInclusive<u64> = 1..=1;

/// The first bytes of a client's hello after its length.
pub const CLIENT_MAGIC: [u8; 4] = *b"TWLC";

/// The first bytes of a server's hello after its length.
pub const SERVER_MAGIC: [u8; 4] = *b"TWLS";

/// Something a peer can do beyond its version: a type and a value. Types that one does not know are ignored.
pub type Feature = (u64, Vec<u8>);

/// What the rest of a joining hello may take, in bytes; the state of received streams has what is left of the limit.
const REST_OF_HELLO_BYTES: usize = 16 * 1024;

/// A feature type that means nothing and never will: peers send it now and then, so that ignoring stays tested.
pub const RESERVED_FEATURE: u64 = 0x21;

/// What the connecting side says first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientHello {
    /// The lowest and the highest version it speaks.
    pub versions: RangeInclusive<u64>,
    /// What the link is for.
    pub intent: Intent,
    /// Its limits and first grants. On a join those of the session's beginning hold, and these are not looked at.
    pub params: Params,
    /// What it can do besides.
    pub features: Vec<Feature>,
}

/// What a link is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intent {
    /// A session of its own.
    New,
    /// One more link, or the next one, of a session that exists.
    Join {
        /// The session.
        session: SessionId,
        /// The proof that the joining side belongs to it (`session::handshake::join_proof_input`).
        proof: [u8; 32],
        /// What the joining side has received in it.
        received: ReceiveState,
    },
}

/// What the accepting side answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerHello {
    /// The version that is spoken from here on; if none is in common, the highest the server speaks.
    pub version: u64,
    /// Whether the link is admitted.
    pub verdict: Verdict,
    /// What it can do besides.
    pub features: Vec<Feature>,
}

/// Whether a link is admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A session begins.
    New {
        /// Its name.
        session: SessionId,
        /// The server's limits and first grants.
        params: Params,
    },
    /// The link joined its session.
    Joined {
        /// What the server has received in it.
        received: ReceiveState,
    },
    /// The server does not know the session (any more).
    Gone,
    /// No.
    Refused(Close),
}

impl ClientHello {
    /// Appends the whole hello, its length included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut body = CLIENT_MAGIC.to_vec();
        put_varint(&mut body, *self.versions.start());
        put_varint(&mut body, *self.versions.end());
        match &self.intent {
            Intent::New => body.push(0),
            Intent::Join { session, proof, received } => {
                body.push(1);
                body.extend_from_slice(&session.0);
                body.extend_from_slice(proof);
                encode_state(received, &mut body);
            }
        }
        self.params.encode(&mut body);
        encode_features(&self.features, &mut body);
        put_whole(&body, out);
    }

    /// Takes a whole hello from the front of `input`: what it says and how many bytes it was; `None` if more must come.
    ///
    /// # Errors
    /// [`DecodeError`], as early as the bytes show it: a length or magic that is wrong is not waited out.
    pub fn decode(input: &[u8]) -> Result<Option<(Self, usize)>, DecodeError> {
        let Some((mut reader, used)) = open(input, CLIENT_MAGIC)? else { return Ok(None) };
        let (lowest, highest) = (reader.varint("lowest version")?, reader.varint("highest version")?);
        if lowest > highest {
            return Err(DecodeError::Invalid { what: "version range" });
        }
        let intent = decode_intent(&mut reader)?;
        let params = Params::decode(&mut reader)?;
        let features = decode_features(&mut reader)?;
        reader.finish("hello")?;
        Ok(Some((Self { versions: lowest..=highest, intent, params, features }, used)))
    }
}

impl ServerHello {
    /// Appends the whole hello, its length included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut body = SERVER_MAGIC.to_vec();
        put_varint(&mut body, self.version);
        match &self.verdict {
            Verdict::New { session, params } => {
                body.push(0);
                body.extend_from_slice(&session.0);
                params.encode(&mut body);
            }
            Verdict::Joined { received } => {
                body.push(1);
                encode_state(received, &mut body);
            }
            Verdict::Gone => body.push(2),
            Verdict::Refused(close) => {
                body.push(3);
                close.encode(&mut body);
            }
        }
        encode_features(&self.features, &mut body);
        put_whole(&body, out);
    }

    /// Takes a whole hello from the front of `input`: what it says and how many bytes it was; `None` if more must come.
    ///
    /// # Errors
    /// As [`ClientHello::decode`].
    pub fn decode(input: &[u8]) -> Result<Option<(Self, usize)>, DecodeError> {
        let Some((mut reader, used)) = open(input, SERVER_MAGIC)? else { return Ok(None) };
        let version = reader.varint("version")?;
        let verdict = decode_verdict(&mut reader)?;
        let features = decode_features(&mut reader)?;
        reader.finish("hello")?;
        Ok(Some((Self { version, verdict, features }, used)))
    }
}

/// A reader over the hello's body behind its magic, and the length of the whole; `None` if more must come.
fn open(input: &[u8], magic: [u8; 4]) -> Result<Option<(Reader<'_>, usize)>, DecodeError> {
    let mut reader = Reader::new(input);
    let length = match reader.bounded(MAX_HELLO_BYTES, "hello") {
        Err(DecodeError::Truncated { .. }) => return Ok(None),
        other => other?,
    };
    let present = reader.remaining().min(magic.len());
    if length < magic.len() || reader.clone().take(present, "magic")? != &magic[..present] {
        return Err(DecodeError::Invalid { what: "magic" });
    }
    if reader.remaining() < length {
        return Ok(None);
    }
    let mut body = Reader::new(reader.take(length, "hello")?);
    body.take(magic.len(), "magic")?;
    Ok(Some((body, reader.position())))
}

fn put_whole(body: &[u8], out: &mut Vec<u8>) {
    assert!(body.len() <= MAX_HELLO_BYTES, "state and features are bounded so that a hello always fits");
    put_prefixed(out, body);
}

fn decode_intent(reader: &mut Reader<'_>) -> Result<Intent, DecodeError> {
    match reader.byte("intent")? {
        0 => Ok(Intent::New),
        1 => Ok(Intent::Join {
            session: SessionId(reader.array("session id")?),
            proof: reader.array("join proof")?,
            received: ReceiveState::decode(reader)?,
        }),
        _ => Err(DecodeError::Invalid { what: "intent" }),
    }
}

fn decode_verdict(reader: &mut Reader<'_>) -> Result<Verdict, DecodeError> {
    match reader.byte("verdict")? {
        0 => Ok(Verdict::New { session: SessionId(reader.array("session id")?), params: Params::decode(reader)? }),
        1 => Ok(Verdict::Joined { received: ReceiveState::decode(reader)? }),
        2 => Ok(Verdict::Gone),
        3 => Ok(Verdict::Refused(Close::decode(reader)?)),
        _ => Err(DecodeError::Invalid { what: "verdict" }),
    }
}

/// Appends the state, with as many ranges per stream as fit. What is not stated is sent again, and dropped then.
fn encode_state(received: &ReceiveState, out: &mut Vec<u8>) {
    let begin = out.len();
    received.encode(out);
    let mut ranges = MAX_STATE_RANGES;
    while out.len() - begin > MAX_HELLO_BYTES - REST_OF_HELLO_BYTES {
        assert!(ranges > 0, "without ranges the most streams fit");
        ranges /= 2;
        let mut shorter = received.clone();
        shorter.streams.iter_mut().for_each(|stream| stream.ranges.truncate(ranges));
        out.truncate(begin);
        shorter.encode(out);
    }
}

fn encode_features(features: &[Feature], out: &mut Vec<u8>) {
    assert!(features.len() <= MAX_FEATURES, "we name our own features");
    put_varint(out, features.len() as u64);
    for (kind, value) in features {
        assert!(value.len() <= MAX_FEATURE_BYTES, "we write our own features");
        put_varint(out, *kind);
        put_prefixed(out, value);
    }
}

fn decode_features(reader: &mut Reader<'_>) -> Result<Vec<Feature>, DecodeError> {
    let count = reader.bounded(MAX_FEATURES, "feature count")?;
    (0..count)
        .map(|_| Ok((reader.varint("feature type")?, reader.prefixed(MAX_FEATURE_BYTES, "feature value")?.to_vec())))
        .collect()
}
