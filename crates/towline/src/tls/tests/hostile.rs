//! What a peer that completed the handshake may say, and what it may not: held against rustls' own connection, which sees the
//! same records.

use std::io::IoSlice;

use rustls::{AlertDescription, ContentType, Error, HandshakeType, InvalidMessage, PeerMisbehaved, ServerConnection};

use super::*;
use crate::tls::handshake::shake_hands;
use crate::tls::record::{self, CONTENT_MAX_BYTES, Fault, OVERHEAD_BYTES, Pieces, RECORD_MAX_BYTES, opened_size};
use crate::tls::records::{Opened, Records};

/// Both ends of a connection of our own: the client's, then the server's.
pub(super) async fn ours() -> (Records, Records) {
    let (own, hub) = (Identity::generate(), Identity::generate());
    let client = ClientTls::new(&own, hub.key_hash(), PostQuantum::Require).unwrap();
    let server = ServerTls::new(&hub, PostQuantum::Require).unwrap();
    let (mut near, mut far) = duplex(64 * 1024);
    let (client, server) = (client.begin().unwrap(), server.begin().unwrap());
    let (client, server) = tokio::join!(shake_hands(&mut near, client), shake_hands(&mut far, server));
    (client.unwrap().0, server.unwrap().0)
}

/// Our client at rustls' own server.
async fn at_rustls() -> (Records, ServerConnection) {
    let (own, hub) = (Identity::generate(), Identity::generate());
    let client = ClientTls::new(&own, hub.key_hash(), PostQuantum::Require).unwrap();
    let provider =
        rustls::crypto::CryptoProvider { kx_groups: PostQuantum::Require.groups(), ..aws_lc_rs::default_provider() };
    let algorithms = provider.signature_verification_algorithms;
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(Arc::new(verify::AnyKey { algorithms }))
        .with_single_cert(
            vec![hub.pair().certificate().clone()],
            rustls::pki_types::PrivatePkcs8KeyDer::from(hub.pair().pkcs8().to_vec()).into(),
        )
        .unwrap();
    config.alpn_protocols = vec![config::ALPN.to_vec()];
    config.send_tls13_tickets = 0;
    let mut server = ServerConnection::new(Arc::new(config)).unwrap();
    let (mut near, mut far) = duplex(64 * 1024);
    let handshake = client.begin().unwrap();
    let theirs = async {
        let mut bytes = vec![0; 64 * 1024];
        while server.is_handshaking() {
            let count = far.read(&mut bytes).await.unwrap();
            let mut came = &bytes[..count];
            while !came.is_empty() {
                server.read_tls(&mut came).unwrap();
                server.process_new_packets().unwrap();
            }
            let mut said = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut said).unwrap();
            }
            far.write_all(&said).await.unwrap();
        }
    };
    let (records, ()) = tokio::join!(shake_hands(&mut near, handshake), theirs);
    (records.unwrap().0, server)
}

/// A record with these contents.
pub(super) fn sealed(by: &mut Records, kind: ContentType, contents: &[u8]) -> Vec<u8> {
    let mut out = vec![0; contents.len() + OVERHEAD_BYTES];
    let slices = [IoSlice::new(contents)];
    let length = by.sealing().seal(kind, &mut Pieces::new(&slices), contents.len(), &mut out).unwrap();
    assert_eq!(length, out.len());
    out
}

/// Contents and type, then `zeros` of padding.
fn padded(by: &mut Records, kind: ContentType, contents: &[u8], zeros: usize) -> Vec<u8> {
    let mut inner = [contents, &[kind.into()]].concat();
    // The last zero is the one that stands where an unpadded record has its type.
    inner.resize(inner.len() + zeros - 1, 0);
    sealed(by, ContentType::Unknown(0), &inner)
}

/// Opens all that came, as a stream does; the data.
pub(super) fn hear(records: &mut Records, mut came: Vec<u8>) -> Result<Vec<u8>, Fault> {
    let (mut data, mut from) = (Vec::new(), 0);
    while !records.peer_closed()
        && let Some(length) = record::length(&came[from..])?
    {
        let Some(one) = came.get_mut(from..from + length) else { break };
        let mut place = vec![0; opened_size(one)];
        match records.open(one, &mut place)? {
            Opened::Out(count) => data.extend_from_slice(&place[..count]),
            Opened::InPlace(_) => panic!("there was a place for it"),
            Opened::Nothing => {}
        }
        from += length;
    }
    Ok(data)
}

/// What rustls says to the same bytes.
fn hear_rustls(server: &mut ServerConnection, mut came: &[u8]) -> Result<Vec<u8>, Error> {
    use std::io::Read;
    let mut data = Vec::new();
    while !came.is_empty() {
        server.read_tls(&mut came).unwrap();
        server.process_new_packets()?;
        // An end, or nothing more for now.
        let _ = server.reader().read_to_end(&mut data);
    }
    Ok(data)
}

const DATA: ContentType = ContentType::ApplicationData;
const ALERT: ContentType = ContentType::Alert;
const HANDSHAKE: ContentType = ContentType::Handshake;
const TELL: [u8; 5] = [24, 0, 0, 1, 0];

/// What RFC 8446 §5.4 tells us to refuse, and rustls lets pass.
const STRICTER: [&str; 1] = ["an empty handshake message"];

type Say = fn(&mut Records) -> Vec<u8>;

/// What a client says, what our server says to it, and by what alert.
fn refused() -> Vec<(&'static str, Say, Error, Option<AlertDescription>)> {
    let inappropriate =
        |got_type| Error::InappropriateMessage { expect_types: vec![ContentType::ApplicationData], got_type };
    let not_now =
        |got_type| Error::InappropriateHandshakeMessage { expect_types: vec![HandshakeType::KeyUpdate], got_type };
    use AlertDescription as By;
    vec![
        (
            "a changed tag",
            |by| {
                let mut record = sealed(by, DATA, b"data");
                *record.last_mut().unwrap() ^= 1;
                record
            },
            Error::DecryptError,
            Some(By::BadRecordMac),
        ),
        (
            "a changed byte",
            |by| {
                let mut record = sealed(by, DATA, b"data");
                record[6] ^= 0x80;
                record
            },
            Error::DecryptError,
            Some(By::BadRecordMac),
        ),
        ("a record twice", |by| sealed(by, DATA, b"data").repeat(2), Error::DecryptError, Some(By::BadRecordMac)),
        (
            "a record left out",
            |by| {
                sealed(by, DATA, b"lost");
                sealed(by, DATA, b"data")
            },
            Error::DecryptError,
            Some(By::BadRecordMac),
        ),
        (
            "less than a tag",
            |_| vec![23, 3, 3, 0, 15].into_iter().chain([0; 15]).collect(),
            Error::DecryptError,
            Some(By::BadRecordMac),
        ),
        ("nothing at all in a record", |_| vec![23, 3, 3, 0, 0], Error::DecryptError, Some(By::BadRecordMac)),
        (
            "no type, only padding",
            |by| sealed(by, ContentType::Unknown(0), &[0; 40]),
            PeerMisbehaved::IllegalTlsInnerPlaintext.into(),
            Some(By::UnexpectedMessage),
        ),
        (
            "no type and no padding",
            |by| sealed(by, ContentType::Unknown(0), b""),
            PeerMisbehaved::IllegalTlsInnerPlaintext.into(),
            Some(By::UnexpectedMessage),
        ),
        (
            "a byte more than a record takes",
            |by| sealed(by, DATA, &[7; CONTENT_MAX_BYTES + 1]),
            Error::PeerSentOversizedRecord,
            Some(By::RecordOverflow),
        ),
        (
            "padding that makes it too long",
            |by| padded(by, DATA, &[7; CONTENT_MAX_BYTES], 1),
            Error::PeerSentOversizedRecord,
            Some(By::RecordOverflow),
        ),
        (
            "a length that no record has",
            |_| [&[23, 3, 3, 0xff, 0xff], &[0; 65_535][..]].concat(),
            Error::PeerSentOversizedRecord,
            Some(By::RecordOverflow),
        ),
        (
            "another version",
            |_| [&[23, 2, 0, 0, 20], &[0; 20][..]].concat(),
            InvalidMessage::UnknownProtocolVersion.into(),
            Some(By::ProtocolVersion),
        ),
        (
            "an unknown type",
            |_| [&[99, 3, 3, 0, 20], &[0; 20][..]].concat(),
            InvalidMessage::InvalidContentType.into(),
            Some(By::UnexpectedMessage),
        ),
        (
            "an alert that is not sealed",
            |_| vec![21, 3, 3, 0, 2, 1, 0],
            inappropriate(ALERT),
            Some(By::UnexpectedMessage),
        ),
        (
            "a handshake message that is not sealed",
            |_| vec![22, 3, 3, 0, 5, 24, 0, 0, 1, 0],
            inappropriate(HANDSHAKE),
            Some(By::UnexpectedMessage),
        ),
        (
            "a change of cipher spec",
            |_| vec![20, 3, 3, 0, 1, 1],
            inappropriate(ContentType::ChangeCipherSpec),
            Some(By::UnexpectedMessage),
        ),
        (
            "a change of cipher spec, sealed",
            |by| sealed(by, ContentType::ChangeCipherSpec, &[1]),
            PeerMisbehaved::IllegalMiddleboxChangeCipherSpec.into(),
            Some(By::UnexpectedMessage),
        ),
        (
            "an unknown type, sealed",
            |by| sealed(by, ContentType::Unknown(99), b"data"),
            Error::InappropriateMessage {
                expect_types: vec![DATA, ALERT, HANDSHAKE],
                got_type: ContentType::Unknown(99),
            },
            Some(By::UnexpectedMessage),
        ),
        (
            "a heartbeat, sealed",
            |by| sealed(by, ContentType::Heartbeat, &[1, 0, 0]),
            Error::InappropriateMessage {
                expect_types: vec![DATA, ALERT, HANDSHAKE],
                got_type: ContentType::Heartbeat,
            },
            Some(By::UnexpectedMessage),
        ),
        (
            "an empty handshake message",
            |by| sealed(by, HANDSHAKE, b""),
            InvalidMessage::InvalidEmptyPayload.into(),
            Some(By::UnexpectedMessage),
        ),
        (
            "an empty alert",
            |by| sealed(by, ALERT, b""),
            InvalidMessage::InvalidEmptyPayload.into(),
            Some(By::UnexpectedMessage),
        ),
        (
            "half an alert",
            |by| sealed(by, ALERT, &[2]),
            InvalidMessage::MissingData("AlertDescription").into(),
            Some(By::DecodeError),
        ),
        (
            "two alerts in one record",
            |by| sealed(by, ALERT, &[1, 90, 1, 90]),
            InvalidMessage::TrailingData("AlertMessagePayload").into(),
            Some(By::DecodeError),
        ),
        (
            "an alert of no level",
            |by| sealed(by, ALERT, &[3, 40]),
            Error::AlertReceived(AlertDescription::HandshakeFailure),
            Some(By::IllegalParameter),
        ),
        (
            "a warning, which TLS 1.3 does not know",
            |by| sealed(by, ALERT, &[1, 40]),
            Error::AlertReceived(AlertDescription::HandshakeFailure),
            Some(By::DecodeError),
        ),
        (
            "a fatal alert, which nothing answers",
            |by| sealed(by, ALERT, &[2, 80]),
            Error::AlertReceived(AlertDescription::InternalError),
            None,
        ),
        (
            "a hello after the handshake",
            |by| sealed(by, HANDSHAKE, &[1, 0, 0, 0]),
            not_now(HandshakeType::ClientHello),
            Some(By::UnexpectedMessage),
        ),
        (
            "a ticket from a client",
            |by| sealed(by, HANDSHAKE, &[4, 0, 0, 0]),
            not_now(HandshakeType::NewSessionTicket),
            Some(By::UnexpectedMessage),
        ),
        (
            "a certificate request",
            |by| sealed(by, HANDSHAKE, &[13, 0, 0, 1, 0]),
            not_now(HandshakeType::CertificateRequest),
            Some(By::UnexpectedMessage),
        ),
        (
            "a key update without a word",
            |by| sealed(by, HANDSHAKE, &[24, 0, 0, 0]),
            InvalidMessage::InvalidKeyUpdate.into(),
            Some(By::DecodeError),
        ),
        (
            "a key update of two bytes",
            |by| sealed(by, HANDSHAKE, &[24, 0, 0, 2, 0, 0]),
            InvalidMessage::InvalidKeyUpdate.into(),
            Some(By::DecodeError),
        ),
        (
            "a key update that is neither",
            |by| sealed(by, HANDSHAKE, &[24, 0, 0, 1, 2]),
            InvalidMessage::InvalidKeyUpdate.into(),
            Some(By::IllegalParameter),
        ),
        (
            "two key updates in one record",
            |by| sealed(by, HANDSHAKE, &[TELL, TELL].concat()),
            PeerMisbehaved::KeyEpochWithPendingFragment.into(),
            Some(By::UnexpectedMessage),
        ),
        (
            "a key update with the beginning of another",
            |by| sealed(by, HANDSHAKE, &[24, 0, 0, 1, 0, 24]),
            PeerMisbehaved::KeyEpochWithPendingFragment.into(),
            Some(By::UnexpectedMessage),
        ),
        (
            "the old key after a key update",
            |by| [sealed(by, HANDSHAKE, &TELL), sealed(by, DATA, b"data")].concat(),
            Error::DecryptError,
            Some(By::BadRecordMac),
        ),
        (
            "data between the halves of a message",
            |by| [sealed(by, HANDSHAKE, &TELL[..2]), sealed(by, DATA, b"data")].concat(),
            PeerMisbehaved::MessageInterleavedWithHandshakeMessage.into(),
            Some(By::UnexpectedMessage),
        ),
        (
            "a goodbye between the halves of a message",
            |by| [sealed(by, HANDSHAKE, &TELL[..2]), sealed(by, ALERT, &[1, 0])].concat(),
            PeerMisbehaved::MessageInterleavedWithHandshakeMessage.into(),
            Some(By::UnexpectedMessage),
        ),
        (
            "five warnings that a user had canceled",
            |by| (0..5).flat_map(|_| [sealed(by, ALERT, &[1, 90]), sealed(by, DATA, b".")].concat()).collect(),
            PeerMisbehaved::TooManyWarningAlertsReceived.into(),
            Some(By::UnexpectedMessage),
        ),
    ]
}

#[tokio::test]
async fn what_rustls_refuses_is_refused() {
    let cases = refused();
    let count = cases.len();
    for (what, say, error, alert) in cases {
        let (mut client, mut server) = ours().await;
        let fault = hear(&mut server, say(&mut client)).expect_err(what);
        assert_eq!((&fault.error, fault.alert), (&error, alert), "{what}");

        let (mut client, mut server) = at_rustls().await;
        let theirs = hear_rustls(&mut server, &say(&mut client));
        assert_eq!(theirs.is_ok(), STRICTER.contains(&what), "{what}: {theirs:?}");
        println!(
            "{what}: {}",
            if theirs.as_ref() == Err(&error) { "as rustls says it" } else { "rustls says it otherwise" }
        );
    }
    println!("{count} of {count} kinds of bad records refused");
}

/// A record of which only the claimed version was changed. rustls proves what should have stood there, we prove what does.
#[tokio::test]
async fn a_header_is_proven_as_it_came() {
    let (mut client, mut server) = ours().await;
    let mut record = sealed(&mut client, DATA, b"data");
    record[2] = 1;
    assert_eq!(hear(&mut server, record).unwrap_err().error, Error::DecryptError);
}

#[tokio::test]
async fn what_rustls_takes_is_taken() {
    let cases: [(&str, Say, &[u8]); 8] = [
        ("nothing", |by| sealed(by, DATA, b""), b""),
        ("padding", |by| padded(by, DATA, b"data", 300), b"data"),
        ("padding and nothing else", |by| padded(by, DATA, b"", 300), b""),
        ("zeros before padding", |by| padded(by, DATA, &[0; 3], 1), &[0; 3]),
        ("a full record", |by| sealed(by, DATA, &[7; CONTENT_MAX_BYTES]), &[7; CONTENT_MAX_BYTES]),
        (
            "a key update byte by byte, padded",
            |by| {
                let said = TELL.iter().flat_map(|byte| padded(by, HANDSHAKE, &[*byte], 20)).collect::<Vec<_>>();
                by.renew(&mut [0; 64]).unwrap();
                [said, sealed(by, DATA, b"data")].concat()
            },
            b"data",
        ),
        ("that a user canceled", |by| [sealed(by, ALERT, &[1, 90]), sealed(by, DATA, b"data")].concat(), b"data"),
        ("a goodbye called fatal", |by| [sealed(by, DATA, b"data"), sealed(by, ALERT, &[2, 0])].concat(), b"data"),
    ];
    for (what, say, data) in cases {
        let (mut client, mut server) = ours().await;
        assert_eq!(hear(&mut server, say(&mut client)).expect(what), data, "{what}");
        assert_eq!(server.peer_closed(), what == "a goodbye called fatal");

        let (mut client, mut server) = at_rustls().await;
        assert_eq!(hear_rustls(&mut server, &say(&mut client)).expect(what), data, "{what}");
    }
}

/// 32 key updates in a row are taken as rustls takes them, one more is not; data in between begins the count anew.
#[tokio::test]
async fn key_updates_without_data_between_them_are_borne_so_often() {
    let rounds: [(usize, usize); 3] = [(1, 32), (3, 32), (1, 33)];
    for (rounds, updates) in rounds {
        let say = |by: &mut Records| {
            let mut said = Vec::new();
            for _ in 0..rounds {
                for _ in 0..updates {
                    let mut out = [0; 64];
                    let count = by.renew(&mut out).unwrap();
                    said.extend_from_slice(&out[..count]);
                }
                said.extend(sealed(by, DATA, b"."));
            }
            said
        };
        let (mut client, mut server) = ours().await;
        let heard = hear(&mut server, say(&mut client)).map_err(|fault| fault.error);
        let (mut client, mut rustls) = at_rustls().await;
        assert_eq!(heard, hear_rustls(&mut rustls, &say(&mut client)));
        let refused = heard == Err(PeerMisbehaved::TooManyKeyUpdateRequests.into());
        assert_eq!(refused, updates > 32, "{heard:?}");
        // However many asked, one answer is owed.
        assert!(server.owes_key());
        server.renew(&mut [0; 64]).unwrap();
        assert!(!server.owes_key());
    }
}

#[tokio::test]
async fn records_without_data_are_borne_so_often() {
    // rustls bears these without an end; nobody who is honest sends them.
    let (mut client, mut server) = ours().await;
    let mut empty = |count| (0..count).flat_map(|_| sealed(&mut client, DATA, b"")).collect();
    let (some, more): (Vec<u8>, Vec<u8>) = (empty(32), empty(1));
    assert_eq!(hear(&mut server, some).unwrap(), b"");
    assert_eq!(hear(&mut server, more).unwrap_err().error, PeerMisbehaved::TooManyEmptyFragments.into());

    let (mut client, mut server) = ours().await;
    let rounds = (0..3).flat_map(|_| {
        let empty: Vec<u8> = (0..32).flat_map(|_| sealed(&mut client, DATA, b"")).collect();
        [empty, sealed(&mut client, DATA, b".")].concat()
    });
    let rounds = rounds.collect();
    assert_eq!(hear(&mut server, rounds).unwrap(), b"...", "data in between begins the count anew");
}

#[tokio::test]
async fn a_client_takes_a_ticket_and_no_nonsense_for_one() {
    // Life, age, nonce, ticket, extensions: RFC 8446 §4.6.1.
    let ticket = [&[0, 0, 14, 16, 1, 2, 3, 4, 1, 9, 0, 3][..], b"tkt", &[0, 0]].concat();
    let message = |body: &[u8]| [&[4, 0, 0, body.len() as u8], body].concat();
    let (mut client, mut server) = ours().await;
    let two = [message(&ticket), message(&ticket)].concat();
    let (one, other) = two.split_at(two.len() - 5);
    let said = [sealed(&mut server, HANDSHAKE, one), sealed(&mut server, HANDSHAKE, other)].concat();
    assert_eq!(hear(&mut client, said).unwrap(), b"");
    for body in [&ticket[..ticket.len() - 1], &[], &[&ticket[..], &[0]].concat()] {
        let (mut client, mut server) = ours().await;
        let fault = hear(&mut client, sealed(&mut server, HANDSHAKE, &message(body))).unwrap_err();
        assert!(matches!(fault.error, Error::InvalidMessage(_)), "{:?}", fault.error);
        assert_eq!(fault.alert, Some(AlertDescription::DecodeError));
    }
    let (mut client, mut server) = ours().await;
    let fault = hear(&mut client, sealed(&mut server, HANDSHAKE, &[4, 1, 0, 0])).unwrap_err();
    assert_eq!(fault.error, InvalidMessage::HandshakePayloadTooLarge.into());
}

#[test]
fn a_record_is_judged_by_its_header_before_it_is_whole() {
    assert_eq!(record::length(&[]).unwrap(), None);
    assert_eq!(record::length(&[23, 3, 3, 0]).unwrap(), None);
    assert_eq!(record::length(&[23, 3, 3, 0x40, 0x11]).unwrap(), Some(RECORD_MAX_BYTES));
    assert!(record::length(&[23, 3, 3, 0x40, 0x12]).is_err());
    assert!(record::length(&[22, 3, 3, 0, 20]).is_err());
}

/// Conversations made of whatever is worth saying, in any order: what we take, rustls takes, and reads the same.
#[tokio::test]
async fn random_conversations_end_as_rustls_ends_them() {
    const CONVERSATIONS: u64 = 96;
    let mut refused = 0;
    for seed in 1..=CONVERSATIONS {
        let say = |by: &mut Records| {
            let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mut below = |limit: u64| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state % limit) as usize
            };
            let mut said = Vec::new();
            for _ in 0..1 + below(20) {
                let pieces: [&[u8]; 8] =
                    [&TELL, &TELL[..1], &TELL[1..], &[24, 0, 0, 1, 1], &[1, 90], &[1, 0], &[2, 10], b"?"];
                let rare = [ContentType::ChangeCipherSpec, ContentType::Heartbeat, ContentType::Unknown(0), ALERT];
                said.extend(match below(40) {
                    0..12 => sealed(by, DATA, &[7; 3_000][..below(3_000)]),
                    12..18 => {
                        let mut out = [0; 64];
                        let count = by.renew(&mut out).unwrap();
                        out[..count].to_vec()
                    }
                    18..24 => padded(by, DATA, &[7; 10], 1 + below(200)),
                    24..28 => sealed(by, ALERT, &[1, 90]),
                    28..30 => TELL.iter().flat_map(|byte| sealed(by, HANDSHAKE, &[*byte])).collect(),
                    30..34 => sealed(by, HANDSHAKE, pieces[below(8)]),
                    34..36 => sealed(by, ALERT, pieces[below(8)]),
                    36 => sealed(by, rare[below(4)], pieces[below(8)]),
                    37 => {
                        let mut record = sealed(by, DATA, b"data");
                        let at = below(record.len() as u64);
                        record[at] ^= 1 << below(8);
                        record
                    }
                    38 => sealed(by, DATA, b""),
                    _ => sealed(by, DATA, &[7; CONTENT_MAX_BYTES + 1][..CONTENT_MAX_BYTES + below(2)]),
                });
            }
            said
        };
        let (mut client, mut server) = ours().await;
        let heard = hear(&mut server, say(&mut client));
        let (mut client, mut server) = at_rustls().await;
        let theirs = hear_rustls(&mut server, &say(&mut client));
        match heard {
            Ok(data) => assert!(theirs == Ok(data), "conversation {seed}: {:?}", theirs.err()),
            // Of what can be said here, only a changed version is taken by rustls and not by us.
            Err(fault) => {
                refused += 1;
                assert!(theirs.is_err() || fault.error == Error::DecryptError, "conversation {seed}: {fault:?}");
            }
        }
    }
    assert!((CONVERSATIONS / 4..CONVERSATIONS * 9 / 10).contains(&refused), "{refused} were refused");
}
