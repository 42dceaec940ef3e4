//! One server's sessions share its memory: whoever does not read takes from nobody else. `TOWLINE_TEST_LONG` makes them
//! a thousand.

#![allow(clippy::disallowed_methods, reason = "how many sessions is asked of the environment")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use towline::transport::{MemoryDialer, memory};
use towline::{
    Client, ClientConfig, CloseCode, ConnectError, EndedBy, Identity, Lane, Level, Limits, Plugin, Pool, RunningServer,
    SendError, Server, Session,
};

use crate::support::soon;

const MIB: u64 = 1 << 20;
const MESSAGE: u64 = 256 * 1024;

/// What a session holds at most, in bytes, without ever being cut.
const SESSION_BASE: u64 = 64 * 1024;

/// Whose first message is `deaf` is not read any more until it is told; all others are echoed.
#[derive(Clone, Default)]
struct House {
    listen: Arc<Notify>,
    deaf: Arc<AtomicU64>,
}

impl Plugin for House {
    async fn session(&self, session: Session) {
        let Ok((_, first)) = session.recv_any().await else { return };
        if first == "deaf" {
            self.deaf.fetch_add(1, Ordering::Relaxed);
            tokio::select! {
                () = self.listen.notified() => {}
                _ = session.closed() => return,
            }
        }
        while let Ok((lane, message)) = session.recv_any().await {
            if session.send(lane, message).await.is_err() {
                return;
            }
        }
    }
}

struct World {
    server: RunningServer,
    identity: Arc<Identity>,
    dialer: MemoryDialer,
    house: House,
    pool: Pool,
    clients: Pool,
}

impl World {
    async fn new(bound: u64) -> Self {
        let (identity, (dialer, listener)) = (Arc::new(Identity::generate()), memory());
        let (house, pool) = (House::default(), Pool::new(bound, MESSAGE).unwrap());
        let mut limits = Limits::default();
        limits.pool = pool.clone();
        let builder = Server::builder(identity.clone()).listen_in_memory(listener).limits(limits);
        let server = builder.serve(house.clone()).await.unwrap();
        Self { server, identity, dialer, house, pool, clients: Pool::default() }
    }

    async fn connect(&self) -> Result<Session, ConnectError> {
        let mut config = ClientConfig::default();
        config.pool = self.clients.clone();
        let own = Arc::new(Identity::generate());
        soon(Client::in_memory(own, self.identity.key_hash(), self.dialer.clone(), config).connect()).await
    }

    /// One more session that is not read, if it is admitted, and more from all of them, as far as credit goes.
    async fn stall(&self, stalled: &mut Vec<Session>) -> Result<(), ConnectError> {
        let session = self.connect().await?;
        let _ = session.send_confirmed(Lane::NORMAL, "deaf").await;
        stalled.push(session);
        for session in stalled.iter() {
            pour(session);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        Ok(())
    }

    /// Waits until the server's memory is as it should be.
    async fn until(&self, what: impl Fn(&towline::PoolStats) -> bool) {
        soon(async {
            while !what(&self.pool.stats()) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
    }

    fn formula(&self) -> u64 {
        let stats = self.pool.stats();
        stats.bound_bytes.max(stats.sessions as u64 * SESSION_BASE + stats.bound_bytes / 16)
    }
}

/// Sends on every lane until nothing more is taken now.
fn pour(session: &Session) {
    for lane in 0..8 {
        while session.try_send(Lane(lane), vec![lane; 25_000]).is_ok() {}
    }
}

async fn echo(session: &Session, message: Vec<u8>) {
    soon(session.send(Lane::NORMAL, message.clone())).await.unwrap();
    assert!(soon(session.recv(Lane::NORMAL)).await.unwrap() == message);
}

#[tokio::test]
async fn p10_one_stalled_reader_among_many_takes_its_windows_and_the_others_messages_flow() {
    // A debug build makes a session in some milliseconds.
    let count = if std::env::var_os("TOWLINE_TEST_LONG").is_some() { 1_000 } else { 150 };
    let world = World::new(64 * MIB).await;
    let mut sessions = Vec::new();
    for _ in 0..count {
        let session = world.connect().await.unwrap();
        session.send(Lane::NORMAL, "first").await.unwrap();
        sessions.push(session);
    }
    let idle = world.pool.stats().held_bytes;
    let mut stalled = Vec::new();
    world.stall(&mut stalled).await.unwrap();
    world
        .until(|stats| {
            pour(&stalled[0]);
            stats.held_bytes > idle + MIB
        })
        .await;
    let mut most = 0;
    for round in 0..3 {
        for session in &sessions {
            echo(session, vec![round; 10_000]).await;
            most = most.max(world.pool.stats().held_bytes);
        }
    }
    assert!(most <= world.formula(), "{most}");
    let windows = 8 * 256 * 1024;
    // Those that just worked keep their rings until they rest: one each way.
    let kept = count * 2 * 16 * 1024;
    assert!(most - idle <= 2 * windows + kept, "its rings, what is under way and kept: {most} {idle}");
    assert_eq!(world.pool.stats().cut, 0);
    world.house.listen.notify_waiters();
    drop(stalled);
    println!("p10: reached {most} bytes held by {} sessions with one stalled, {idle} without it", count + 1);
}

#[tokio::test]
async fn p10_stalled_sessions_meet_the_bound_are_cut_by_name_and_the_others_go_on() {
    let world = World::new(8 * MIB).await;
    let good = world.connect().await.unwrap();
    good.send(Lane::NORMAL, "first").await.unwrap();
    // While more than half is free each is promised its first grant: together far more than there is.
    let (mut stalled, mut most) = (Vec::new(), 0);
    for _ in 0..50 {
        let session = world.connect().await.unwrap();
        session.send_confirmed(Lane::NORMAL, "deaf").await.unwrap();
        stalled.push(session);
    }
    soon(async {
        while world.pool.stats().cut == 0 {
            stalled.iter().for_each(pour);
            echo(&good, vec![1; 5_000]).await;
            most = most.max(world.pool.stats().held_bytes);
        }
    })
    .await;
    let mut cut = 0;
    for session in &stalled {
        if let Ok(ended) = tokio::time::timeout(Duration::from_millis(500), session.closed()).await {
            assert_eq!((ended.by, ended.code()), (EndedBy::Peer, CloseCode::Memory), "{ended}");
            assert!(ended.close.text().contains("bytes"), "{ended}");
            cut += 1;
        }
    }
    assert!(cut > 0);
    soon(async {
        while world.server.counters().closed.get("memory") != Some(&cut) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    echo(&good, vec![2; 200_000]).await;
    println!("p10: reached {most} bytes held of {}; {cut} of 50 cut", world.formula());
}

#[tokio::test]
async fn near_the_bound_streams_and_then_sessions_are_refused_by_name_until_there_is_room_again() {
    let world = World::new(8 * MIB).await;
    let good = world.connect().await.unwrap();
    good.send(Lane::NORMAL, "first").await.unwrap();
    let mut stalled = Vec::new();
    let refused = soon(async {
        loop {
            if let Err(error) = world.stall(&mut stalled).await {
                break error;
            }
        }
    })
    .await;
    assert!(matches!(&refused, ConnectError::Refused(close) if close.code == CloseCode::Memory), "{refused}");
    let counters = world.server.counters();
    assert_eq!(counters.refused.get("memory"), Some(&1));
    assert_eq!((counters.memory.refused, counters.memory.level >= Level::NoSessions), (1, true));
    // Messages of every size go on, above the base in their turns.
    for size in [10, 30_000, 33_000, 250_000] {
        echo(&good, vec![3; size]).await;
    }
    world.house.listen.notify_waiters();
    for session in &stalled {
        let _ = tokio::time::timeout(Duration::from_millis(200), session.recv(Lane::BULK)).await;
    }
    world.until(|stats| stats.level < Level::Near).await;
    world.connect().await.expect("there is room again");
}

#[tokio::test]
async fn a_client_near_its_own_bound_opens_no_stream_and_no_session_and_says_so() {
    let mut world = World::new(64 * MIB).await;
    world.clients = Pool::new(8 * MIB, MESSAGE).unwrap();
    let mut sessions = Vec::new();
    let refused = loop {
        match world.connect().await {
            Ok(session) => sessions.push(session),
            Err(error) => break error,
        }
        // What the server sends and the client does not read.
        let session = sessions.last().unwrap();
        if session.send(Lane::NORMAL, "first").await.is_err() {
            continue;
        }
        for _ in 0..8 {
            let Ok(sent) =
                tokio::time::timeout(Duration::from_millis(50), session.send(Lane::NORMAL, vec![1; 25_000])).await
            else {
                break;
            };
            if sent.is_err() {
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(matches!(refused, ConnectError::Memory(_)), "{refused}");
    assert!(refused.may_retry() && refused.code() == CloseCode::Memory);
    let last = sessions.last().unwrap();
    assert!(matches!(soon(last.open(Lane::BULK)).await, Err(towline::OpenError::Memory)));
    assert!(!matches!(last.try_send(Lane::URGENT, "small"), Err(SendError::Ended(_))));
}
