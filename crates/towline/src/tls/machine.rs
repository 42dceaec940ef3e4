//! One TLS connection without I/O: bytes of the wire in and out, plain bytes in and out.
//!
//! A buffer's life: `received` puts ciphertext in; each [`Machine::turn`] opens whole records into `plain` and keeps
//! the piece of a record that is left; `read` hands plain bytes out; `seal` appends records to `outgoing`, from where
//! the stream writes them. A buffer that runs empty is given back to the allocator, so an idle connection holds none.

use std::sync::Arc;

use rustls::client::UnbufferedClientConnection;
use rustls::crypto::tls13::OkmBlock;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use rustls::{CommonState, Error};
use towline_proto::mail::keys::PublicKey;

use super::error::TlsError;
use super::exporter::{self, Catch};
use super::key_exchange::KeyExchange;
use super::verify;

/// The most ciphertext kept while a record or handshake message is incomplete, in bytes: two records and a read. An
/// honest handshake has 4 KiB; this is what a stranger can make us hold.
pub(super) const INCOMING_MAX_BYTES: usize = 56 * 1024;

/// The most plain bytes in one record (RFC 8446 §5.1).
pub(super) const RECORD_MAX_BYTES: usize = 16 * 1024;

/// More than a record adds to its plain bytes (header 5, type 1, tag 16).
const RECORD_OVERHEAD_BYTES: usize = 32;

enum Side {
    Client(UnbufferedClientConnection),
    Server(UnbufferedServerConnection),
}

pub(super) struct Machine {
    side: Side,
    caught: Arc<Catch>,
    /// The protocol that both sides must have named.
    alpn: Vec<u8>,
    incoming: Vec<u8>,
    plain: Vec<u8>,
    /// How much of `plain` was read.
    plain_read: usize,
    outgoing: Vec<u8>,
    /// How much of `outgoing` was written.
    outgoing_written: usize,
    peer_closed: bool,
    close_sent: bool,
    /// rustls gave up; it must not be asked again.
    failed: bool,
}

/// What a turn is for, once nothing else stands before it.
enum Job<'a> {
    Receive,
    Seal(&'a [u8]),
    Close,
}

/// What one step of rustls left.
enum Step {
    /// There is more to be done at once.
    Again,
    /// Nothing can be done before more comes in.
    Idle,
    PeerClosed,
}

impl Machine {
    pub(super) fn client(connection: UnbufferedClientConnection, caught: Arc<Catch>, alpn: Vec<u8>) -> Self {
        Self::new(Side::Client(connection), caught, alpn)
    }

    pub(super) fn server(connection: UnbufferedServerConnection, caught: Arc<Catch>, alpn: Vec<u8>) -> Self {
        Self::new(Side::Server(connection), caught, alpn)
    }

    fn new(side: Side, caught: Arc<Catch>, alpn: Vec<u8>) -> Self {
        Self {
            side,
            caught,
            alpn,
            incoming: Vec::new(),
            plain: Vec::new(),
            plain_read: 0,
            outgoing: Vec::new(),
            outgoing_written: 0,
            peer_closed: false,
            close_sent: false,
            failed: false,
        }
    }

    fn common(&self) -> &CommonState {
        match &self.side {
            Side::Client(connection) => connection,
            Side::Server(connection) => connection,
        }
    }

    // ask

    pub(super) fn is_handshaking(&self) -> bool {
        self.common().is_handshaking()
    }

    /// Whether the peer said that nothing more comes.
    pub(super) fn peer_closed(&self) -> bool {
        self.peer_closed
    }

    pub(super) fn plain(&self) -> &[u8] {
        &self.plain[self.plain_read..]
    }

    /// Ciphertext that waits to be written.
    pub(super) fn outgoing(&self) -> &[u8] {
        &self.outgoing[self.outgoing_written..]
    }

    /// The peer's key if it has shown an Ed25519 one; only after the handshake, when it is proven.
    pub(super) fn peer_key(&self) -> Option<PublicKey> {
        let certificate = self.common().peer_certificates()?.first()?;
        verify::key_of(certificate).ok()
    }

    /// Fails unless both sides named the protocol.
    pub(super) fn check_alpn(&self) -> Result<(), TlsError> {
        if self.common().alpn_protocol() == Some(&self.alpn) { Ok(()) } else { Err(TlsError::Alpn) }
    }

    /// How the two sides came to their secrets; only after the handshake.
    pub(super) fn key_exchange(&self) -> Result<KeyExchange, TlsError> {
        let group = self.common().negotiated_key_exchange_group().map(|group| group.name());
        group.and_then(KeyExchange::of).ok_or(TlsError::Protocol(Error::HandshakeNotComplete))
    }

    /// The exporter master secret; once, after the handshake.
    pub(super) fn take_exporter(&self) -> Result<Exporter, TlsError> {
        let missing = || TlsError::Protocol(Error::HandshakeNotComplete);
        let suite = self.common().negotiated_cipher_suite().ok_or_else(missing)?;
        Ok(Exporter { suite, master: self.caught.take().ok_or_else(missing)? })
    }

    // network

    /// Takes ciphertext and opens the records that are whole.
    pub(super) fn received(&mut self, bytes: &[u8]) -> Result<(), TlsError> {
        if self.incoming.len() + bytes.len() > INCOMING_MAX_BYTES {
            return Err(TlsError::TooLarge { limit_bytes: INCOMING_MAX_BYTES });
        }
        self.incoming.extend_from_slice(bytes);
        self.turn(Job::Receive)
    }

    /// Says that the first `count` bytes of `outgoing` were written.
    pub(super) fn written(&mut self, count: usize) {
        self.outgoing_written += count;
        if self.outgoing_written == self.outgoing.len() {
            self.outgoing = Vec::new();
            self.outgoing_written = 0;
        }
    }

    // commands

    /// Begins the handshake (the client speaks first).
    pub(super) fn begin(&mut self) -> Result<(), TlsError> {
        self.turn(Job::Receive)
    }

    /// Says that the first `count` bytes of `plain` were taken.
    pub(super) fn read(&mut self, count: usize) {
        self.plain_read += count;
        if self.plain_read == self.plain.len() {
            self.plain = Vec::new();
            self.plain_read = 0;
        }
    }

    /// Appends `bytes` to `outgoing` as records, each as full as can be. Only after the handshake.
    pub(super) fn seal(&mut self, bytes: &[u8]) -> Result<(), TlsError> {
        self.turn(Job::Seal(bytes))
    }

    /// Appends the goodbye (close_notify) to `outgoing`, once.
    pub(super) fn close(&mut self) -> Result<(), TlsError> {
        if self.close_sent || self.is_handshaking() {
            return Ok(());
        }
        self.close_sent = true;
        self.turn(Job::Close)
    }

    /// Lets rustls do what it can; the job is done when nothing else is left to do.
    fn turn(&mut self, mut job: Job<'_>) -> Result<(), TlsError> {
        if self.failed {
            return Err(TlsError::Protocol(Error::General("the connection failed before".into())));
        }
        let mut used = 0;
        let done = loop {
            match self.step(&mut used, &mut job) {
                Ok(Step::Again) => {}
                Ok(Step::Idle) => break Ok(()),
                Ok(Step::PeerClosed) => self.peer_closed = true,
                Err(error) => break Err(error),
            }
        };
        if done.is_err() {
            self.failed = true;
            self.collect_alert(used);
        }
        self.incoming.drain(..used.min(self.incoming.len()));
        if self.incoming.is_empty() {
            self.incoming = Vec::new();
        }
        done
    }

    /// After a failure, puts the alert that tells the peer why into `outgoing`, and nothing more: asked once too often,
    /// rustls would look at the same bad bytes again and find the alert already sent.
    fn collect_alert(&mut self, mut used: usize) {
        while self.common().wants_write() {
            if !matches!(self.step(&mut used, &mut Job::Receive), Ok(Step::Again)) {
                return;
            }
        }
    }

    fn step(&mut self, used: &mut usize, job: &mut Job<'_>) -> Result<Step, TlsError> {
        let Self { side, incoming, plain, outgoing, .. } = self;
        let input = &mut incoming[*used..];
        let (discard, step) = match side {
            Side::Client(connection) => answer(connection.process_tls_records(input), plain, outgoing, job),
            Side::Server(connection) => answer(connection.process_tls_records(input), plain, outgoing, job),
        };
        *used += discard;
        step
    }
}

/// Does what rustls asks for; returns how much input is used up.
fn answer<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    plain: &mut Vec<u8>,
    outgoing: &mut Vec<u8>,
    job: &mut Job<'_>,
) -> (usize, Result<Step, TlsError>) {
    let mut discard = status.discard;
    let state = match status.state {
        Ok(state) => state,
        Err(error) => return (discard, Err(error.into())),
    };
    let step = match state {
        ConnectionState::ReadTraffic(mut traffic) => loop {
            match traffic.next_record() {
                Some(Ok(record)) => {
                    discard += record.discard;
                    plain.extend_from_slice(record.payload);
                }
                Some(Err(error)) => break Err(error.into()),
                None => break Ok(Step::Again),
            }
        },
        ConnectionState::EncodeTlsData(mut data) => {
            append(outgoing, |room| data.encode(room).map_err(encode_shortage)).map(|()| Step::Again)
        }
        ConnectionState::TransmitTlsData(data) => {
            data.done();
            Ok(Step::Again)
        }
        ConnectionState::WriteTraffic(mut traffic) => match std::mem::replace(job, Job::Receive) {
            Job::Receive => Ok(Step::Idle),
            Job::Seal(bytes) => append_sized(outgoing, sealed_size(bytes.len()), |room| {
                traffic.encrypt(bytes, room).map_err(encrypt_shortage)
            })
            .map(|()| Step::Idle),
            Job::Close => {
                append(outgoing, |room| traffic.queue_close_notify(room).map_err(encrypt_shortage)).map(|()| Step::Idle)
            }
        },
        ConnectionState::PeerClosed => Ok(Step::PeerClosed),
        _ => Ok(Step::Idle),
    };
    (discard, step)
}

/// How many bytes `plain` bytes become at most.
fn sealed_size(plain: usize) -> usize {
    plain + plain.div_ceil(RECORD_MAX_BYTES).max(1) * RECORD_OVERHEAD_BYTES
}

/// How much more room is needed, or why it cannot be.
enum Shortage {
    Need(usize),
    Failed(Error),
}

fn encode_shortage(error: EncodeError) -> Shortage {
    match error {
        EncodeError::InsufficientSize(need) => Shortage::Need(need.required_size),
        EncodeError::AlreadyEncoded => Shortage::Failed(Error::General("record encoded twice".into())),
    }
}

fn encrypt_shortage(error: EncryptError) -> Shortage {
    match error {
        EncryptError::InsufficientSize(need) => Shortage::Need(need.required_size),
        EncryptError::EncryptExhausted => Shortage::Failed(Error::EncryptError),
    }
}

fn append(outgoing: &mut Vec<u8>, write: impl FnMut(&mut [u8]) -> Result<usize, Shortage>) -> Result<(), TlsError> {
    append_sized(outgoing, RECORD_OVERHEAD_BYTES, write)
}

/// Lets `write` append to `outgoing`, first with `room` bytes, then with what it says it needs.
fn append_sized(
    outgoing: &mut Vec<u8>,
    mut room: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Shortage>,
) -> Result<(), TlsError> {
    let start = outgoing.len();
    loop {
        outgoing.resize(start + room, 0);
        match write(&mut outgoing[start..]) {
            Ok(count) => {
                outgoing.truncate(start + count);
                return Ok(());
            }
            Err(Shortage::Need(bytes)) if bytes > room => room = bytes,
            Err(Shortage::Need(_)) => {
                outgoing.truncate(start);
                return Err(TlsError::Protocol(Error::General("record size".into())));
            }
            Err(Shortage::Failed(error)) => {
                outgoing.truncate(start);
                return Err(error.into());
            }
        }
    }
}

/// Makes secrets that only the two ends of one connection know.
pub(crate) struct Exporter {
    suite: rustls::SupportedCipherSuite,
    master: OkmBlock,
}

impl Exporter {
    /// 32 bytes bound to `label`.
    pub(crate) fn export(&self, label: &[u8]) -> Result<[u8; 32], TlsError> {
        let missing = || TlsError::Protocol(Error::HandshakeNotComplete);
        exporter::export(self.suite, &self.master, label).ok_or_else(missing)
    }
}
