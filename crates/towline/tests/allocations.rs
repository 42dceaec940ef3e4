//! A busy connection allocates nothing for a message, in either direction; a unary call over one allocates once. An idle
//! session holds little.

use std::array::TryFromSliceError;
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use towline::Identity;
use towline::call::direct::{self, CallItem, DirectCaller, DirectConfig, NoAnswer, PacketCodec, each};
use towline::codec::{Content, LengthPrefixed};
use towline::connection::{Connection, ConnectionConfig, Reactor, Replies, Sender};
use towline::tls::{Acceptor, Connector};
use towline::transport::memory;
use towline::{Client, ClientConfig, Lane, Plugin, Server, Session};

/// Rounds in which the buffers must have come to their size.
const ROUNDS_MAX: usize = 30;

/// A message's bytes: from none to more than a read, a record or a socket's buffer takes.
const SIZES: [usize; 5] = [0, 32, 1_024, 4_096, 65_536];

const CODEC: LengthPrefixed = LengthPrefixed::u32(1 << 20);

/// Counts what comes and answers with a word that lies in the program.
struct Answer(u64, bool);

impl Reactor<LengthPrefixed> for Answer {
    type Outbound = Bytes;

    fn message(&mut self, _message: &[u8], replies: &mut Replies<Bytes>) -> ControlFlow<()> {
        self.0 += 1;
        if self.1 {
            replies.push(Bytes::from_static(b"answered"));
        }
        ControlFlow::Continue(())
    }
}

/// Sends `count` messages and lets both ends work until all are answered.
async fn exchange<F: Future>(sender: &Sender<Bytes>, message: &Bytes, count: u64, mut both: Pin<&mut F>) {
    let goal = sender.stats().received + count;
    let mut send = pin!(async {
        for _ in 0..count {
            sender.send(message.clone()).await.unwrap();
        }
    });
    let mut sent = false;
    poll_fn(|cx| {
        sent = sent || send.as_mut().poll(cx).is_ready();
        assert!(both.as_mut().poll(cx).is_pending());
        if sent && sender.stats().received >= goal { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    (near.unwrap(), far.unwrap().0)
}

#[test]
fn a_message_costs_no_allocation_in_steady_state() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for size in SIZES {
        let (near, far) = runtime.block_on(tcp_pair());
        come_to_no_allocation(&runtime, size, near, far);
    }
}

#[test]
fn a_message_over_tls_costs_no_allocation_in_steady_state() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (client, server) = (Identity::generate(), Identity::generate());
    let acceptor = Acceptor::with_identity(&server, b"test/1").unwrap();
    let connector = Connector::to_key(&client, server.key_hash(), b"test/1").unwrap();
    for size in SIZES {
        let (near, far) = runtime.block_on(async {
            let (near, far) = tcp_pair().await;
            tokio::try_join!(connector.connect(near), acceptor.accept(far)).unwrap()
        });
        come_to_no_allocation(&runtime, size, near, far);
    }
}

/// Lets two ends exchange messages of this size until three rounds in a row allocate nothing.
fn come_to_no_allocation<S>(runtime: &tokio::runtime::Runtime, size: usize, near: S, far: S)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let message = Bytes::from(vec![7; size]);
    let config = ConnectionConfig::default();
    let (sender, near) = Connection::new(near, CODEC, Answer(0, false), config);
    let far = Connection::answering(far, CODEC, Answer(0, true), config);
    let mut both = pin!(async { tokio::join!(near, far) });
    // The buffers grow to their size first, as they do once in a connection's life; from then on there is nothing.
    let mut quiet_rounds = 0;
    for round in 0..ROUNDS_MAX {
        let counted = allocation_counter::measure(|| {
            runtime.block_on(exchange(&sender, &message, 10_000, both.as_mut()));
        });
        let count = counted.count_total;
        println!("{size} bytes, round {round}: {count} allocations for 10,000 messages and answers");
        quiet_rounds = if count == 0 { quiet_rounds + 1 } else { 0 };
        if quiet_rounds == 3 {
            break;
        }
    }
    assert_eq!(quiet_rounds, 3, "{size} bytes: three rounds of 10,000 messages without an allocation");
}

/// An item that is a number.
struct Num(u64);

impl CallItem for Num {}

/// How it lies in bytes.
struct Number;

impl Content for Number {
    type In = Num;
    type Out = Num;
    type Error = TryFromSliceError;

    fn read(bytes: &[u8]) -> Result<Num, TryFromSliceError> {
        bytes.try_into().map(|bytes| Num(u64::from_be_bytes(bytes)))
    }

    fn write(value: &Num, bytes: &mut Vec<u8>) -> Result<(), TryFromSliceError> {
        bytes.extend_from_slice(&value.0.to_be_bytes());
        Ok(())
    }
}

/// Calls one after another in each of `lanes` lanes, `count` in all.
async fn call(caller: &DirectCaller<Num, Num>, count: u64, lanes: &[(); 16]) {
    let lane = |_: &()| async {
        for number in 0..count / lanes.len() as u64 {
            assert_eq!(caller.call(Num(number)).await.unwrap().0, number + 1);
        }
    };
    futures_util::future::join_all(lanes.iter().map(lane)).await;
}

#[test]
fn a_unary_call_costs_one_allocation_in_steady_state() {
    const CALLS: u64 = 16_000;
    /// That of the handler; and a few of this test's own, for each round.
    const MOST: u64 = CALLS + 100;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (near, far) = runtime.block_on(tcp_pair());
    let codec = || <PacketCodec<LengthPrefixed, Number>>::new(CODEC);
    let (_, calls) = direct::exchange(false, DirectConfig::default(), each(async |number: Num| Ok(Num(number.0 + 1))));
    let far = Connection::answering(far, codec(), calls, ConnectionConfig::default());
    let (caller, calls) = direct::exchange(true, DirectConfig::default(), NoAnswer);
    let (_, near) = Connection::new(near, codec(), calls, ConnectionConfig::default());
    let mut both = pin!(async { tokio::join!(near, far) });
    let mut fewest = u64::MAX;
    for round in 0..ROUNDS_MAX {
        let counted = allocation_counter::measure(|| {
            runtime.block_on(async {
                tokio::select! { _ = both.as_mut() => panic!("it goes on"), () = call(&caller, CALLS, &[(); 16]) => {} }
            });
        });
        println!("round {round}: {} allocations for {CALLS} calls, both sides together", counted.count_total);
        fewest = fewest.min(counted.count_total);
        if fewest <= MOST {
            return;
        }
    }
    panic!("{fewest} allocations for {CALLS} calls");
}

/// Says a word there and back, as the idle suite of the bench does.
struct Word;

impl Plugin for Word {
    async fn session(&self, session: Session) {
        while let Ok(message) = session.recv(Lane::NORMAL).await {
            if session.send(Lane::NORMAL, message).await.is_err() {
                return;
            }
        }
    }
}

#[test]
fn an_idle_session_holds_little_on_both_sides_together() {
    const PAIRS: u32 = 20;
    /// Both sides of one session, its TLS and its transport in memory included, in bytes: 31,600 were measured.
    const MOST: i64 = 34_000;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let identity = Arc::new(Identity::generate());
    let (dialer, listener) = memory();
    let server = Server::builder(identity.clone()).listen_in_memory(listener);
    let server = runtime.block_on(server.serve(Word)).unwrap();
    let client = Client::in_memory(identity.clone(), identity.key_hash(), dialer, ClientConfig::default());
    let open = async || {
        let session = client.connect().await.unwrap();
        session.send(Lane::NORMAL, "a word").await.unwrap();
        session.recv(Lane::NORMAL).await.unwrap();
        session
    };
    // What all share is there before it is counted.
    let first = runtime.block_on(open());
    let mut sessions = Vec::with_capacity(PAIRS as usize);
    let counted = allocation_counter::measure(|| {
        runtime.block_on(async {
            for _ in 0..PAIRS {
                sessions.push(open().await);
            }
            tokio::time::sleep(Duration::from_secs(10)).await;
        });
    });
    let each = counted.bytes_current / i64::from(PAIRS);
    println!("{each} bytes for both sides of an idle session");
    assert!(each <= MOST, "{each} bytes for both sides of an idle session");
    drop((first, server));
}
