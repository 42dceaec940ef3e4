//! Pools of callers: how often they connect, what they replace, whom they serve.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::duplex;
use towline::call::direct::{DirectCaller, NoAnswer, PacketCodec, each, exchange};
use towline::call::{Caller, Calls, Incoming, Pool, Request, Service, Status};
use towline::codec::{LengthPrefixed, MessagePack};
use towline::connection::Connection;

use crate::support::{over_memory, soon};

async fn echo(item: String) -> Result<String, Status> {
    Ok(item)
}

/// A server that can be away, and everything it was asked for.
#[derive(Clone, Default)]
struct World {
    away: Arc<AtomicBool>,
    connects: Arc<AtomicUsize>,
    connections: Arc<std::sync::Mutex<Vec<tokio::task::AbortHandle>>>,
}

impl World {
    async fn connect(self) -> Result<DirectCaller<String, String>, &'static str> {
        self.connects.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(5)).await;
        if self.away.load(Ordering::SeqCst) {
            return Err("nobody is there");
        }
        let codec = || <PacketCodec<LengthPrefixed, MessagePack<String>>>::new(LengthPrefixed::u32(1_000));
        let (near, far) = duplex(4_096);
        let (_, calls) = exchange(false, Default::default(), each(echo));
        let task = tokio::spawn(Connection::answering(far, codec(), calls, Default::default()));
        self.connections.lock().unwrap().push(task.abort_handle());
        let (caller, calls) = exchange(true, Default::default(), NoAnswer);
        let (_, connection) = Connection::new(near, codec(), calls, Default::default());
        tokio::spawn(connection);
        Ok(caller)
    }

    /// The server goes away, with all its connections.
    fn leave(&self) {
        self.away.store(true, Ordering::SeqCst);
        self.connections.lock().unwrap().drain(..).for_each(|task| task.abort());
    }
}

const SLOTS: usize = 4;

#[tokio::test(start_paused = true)]
async fn a_thousand_callers_of_a_server_that_is_away_connect_no_oftener_than_the_back_off_allows() {
    let world = World::default();
    let pool = Arc::new(Pool::new(SLOTS, {
        let world = world.clone();
        move || world.clone().connect()
    }));
    for _ in 0..100 {
        assert_eq!(pool.get().await.call("hi".into()).await.unwrap(), "hi");
    }
    assert_eq!(world.connects.load(Ordering::SeqCst), SLOTS, "one for each slot, when it is first wanted");

    world.leave();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let callers: Vec<_> = (0..1_000)
        .map(|number| {
            let pool = pool.clone();
            tokio::spawn(async move {
                // Some have no patience; a connect that they began goes on without them.
                let patience = Duration::from_secs(if number % 10 == 0 { 1 } else { 600 });
                let caller = tokio::time::timeout(patience, pool.get_for(number)).await.ok()?;
                Some(caller.call("hi".into()).await)
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(60)).await;
    // Pauses of at least 50, 100, 200 … ms, half of what doubles: in a minute there are at most eleven connects of a slot.
    let tried = world.connects.load(Ordering::SeqCst) - SLOTS;
    println!("{tried} connects of {SLOTS} slots in a minute");
    assert!((SLOTS..=11 * SLOTS).contains(&tried), "{tried} connects of {SLOTS} slots in a minute");

    world.away.store(false, Ordering::SeqCst);
    let mut served = 0;
    for caller in callers {
        let answer: Option<Result<String, Status>> = caller.await.unwrap();
        served += usize::from(answer.is_some_and(|answer| answer.unwrap() == "hi"));
    }
    assert_eq!(served, 900, "whoever had the patience");
    assert!(world.connects.load(Ordering::SeqCst) - SLOTS <= tried + SLOTS);
}

#[tokio::test(start_paused = true)]
async fn a_pool_gives_a_key_the_same_caller_and_replaces_only_what_is_over() {
    let world = World::default();
    let pool = Pool::new(SLOTS, {
        let world = world.clone();
        move || world.clone().connect()
    });
    let mut held = Vec::new();
    for key in 0..SLOTS as u64 {
        held.push(pool.get_for(key).await);
        drop(pool.get_for(key + SLOTS as u64).await);
    }
    assert_eq!(world.connects.load(Ordering::SeqCst), SLOTS);
    world.connections.lock().unwrap()[1].abort();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(held[1].closed().is_some() && held[2].closed().is_none());
    for key in 0..SLOTS as u64 {
        assert_eq!(pool.get_for(key).await.call("hi".into()).await.unwrap(), "hi");
    }
    assert_eq!(world.connects.load(Ordering::SeqCst), SLOTS + 1);
}

struct Echo;

impl Service for Echo {
    async fn call(&self, call: &mut Incoming) -> Result<(), Status> {
        let item = call.requests.one().await?;
        call.replies.last(item).await
    }
}

#[tokio::test]
async fn a_pool_of_sessions_replaces_one_that_has_ended() {
    let pool = Pool::new(1, || async {
        let (server, session) = over_memory(Calls::new(Echo)).await;
        // The server lasts as long as its session.
        let watched = session.clone();
        tokio::spawn(async move {
            watched.closed().await;
            drop(server);
        });
        Ok::<_, Status>(Caller::new(session))
    });
    let first = soon(pool.get()).await;
    assert_eq!(soon(first.unary(Request::new("echo", "hi"))).await.unwrap(), "hi");
    first.session().close(towline::Close::new(towline::CloseCode::Done));
    soon(first.session().closed()).await;
    let second = soon(pool.get()).await;
    assert_eq!(soon(second.unary(Request::new("echo", "again"))).await.unwrap(), "again");
}
