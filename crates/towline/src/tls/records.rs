//! What goes over a TLS connection after its handshake: data, and what TLS itself says (RFC 8446 §4.6, §5, §6). No I/O.
//!
//! The handshake is rustls', and so is the schedule of keys: its kernel interface hands out the keys, also each next one,
//! and checks tickets. Sealing, opening and the rules about records are here; docs/decisions/016-own-record-layer.md says
//! why. Nothing is taken from a peer that rustls would refuse, and the errors are its own.

use std::io::IoSlice;

use rustls::client::ClientConnectionData;
use rustls::kernel::KernelConnection;
use rustls::server::ServerConnectionData;
use rustls::{
    AlertDescription, ConnectionTrafficSecrets, ContentType, Error, ExtractedSecrets, HandshakeType, InvalidMessage,
    PeerMisbehaved,
};

use super::record::{CONTENT_MAX_BYTES, Fault, HEADER_BYTES, Key, OVERHEAD_BYTES, Pieces, opened_size};

/// Records in a row that carry no data, of any kind: key updates, tickets, pieces of them, padding. An honest peer sends a
/// few; each costs us work and brings nothing. rustls takes as many key updates.
const FRUITLESS_MAX: u32 = 32;

/// Warnings in the life of a connection, as many as rustls takes. TLS 1.3 knows only one, and nothing need be done about it.
const WARNINGS_MAX: u32 = 4;

/// The longest ticket taken, in bytes. Tickets are looked at and thrown away; honest ones have a few hundred.
const TICKET_MAX_BYTES: usize = 16 * 1024;

/// Length of a handshake message's type and length.
const MESSAGE_HEADER_BYTES: usize = 4;

/// Room that is left behind sealed data, in bytes: for a key update (27) and two alerts (24 each).
const LAST_WORDS_BYTES: usize = 96;

/// Levels of alerts. TLS 1.3 looks at nothing but the description, except to know what can be ignored.
const WARNING: u8 = 1;
const FATAL: u8 = 2;

/// What keeps the schedule of keys.
pub(super) enum Schedule {
    Client(KernelConnection<ClientConnectionData>),
    Server(KernelConnection<ServerConnectionData>),
}

impl Schedule {
    fn next_opening(&mut self) -> Result<(u64, ConnectionTrafficSecrets), Error> {
        match self {
            Self::Client(kernel) => kernel.update_rx_secret(),
            Self::Server(kernel) => kernel.update_rx_secret(),
        }
    }

    fn next_sealing(&mut self) -> Result<(u64, ConnectionTrafficSecrets), Error> {
        match self {
            Self::Client(kernel) => kernel.update_tx_secret(),
            Self::Server(kernel) => kernel.update_tx_secret(),
        }
    }

    /// What a peer may say after its handshake.
    fn expected(&self) -> &'static [HandshakeType] {
        match self {
            Self::Client(_) => &[HandshakeType::NewSessionTicket, HandshakeType::KeyUpdate],
            Self::Server(_) => &[HandshakeType::KeyUpdate],
        }
    }
}

/// Where an opened record's data is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opened {
    /// It had none.
    Nothing,
    /// That many bytes begin the place that was offered.
    Out(usize),
    /// That many bytes stand in the record, behind its header: the place was of another size.
    InPlace(usize),
}

/// Both directions of one connection.
pub(super) struct Records {
    schedule: Schedule,
    opening: Key,
    sealing: Key,
    /// The beginning of a handshake message that is not whole.
    message: Vec<u8>,
    fruitless: u32,
    warnings: u32,
    /// The peer asked for our next key; it takes over before more data is sealed.
    owes_key: bool,
    peer_closed: bool,
    said_goodbye: bool,
    failed: Option<Error>,
}

impl Records {
    pub(super) fn new(secrets: ExtractedSecrets, schedule: Schedule) -> Result<Self, Error> {
        Ok(Self {
            schedule,
            opening: Key::new(secrets.rx)?,
            sealing: Key::new(secrets.tx)?,
            message: Vec::new(),
            fruitless: 0,
            warnings: 0,
            owes_key: false,
            peer_closed: false,
            said_goodbye: false,
            failed: None,
        })
    }

    // ask

    /// Whether the peer said that nothing more comes.
    pub(super) fn peer_closed(&self) -> bool {
        self.peer_closed
    }

    /// Whether our goodbye, or an alert in its place, was sealed; nothing follows it.
    pub(super) fn said_goodbye(&self) -> bool {
        self.said_goodbye
    }

    /// Why nothing is taken from the peer any more.
    pub(super) fn failed(&self) -> Option<&Error> {
        self.failed.as_ref()
    }

    /// Whether [`Records::renew`] has something to say.
    pub(super) fn owes_key(&self) -> bool {
        self.owes_key && !self.said_goodbye
    }

    // network

    /// Opens a whole record into `out` if that has exactly its [`opened_size`], or else where it stands.
    pub(super) fn open(&mut self, record: &mut [u8], out: &mut [u8]) -> Result<Opened, Fault> {
        let fits = out.len() == opened_size(record);
        let (kind, count) = if fits { self.opening.open(record, out)? } else { self.opening.open_in_place(record)? };
        let contents = if fits { &out[..count] } else { &record[HEADER_BYTES..][..count] };
        if !self.message.is_empty() && kind != ContentType::Handshake {
            let error = PeerMisbehaved::MessageInterleavedWithHandshakeMessage;
            return Err(Fault::new(AlertDescription::UnexpectedMessage, error));
        }
        if kind == ContentType::ApplicationData && count > 0 {
            self.fruitless = 0;
            return Ok(if fits { Opened::Out(count) } else { Opened::InPlace(count) });
        }
        self.fruitless += 1;
        match kind {
            ContentType::ApplicationData => self.bear(PeerMisbehaved::TooManyEmptyFragments)?,
            ContentType::Alert => self.hear_alert(contents)?,
            ContentType::Handshake => self.hear_handshake(contents)?,
            ContentType::ChangeCipherSpec => {
                let error = PeerMisbehaved::IllegalMiddleboxChangeCipherSpec;
                return Err(Fault::new(AlertDescription::UnexpectedMessage, error));
            }
            got_type => {
                let expect_types = vec![ContentType::ApplicationData, ContentType::Alert, ContentType::Handshake];
                let error = Error::InappropriateMessage { expect_types, got_type };
                return Err(Fault::new(AlertDescription::UnexpectedMessage, error));
            }
        }
        Ok(Opened::Nothing)
    }

    /// Fails once too much came that carries no data.
    fn bear(&self, error: PeerMisbehaved) -> Result<(), Fault> {
        if self.fruitless <= FRUITLESS_MAX {
            return Ok(());
        }
        Err(Fault::new(AlertDescription::UnexpectedMessage, error))
    }

    fn hear_alert(&mut self, contents: &[u8]) -> Result<(), Fault> {
        let &[level, description] = contents else {
            return Err(match contents.len() {
                0 => Fault::new(AlertDescription::UnexpectedMessage, InvalidMessage::InvalidEmptyPayload),
                1 => Fault::new(AlertDescription::DecodeError, InvalidMessage::MissingData("AlertDescription")),
                _ => Fault::new(AlertDescription::DecodeError, InvalidMessage::TrailingData("AlertMessagePayload")),
            });
        };
        let description = AlertDescription::from(description);
        let error = Error::AlertReceived(description);
        match (level, description) {
            (WARNING | FATAL, AlertDescription::CloseNotify) => {
                self.peer_closed = true;
                Ok(())
            }
            (WARNING, AlertDescription::UserCanceled) if self.warnings < WARNINGS_MAX => {
                self.warnings += 1;
                Ok(())
            }
            (WARNING, AlertDescription::UserCanceled) => {
                let error = PeerMisbehaved::TooManyWarningAlertsReceived;
                Err(Fault::new(AlertDescription::UnexpectedMessage, error))
            }
            (WARNING, _) => Err(Fault::new(AlertDescription::DecodeError, error)),
            (FATAL, _) => Err(Fault { error, alert: None }),
            _ => Err(Fault::new(AlertDescription::IllegalParameter, error)),
        }
    }

    fn hear_handshake(&mut self, contents: &[u8]) -> Result<(), Fault> {
        if contents.is_empty() {
            return Err(Fault::new(AlertDescription::UnexpectedMessage, InvalidMessage::InvalidEmptyPayload));
        }
        self.bear(PeerMisbehaved::TooManyKeyUpdateRequests)?;
        let mut begun = std::mem::take(&mut self.message);
        begun.extend_from_slice(contents);
        let mut rest = &begun[..];
        while let Some((kind, length)) = self.message_header(rest)? {
            let Some((body, behind)) = rest[MESSAGE_HEADER_BYTES..].split_at_checked(length) else { break };
            self.hear_message(kind, body, behind.is_empty())?;
            rest = behind;
        }
        if !rest.is_empty() {
            self.message = rest.to_vec();
        }
        Ok(())
    }

    /// Type and length of the handshake message that begins there; refuses it by them, before it is whole.
    fn message_header(&self, bytes: &[u8]) -> Result<Option<(HandshakeType, usize)>, Fault> {
        let Some(kind) = bytes.first().map(|byte| HandshakeType::from(*byte)) else { return Ok(None) };
        if !self.schedule.expected().contains(&kind) {
            let expect_types = self.schedule.expected().to_vec();
            let error = Error::InappropriateHandshakeMessage { expect_types, got_type: kind };
            return Err(Fault::new(AlertDescription::UnexpectedMessage, error));
        }
        let Some(&[_, high, middle, low]) = bytes.first_chunk::<MESSAGE_HEADER_BYTES>() else { return Ok(None) };
        let length = usize::try_from(u32::from_be_bytes([0, high, middle, low])).unwrap_or(usize::MAX);
        if kind == HandshakeType::KeyUpdate && length != 1 {
            return Err(Fault::new(AlertDescription::DecodeError, InvalidMessage::InvalidKeyUpdate));
        }
        if length > TICKET_MAX_BYTES {
            return Err(Fault::new(AlertDescription::DecodeError, InvalidMessage::HandshakePayloadTooLarge));
        }
        Ok(Some((kind, length)))
    }

    fn hear_message(&mut self, kind: HandshakeType, body: &[u8], is_last: bool) -> Result<(), Fault> {
        if kind == HandshakeType::NewSessionTicket
            && let Schedule::Client(kernel) = &mut self.schedule
        {
            let taken = kernel.handle_new_session_ticket(body);
            return taken.map_err(|error| Fault::new(AlertDescription::DecodeError, error));
        }
        if !is_last {
            // What follows was sealed with a key that should no longer be used.
            return Err(Fault::new(AlertDescription::UnexpectedMessage, PeerMisbehaved::KeyEpochWithPendingFragment));
        }
        match body {
            [0] => {}
            [1] => self.owes_key = true,
            _ => return Err(Fault::new(AlertDescription::IllegalParameter, InvalidMessage::InvalidKeyUpdate)),
        }
        let next = self.schedule.next_opening().and_then(Key::new);
        self.opening = next.map_err(|error| Fault::new(AlertDescription::InternalError, error))?;
        Ok(())
    }

    // commands

    /// Seals as much of `slices` as `out` has room for. Returns how many bytes are taken, and how many became of them.
    pub(super) fn seal(&mut self, slices: &[IoSlice<'_>], out: &mut [u8]) -> Result<(usize, usize), Error> {
        let sealed = self.seal_all(slices, out);
        if let Err(error) = &sealed {
            // What was sealed before it is lost, and the numbers with it.
            self.failed = Some(error.clone());
        }
        sealed
    }

    fn seal_all(&mut self, slices: &[IoSlice<'_>], out: &mut [u8]) -> Result<(usize, usize), Error> {
        let mut pieces = Pieces::new(slices);
        let (mut taken, mut end) = (0, 0);
        loop {
            let room = (out.len() - end).saturating_sub(OVERHEAD_BYTES + LAST_WORDS_BYTES);
            let count = pieces.left(CONTENT_MAX_BYTES).min(room);
            if count == 0 {
                return Ok((taken, end));
            }
            if self.owes_key || self.sealing.is_worn() {
                end += self.renew(&mut out[end..])?;
                continue;
            }
            end += self.sealing.seal(ContentType::ApplicationData, &mut pieces, count, &mut out[end..])?;
            taken += count;
        }
    }

    /// Tells the peer that our next key takes over, and lets it. If we were not asked, the peer shall renew its own too.
    pub(super) fn renew(&mut self, out: &mut [u8]) -> Result<usize, Error> {
        let ask = u8::from(!self.owes_key);
        let said = self.say(ContentType::Handshake, &[HandshakeType::KeyUpdate.into(), 0, 0, 1, ask], out)?;
        self.sealing = Key::new(self.schedule.next_sealing()?)?;
        self.owes_key = false;
        Ok(said)
    }

    /// Seals the goodbye.
    pub(super) fn close(&mut self, out: &mut [u8]) -> Result<usize, Error> {
        self.said_goodbye = true;
        self.say(ContentType::Alert, &[WARNING, AlertDescription::CloseNotify.into()], out)
    }

    /// Takes nothing more from the peer, and seals what tells it why.
    pub(super) fn fail(&mut self, fault: Fault, out: &mut [u8]) -> Result<usize, Error> {
        self.failed = Some(fault.error);
        let Some(alert) = fault.alert.filter(|_| !self.said_goodbye) else { return Ok(0) };
        self.said_goodbye = true;
        self.say(ContentType::Alert, &[FATAL, alert.into()], out)
    }

    /// The key that seals, for tests that say what an honest peer does not.
    #[cfg(test)]
    pub(super) fn sealing(&mut self) -> &mut Key {
        &mut self.sealing
    }

    fn say(&mut self, kind: ContentType, contents: &[u8], out: &mut [u8]) -> Result<usize, Error> {
        self.sealing.seal(kind, &mut Pieces::new(&[IoSlice::new(contents)]), contents.len(), out)
    }
}
