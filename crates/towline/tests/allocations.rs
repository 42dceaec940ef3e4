//! A busy connection allocates nothing for a message, in either direction.

use std::future::poll_fn;
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::task::Poll;

use bytes::Bytes;
use tokio::net::{TcpListener, TcpStream};
use towline::codec::LengthPrefixed;
use towline::connection::{Connection, ConnectionConfig, Reactor, Replies, Sender};

/// Rounds in which the buffers must have come to their size.
const ROUNDS_MAX: usize = 30;

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
    for size in [0, 32, 1_024, 4_096, 65_536] {
        let message = Bytes::from(vec![7; size]);
        let (near, far) = runtime.block_on(tcp_pair());
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
            println!(
                "{size} bytes, round {round}: {} allocations for 10,000 messages and answers",
                counted.count_total
            );
            quiet_rounds = if counted.count_total == 0 { quiet_rounds + 1 } else { 0 };
            if quiet_rounds == 3 {
                break;
            }
        }
        assert_eq!(quiet_rounds, 3, "{size} bytes: three rounds of 10,000 messages without an allocation");
    }
}
