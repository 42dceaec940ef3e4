//! Data over a connection whose handshake is done: whole and in order, whatever the transport and the reader do to it.

use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use rustls::ContentType;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::hostile::{hear, ours, sealed};
use super::*;
use crate::tls::incoming::Incoming;

/// Numbers that follow no period of a record.
fn numbers(count: usize) -> Vec<u8> {
    (0..count).map(|i| (i * 31 % 251) as u8).collect()
}

async fn streams(transport_bytes: usize) -> (TlsStream<DuplexStream>, TlsStream<DuplexStream>) {
    let (own, hub) = (Identity::generate(), Identity::generate());
    let client = ClientTls::new(&own, hub.key_hash(), PostQuantum::Require).unwrap();
    let server = ServerTls::new(&hub, PostQuantum::Require).unwrap();
    let (one, other) = handshake(duplex(transport_bytes), &client, &server).await;
    (one.unwrap().0, other.unwrap().0)
}

/// Reads `count` bytes, never with more room than that.
async fn read_by(stream: &mut TlsStream<DuplexStream>, room: usize, count: usize) -> Vec<u8> {
    let mut data = Vec::new();
    while data.len() < count {
        let mut place = vec![0; room.min(count - data.len())];
        let read = stream.read(&mut place).await.unwrap();
        assert!(read > 0, "an end after {} of {count}", data.len());
        data.extend_from_slice(&place[..read]);
    }
    data
}

#[tokio::test]
async fn any_transport_and_any_room_to_read_give_the_same_bytes() {
    let data = numbers(150_000);
    for (transport, room) in [(7, 100_000), (1_000, 1), (20_000, 5_000), (1 << 20, 16_384), (1 << 20, 200_000)] {
        let (mut near, mut far) = streams(transport).await;
        let write = async {
            near.write_all(&data).await.unwrap();
            near.shutdown().await.unwrap();
        };
        let read = async {
            let read = read_by(&mut far, room, data.len()).await;
            assert_eq!(far.read(&mut [0; 8]).await.unwrap(), 0);
            read
        };
        let ((), read) = tokio::join!(write, read);
        assert!(read == data, "a transport of {transport} bytes, {room} bytes of room");
    }
}

#[tokio::test]
async fn slices_are_sealed_together_and_arrive_as_one() {
    let (mut near, mut far) = streams(1 << 20).await;
    assert!(near.is_write_vectored());
    let data = numbers(70_000);
    // Empty ones, tiny ones, and ones longer than a record.
    let cuts = [0, 0, 1, 5, 5, 20_000, 20_001, 36_385, 70_000, 70_000];
    let slices: Vec<_> = cuts.windows(2).map(|cut| IoSlice::new(&data[cut[0]..cut[1]])).collect();
    let taken = near.write_vectored(&slices).await.unwrap();
    assert_eq!(taken, data.len(), "one write takes it all");
    assert!(read_by(&mut far, 100_000, data.len()).await == data);
    assert_eq!(near.write_vectored(&[IoSlice::new(&[])]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_worn_key_is_replaced_on_both_sides_before_it_seals_too_much() {
    let (mut client, mut server) = ours().await;
    client.sealing().wear_at(5);
    let mut out = vec![0; 4_096];
    for round in 0..20u8 {
        let (taken, end) = client.seal(&[IoSlice::new(&[round])], &mut out).unwrap();
        assert_eq!(taken, 1);
        assert_eq!(hear(&mut server, out[..end].to_vec()).unwrap(), [round]);
        // Four of data, and the fifth tells of the next key, which begins anew.
        let expected = if round < 4 { u64::from(round) + 1 } else { u64::from(round) - 3 };
        assert_eq!(client.sealing().number(), expected, "round {round}");
        assert_eq!(server.owes_key(), round >= 4, "it was asked for its own");
    }
    let (_, end) = server.seal(&[IoSlice::new(b"back")], &mut out).unwrap();
    assert_eq!(hear(&mut client, out[..end].to_vec()).unwrap(), b"back");
    assert!(!server.owes_key() && !client.owes_key(), "the answer asks for nothing");
    assert_eq!(server.sealing().number(), 1);
}

#[tokio::test]
async fn a_key_that_was_asked_for_comes_without_being_written_for() {
    let (mut near, mut far) = streams(1 << 20).await;
    // Their reader is all that runs, and reads nothing but this.
    let asked = near.ask_for_key();
    near.get_mut().write_all(&asked).await.unwrap();
    let mut place = [0; 8];
    tokio::select! {
        biased;
        read = far.read(&mut place) => panic!("{read:?}"),
        () = tokio::task::yield_now() => {}
    }
    let mut answer = [0; 64];
    let count = near.get_mut().read(&mut answer).await.unwrap();
    assert_eq!(count, 27, "one key update and nothing else");
}

#[tokio::test]
async fn what_came_before_a_bad_record_is_read_and_the_alert_leaves() {
    for room in [2, 100] {
        let (mut near, mut far) = streams(1 << 20).await;
        near.write_all(b"good").await.unwrap();
        near.get_mut().write_all(&[23, 3, 3, 0, 20]).await.unwrap();
        near.get_mut().write_all(&[0; 20]).await.unwrap();
        assert_eq!(read_by(&mut far, room, 4).await, b"good");
        for _ in 0..2 {
            assert_eq!(far.read(&mut [0; 8]).await.unwrap_err().kind(), ErrorKind::InvalidData);
            assert_eq!(far.write(b"more").await.unwrap_err().kind(), ErrorKind::InvalidData);
        }
        far.shutdown().await.unwrap();
        let error = near.read(&mut [0; 8]).await.unwrap_err();
        assert!(error.to_string().contains("BadRecordMac"), "{error}");
        assert_eq!(near.get_mut().read(&mut [0; 8]).await.unwrap(), 0, "nothing follows the alert");
    }
}

#[tokio::test]
async fn nothing_is_written_after_the_goodbye_and_reading_goes_on() {
    let (mut near, mut far) = streams(1 << 20).await;
    near.write_all(b"last").await.unwrap();
    near.shutdown().await.unwrap();
    assert_eq!(near.write(b"more").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    near.flush().await.unwrap();
    far.write_all(b"answer").await.unwrap();
    assert_eq!(read_by(&mut near, 100, 6).await, b"answer");
    assert_eq!(read_by(&mut far, 100, 4).await, b"last");
    for _ in 0..2 {
        assert_eq!(far.read(&mut [0; 8]).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn records_behind_the_handshake_are_not_lost() {
    let (own, hub) = (Identity::generate(), Identity::generate());
    let client = ClientTls::new(&own, hub.key_hash(), PostQuantum::Require).unwrap();
    let server = ServerTls::new(&hub, PostQuantum::Require).unwrap();
    let (near, far) = duplex(64 * 1024);
    let data = numbers(40_000);
    let serve = async {
        let (mut far, _) = TlsStream::accept(Late(far, 0), &server).await.unwrap();
        let mut read = vec![0; data.len()];
        far.read_exact(&mut read).await.unwrap();
        assert!(read == data);
    };
    // The client's last word of the handshake lies together with this.
    let drive = async {
        let (mut near, _) = TlsStream::connect(near, &client).await.unwrap();
        near.write_all(&data).await.unwrap();
        near
    };
    tokio::join!(serve, drive);
}

/// Reads only every eighth time it is asked, so that much comes at once.
struct Late(DuplexStream, u32);

impl AsyncRead for Late {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        self.1 += 1;
        if !self.1.is_multiple_of(8) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Late {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn a_stream_at_rest_holds_the_beginning_of_a_record_and_no_buffer() {
    let (mut client, _) = ours().await;
    let record = sealed(&mut client, ContentType::ApplicationData, &numbers(1_000));
    let mut incoming = Incoming::new(&[]);
    assert_eq!(incoming.held_bytes(), 0);
    for piece in record.chunks(100) {
        incoming.place()[..piece.len()].copy_from_slice(piece);
        incoming.came(piece.len());
        if incoming.next().unwrap().is_none() {
            incoming.rest();
            // Looked at again with nothing there, as a poll does.
            incoming.place();
            incoming.rest();
            assert!(incoming.held_bytes() <= record.len(), "{}", incoming.held_bytes());
        }
    }
    let at = incoming.next().unwrap().unwrap();
    assert!(incoming.take(at) == record);
    incoming.let_go();
    assert_eq!(incoming.held_bytes(), 0);
}

/// A poll that is given up loses nothing: what was read or sealed is in the stream, not in the future.
#[tokio::test]
async fn reads_and_writes_that_are_dropped_lose_nothing() {
    let (mut near, mut far) = streams(1_000).await;
    let data = numbers(30_000);
    let (mut written, mut read) = (0, Vec::new());
    while read.len() < data.len() {
        let mut place = [0; 700];
        poll_fn(|cx| {
            if let Poll::Ready(count) = Pin::new(&mut near).poll_write(cx, &data[written..]) {
                written += count.unwrap();
            }
            let mut buf = ReadBuf::new(&mut place);
            if let Poll::Ready(done) = Pin::new(&mut far).poll_read(cx, &mut buf) {
                done.unwrap();
                read.extend_from_slice(buf.filled());
            }
            Poll::Ready(())
        })
        .await;
    }
    assert!(read == data);
}
