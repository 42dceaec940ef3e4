//! What an endpoint does with a datagram that belongs to no link of it.
//!
//! | datagram | when | verdict |
//! |---|---|---|
//! | no packet at all | | ignored: `malformed` |
//! | short header, at least [`RESET_ANSWERED_BYTES`] | | answered: `reset` |
//! | short header, less | | ignored: `malformed` |
//! | version negotiation, or ours but no Initial | | ignored: `unexpected` |
//! | long header | the endpoint does not listen | ignored: `unexpected` |
//! | long header in less than 1,200 bytes | | ignored: `small` |
//! | another version | | answered: `versions` |
//! | Initial, not whole, or to an id of less than 8 bytes | | ignored: `malformed` |
//! | Initial without a token | at most so many half-open handshakes, in all and of its source | accepted |
//! | | more | answered: `retry` |
//! | Initial with a token | of ours, of this address, in time, to the id of the retry | accepted, address validated |
//! | | otherwise | ignored: `token` |
//! | any that would be accepted | all places taken, or all of its source | ignored: `full` |
//! | | it was not sealed by who sent it | ignored: `forged` |
//! | any that would get a reset or versions | more of these in this second than [`UNASKED_PER_SECOND`] | ignored: `limited` |
//!
//! A retry leaves nothing behind here, and before it is accepted a stranger costs no memory. No answer is as long as what it
//! answers, so nobody is flooded through an endpoint, and two endpoints never answer each other without end. A post-quantum
//! hello comes in two datagrams; the first takes a place, the second then finds the link by its id; or each gets a retry, of
//! which the client takes one.

mod token;

#[cfg(test)]
mod tests;

use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeMap;
use std::sync::Arc;

use super::connection_id::{ConnectionId, FIRST_ID_BYTES_MIN, LOCAL_ID_BYTES};
use super::crypto::{InitialCrypto, Level, Side, TokenKey};
use super::packet::{
    Datagram, INITIAL_DATAGRAM_BYTES, LongHead, Packet, RESET_BYTES_MIN, VERSION, destination_id, put_reset, put_retry,
    put_versions,
};
use crate::time::{Duration, Instant};
use crate::wire::cursor::Reader;
use token::Token;

/// The least datagram with a short header that gets a reset, in bytes: its answer is shorter, and still can be one.
pub const RESET_ANSWERED_BYTES: usize = RESET_BYTES_MIN + 1;

/// The longest reset, in bytes: nobody needs to tell it from a small packet of a session.
const RESET_BYTES_MAX: usize = 42;

/// Resets and version negotiations in a second, together: who floods an endpoint does not get it to flood others, and who
/// is told nothing learns the same by its timeout.
pub const UNASKED_PER_SECOND: u32 = 1_000;

/// How many half-open handshakes there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// With so many in all, a stranger must show by a token that it hears us. Each may be somebody's whose address was
    /// forged, and holds the state of a TLS handshake (some 50 KB) until it times out.
    pub free: usize,
    /// With so many in all, nobody is accepted.
    pub most: usize,
    /// As [`Limits::free`], of one source: an IPv4 address, or the first 64 bits of an IPv6 address.
    pub free_per_source: usize,
    /// As [`Limits::most`], of one source: many devices behind one address come back together after a restart.
    pub most_per_source: usize,
    /// How long a token is good for: a round trip, and a client that is slow.
    pub token_life: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { free: 200, most: 2_000, free_per_source: 20, most_per_source: 400, token_life: Duration::from_secs(15) }
    }
}

/// What became of a stranger's datagram; also a label of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// A handshake begins.
    Accepted,
    /// It must come again with a token.
    Retry,
    /// It was told which versions there are.
    Versions,
    /// It was told that its link is no more.
    Reset,
    /// It is no packet, or too short to be answered.
    Malformed,
    /// It is a packet that no stranger sends to who this is.
    Unexpected,
    /// It wants an answer that it has not paid for by its own size.
    Small,
    /// Its token is not good, or not for this address or now.
    Token,
    /// There are too many half-open handshakes.
    Full,
    /// It was not sealed by who sent it.
    Forged,
    /// Too many strangers would have to be answered.
    Limited,
}

impl Outcome {
    /// All of them, in the order of their counters.
    pub const ALL: [Self; 11] = [
        Self::Accepted,
        Self::Retry,
        Self::Versions,
        Self::Reset,
        Self::Malformed,
        Self::Unexpected,
        Self::Small,
        Self::Token,
        Self::Full,
        Self::Forged,
        Self::Limited,
    ];

    /// Its name in metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Retry => "retry",
            Self::Versions => "versions",
            Self::Reset => "reset",
            Self::Malformed => "malformed",
            Self::Unexpected => "unexpected",
            Self::Small => "small",
            Self::Token => "token",
            Self::Full => "full",
            Self::Forged => "forged",
            Self::Limited => "limited",
        }
    }
}

/// What to do with a stranger's datagram.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Make a link, and hand it the datagram.
    Accept(Accepted),
    /// Send back what was written.
    Answer(Outcome),
    /// Nothing.
    Ignore(Outcome),
}

/// A stranger that may begin a handshake. Its place is taken until [`Strangers::leave`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Where it is.
    pub from: SocketAddr,
    /// Whether it has shown by a token that it is there: if not, it is sent at most three times what it sends.
    pub is_validated: bool,
    /// Where its datagram went: the Initial keys follow from this id, and its next packets go there until it knows ours.
    pub first_destination: ConnectionId,
    /// How it calls itself.
    pub remote_id: ConnectionId,
    /// Where its very first packet went: the parameter original_destination_connection_id.
    pub original_destination: ConnectionId,
    /// The source id of our retry, if there was one: the parameter retry_source_connection_id.
    pub retry_source: Option<ConnectionId>,
    /// How we call ourselves from now on.
    pub local_id: ConnectionId,
    /// What ends the link with that id: the parameter stateless_reset_token.
    pub reset_token: [u8; 16],
}

/// Random bytes on demand.
pub type Random<'a> = &'a mut dyn FnMut(&mut [u8]);

/// See the module's page.
pub struct Strangers {
    listens: bool,
    limits: Limits,
    key: Arc<dyn TokenKey>,
    crypto: Arc<dyn InitialCrypto>,
    half_open: usize,
    /// By source; none with none. Never more than [`Limits::most`].
    sources: BTreeMap<Source, usize>,
    /// Since when the present second runs, and how many unasked answers it had.
    second: (Instant, u32),
    counts: [u64; Outcome::ALL.len()],
    /// For opening a copy: the datagram itself goes to the link as it came.
    scratch: Vec<u8>,
}

impl core::fmt::Debug for Strangers {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Strangers").field("half_open", &self.half_open).finish_non_exhaustive()
    }
}

/// Who is bounded together: an IPv4 address, or the network of an IPv6 address, whose hosts choose theirs freely.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    V4([u8; 4]),
    V6([u8; 8]),
}

impl Source {
    fn of(address: SocketAddr) -> Self {
        match address.ip().to_canonical() {
            IpAddr::V4(ip) => Self::V4(ip.octets()),
            IpAddr::V6(ip) => Self::V6(core::array::from_fn(|at| ip.octets()[at])),
        }
    }
}

impl Strangers {
    /// Of an endpoint that `listens`, or only connects. `key` is its own secret, shared by the sockets of one port,
    /// `crypto` what everybody knows.
    pub fn new(listens: bool, limits: Limits, key: Arc<dyn TokenKey>, crypto: Arc<dyn InitialCrypto>) -> Self {
        let (sources, second, counts) = (BTreeMap::new(), (Instant::ZERO, 0), [0; Outcome::ALL.len()]);
        Self { listens, limits, key, crypto, half_open: 0, sources, second, counts, scratch: Vec::new() }
    }

    // ask

    /// How many half-open handshakes there are.
    pub const fn half_open(&self) -> usize {
        self.half_open
    }

    /// How many datagrams had this outcome.
    pub const fn count(&self, outcome: Outcome) -> u64 {
        self.counts[outcome as usize]
    }

    // network

    /// A datagram came whose destination id is of no link. `out` gets the answer, if there is one.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &[u8],
        random: Random<'_>,
        out: &mut Vec<u8>,
    ) -> Verdict {
        let verdict = self.judge(now, from, datagram, random, out);
        let outcome = match &verdict {
            Verdict::Accept(_) => Outcome::Accepted,
            Verdict::Answer(outcome) | Verdict::Ignore(outcome) => *outcome,
        };
        self.counts[outcome as usize] += 1;
        verdict
    }

    /// The handshake of one that was accepted from this address is over, well or not.
    pub fn leave(&mut self, from: SocketAddr) {
        let source = Source::of(from);
        if let Some(count) = self.sources.get_mut(&source) {
            *count -= 1;
            self.half_open -= 1;
            if *count == 0 {
                self.sources.remove(&source);
            }
        }
    }

    fn judge(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &[u8],
        random: Random<'_>,
        out: &mut Vec<u8>,
    ) -> Verdict {
        let Some(head) = LongHead::read(&mut Reader::new(datagram)) else {
            return self.reset(now, datagram, random, out);
        };
        if !self.listens || head.version == 0 {
            return Verdict::Ignore(Outcome::Unexpected);
        }
        if datagram.len() < INITIAL_DATAGRAM_BYTES {
            return Verdict::Ignore(Outcome::Small);
        }
        if head.version != VERSION {
            return self.versions(now, &head, random, out);
        }
        self.scratch.clear();
        self.scratch.extend_from_slice(datagram);
        let mut scratch = core::mem::take(&mut self.scratch);
        let verdict = self.initial(now, from, &mut scratch, random, out);
        self.scratch = scratch;
        verdict
    }

    /// Who speaks to a link that is no more is told so.
    fn reset(&mut self, now: Instant, datagram: &[u8], random: Random<'_>, out: &mut Vec<u8>) -> Verdict {
        let Some(id) = destination_id(datagram).filter(|_| datagram.len() >= RESET_ANSWERED_BYTES) else {
            return Verdict::Ignore(Outcome::Malformed);
        };
        if !self.may_answer_unasked(now) {
            return Verdict::Ignore(Outcome::Limited);
        }
        let token = self.key.reset_token(&id);
        let mut bytes = [0; RESET_BYTES_MAX];
        let bytes = &mut bytes[..RESET_BYTES_MAX.min(datagram.len() - 1) - token.len()];
        random(bytes);
        put_reset(bytes, token, out);
        Verdict::Answer(Outcome::Reset)
    }

    fn versions(&mut self, now: Instant, head: &LongHead<'_>, random: Random<'_>, out: &mut Vec<u8>) -> Verdict {
        if !self.may_answer_unasked(now) {
            return Verdict::Ignore(Outcome::Limited);
        }
        let mut bytes = [0; 4];
        random(&mut bytes);
        put_versions(head.source, head.destination, bytes, out);
        Verdict::Answer(Outcome::Versions)
    }

    fn initial(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &mut [u8],
        random: Random<'_>,
        out: &mut Vec<u8>,
    ) -> Verdict {
        let sealed = match Datagram::new(datagram).next() {
            Some(Packet::Sealed(sealed)) if sealed.level() == Level::Initial => sealed,
            Some(_) => return Verdict::Ignore(Outcome::Unexpected),
            None => return Verdict::Ignore(Outcome::Malformed),
        };
        let (destination, Some(remote_id)) = (sealed.destination(), sealed.source()) else {
            return Verdict::Ignore(Outcome::Malformed);
        };
        if destination.len() < FIRST_ID_BYTES_MIN {
            return Verdict::Ignore(Outcome::Malformed);
        }
        let mut original = None;
        if !sealed.token().is_empty() {
            original = Token::open(sealed.token(), &*self.key)
                .filter(|token| token.is_good(now, self.limits.token_life, from, &destination))
                .map(|token| token.original_destination);
            if original.is_none() {
                return Verdict::Ignore(Outcome::Token);
            }
        }
        let of_source = self.sources.get(&Source::of(from)).copied().unwrap_or(0);
        if self.half_open >= self.limits.most || of_source >= self.limits.most_per_source {
            return Verdict::Ignore(Outcome::Full);
        }
        let is_free = self.half_open < self.limits.free && of_source < self.limits.free_per_source;
        if original.is_none() && !is_free {
            return self.retry(now, from, &destination, &remote_id, random, out);
        }
        let keys = self.crypto.initial_keys(Side::Server, &destination).remote;
        let opened = sealed.show(&*keys.header).is_some_and(|shown| {
            let number = shown.number(None);
            shown.open(number, &*keys.packet).is_ok()
        });
        if !opened {
            return Verdict::Ignore(Outcome::Forged);
        }
        self.half_open += 1;
        self.sources.insert(Source::of(from), of_source + 1);
        let local_id = new_id(random);
        Verdict::Accept(Accepted {
            from,
            is_validated: original.is_some(),
            first_destination: destination,
            remote_id,
            original_destination: original.unwrap_or(destination),
            retry_source: original.map(|_| destination),
            local_id,
            reset_token: self.key.reset_token(&local_id),
        })
    }

    fn retry(
        &self,
        now: Instant,
        from: SocketAddr,
        destination: &ConnectionId,
        remote_id: &ConnectionId,
        random: Random<'_>,
        out: &mut Vec<u8>,
    ) -> Verdict {
        let retry_source = new_id(random);
        // Drawn, not counted: sockets that share a key have nothing else in common. Twelve bytes do for 2^32 tokens.
        let mut nonce = [0; 12];
        random(&mut nonce);
        let mut token = Vec::new();
        Token { from, retry_source, original_destination: *destination, given_at: now }
            .seal(nonce, &*self.key, &mut token);
        put_retry(remote_id, &retry_source, &token, destination, &*self.crypto, out);
        Verdict::Answer(Outcome::Retry)
    }

    fn may_answer_unasked(&mut self, now: Instant) -> bool {
        let (since, count) = &mut self.second;
        if now.since(*since) >= Duration::from_secs(1) {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        *count <= UNASKED_PER_SECOND
    }
}

fn new_id(random: Random<'_>) -> ConnectionId {
    let mut id = [0; LOCAL_ID_BYTES];
    random(&mut id);
    id.into()
}
