//! Many messages at a time, and the lines of those who send on one lane or open streams.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;
use towline::{Lane, SendError};

use crate::support::{Deaf, Echo, over_memory, over_tcp, soon};

fn numbered(count: u32, len: usize) -> VecDeque<Bytes> {
    let message = |number: u32| [&number.to_le_bytes()[..], &vec![number as u8; len]].concat().into();
    (0..count).map(message).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_bring_every_message_once_and_in_order() {
    let (_server, session) = over_tcp(Echo).await;
    for len in [0, 28, 1_000, 70_000] {
        let all = numbered(if len > 10_000 { 50 } else { 20_000 }, len);
        let mut waiting = all.clone();
        let mut got = Vec::new();
        let receive = async {
            while got.len() < all.len() {
                let before = got.len();
                let count = session.recv_many(Lane::NORMAL, &mut got, 100).await.unwrap();
                assert!(count > 0 && count <= 100 && got.len() == before + count);
            }
        };
        let (sent, ()) = soon(async { tokio::join!(session.send_all(Lane::NORMAL, &mut waiting), receive) }).await;
        sent.unwrap();
        assert!(waiting.is_empty() && got.iter().eq(all.iter()), "{len} bytes");
    }
}

#[tokio::test]
async fn a_dropped_send_all_has_sent_exactly_what_it_took_from_its_queue() {
    let (_server, session) = over_memory(Echo).await;
    let all = numbered(5_000, 1_000);
    let mut waiting = all.clone();
    {
        let mut sending = pin!(session.send_all(Lane::BULK, &mut waiting));
        poll_fn(|cx| {
            assert!(sending.as_mut().poll(cx).is_pending(), "no credit for all of it");
            Poll::Ready(())
        })
        .await;
    }
    let sent = all.len() - waiting.len();
    assert!(sent > 0 && !waiting.is_empty());
    session.send(Lane::BULK, "the next").await.unwrap();
    let mut got = Vec::new();
    while got.len() <= sent {
        soon(session.recv_many(Lane::BULK, &mut got, 64)).await.unwrap();
    }
    assert!(got[..sent].iter().eq(all.iter().take(sent)) && got[sent..] == [Bytes::from("the next")]);
}

#[tokio::test]
async fn who_comes_later_passes_nobody_that_waits_for_credit() {
    let (_server, session) = over_memory(Deaf).await;
    while session.try_send(Lane::NORMAL, vec![0; 50_000]).is_ok() {}
    let mut waiting = Box::pin(session.send(Lane::NORMAL, vec![1; 200_000]));
    poll_fn(|cx| {
        assert!(waiting.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    assert!(matches!(session.try_send(Lane::NORMAL, "small"), Err(SendError::Full)), "there is room, and a line");
    let mut batch = numbered(3, 4);
    let mut many = Box::pin(session.send_all(Lane::NORMAL, &mut batch));
    poll_fn(|cx| {
        assert!(many.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    drop(many);
    assert_eq!(batch.len(), 3);
    drop(waiting);
    session.try_send(Lane::NORMAL, "small").unwrap();
}

#[tokio::test]
async fn the_end_reaches_who_waits_for_many() {
    let (server, session) = over_memory(Deaf).await;
    let mut got = Vec::new();
    assert_eq!(session.recv_many(Lane::NORMAL, &mut got, 0).await.unwrap(), 0);
    let waits = session.recv_many(Lane::NORMAL, &mut got, 10);
    session.close(towline::Close::new(towline::CloseCode::Done));
    assert!(soon(waits).await.is_err());
    let mut batch = numbered(2, 1);
    assert!(session.send_all(Lane::NORMAL, &mut batch).await.is_err());
    assert_eq!(batch.len(), 2);
    drop(server);
}

#[tokio::test]
async fn streams_are_opened_in_the_order_in_which_they_were_asked_for() {
    let (_server, session) = over_memory(Echo).await;
    let mut open = Vec::new();
    while let Ok(stream) = tokio::time::timeout(Duration::from_millis(200), session.open(Lane::BULK)).await {
        open.push(stream.unwrap());
    }
    let (done, mut order) = tokio::sync::mpsc::unbounded_channel();
    let mut waiting = JoinSet::new();
    for number in 0..20 {
        let mut opening = Box::pin({
            let session = session.clone();
            async move { session.open(Lane::BULK).await.unwrap() }
        });
        poll_fn(|cx| {
            assert!(opening.as_mut().poll(cx).is_pending(), "{number} opened past the bound");
            Poll::Ready(())
        })
        .await;
        let done = done.clone();
        waiting.spawn(async move {
            let stream = opening.await;
            done.send(number).unwrap();
            stream
        });
    }
    for number in 0..20 {
        // What was never sent on has no number, and the peer never heard of it: it makes room at once.
        open.pop();
        assert_eq!(soon(order.recv()).await, Some(number));
    }
}
