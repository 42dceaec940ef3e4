//! Records of TLS 1.3 (RFC 8446 §5), sealed and opened with the keys of one direction.
//!
//! A record is a header of five bytes, then contents, one byte that tells what they are, and padding, all sealed together.
//! The nonce is the key's vector mixed with the record's number, so that no two records of a key share one.

use std::io::IoSlice;

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use rustls::{AlertDescription, ConnectionTrafficSecrets, ContentType, Error, InvalidMessage, PeerMisbehaved};

/// What stands before the sealed part: a type, a version, the length.
pub(super) const HEADER_BYTES: usize = 5;

/// The most bytes of contents in one record (RFC 8446 §5.1).
pub(super) const CONTENT_MAX_BYTES: usize = 16 * 1024;

/// What tells the contents' type, inside the sealed part.
const TYPE_BYTES: usize = 1;

/// What proves that nothing was changed; all three ciphers have one of this length.
const TAG_BYTES: usize = 16;

/// What a record adds to its contents when it is not padded, as ours are not.
pub(super) const OVERHEAD_BYTES: usize = HEADER_BYTES + TYPE_BYTES + TAG_BYTES;

/// The longest record with its header. RFC 8446 §5.2 bounds contents, type and padding together (§5.4), and none of the
/// ciphers adds more than the tag.
pub(super) const RECORD_MAX_BYTES: usize = CONTENT_MAX_BYTES + OVERHEAD_BYTES;

/// The version that every record claims, whatever is spoken.
const VERSION: [u8; 2] = [3, 3];

/// Records that AES-GCM may seal with one key: 2^24.5 at most keep the chance to tell them from noise below 2^-57 (RFC 8446
/// §5.5). For ChaCha20-Poly1305 the numbers end first.
const AES_GCM_RECORDS_MAX: u64 = 1 << 24;

/// Why a peer's records are not taken any more.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) error: Error,
    /// What tells the peer; nothing answers an alert.
    pub(super) alert: Option<AlertDescription>,
}

impl Fault {
    pub(super) fn new(alert: AlertDescription, error: impl Into<Error>) -> Self {
        Self { error: error.into(), alert: Some(alert) }
    }
}

/// How long the record is that begins `input`, its header included; `None` while the header is not whole.
pub(super) fn length(input: &[u8]) -> Result<Option<usize>, Fault> {
    let Some(&[kind, major, _, high, low]) = input.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
    match ContentType::from(kind) {
        ContentType::ApplicationData => {}
        // What is not sealed ended with the handshake.
        got_type @ (ContentType::Alert | ContentType::Handshake | ContentType::ChangeCipherSpec) => {
            let error = Error::InappropriateMessage { expect_types: vec![ContentType::ApplicationData], got_type };
            return Err(Fault::new(AlertDescription::UnexpectedMessage, error));
        }
        _ => return Err(Fault::new(AlertDescription::UnexpectedMessage, InvalidMessage::InvalidContentType)),
    }
    if major != VERSION[0] {
        return Err(Fault::new(AlertDescription::ProtocolVersion, InvalidMessage::UnknownProtocolVersion));
    }
    let bytes = HEADER_BYTES + usize::from(u16::from_be_bytes([high, low]));
    if bytes > RECORD_MAX_BYTES {
        return Err(Fault::new(AlertDescription::RecordOverflow, Error::PeerSentOversizedRecord));
    }
    if bytes < OVERHEAD_BYTES {
        return Err(Fault::new(AlertDescription::BadRecordMac, Error::DecryptError));
    }
    Ok(Some(bytes))
}

/// How many bytes a whole record opens to, its type and padding included.
pub(super) fn opened_size(record: &[u8]) -> usize {
    record.len() - HEADER_BYTES - TAG_BYTES
}

/// The key of one direction, and the number of the next record.
pub(super) struct Key {
    key: LessSafeKey,
    vector: [u8; NONCE_LEN],
    number: u64,
    records_max: u64,
}

impl Key {
    pub(super) fn new((number, secrets): (u64, ConnectionTrafficSecrets)) -> Result<Self, Error> {
        use ConnectionTrafficSecrets::{Aes128Gcm, Aes256Gcm, Chacha20Poly1305};
        let (cipher, key, vector, records_max) = match &secrets {
            Aes128Gcm { key, iv } => (&AES_128_GCM, key, iv, AES_GCM_RECORDS_MAX),
            Aes256Gcm { key, iv } => (&AES_256_GCM, key, iv, AES_GCM_RECORDS_MAX),
            Chacha20Poly1305 { key, iv } => (&CHACHA20_POLY1305, key, iv, u64::MAX),
            _ => return Err(Error::General("a cipher that no suite of ours has".into())),
        };
        let failed = || Error::General("the cipher takes no such key".into());
        // The cipher's own copy is wiped when it is freed, as `secrets` is here.
        let key = LessSafeKey::new(UnboundKey::new(cipher, key.as_ref()).map_err(|_| failed())?);
        let vector = vector.as_ref().try_into().map_err(|_| failed())?;
        Ok(Self { key, vector, number, records_max })
    }

    /// Whether a new key should take over: it has sealed as much as is safe, less what is needed to say so.
    pub(super) fn is_worn(&self) -> bool {
        self.number >= self.records_max - 1
    }

    /// Lets the key be worn after `records_max` records, for tests.
    #[cfg(test)]
    pub(super) fn wear_at(&mut self, records_max: u64) {
        self.records_max = records_max;
    }

    /// How many records it has sealed or opened, for tests.
    #[cfg(test)]
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The nonce of the next record, once.
    fn nonce(&mut self) -> Result<Nonce, Error> {
        let mut nonce = self.vector;
        for (byte, number) in nonce[NONCE_LEN - 8..].iter_mut().zip(self.number.to_be_bytes()) {
            *byte ^= number;
        }
        self.number = self.number.checked_add(1).ok_or(Error::EncryptError)?;
        Ok(Nonce::assume_unique_for_key(nonce))
    }

    // sealing

    /// Seals the next `count` bytes of `pieces` into the beginning of `out`, which must have room; returns the record's
    /// length.
    pub(super) fn seal(
        &mut self,
        kind: ContentType,
        pieces: &mut Pieces<'_>,
        count: usize,
        out: &mut [u8],
    ) -> Result<usize, Error> {
        let bytes = count + OVERHEAD_BYTES;
        let length = u16::try_from(bytes - HEADER_BYTES).map_err(|_| Error::EncryptError)?.to_be_bytes();
        let header = [ContentType::ApplicationData.into(), VERSION[0], VERSION[1], length[0], length[1]];
        let record = out.get_mut(..bytes).ok_or(Error::EncryptError)?;
        let (head, sealed) = record.split_at_mut(HEADER_BYTES);
        let (contents, rest) = sealed.split_at_mut(count);
        head.copy_from_slice(&header);
        let (nonce, header, kind) = (self.nonce()?, Aad::from(header), [u8::from(kind)]);
        let done = if let Some(piece) = pieces.in_one_piece(count) {
            self.key.seal_out_of_place_scatter(nonce, header, piece, contents, &kind, rest)
        } else {
            pieces.copy_to(contents);
            self.key.seal_in_place_scatter(nonce, header, contents, &kind, rest)
        };
        done.map_err(|_| Error::EncryptError)?;
        Ok(bytes)
    }

    // opening

    /// Opens a whole record into `out`, of exactly [`opened_size`]; what it holds, and how much of it.
    pub(super) fn open(&mut self, record: &[u8], out: &mut [u8]) -> Result<(ContentType, usize), Fault> {
        let (header, contents, tag) = parts(record)?;
        let nonce = self.nonce().map_err(undecipherable)?;
        let opened = self.key.open_separate_gather(nonce, Aad::from(header), contents, tag, out);
        opened.map_err(undecipherable)?;
        without_padding(out)
    }

    /// Opens a whole record where it stands; the contents follow the header's place.
    pub(super) fn open_in_place(&mut self, record: &mut [u8]) -> Result<(ContentType, usize), Fault> {
        let (header, _, &tag) = parts(record)?;
        let (from, to) = (HEADER_BYTES, record.len() - TAG_BYTES);
        let nonce = self.nonce().map_err(undecipherable)?;
        let opened = self.key.open_in_place_separate_tag(nonce, Aad::from(header), &tag, &mut record[from..to]);
        opened.map_err(undecipherable)?;
        without_padding(&record[from..to])
    }
}

type Parts<'a> = ([u8; HEADER_BYTES], &'a [u8], &'a [u8; TAG_BYTES]);

/// Header, sealed bytes and tag of a whole record.
fn parts(record: &[u8]) -> Result<Parts<'_>, Fault> {
    let parts = record.split_first_chunk::<HEADER_BYTES>().and_then(|(header, sealed)| {
        let (contents, tag) = sealed.split_last_chunk::<TAG_BYTES>()?;
        Some((*header, contents, tag))
    });
    parts.ok_or_else(|| undecipherable(()))
}

fn undecipherable<E>(_: E) -> Fault {
    Fault::new(AlertDescription::BadRecordMac, Error::DecryptError)
}

/// The type, which is the last byte that is not zero, and how many bytes stand before it.
fn without_padding(opened: &[u8]) -> Result<(ContentType, usize), Fault> {
    match opened.iter().rposition(|byte| *byte != 0) {
        Some(at) => Ok((ContentType::from(opened[at]), at)),
        None => Err(Fault::new(AlertDescription::UnexpectedMessage, PeerMisbehaved::IllegalTlsInnerPlaintext)),
    }
}

/// What is to be sealed: slices that need not lie together.
pub(super) struct Pieces<'a> {
    slices: &'a [IoSlice<'a>],
    /// How much of the first slice is taken.
    taken: usize,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(slices: &'a [IoSlice<'a>]) -> Self {
        Self { slices, taken: 0 }
    }

    /// How many bytes are left, counted no further than `enough`.
    pub(super) fn left(&self, enough: usize) -> usize {
        let mut left = 0;
        for slice in self.slices {
            left += slice.len();
            if left - self.taken >= enough {
                return enough;
            }
        }
        left - self.taken
    }

    /// The next `count` bytes, if they lie together.
    fn in_one_piece(&mut self, count: usize) -> Option<&'a [u8]> {
        while self.slices.first().is_some_and(|slice| slice.len() == self.taken) {
            self.slices = &self.slices[1..];
            self.taken = 0;
        }
        let Some(slice) = self.slices.first() else { return (count == 0).then_some(&[]) };
        let piece = slice.get(self.taken..self.taken + count)?;
        self.taken += count;
        Some(piece)
    }

    /// Copies the next bytes until `place` is full; they must be there.
    fn copy_to(&mut self, mut place: &mut [u8]) {
        while !place.is_empty() && !self.slices.is_empty() {
            let here = self.slices.first().map_or(0, |slice| slice.len() - self.taken).min(place.len());
            let (now, later) = place.split_at_mut(here);
            if let Some(piece) = self.in_one_piece(here) {
                now.copy_from_slice(piece);
            }
            place = later;
        }
    }
}
