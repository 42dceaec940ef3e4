//! Row 32: which key exchange two sides get, and what becomes of one who edits what they say about it.

use rustls::crypto::aws_lc_rs::kx_group;
use rustls::{AlertDescription, Error, PeerIncompatible};
use tokio::io::copy_bidirectional;

use super::*;

use PostQuantum::{Prefer, Require};

/// Numbers of TLS (RFC 8446 §4.2, and the registry's number of X25519MLKEM768).
const SUPPORTED_GROUPS: u16 = 10;
const KEY_SHARE: u16 = 51;
const ML_KEM: u16 = 0x11ec;
const X25519: u16 = 29;

fn tls(client: PostQuantum, server: PostQuantum) -> (ClientTls, ServerTls) {
    let (own, hub) = (Identity::generate(), Identity::generate());
    (ClientTls::new(&own, hub.key_hash(), client).unwrap(), ServerTls::new(&hub, server).unwrap())
}

#[tokio::test]
async fn p32_two_towline_peers_are_post_quantum_whatever_they_were_told() {
    for (client, server) in [(Require, Require), (Require, Prefer), (Prefer, Require), (Prefer, Prefer)] {
        let (client, server) = tls(client, server);
        let (one, other) = handshake(duplex(64 * 1024), &client, &server).await;
        for (_, proven) in [one.unwrap(), other.unwrap()] {
            assert_eq!(proven.key_exchange, KeyExchange::X25519MlKem768);
        }
    }
    println!("p32: reached 4 of 4 pairs of settings with X25519MLKEM768");
}

#[tokio::test]
async fn p32_a_peer_without_ml_kem_is_refused() {
    let own = Identity::generate();
    for group in [kx_group::X25519, kx_group::SECP256R1] {
        let (theirs, ours) = against_foreign(foreign_client(vec![group], Some(&own)), Require).await;
        assert!(theirs.is_err());
        assert!(matches!(ours, Err(TlsError::Protocol(Error::PeerIncompatible(_)))), "{ours:?}");
    }
}

#[tokio::test]
async fn a_peer_without_ml_kem_is_taken_where_the_operator_prefers_it_only() {
    let own = Identity::generate();
    for group in [kx_group::X25519, kx_group::SECP256R1] {
        let (theirs, ours) = against_foreign(foreign_client(vec![group], Some(&own)), Prefer).await;
        assert_eq!(theirs.unwrap(), ours.unwrap());
    }
    let (theirs, ours) = against_foreign(foreign_client(vec![kx_group::SECP384R1], Some(&own)), Prefer).await;
    assert!(theirs.is_err() && ours.is_err(), "no other group is ever taken");
}

#[test]
fn the_words_of_a_configuration_are_read_as_they_are_shown() {
    for choice in [Require, Prefer] {
        assert_eq!(choice.to_string().parse(), Ok(choice));
    }
    let error = "Prefer".parse::<PostQuantum>().unwrap_err();
    assert_eq!(error.to_string(), "\"Prefer\" is neither `require` nor `prefer`");
}

/// One who sits between the two and edits the first record of each side.
async fn with_editor(
    client: &ClientTls,
    server: &ServerTls,
    edit_client: fn(Vec<u8>) -> Vec<u8>,
    edit_server: fn(Vec<u8>) -> Vec<u8>,
) -> (TlsError, TlsError) {
    let (near, mut left) = duplex(64 * 1024);
    let (mut right, far) = duplex(64 * 1024);
    let editor = async move {
        let hello = edit_client(record(&mut left).await?);
        right.write_all(&hello).await?;
        let answer = edit_server(record(&mut right).await?);
        left.write_all(&answer).await?;
        copy_bidirectional(&mut left, &mut right).await
    };
    let editor = tokio::spawn(editor);
    let both = async { tokio::join!(told(TlsStream::connect(near, client)), told(TlsStream::accept(far, server))) };
    let ends = tokio::time::timeout(std::time::Duration::from_secs(30), both).await.expect("both end by themselves");
    editor.abort();
    ends
}

/// The error of a handshake that must not succeed. (The stream is dropped with it, so the other side ends too.)
async fn told(handshake: impl Future<Output = Result<End, TlsError>>) -> TlsError {
    handshake.await.err().expect("a handshake with an editor in between must fail")
}

async fn record(from: &mut DuplexStream) -> std::io::Result<Vec<u8>> {
    let mut record = vec![0; 5];
    from.read_exact(&mut record).await?;
    let length = usize::from(u16::from_be_bytes([record[3], record[4]]));
    record.resize(5 + length, 0);
    from.read_exact(&mut record[5..]).await?;
    Ok(record)
}

fn u16_at(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]))
}

/// Rewrites one extension of the hello that a record holds, and all the lengths around it.
fn edit_extension(record: &[u8], kind: u16, edit: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let is_client = record[5] == 1;
    let mut at = 5 + 4 + 2 + 32;
    at += 1 + usize::from(record[at]);
    // The client lists suites and compressions, the server names one of each.
    at += if is_client { 2 + u16_at(record, at) } else { 2 };
    at += if is_client { 1 + usize::from(record[at]) } else { 1 };
    let mut extensions = Vec::new();
    let mut next = at + 2;
    while next < record.len() {
        let (this, length) = (u16_at(record, next), u16_at(record, next + 2));
        let old = &record[next + 4..next + 4 + length];
        let new = if this == usize::from(kind) { edit(old) } else { old.to_vec() };
        extensions.extend_from_slice(&record[next..next + 2]);
        extensions.extend((new.len() as u16).to_be_bytes());
        extensions.extend(new);
        next += 4 + length;
    }
    let mut edited = record[..at].to_vec();
    edited.extend((extensions.len() as u16).to_be_bytes());
    edited.extend(extensions);
    let length = edited.len() - 5;
    edited[3..5].copy_from_slice(&(length as u16).to_be_bytes());
    edited[6..9].copy_from_slice(&((length - 4) as u32).to_be_bytes()[1..]);
    edited
}

/// Takes ML-KEM out of the groups and shares that a client offers; if that was all, puts X25519 there instead.
fn without_ml_kem(record: Vec<u8>) -> Vec<u8> {
    let listed = |body: Vec<u8>| [&(body.len() as u16).to_be_bytes()[..], &body].concat();
    let groups = |old: &[u8]| {
        let kept: Vec<_> = old[2..].chunks(2).filter(|group| *group != ML_KEM.to_be_bytes()).flatten().collect();
        listed(if kept.is_empty() { X25519.to_be_bytes().to_vec() } else { kept.into_iter().copied().collect() })
    };
    let shares = |old: &[u8]| {
        let (mut kept, mut at) = (Vec::new(), 2);
        while at < old.len() {
            let whole = 4 + u16_at(old, at + 2);
            if u16_at(old, at) != usize::from(ML_KEM) {
                kept.extend_from_slice(&old[at..at + whole]);
            }
            at += whole;
        }
        listed(if kept.is_empty() { x25519_share(&[9; 32]) } else { kept })
    };
    edit_extension(&edit_extension(&record, SUPPORTED_GROUPS, groups), KEY_SHARE, shares)
}

/// Makes of the server's hybrid share the X25519 half of it, which stands last.
fn only_x25519(record: Vec<u8>) -> Vec<u8> {
    edit_extension(&record, KEY_SHARE, |old| x25519_share(&old[old.len() - 32..]))
}

fn x25519_share(public: &[u8]) -> Vec<u8> {
    [&X25519.to_be_bytes()[..], &32u16.to_be_bytes(), public].concat()
}

fn as_it_is(record: Vec<u8>) -> Vec<u8> {
    record
}

/// The failures that mean: the two did not see the same handshake, or had nothing safe in common.
fn is_by_name(error: &TlsError) -> bool {
    matches!(
        error,
        TlsError::Protocol(
            Error::DecryptError
                | Error::PeerMisbehaved(_)
                | Error::PeerIncompatible(PeerIncompatible::NoKxGroupsInCommon)
                | Error::AlertReceived(
                    AlertDescription::BadRecordMac
                        | AlertDescription::DecryptError
                        | AlertDescription::HandshakeFailure
                        | AlertDescription::IllegalParameter
                )
        )
    )
}

#[tokio::test]
async fn p32_an_edited_handshake_fails_by_name_and_is_never_a_silent_downgrade() {
    type Edit = fn(Vec<u8>) -> Vec<u8>;
    let edits: [(&str, Edit, Edit); 2] = [
        ("ML-KEM taken out of the client's hello", without_ml_kem, as_it_is),
        ("the server's share made X25519", as_it_is, only_x25519),
    ];
    let mut failed = 0;
    for (client, server) in [(Require, Require), (Require, Prefer), (Prefer, Require), (Prefer, Prefer)] {
        for (what, edit_client, edit_server) in edits {
            let (client_tls, server_tls) = tls(client, server);
            let (near, far) = with_editor(&client_tls, &server_tls, edit_client, edit_server).await;
            assert!(is_by_name(&near) && is_by_name(&far), "{client} and {server}, {what}: {near:?}, {far:?}");
            failed += 1;
        }
    }
    println!("p32: reached {failed} of 8 edited handshakes refused by name");
}

#[tokio::test]
async fn an_editor_that_edits_nothing_is_not_noticed() {
    // Otherwise the test before could fail for want of a working relay.
    let (client, server) = tls(Prefer, Prefer);
    let (near, mut left) = duplex(64 * 1024);
    let (mut right, far) = duplex(64 * 1024);
    let relay = tokio::spawn(async move {
        let hello = edit_extension(&record(&mut left).await.unwrap(), KEY_SHARE, <[u8]>::to_vec);
        right.write_all(&hello).await.unwrap();
        let answer = edit_extension(&record(&mut right).await.unwrap(), KEY_SHARE, <[u8]>::to_vec);
        left.write_all(&answer).await.unwrap();
        let _ = copy_bidirectional(&mut left, &mut right).await;
    });
    let (one, other) = handshake((near, far), &client, &server).await;
    assert!(one.is_ok() && other.is_ok());
    relay.abort();
}
