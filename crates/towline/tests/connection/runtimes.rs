//! The same connection on every kind of tokio runtime, `Send` or not.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::rc::Rc;

use bytes::Bytes;
use tokio::task::{JoinSet, LocalSet};
use towline::codec::LengthPrefixed;
use towline::connection::{Connection, ConnectionConfig, ConnectionEnd, Reactor, Replies, Sender};

use crate::support::{CODEC, Echo, tcp_pair};

/// Counts answers on one thread, without a lock, and ends after so many.
struct Tally(Rc<Cell<u32>>, u32);

impl Reactor<LengthPrefixed> for Tally {
    type Outbound = Bytes;

    fn message(&mut self, _message: &[u8], _replies: &mut Replies<Bytes>) -> ControlFlow<()> {
        self.0.set(self.0.get() + 1);
        if self.0.get() == self.1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

async fn ask(sender: Sender<Bytes>, count: u32) {
    for number in 0..count {
        sender.send(Bytes::copy_from_slice(&number.to_be_bytes())).await.unwrap();
    }
}

#[tokio::test]
async fn on_a_local_set_with_a_reactor_that_is_not_send() {
    let (near, far) = tcp_pair().await;
    let local = LocalSet::new();
    local.spawn_local(Connection::answering(far, CODEC, Echo, ConnectionConfig::default()));
    let count = Rc::new(Cell::new(0));
    let reactor = Tally(count.clone(), 1_000);
    let (sender, connection) = Connection::new(near, CODEC, reactor, ConnectionConfig::default());
    let end = local.run_until(async {
        let task = tokio::task::spawn_local(connection);
        ask(sender.clone(), 1_000).await;
        task.await.unwrap()
    });
    assert!(end.await.is_done());
    assert_eq!(count.get(), 1_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_in_a_join_set_on_many_threads() {
    let mut connections = JoinSet::new();
    let mut senders = Vec::new();
    for _ in 0..100 {
        let (near, far) = tcp_pair().await;
        connections.spawn(Connection::answering(far, CODEC, Echo, ConnectionConfig::default()));
        let (sender, connection) = Connection::new(near, CODEC, Sink, ConnectionConfig::default());
        connections.spawn(connection);
        senders.push(sender);
    }
    let mut asking = JoinSet::new();
    for sender in senders {
        for _ in 0..3 {
            asking.spawn(ask(sender.clone(), 100));
        }
    }
    asking.join_all().await;
    let ends = connections.join_all().await;
    assert_eq!(ends.len(), 200);
    let done = ends.iter().filter(|end| end.is_done()).count();
    let closed = ends.iter().filter(|end| matches!(end, ConnectionEnd::PeerClosed)).count();
    assert_eq!((done, closed), (100, 100), "each end knows who ended it");
}

struct Sink;

impl Reactor<LengthPrefixed> for Sink {
    type Outbound = Bytes;

    fn message(&mut self, _message: &[u8], _replies: &mut Replies<Bytes>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}
