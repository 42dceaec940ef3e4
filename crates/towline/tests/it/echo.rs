//! Messages and bodies arrive as they were sent, and the words mean what they say.

use towline::session::over_plain_link;
use towline::{Close, CloseCode, EndedBy, Lane, LinkState, Plugin, SendError};

use crate::support::{Deaf, Echo, echo_numbered, over_memory, over_tcp, pattern, soon};

#[tokio::test]
async fn messages_on_every_lane_come_back_whole_and_in_order() {
    let (_server, session) = over_tcp(Echo).await;
    soon(async {
        tokio::join!(
            echo_numbered(&session, Lane::URGENT, 200, 20),
            echo_numbered(&session, Lane::NORMAL, 500, 300),
            echo_numbered(&session, Lane::BULK, 50, 20_000),
        )
    })
    .await;
}

#[tokio::test]
async fn bodies_from_one_byte_to_16_mib_arrive_unchanged() {
    let (_server, session) = over_tcp(Echo).await;
    for size in [1usize, 100, 16_383, 16_384, 65_537, 1 << 20, 16 << 20] {
        let sent = pattern(size as u64, size);
        let (mut send, mut recv) = session.open(Lane::BULK).await.unwrap().split();
        let sending = async {
            send.write_all(&sent).await.unwrap();
            send.finish().await.unwrap();
        };
        let mut got = Vec::with_capacity(size);
        let receiving = async {
            while let Some((offset, bytes)) = recv.read().await.unwrap() {
                assert_eq!(offset, got.len() as u64);
                got.extend_from_slice(&bytes);
            }
        };
        soon(async { tokio::join!(sending, receiving) }).await;
        assert!(got == sent, "{size} bytes");
    }
}

#[tokio::test]
async fn sends_wait_for_credit_and_say_so() {
    let (_server, session) = over_memory(Deaf).await;
    let message = vec![7; 10_000];
    let mut taken = 0;
    while session.try_send(Lane::NORMAL, message.clone()).is_ok() {
        taken += 1;
        tokio::task::yield_now().await;
    }
    assert!(taken >= 3, "the base window is there");
    assert_eq!(session.try_send(Lane::NORMAL, message.clone()), Err(SendError::Full));
    // An unread lane blocks no other.
    soon(session.send_confirmed(Lane::URGENT, "still here")).await.unwrap();
    let too_large = session.try_send(Lane::NORMAL, vec![0; 64 << 20]);
    assert!(matches!(too_large, Err(SendError::TooLarge { .. })));
}

#[tokio::test]
async fn a_dropped_send_has_taken_nothing_and_a_permit_holds_its_room() {
    let (_server, session) = over_memory(Echo).await;
    drop(session.send(Lane::NORMAL, "never polled"));
    let permit = soon(session.reserve(Lane::NORMAL, 1_000)).await.unwrap();
    assert_eq!(session.try_send(Lane::NORMAL, "not before the permit"), Err(SendError::Full));
    permit.send("made after the permit").unwrap();
    assert_eq!(soon(session.recv(Lane::NORMAL)).await.unwrap(), "made after the permit");
}

#[tokio::test]
async fn a_close_waits_for_what_was_sent_and_both_sides_hear_why() {
    let (server, session) = over_tcp(Echo).await;
    session.send(Lane::NORMAL, "last words").await.unwrap();
    session.close(Close::new(CloseCode::Done).with_text("bye"));
    let ended = soon(session.closed()).await;
    assert_eq!((ended.by, ended.code()), (EndedBy::Us, CloseCode::Done));
    assert_eq!(session.undecided(), []);
    assert_eq!(*session.link_state().borrow(), LinkState::Ended);
    soon(async {
        while server.counters().closed.get("done") != Some(&1) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(matches!(session.send(Lane::NORMAL, "too late").await, Err(SendError::Ended(_))));
}

#[tokio::test]
async fn the_last_handle_s_drop_closes_the_session() {
    let (server, session) = over_tcp(Echo).await;
    assert_eq!(server.counters().sessions, 1);
    drop(session);
    soon(async {
        while server.counters().sessions != 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_shutdown_tells_draining_and_ends() {
    let (server, session) = over_tcp(Deaf).await;
    soon(server.shutdown(std::time::Duration::from_secs(5))).await;
    let ended = soon(session.closed()).await;
    assert_eq!((ended.by, ended.code()), (EndedBy::Peer, CloseCode::Draining));
}

/// A hub took a device for offline: it heard "connected" and asked for the links before the session's task had run.
#[tokio::test]
async fn whoever_holds_a_connected_session_sees_its_link_at_once() {
    let (_server, session) = over_memory(Echo).await;
    // The test's one thread has not given the session's task a turn since `connect` returned.
    let [link] = &session.links()[..] else { panic!("one link") };
    assert_eq!(link.key_exchange.to_string(), "X25519MLKEM768");
}

#[tokio::test]
async fn a_session_over_a_plain_test_link_works_as_over_tls() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (far, _) = listener.accept().await.unwrap();
    let (client, server) = (over_plain_link(near, true).unwrap(), over_plain_link(far, false).unwrap());
    let answering = tokio::spawn(async move { Echo.session(server).await });
    echo_numbered(&client, Lane::NORMAL, 1_000, 100).await;
    client.close(Close::new(CloseCode::Done));
    assert_eq!(soon(client.closed()).await.code(), CloseCode::Done);
    soon(answering).await.unwrap();
}
