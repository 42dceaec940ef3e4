//! A handshake for simulations, in the shape of TLS 1.3's: the same flights at the same levels with the same changes of
//! keys, messages as long as a test wants, and **no secret** (see [`super::checksum`]).
//!
//! | from | level | message | then |
//! |---|---|---|---|
//! | client | Initial | hello: random, params | |
//! | server | Initial | hello: random | keys of Handshake |
//! | server | Handshake | finish: params, checksum over all before | keys of Session |
//! | client | | (the server's hello was read) | keys of Handshake |
//! | client | Handshake | finish: checksum over all before | keys of Session |

use super::checksum::{KeyLimits, Mixer, keys, packet_keys};
use super::{Handshake, HandshakeFailed, KeyChange, PacketKeys, Side};

/// A message is its type, its length in three bytes, and its body: as in TLS.
const HEAD_BYTES: usize = 4;

/// The longest message: what a peer may make us keep.
const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// The alerts that it can fail with (RFC 8446 §6).
const UNEXPECTED_MESSAGE: u8 = 10;
const DECODE_ERROR: u8 = 50;
const DECRYPT_ERROR: u8 = 51;

/// How long the messages are, in bytes; at least what is in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// With a post-quantum key share it needs two datagrams.
    pub client_hello: usize,
    /// So does its answer, nearly.
    pub server_hello: usize,
    /// With a certificate.
    pub server_finish: usize,
    /// With a certificate.
    pub client_finish: usize,
}

impl Default for Sizes {
    /// About what TLS 1.3 with X25519MLKEM768 and two Ed25519 certificates takes.
    fn default() -> Self {
        Self { client_hello: 1_800, server_hello: 1_210, server_finish: 700, client_finish: 600 }
    }
}

/// What comes next, seen from the one whose handshake it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    SayHello,
    HearHello,
    /// The server's hello was said: the keys of [`super::Level::Handshake`] are due.
    TurnToHandshake,
    SayFinish,
    HearFinish,
    Done,
}

/// One side of a toy handshake.
#[derive(Debug)]
pub struct Toy {
    side: Side,
    random: u64,
    params: Vec<u8>,
    sizes: Sizes,
    limits: KeyLimits,
    step: Step,
    /// What came of a message that is not whole.
    pending: Vec<u8>,
    transcript: Mixer,
    peer_params: Option<Vec<u8>>,
    /// What the keys of the session follow from, once they are known.
    secret: Option<u64>,
    updates: u64,
}

impl Toy {
    /// A client's. `random` makes its keys its own, `params` go to the peer.
    pub fn client(random: u64, params: &[u8], sizes: Sizes, limits: KeyLimits) -> Self {
        Self::new(Side::Client, Step::SayHello, random, params, sizes, limits)
    }

    /// A server's.
    pub fn server(random: u64, params: &[u8], sizes: Sizes, limits: KeyLimits) -> Self {
        Self::new(Side::Server, Step::HearHello, random, params, sizes, limits)
    }

    fn new(side: Side, step: Step, random: u64, params: &[u8], sizes: Sizes, limits: KeyLimits) -> Self {
        let (transcript, params) = (Mixer::new(0), params.to_vec());
        let (pending, peer_params, secret) = (Vec::new(), None, None);
        Self { side, random, params, sizes, limits, step, pending, transcript, peer_params, secret, updates: 0 }
    }

    /// Appends a message with `content`, filled up to `size`, and takes it into the transcript.
    fn say(&mut self, content: &[u8], size: usize, out: &mut Vec<u8>) {
        let size = size.max(HEAD_BYTES + content.len());
        let from = out.len();
        out.push(self.side as u8);
        out.extend_from_slice(&((size - HEAD_BYTES) as u32).to_be_bytes()[1..]);
        out.extend_from_slice(content);
        out.resize(from + size, 0xfe);
        self.transcript = self.transcript.bytes(&out[from..]);
    }

    fn hear(&mut self, message: &[u8]) -> Result<(), HandshakeFailed> {
        let body = &message[HEAD_BYTES..];
        match (self.side, self.step) {
            (Side::Server, Step::HearHello) => {
                let (_random, rest) = body.split_first_chunk::<8>().ok_or(failed(DECODE_ERROR))?;
                self.peer_params = Some(params(rest)?.0.to_vec());
                self.step = Step::SayHello;
            }
            (Side::Client, Step::HearHello) => self.step = Step::TurnToHandshake,
            (Side::Client, Step::HearFinish) => {
                let (params, rest) = params(body)?;
                self.proven(rest)?;
                self.peer_params = Some(params.to_vec());
                self.step = Step::SayFinish;
            }
            (Side::Server, Step::HearFinish) => {
                self.proven(body)?;
                self.step = Step::Done;
            }
            _ => return Err(failed(UNEXPECTED_MESSAGE)),
        }
        self.transcript = self.transcript.bytes(message);
        Ok(())
    }

    /// Whether the peer saw what we saw.
    fn proven(&self, body: &[u8]) -> Result<(), HandshakeFailed> {
        let sum = body.first_chunk::<8>().ok_or(failed(DECODE_ERROR))?;
        if *sum == self.transcript.sum().to_be_bytes() { Ok(()) } else { Err(failed(DECRYPT_ERROR)) }
    }

    fn with_length(params: &[u8]) -> Vec<u8> {
        [&(params.len() as u16).to_be_bytes()[..], params].concat()
    }

    /// The keys of the session, from here on.
    fn turn_to_session(&mut self) -> KeyChange {
        let secret = self.transcript.word(u64::MAX).sum();
        self.secret = Some(secret);
        KeyChange::Session(keys(secret, self.side, self.limits))
    }
}

fn failed(alert: u8) -> HandshakeFailed {
    HandshakeFailed { alert, text: format!("the toy handshake failed with alert {alert}") }
}

/// Parameters under their length, and what follows.
fn params(body: &[u8]) -> Result<(&[u8], &[u8]), HandshakeFailed> {
    let (length, rest) = body.split_first_chunk::<2>().ok_or(failed(DECODE_ERROR))?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or(failed(DECODE_ERROR))
}

impl Handshake for Toy {
    fn read(&mut self, bytes: &[u8]) -> Result<(), HandshakeFailed> {
        let mut pending = core::mem::take(&mut self.pending);
        pending.extend_from_slice(bytes);
        let mut rest = &pending[..];
        while let Some(&[_, high, middle, low]) = rest.first_chunk::<HEAD_BYTES>() {
            let size = HEAD_BYTES + u32::from_be_bytes([0, high, middle, low]) as usize;
            if size > MAX_MESSAGE_BYTES {
                return Err(failed(DECODE_ERROR));
            }
            let Some((message, behind)) = rest.split_at_checked(size) else { break };
            self.hear(message)?;
            rest = behind;
        }
        self.pending = rest.to_vec();
        Ok(())
    }

    fn write(&mut self, out: &mut Vec<u8>) -> Option<KeyChange> {
        match (self.side, self.step) {
            (Side::Client, Step::SayHello) => {
                let content = [&self.random.to_be_bytes()[..], &Self::with_length(&self.params)].concat();
                self.say(&content, self.sizes.client_hello, out);
                self.step = Step::HearHello;
                None
            }
            (Side::Server, Step::SayHello) => {
                self.say(&self.random.to_be_bytes(), self.sizes.server_hello, out);
                self.step = Step::SayFinish;
                Some(KeyChange::Handshake(keys(self.transcript.sum(), self.side, KeyLimits::default())))
            }
            (Side::Client, Step::TurnToHandshake) => {
                self.step = Step::HearFinish;
                Some(KeyChange::Handshake(keys(self.transcript.sum(), self.side, KeyLimits::default())))
            }
            (Side::Server, Step::SayFinish) => {
                let proof = self.transcript.sum().to_be_bytes();
                let content = [&Self::with_length(&self.params)[..], &proof].concat();
                self.say(&content, self.sizes.server_finish, out);
                self.step = Step::HearFinish;
                Some(self.turn_to_session())
            }
            (Side::Client, Step::SayFinish) => {
                // Both sides' keys of the session follow from all up to the server's finish, as in TLS.
                let change = self.turn_to_session();
                self.say(&self.transcript.sum().to_be_bytes(), self.sizes.client_finish, out);
                self.step = Step::Done;
                Some(change)
            }
            _ => None,
        }
    }

    fn is_handshaking(&self) -> bool {
        self.step != Step::Done
    }

    fn peer_params(&self) -> Option<&[u8]> {
        self.peer_params.as_deref()
    }

    fn next_keys(&mut self) -> Option<PacketKeys> {
        let secret = self.secret?;
        self.updates += 1;
        Some(packet_keys(Mixer::new(secret).word(self.updates).sum(), self.side, self.limits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets each say in turn what it has to, in pieces: who said how many bytes and turned to which keys.
    fn run<'a>(mut from: &'a mut Toy, mut to: &'a mut Toy, piece: usize) -> Vec<(Side, usize, &'static str)> {
        let mut trace = vec![];
        for _ in 0..8 {
            let mut out = vec![];
            let turned = match from.write(&mut out) {
                Some(KeyChange::Handshake(_)) => "handshake",
                Some(KeyChange::Session(_)) => "session",
                None => "",
            };
            out.chunks(piece).for_each(|piece| to.read(piece).unwrap());
            if !out.is_empty() || !turned.is_empty() {
                trace.push((from.side, out.len(), turned));
            }
            core::mem::swap(&mut from, &mut to);
        }
        trace
    }

    fn pair() -> (Toy, Toy) {
        let (sizes, limits) = (Sizes::default(), KeyLimits::default());
        (Toy::client(1, b"of the client", sizes, limits), Toy::server(2, b"of the server", sizes, limits))
    }

    #[test]
    fn the_flights_and_changes_are_those_of_tls() {
        for piece in [1, 3, 1_100, 10_000] {
            let (mut client, mut server) = pair();
            assert!(client.next_keys().is_none());
            let expected = [
                (Side::Client, 1_800, ""),
                (Side::Server, 1_210, "handshake"),
                (Side::Client, 0, "handshake"),
                (Side::Server, 700, "session"),
                (Side::Client, 600, "session"),
            ];
            assert_eq!(run(&mut client, &mut server, piece), expected);
            assert!(!client.is_handshaking() && !server.is_handshaking());
            assert_eq!(client.peer_params(), Some(&b"of the server"[..]));
            assert_eq!(server.peer_params(), Some(&b"of the client"[..]));
            let (ours, theirs) = (client.next_keys().unwrap(), server.next_keys().unwrap());
            let mut sealed = [3; 20];
            ours.local.seal(1, &[], &mut sealed);
            assert_eq!(theirs.remote.open(1, &[], &mut sealed), Some(4));
        }
    }

    #[test]
    fn a_message_that_was_changed_or_does_not_belong_is_refused() {
        let (mut client, mut server) = pair();
        let mut hello = vec![];
        client.write(&mut hello);
        hello[1_000] ^= 1;
        server.read(&hello).unwrap();
        let mut answer = vec![];
        while server.write(&mut answer).is_some() {}
        // The client reads the hello, turns, and then the finish.
        client.read(&answer[..1_210]).unwrap();
        assert!(client.write(&mut vec![]).is_some());
        assert_eq!(client.read(&answer[1_210..]).unwrap_err().alert, DECRYPT_ERROR);
        assert_eq!(server.read(&hello).unwrap_err().alert, DECRYPT_ERROR);
        assert_eq!(pair().0.read(&hello).unwrap_err().alert, UNEXPECTED_MESSAGE);
        assert_eq!(pair().1.read(&[0, 255, 255, 255]).unwrap_err().alert, DECODE_ERROR);
    }
}
