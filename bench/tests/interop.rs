//! Our codecs and protosocket 2.0.2's understand each other over a real socket, in both directions.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::time::Duration;

use protosocket::{MessageReactor, PooledEncoder, ReactorStatus};
use protosocket_messagepack::{MessagePackDecoder, MessagePackSerializer};
use protosocket_prost::{ProstDecoder, ProstSerializer};
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use towline::codec::{Decoder, Encoder, MessagePack, Prost};
use towline::connection::{Connection, Reactor, Replies};

/// How long anything may take before a test fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(60);

const MESSAGE_MAX_BYTES: usize = 1 << 20;

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
struct Order {
    #[prost(uint64, tag = "1")]
    number: u64,
    #[prost(string, tag = "2")]
    dish: String,
    #[prost(bytes = "vec", tag = "3")]
    picture: Vec<u8>,
}

/// Nothing, one byte, lengths around the borders of a varint, and more than one read brings.
fn orders() -> Vec<Order> {
    let sizes = [0, 1, 100, 127, 128, 300, 16_383, 16_384, 200_000];
    sizes
        .iter()
        .map(|&size| Order { number: size as u64, dish: "soup".repeat(size % 5), picture: vec![7; size] })
        .collect()
}

/// protosocket's side: sends back what comes.
struct TheirEcho<C>(spillway::Sender<Order>, std::marker::PhantomData<C>);

impl<C> MessageReactor for TheirEcho<C>
where
    C: protosocket::Codec + protosocket::Decoder<Message = Order> + protosocket::Encoder<Message = Order> + 'static,
{
    type Codec = C;
    type Inbound = Order;
    type Outbound = Order;
    type LogicalOutbound = Order;

    fn on_inbound_message(&mut self, order: Order) -> ReactorStatus {
        match self.0.send(order) {
            Ok(()) => ReactorStatus::Continue,
            Err(_) => ReactorStatus::Disconnect,
        }
    }

    fn on_outbound_message(&mut self, order: Order) -> Order {
        order
    }
}

async fn their_server<C>(codec: C) -> SocketAddr
where
    C: protosocket::Codec
        + protosocket::Decoder<Message = Order>
        + protosocket::Encoder<Message = Order>
        + Send
        + 'static,
    <C as protosocket::Encoder>::Serialized: Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let (sender, queue) = spillway::channel();
        let echo = TheirEcho(sender, std::marker::PhantomData);
        protosocket::Connection::new(stream, codec, 4 << 20, 1 << 20, 256, queue, echo).await;
    });
    address
}

/// Our side: tells what comes.
struct Tell(mpsc::UnboundedSender<Order>);

impl<D: for<'a> Decoder<Message<'a> = Order>> Reactor<D> for Tell {
    type Outbound = Order;

    fn message(&mut self, order: Order, _: &mut Replies<Order>) -> ControlFlow<()> {
        if self.0.send(order).is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

/// Sends every order through their server and takes it back: both encoders and both decoders.
async fn there_and_back<C>(codec: C, address: SocketAddr)
where
    C: for<'a> Decoder<Message<'a> = Order> + Encoder<Message = Order> + Send + 'static,
    <C as Decoder>::Error: Debug + Send + 'static,
    <C as Encoder>::Error: Debug + Send + 'static,
{
    let stream = TcpStream::connect(address).await.unwrap();
    let (told, mut came) = mpsc::unbounded_channel();
    let (sender, connection) = Connection::new(stream, codec, Tell(told), Default::default());
    let task = tokio::spawn(connection);
    for order in orders() {
        sender.send(order.clone()).await.unwrap();
        let back = tokio::time::timeout(PATIENCE, came.recv()).await.expect("an answer in time");
        assert!(back == Some(order.clone()), "order {}", order.number);
    }
    // All at once, too: messages that lie together in one read.
    for order in orders() {
        sender.send(order).await.unwrap();
    }
    for order in orders() {
        let back = tokio::time::timeout(PATIENCE, came.recv()).await.expect("an answer in time");
        assert!(back == Some(order));
    }
    drop(sender);
    assert!(task.await.unwrap().is_done());
}

#[tokio::test]
async fn protocol_buffers_go_there_and_come_back() {
    let theirs = (PooledEncoder::<ProstSerializer<Order>>::default(), ProstDecoder::<Order>::default());
    there_and_back(<Prost<Order>>::codec(MESSAGE_MAX_BYTES), their_server(theirs).await).await;
}

#[tokio::test]
async fn messagepack_goes_there_and_comes_back() {
    let theirs =
        (PooledEncoder::new(MessagePackSerializer::<Order>::default()), MessagePackDecoder::<Order>::default());
    there_and_back(<MessagePack<Order>>::codec(MESSAGE_MAX_BYTES), their_server(theirs).await).await;
}
