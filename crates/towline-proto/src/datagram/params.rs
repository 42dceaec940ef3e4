//! Transport parameters: what each side says once about its end of a link, inside the handshake (RFC 9000 §18).
//!
//! | id | parameter | from | value |
//! |---|---|---|---|
//! | 0x00 | original_destination_connection_id | server | the id that the client chose for it first |
//! | 0x01 | max_idle_timeout | both | milliseconds; 0 or absent: none |
//! | 0x02 | stateless_reset_token | server | 16 bytes, for the id of its handshake |
//! | 0x03 | max_udp_payload_size | both | bytes, at least 1,200 |
//! | 0x0e | active_connection_id_limit | both | ids of the other that it keeps, at least 2 |
//! | 0x0f | initial_source_connection_id | both | the source id of its first packet; never absent |
//! | 0x10 | retry_source_connection_id | server | the source id of its retry, if it sent one |
//!
//! Others are skipped: RFC 9000's on streams and credit, which a session's hello settles here, and unknown ones, of which
//! each side sends one that means nothing.

use super::connection_id::ConnectionId;
use super::crypto::Side;
use super::packet::INITIAL_DATAGRAM_BYTES;
use crate::time::Duration;
use crate::wire::cursor::{DecodeError, Reader, put_prefixed, put_varint, varint_len};

/// The largest datagram that UDP carries over IPv6 without jumbograms, in bytes: larger words mean this.
pub const DATAGRAM_BYTES_MAX: u64 = 65_527;

/// How many ids of the other a side keeps that does not say (RFC 9000 §18.2), and the least that it may say.
pub const IDS_MAX_LEAST: u64 = 2;

/// Ids of the form 31 × n + 27 mean nothing, for ever (RFC 9000 §18.1).
const fn meaningless(n: u64) -> u64 {
    31 * n + 27
}

/// Ids of parameters that mean something here.
mod id {
    pub(super) const ORIGINAL_DESTINATION: u64 = 0x00;
    pub(super) const MAX_IDLE: u64 = 0x01;
    pub(super) const RESET_TOKEN: u64 = 0x02;
    pub(super) const DATAGRAM_BYTES: u64 = 0x03;
    pub(super) const IDS_MAX: u64 = 0x0e;
    pub(super) const INITIAL_SOURCE: u64 = 0x0f;
    pub(super) const RETRY_SOURCE: u64 = 0x10;
}

/// The parameters that mean something here: id, RFC 9000's name, and whether only servers may send it.
pub const TABLE: [(u64, &str, bool); 7] = [
    (id::ORIGINAL_DESTINATION, "original_destination_connection_id", true),
    (id::MAX_IDLE, "max_idle_timeout", false),
    (id::RESET_TOKEN, "stateless_reset_token", true),
    (id::DATAGRAM_BYTES, "max_udp_payload_size", false),
    (id::IDS_MAX, "active_connection_id_limit", false),
    (id::INITIAL_SOURCE, "initial_source_connection_id", false),
    (id::RETRY_SOURCE, "retry_source_connection_id", true),
];

/// The connection ids of a handshake's first packets. Each side says the ones it used under the handshake's protection, and
/// compares the other's with what it saw: nobody in between changed them (RFC 9000 §7.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstIds {
    /// The source id of the speaker's first Initial packet.
    pub initial_source: ConnectionId,
    /// A server's: where the client's first Initial packet went.
    pub original_destination: Option<ConnectionId>,
    /// A server's: the source id of its retry, if there was one.
    pub retry_source: Option<ConnectionId>,
}

/// What one side says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// It forgets the link after so long without a packet; `None` for never. Whole milliseconds.
    pub max_idle: Option<Duration>,
    /// The largest datagram that it takes, in bytes.
    pub datagram_bytes: u64,
    /// How many ids of the other it keeps at once.
    pub ids_max: u64,
    /// A server's: what ends the link with the id of its handshake when it knows nothing of it any more.
    pub reset_token: Option<[u8; 16]>,
    /// How its handshake began.
    pub first_ids: FirstIds,
}

/// Why parameters are not taken: the peer broke a rule, or somebody changed the first packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParamsError {
    /// They cannot be read, or a value is out of its bounds.
    #[error("in the transport parameters {0}")]
    Form(#[from] DecodeError),
    /// One stands there twice.
    #[error("a transport parameter stands there twice: {0}")]
    Twice(&'static str),
    /// A client said what only servers may.
    #[error("a client sent the transport parameter {0} of servers")]
    OfServers(&'static str),
    /// One is absent that must not be.
    #[error("the transport parameter {0} is absent")]
    Absent(&'static str),
    /// The ids of the first packets are others than those that arrived here.
    #[error("the first packets were changed on their way: their connection ids are not what the peer sent")]
    OtherIds,
}

impl Params {
    /// What a side says that says as little as it may.
    pub const fn new(first_ids: FirstIds) -> Self {
        let (datagram_bytes, ids_max) = (DATAGRAM_BYTES_MAX, IDS_MAX_LEAST);
        Self { max_idle: None, datagram_bytes, ids_max, reset_token: None, first_ids }
    }

    /// Appends them, with one in between that means nothing, made of `random`.
    pub fn encode(&self, random: u64, out: &mut Vec<u8>) {
        let mut number = |id, value| {
            put_varint(out, id);
            put_varint(out, varint_len(value) as u64);
            put_varint(out, value);
        };
        let idle = self.max_idle.map(|idle| u64::try_from(idle.as_millis()).unwrap_or(u64::MAX));
        idle.into_iter().for_each(|millis| number(id::MAX_IDLE, millis.min(u64::from(u32::MAX))));
        number(id::DATAGRAM_BYTES, self.datagram_bytes);
        number(id::IDS_MAX, self.ids_max);
        let mut bytes = |id, value: &[u8]| {
            put_varint(out, id);
            put_prefixed(out, value);
        };
        let value = random.to_be_bytes();
        bytes(meaningless(random >> 40), &value[..(random & 7) as usize]);
        bytes(id::INITIAL_SOURCE, &self.first_ids.initial_source);
        self.first_ids.original_destination.iter().for_each(|value| bytes(id::ORIGINAL_DESTINATION, value));
        self.first_ids.retry_source.iter().for_each(|value| bytes(id::RETRY_SOURCE, value));
        self.reset_token.iter().for_each(|value| bytes(id::RESET_TOKEN, value));
    }

    /// Reads those of a client or a server.
    ///
    /// # Errors
    /// [`ParamsError`]: the handshake failed.
    pub fn decode(from: Side, bytes: &[u8]) -> Result<Self, ParamsError> {
        let none = ConnectionId::default();
        let mut params = Self::new(FirstIds { initial_source: none, original_destination: None, retry_source: None });
        // One bit for each known id, all of which are small.
        let mut came = 0u32;
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() {
            let id = reader.varint("a parameter's id")?;
            let value = reader.prefixed(bytes.len(), "a parameter's value")?;
            let Some((_, name, of_servers)) = TABLE.iter().find(|(known, ..)| *known == id) else { continue };
            if *of_servers && from == Side::Client {
                return Err(ParamsError::OfServers(name));
            }
            if came & 1 << id != 0 {
                return Err(ParamsError::Twice(name));
            }
            came |= 1 << id;
            params.take(id, name, value)?;
        }
        let needed = |id| id == id::INITIAL_SOURCE || id == id::ORIGINAL_DESTINATION && from == Side::Server;
        match TABLE.iter().find(|(id, ..)| needed(*id) && came & 1 << id == 0) {
            Some((_, absent, _)) => Err(ParamsError::Absent(absent)),
            None => Ok(params),
        }
    }

    /// Takes one of [`TABLE`].
    fn take(&mut self, id: u64, what: &'static str, value: &[u8]) -> Result<(), DecodeError> {
        let connection_id = || ConnectionId::new(value).ok_or(DecodeError::Invalid { what });
        match id {
            id::ORIGINAL_DESTINATION => self.first_ids.original_destination = Some(connection_id()?),
            id::INITIAL_SOURCE => self.first_ids.initial_source = connection_id()?,
            id::RETRY_SOURCE => self.first_ids.retry_source = Some(connection_id()?),
            id::MAX_IDLE => {
                let millis = number(value, what, 0)?;
                self.max_idle = (millis > 0).then(|| Duration::from_millis(millis));
            }
            id::DATAGRAM_BYTES => {
                let least = INITIAL_DATAGRAM_BYTES as u64;
                self.datagram_bytes = number(value, what, least)?.min(DATAGRAM_BYTES_MAX);
            }
            id::IDS_MAX => self.ids_max = number(value, what, IDS_MAX_LEAST)?,
            _ => self.reset_token = Some(value.try_into().map_err(|_| DecodeError::Invalid { what })?),
        }
        Ok(())
    }

    /// Compares what the peer says of the first packets with what was seen of them here. Only what a handshake that is over
    /// has proven can be compared.
    ///
    /// # Errors
    /// [`ParamsError::OtherIds`]: the handshake failed.
    pub fn authenticate(&self, seen: &FirstIds) -> Result<(), ParamsError> {
        if self.first_ids == *seen { Ok(()) } else { Err(ParamsError::OtherIds) }
    }

    /// After how long without a packet a link is over between two who said this: the shorter of the two.
    pub fn idle_with(&self, other: &Self) -> Option<Duration> {
        [self.max_idle, other.max_idle].into_iter().flatten().min()
    }
}

/// A value that is one number of at least so much.
fn number(value: &[u8], what: &'static str, least: u64) -> Result<u64, DecodeError> {
    let mut reader = Reader::new(value);
    let number = reader.varint(what)?;
    reader.finish(what)?;
    if number < least { Err(DecodeError::Invalid { what }) } else { Ok(number) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(len: usize) -> ConnectionId {
        ConnectionId::new(&vec![len as u8; len]).unwrap()
    }

    fn of_server() -> Params {
        let (original_destination, retry_source) = (Some(id(18)), Some(id(8)));
        Params {
            max_idle: Some(Duration::from_secs(30)),
            datagram_bytes: 1_452,
            ids_max: 8,
            reset_token: Some([9; 16]),
            first_ids: FirstIds { initial_source: id(8), original_destination, retry_source },
        }
    }

    fn of_client() -> Params {
        Params::new(FirstIds { initial_source: id(0), original_destination: None, retry_source: None })
    }

    fn encoded(params: &Params, random: u64) -> Vec<u8> {
        let mut out = vec![];
        params.encode(random, &mut out);
        out
    }

    /// What a client says besides its first id.
    fn client_with(more: &[u8]) -> Result<Params, ParamsError> {
        Params::decode(Side::Client, &[&[0x0f, 0], more].concat())
    }

    #[test]
    fn what_is_said_is_heard() {
        for random in [0, 7, 0x1234_5678_9abc_def5, u64::MAX] {
            assert_eq!(Params::decode(Side::Server, &encoded(&of_server(), random)), Ok(of_server()));
            assert_eq!(Params::decode(Side::Client, &encoded(&of_client(), random)), Ok(of_client()));
        }
    }

    #[test]
    fn the_bytes_are_those_of_rfc_9000() {
        let params = Params { max_idle: Some(Duration::from_millis(30_000)), ..of_client() };
        let expected =
            [&[0x01, 4, 0x80, 0, 0x75, 0x30][..], &[3, 4, 0x80, 0, 0xff, 0xf7], &[0x0e, 1, 2], &[27, 0], &[0x0f, 0]];
        assert_eq!(encoded(&params, 0), expected.concat());
    }

    #[test]
    fn a_side_that_says_little_means_the_defaults_and_unknown_ones_are_skipped() {
        assert_eq!(client_with(&[]), Ok(of_client()));
        // Credit and streams of RFC 9000, acknowledgement exponent, one unknown, and that twice.
        let others = [&[4, 1, 7][..], &[8, 1, 7], &[0x0a, 1, 7], &[27, 0], &[27, 0], &[0x80, 1, 2, 3, 2, 9, 9]];
        assert_eq!(client_with(&others.concat()), Ok(of_client()));
        assert_eq!(client_with(&[1, 1, 0]).unwrap().max_idle, None);
        assert_eq!(client_with(&[3, 4, 0xbf, 0xff, 0xff, 0xff]).unwrap().datagram_bytes, DATAGRAM_BYTES_MAX);
        assert_eq!(client_with(&[3, 2, 0x44, 0xb0]).unwrap().datagram_bytes, 1_200);
    }

    #[test]
    fn bad_values_and_duplicates_are_refused() {
        let invalid = |what| Err(ParamsError::Form(DecodeError::Invalid { what }));
        assert_eq!(client_with(&[3, 2, 0x44, 0xaf]), invalid("max_udp_payload_size"));
        assert_eq!(client_with(&[0x0e, 1, 1]), invalid("active_connection_id_limit"));
        assert_eq!(client_with(&[1, 2, 7, 7]), invalid("max_idle_timeout"));
        assert_eq!(client_with(&[1, 1, 7, 1, 1, 7]), Err(ParamsError::Twice("max_idle_timeout")));
        assert_eq!(client_with(&[0x0f, 0]), Err(ParamsError::Twice("initial_source_connection_id")));
        for (id, name, _) in TABLE.iter().filter(|(_, _, of_servers)| *of_servers) {
            assert_eq!(client_with(&[*id as u8, 0]), Err(ParamsError::OfServers(name)));
        }
        let with_long_id = [&[0x0f, 21][..], &[0; 21]].concat();
        assert_eq!(Params::decode(Side::Client, &with_long_id), invalid("initial_source_connection_id"));
        assert_eq!(Params::decode(Side::Server, &[2, 1, 0]), invalid("stateless_reset_token"));
        assert_eq!(Params::decode(Side::Client, &[]), Err(ParamsError::Absent("initial_source_connection_id")));
        assert_eq!(
            Params::decode(Side::Server, &[0x0f, 0]),
            Err(ParamsError::Absent("original_destination_connection_id"))
        );
        let whole = encoded(&of_server(), 5);
        let cut = (1..whole.len()).filter(|len| Params::decode(Side::Server, &whole[..*len]) == Ok(of_server()));
        assert_eq!(cut.collect::<Vec<_>>(), []);
    }

    #[test]
    fn first_packets_that_were_changed_are_noticed() {
        let (params, seen) = (of_server(), of_server().first_ids);
        assert_eq!(params.authenticate(&seen), Ok(()));
        for changed in [
            FirstIds { initial_source: id(7), ..seen },
            FirstIds { original_destination: Some(id(17)), ..seen },
            FirstIds { retry_source: None, ..seen },
            FirstIds { retry_source: Some(id(9)), ..seen },
        ] {
            assert_eq!(params.authenticate(&changed), Err(ParamsError::OtherIds));
        }
    }

    #[test]
    fn the_shorter_idle_time_holds_for_both() {
        let of = |seconds: u64| Params { max_idle: (seconds > 0).then(|| Duration::from_secs(seconds)), ..of_client() };
        for (ours, theirs, expected) in [(0, 0, None), (5, 0, Some(5)), (0, 6, Some(6)), (5, 6, Some(5))] {
            assert_eq!(of(ours).idle_with(&of(theirs)), expected.map(Duration::from_secs));
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_read_or_refused(bytes in prop::collection::vec(prop_oneof![0u8..20, any::<u8>()], 0..80)) {
            for side in [Side::Client, Side::Server] {
                if let Ok(params) = Params::decode(side, &bytes) {
                    let idle = params.max_idle.map(|idle| idle.min(Duration::from_millis(u64::from(u32::MAX))));
                    let again = Params::decode(side, &encoded(&params, 3));
                    prop_assert_eq!(again, Ok(Params { max_idle: idle, ..params }));
                }
            }
        }
    }
}
