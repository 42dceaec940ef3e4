//! Time, turned by hand: dead peers, slow handshakes, sessions nobody comes back to.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use towline::{Client, ClientConfig, ConnectError, Identity, Lane, LinkState};

use crate::support::{Deaf, over_memory};

/// What one more turn of the timers takes.
const TURN: Duration = Duration::from_millis(100);

#[tokio::test(start_paused = true)]
async fn a_living_but_silent_peer_is_never_taken_for_dead() {
    let (_server, session) = over_memory(Deaf).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(*session.link_state().borrow(), LinkState::Connected);
    session.send_confirmed(Lane::NORMAL, "still here").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn p06_a_dead_peer_is_noticed_within_two_probe_periods() {
    let usual = ClientConfig::default().probe_period;
    for period in [usual, Duration::from_millis(1_500)] {
        let took = noticed_after(period).await;
        assert!(took <= period * 2 + TURN, "noticed after {took:?} with probes every {period:?}");
        println!("p06: reached {:.1} s with probes every {period:?}, in simulated time", took.as_secs_f64());
    }
}

/// How long it takes a client to notice that its path swallows everything.
async fn noticed_after(probe_period: Duration) -> Duration {
    let identity = Arc::new(Identity::generate());
    let server = crate::support::serve(&identity, Default::default(), Deaf).await;
    // A path that swallows everything from a moment on, without a FIN.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let front = listener.local_addr().unwrap();
    let (swallow, swallowed) = tokio::sync::watch::channel(());
    let target = server.local_addrs()[0];
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut near, _)) = listener.accept().await {
            let mut swallowed = swallowed.clone();
            held.push(tokio::spawn(async move {
                let Ok(mut far) = tokio::net::TcpStream::connect(target).await else { return };
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                    _ = swallowed.changed() => std::future::pending().await,
                }
            }));
        }
    });
    let mut config = ClientConfig::default();
    config.probe_period = probe_period;
    let own = Arc::new(Identity::generate());
    let client = Client::new(own, identity.key_hash(), vec![front.to_string()], config);
    let session = client.connect().await.unwrap();
    session.send_confirmed(Lane::NORMAL, "hello").await.unwrap();
    swallow.send(()).unwrap();
    let begin = Instant::now();
    let mut state = session.link_state();
    state.wait_for(|state| *state == LinkState::Disconnected).await.unwrap();
    begin.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_takes_the_connection_and_never_speaks_ends_in_a_timeout() {
    let (dialer, _listener) = towline::transport::memory();
    let hub = Identity::generate().key_hash();
    let own = Arc::new(Identity::generate());
    let begin = Instant::now();
    let failed = Client::in_memory(own, hub, dialer, ClientConfig::default()).connect().await.unwrap_err();
    assert!(matches!(failed, ConnectError::Timeout(_)), "{failed}");
    assert!(begin.elapsed() <= Duration::from_secs(11));
}
