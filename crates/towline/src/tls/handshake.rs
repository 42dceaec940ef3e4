//! The handshake: rustls' own, without buffers of its own. What it leaves are the keys.
//!
//! rustls is shown one record after another, so that it never opens one that comes behind the handshake: those are
//! [`Records`]' to open.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::client::UnbufferedClientConnection;
use rustls::crypto::tls13::OkmBlock;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, UnbufferedStatus};
use rustls::{CommonState, Error};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use towline_proto::mail::keys::PublicKey;

use super::error::TlsError;
use super::exporter::{self, Catch};
use super::key_exchange::KeyExchange;
use super::record::HEADER_BYTES;
use super::records::{Records, Schedule};
use super::verify;

/// The most ciphertext kept while a record or handshake message is incomplete, in bytes: two records and a read. An
/// honest handshake has 4 KiB; this is what a stranger can make us hold.
const INCOMING_MAX_BYTES: usize = 56 * 1024;

/// Bytes read from the transport at once: one full record. It lies on the stack, so a waiting handshake has none.
const READ_BYTES: usize = 16 * 1024;

/// What a handshake message gets as room at first, in bytes; rustls says how much more it needs.
const ENCODE_BYTES: usize = 32;

/// In a box, so that a task which begins with a handshake does not keep its room for good.
enum Side {
    Client(Box<UnbufferedClientConnection>),
    Server(Box<UnbufferedServerConnection>),
}

/// One side of a handshake without I/O: bytes of the wire in and out.
pub(super) struct Handshake {
    side: Side,
    caught: Arc<Catch>,
    /// The protocol that both sides must have named.
    alpn: Vec<u8>,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    /// How much of `outgoing` was written.
    outgoing_written: usize,
}

/// What a handshake leaves to both sides.
pub(crate) struct Proven {
    /// The key that the peer holds; `None` if it showed none or one of another kind than Ed25519.
    pub(crate) peer: Option<PublicKey>,
    pub(crate) key_exchange: KeyExchange,
    pub(crate) exporter: Exporter,
}

/// Goes through a handshake. Returns what seals and opens from then on, and what came behind the handshake.
pub(super) async fn shake_hands<S: AsyncRead + AsyncWrite + Unpin>(
    io: &mut S,
    mut handshake: Handshake,
) -> Result<(Records, Vec<u8>, Proven), TlsError> {
    handshake.turn()?;
    let done = std::future::poll_fn(|cx| handshake.poll(io, cx)).await;
    if done.is_err() {
        // The alert tells the peer why; if it cannot be written now, the cut tells enough.
        let _ = std::future::poll_fn(|cx| Poll::Ready(handshake.poll_outgoing(io, cx))).await;
    }
    done?;
    handshake.finish()
}

/// What one step of rustls left.
enum Step {
    /// There is more to be done at once.
    Again,
    /// Nothing can be done before more comes in.
    Idle,
}

impl Handshake {
    pub(super) fn client(connection: UnbufferedClientConnection, caught: Arc<Catch>, alpn: Vec<u8>) -> Self {
        Self::new(Side::Client(Box::new(connection)), caught, alpn)
    }

    pub(super) fn server(connection: UnbufferedServerConnection, caught: Arc<Catch>, alpn: Vec<u8>) -> Self {
        Self::new(Side::Server(Box::new(connection)), caught, alpn)
    }

    fn new(side: Side, caught: Arc<Catch>, alpn: Vec<u8>) -> Self {
        Self { side, caught, alpn, incoming: Vec::new(), outgoing: Vec::new(), outgoing_written: 0 }
    }

    fn common(&self) -> &CommonState {
        match &self.side {
            Side::Client(connection) => connection,
            Side::Server(connection) => connection,
        }
    }

    // the end

    fn finish(self) -> Result<(Records, Vec<u8>, Proven), TlsError> {
        self.check_alpn()?;
        let proven = Proven { peer: self.peer_key(), key_exchange: self.key_exchange()?, exporter: self.exporter()? };
        let (secrets, schedule) = match self.side {
            Side::Client(connection) => {
                let (secrets, kernel) = connection.dangerous_into_kernel_connection()?;
                (secrets, Schedule::Client(kernel))
            }
            Side::Server(connection) => {
                let (secrets, kernel) = connection.dangerous_into_kernel_connection()?;
                (secrets, Schedule::Server(kernel))
            }
        };
        Ok((Records::new(secrets, schedule)?, self.incoming, proven))
    }

    /// The peer's key if it has shown an Ed25519 one.
    fn peer_key(&self) -> Option<PublicKey> {
        let certificate = self.common().peer_certificates()?.first()?;
        verify::key_of(certificate).ok()
    }

    /// Fails unless both sides named the protocol.
    fn check_alpn(&self) -> Result<(), TlsError> {
        if self.common().alpn_protocol() == Some(&self.alpn) { Ok(()) } else { Err(TlsError::Alpn) }
    }

    /// How the two sides came to their secrets.
    fn key_exchange(&self) -> Result<KeyExchange, TlsError> {
        let group = self.common().negotiated_key_exchange_group().map(|group| group.name());
        group.and_then(KeyExchange::of).ok_or(TlsError::Protocol(Error::HandshakeNotComplete))
    }

    /// The exporter master secret.
    fn exporter(&self) -> Result<Exporter, TlsError> {
        let missing = || TlsError::Protocol(Error::HandshakeNotComplete);
        let suite = self.common().negotiated_cipher_suite().ok_or_else(missing)?;
        Ok(Exporter { suite, master: self.caught.take().ok_or_else(missing)? })
    }

    // network

    fn poll<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        io: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), TlsError>> {
        loop {
            ready!(self.poll_outgoing(io, cx))?;
            if !self.common().is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_incoming(io, cx))?;
        }
    }

    fn poll_outgoing<S: AsyncWrite + Unpin>(&mut self, io: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.outgoing_written < self.outgoing.len() {
            let count = ready!(Pin::new(&mut *io).poll_write(cx, &self.outgoing[self.outgoing_written..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outgoing_written += count;
        }
        self.outgoing = Vec::new();
        self.outgoing_written = 0;
        Poll::Ready(Ok(()))
    }

    /// Reads once and lets rustls look at it.
    fn poll_incoming<S: AsyncRead + Unpin>(&mut self, io: &mut S, cx: &mut Context<'_>) -> Poll<Result<(), TlsError>> {
        let mut space = [const { MaybeUninit::uninit() }; READ_BYTES];
        let mut buffer = ReadBuf::uninit(&mut space);
        ready!(Pin::new(io).poll_read(cx, &mut buffer))?;
        if buffer.filled().is_empty() {
            return Poll::Ready(Err(TlsError::Truncated));
        }
        if self.incoming.len() + buffer.filled().len() > INCOMING_MAX_BYTES {
            return Poll::Ready(Err(TlsError::TooLarge { limit_bytes: INCOMING_MAX_BYTES }));
        }
        self.incoming.extend_from_slice(buffer.filled());
        Poll::Ready(self.turn())
    }

    // commands

    /// Lets rustls do what it can with what is here, up to the handshake's end.
    fn turn(&mut self) -> Result<(), TlsError> {
        let (mut used, mut shown) = (0, 0);
        let done = loop {
            match self.step(&mut used, shown) {
                Ok(Step::Again) => {}
                Ok(Step::Idle) => {
                    shown = shown.max(used);
                    let more = record_length(&self.incoming[shown..]);
                    if more == 0 || !self.common().is_handshaking() {
                        break Ok(());
                    }
                    shown += more;
                }
                Err(error) => {
                    self.collect_alert(used, shown);
                    break Err(error);
                }
            }
        };
        self.incoming.drain(..used);
        done
    }

    /// After a failure, puts the alert that tells the peer why into `outgoing`, and nothing more: asked once too often,
    /// rustls would look at the same bad bytes again and find the alert already sent.
    fn collect_alert(&mut self, mut used: usize, shown: usize) {
        while self.common().wants_write() {
            if !matches!(self.step(&mut used, shown), Ok(Step::Again)) {
                return;
            }
        }
    }

    /// One step of rustls, which sees what stands between `used` and `shown`.
    fn step(&mut self, used: &mut usize, shown: usize) -> Result<Step, TlsError> {
        let Self { side, incoming, outgoing, .. } = self;
        let input = &mut incoming[*used..shown.max(*used)];
        let available = input.len();
        let (discard, step) = match side {
            Side::Client(connection) => answer(connection.process_tls_records(input), outgoing),
            Side::Server(connection) => answer(connection.process_tls_records(input), outgoing),
        };
        *used += discard.min(available);
        step
    }
}

/// How many bytes the record has that begins `input`, as far as it is here.
fn record_length(input: &[u8]) -> usize {
    let length = input
        .first_chunk::<HEADER_BYTES>()
        .map_or(usize::MAX, |&[_, _, _, high, low]| HEADER_BYTES + usize::from(u16::from_be_bytes([high, low])));
    length.min(input.len())
}

/// Does what rustls asks for; returns how much input is used up.
fn answer<Data>(status: UnbufferedStatus<'_, '_, Data>, outgoing: &mut Vec<u8>) -> (usize, Result<Step, TlsError>) {
    let step = match status.state {
        Err(error) => Err(error.into()),
        Ok(ConnectionState::EncodeTlsData(mut data)) => {
            append(outgoing, |room| data.encode(room)).map(|()| Step::Again)
        }
        Ok(ConnectionState::TransmitTlsData(data)) => {
            data.done();
            Ok(Step::Again)
        }
        // The handshake is through or waits for more. There is no early data, and records behind the handshake are not shown.
        Ok(_) => Ok(Step::Idle),
    };
    (status.discard, step)
}

/// Lets `encode` append to `outgoing`, first with a little room, then with what it says it needs.
fn append(
    outgoing: &mut Vec<u8>,
    mut encode: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>,
) -> Result<(), TlsError> {
    let (start, mut room) = (outgoing.len(), ENCODE_BYTES);
    loop {
        outgoing.resize(start + room, 0);
        match encode(&mut outgoing[start..]) {
            Ok(count) => {
                outgoing.truncate(start + count);
                return Ok(());
            }
            Err(EncodeError::InsufficientSize(need)) if need.required_size > room => room = need.required_size,
            Err(error) => {
                outgoing.truncate(start);
                return Err(TlsError::Protocol(Error::General(error.to_string())));
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
