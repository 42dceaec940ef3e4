//! Links are cut and sessions go on; servers forget and clients are told.

use std::sync::Arc;
use std::time::Duration;

use towline::{CloseCode, Identity, Lane, Limits};

use crate::proxy::Proxy;
use crate::support::{Deaf, Echo, client_of, echo_numbered, serve, soon};

/// Budgets of seeded sizes, large enough for a handshake most of the time.
fn budgets(seed: u64) -> impl Iterator<Item = u64> + Send {
    let mut state = seed | 1;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        6_000 + state % 60_000
    })
    .take(25)
    .chain(std::iter::once(u64::MAX))
}

#[tokio::test]
async fn links_cut_at_seeded_bytes_lose_double_and_reorder_nothing() {
    for seed in [1u64, 0xdead_beef] {
        let identity = Arc::new(Identity::generate());
        let server = serve(&identity, Limits::default(), Echo).await;
        let proxy = Proxy::start(server.local_addrs()[0], budgets(seed)).await;
        let client = client_of(&identity, proxy.address.to_string());
        let session = loop {
            if let Ok(session) = soon(client.connect()).await {
                break session;
            }
        };
        soon(async {
            tokio::join!(
                echo_numbered(&session, Lane::NORMAL, 300, 700),
                echo_numbered(&session, Lane::BULK, 10, 30_000),
            )
        })
        .await;
        assert!(proxy.cuts() >= 3, "seed {seed:#x}: only {} cuts", proxy.cuts());
        assert!(server.counters().resumed >= 2, "seed {seed:#x}: {:?}", server.counters());
    }
}

#[tokio::test]
async fn a_server_that_forgot_is_gone_and_what_was_unconfirmed_is_undecided() {
    let identity = Arc::new(Identity::generate());
    let first = serve(&identity, Limits::default(), Deaf).await;
    let second = serve(&identity, Limits::default(), Deaf).await;
    // The proxy's first connection leads to one server, all later ones to another that knows nothing.
    let (front, switch) = switchable(first.local_addrs()[0]).await;
    let session = soon(client_of(&identity, front.to_string()).connect()).await.unwrap();
    soon(session.send_confirmed(Lane::NORMAL, "known to be there")).await.unwrap();
    switch.send(second.local_addrs()[0]).unwrap();
    let mut state = session.link_state();
    soon(state.wait_for(|state| *state != towline::LinkState::Connected)).await.unwrap();
    let _ = session.try_send(Lane::NORMAL, "nobody knows");
    let ended = soon(session.closed()).await;
    assert_eq!(ended.code(), CloseCode::Gone);
    let undecided: Vec<_> = session.undecided().into_iter().map(|one| one.message).collect();
    assert_eq!(undecided, ["nobody knows"]);
}

/// A front that passes connections to one target, and cuts them and takes another when told.
async fn switchable(
    target: std::net::SocketAddr,
) -> (std::net::SocketAddr, tokio::sync::watch::Sender<std::net::SocketAddr>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let front = listener.local_addr().unwrap();
    let (sender, receiver) = tokio::sync::watch::channel(target);
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut target = receiver.clone();
            tokio::spawn(async move {
                let address = *target.borrow_and_update();
                let Ok(mut far) = tokio::net::TcpStream::connect(address).await else { return };
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                    _ = target.changed() => {}
                }
            });
        }
    });
    (front, sender)
}

#[tokio::test]
async fn a_shutdown_of_a_session_without_link_is_bounded() {
    let identity = Arc::new(Identity::generate());
    let server = serve(&identity, Limits::default(), Deaf).await;
    let (front, switch) = switchable(server.local_addrs()[0]).await;
    let session = soon(client_of(&identity, front.to_string()).connect()).await.unwrap();
    switch.send("127.0.0.1:1".parse().unwrap()).unwrap();
    let mut state = session.link_state();
    soon(state.wait_for(|state| *state != towline::LinkState::Connected)).await.unwrap();
    soon(server.shutdown(Duration::from_millis(200))).await;
}
