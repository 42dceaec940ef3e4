//! A service with all four shapes of call, over a connection of its own messages: one there and one back, many back, many
//! there, many both ways.
//!
//! ```sh
//! cargo run --example call_service -- serve 127.0.0.1:7000 &
//! cargo run --example call_service -- ask 127.0.0.1:7000
//! ```

use std::error::Error;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use towline::call::Status;
use towline::call::direct::{Asked, CallItem, DirectCaller, NoAnswer, PacketCodec, exchange};
use towline::codec::{LengthPrefixed, MessagePack};
use towline::connection::Connection;
use towline::listen::{ListenConfig, Listener};

/// What is said in both directions. The first item tells what is wanted.
#[derive(Debug, Serialize, Deserialize)]
enum Item {
    Double(i64),
    CountDown(i64),
    Sum,
    Averages,
    Number(i64),
}

impl CallItem for Item {}

type Codec = PacketCodec<LengthPrefixed, MessagePack<Item>>;

fn codec() -> Codec {
    Codec::new(LengthPrefixed::u32(1_024))
}

/// Answers one call, of any shape.
async fn answer(mut call: Asked<Item, Item>) -> Result<Option<Item>, Status> {
    let (mut sum, mut count) = (0, 0);
    match call.item {
        Item::Double(number) => return Ok(Some(Item::Number(2 * number))),
        Item::CountDown(from) => {
            for number in (0..from).rev() {
                call.replies.send(Item::Number(number)).await?;
            }
        }
        Item::Sum => {
            while let Some(Item::Number(number)) = call.requests.recv().await? {
                sum += number;
            }
            return Ok(Some(Item::Number(sum)));
        }
        Item::Averages => {
            while let Some(Item::Number(number)) = call.requests.recv().await? {
                (sum, count) = (sum + number, count + 1);
                call.replies.send(Item::Number(sum / count)).await?;
            }
        }
        Item::Number(_) => return Err(Status::new(towline::call::Code::InvalidArgument, "that is no question")),
    }
    Ok(None)
}

async fn serve(address: &str) -> Result<(), Box<dyn Error>> {
    let mut listener = Listener::bind(address, ListenConfig::default()).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let stream = listener.accept().await.plain();
        let (_, calls) = exchange(false, Default::default(), answer);
        tokio::spawn(Connection::answering(stream, codec(), calls, Default::default()));
    }
}

async fn ask(caller: DirectCaller<Item, Item>) -> Result<(), Status> {
    let doubled = caller.call_within(Item::Double(21), Duration::from_secs(5)).await?;
    println!("one there, one back: {doubled:?}");

    let mut down = caller.open(Item::CountDown(3)).await?;
    while let Some(number) = down.replies.recv().await? {
        println!("many back: {number:?}");
    }
    let mut sum = caller.open(Item::Sum).await?;
    for number in 1..=10 {
        sum.requests.send(Item::Number(number)).await?;
    }
    sum.requests.end()?;
    println!("many there: {:?}", sum.replies.one().await?);

    let mut averages = caller.open(Item::Averages).await?;
    for number in [10, 20, 60] {
        averages.requests.send(Item::Number(number)).await?;
        println!("many both ways: {:?}", averages.replies.recv().await?);
    }
    averages.requests.end()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (what, address) = (arguments.next().unwrap_or_default(), arguments.next());
    let address = address.unwrap_or_else(|| "127.0.0.1:7000".into());
    if what != "ask" {
        return serve(&address).await;
    }
    let stream = TcpStream::connect(address).await?;
    let (caller, calls) = exchange(true, Default::default(), NoAnswer);
    // The connection's own sender is dropped: the connection lasts as long as the caller.
    let (_, connection) = Connection::new(stream, codec(), calls, Default::default());
    let connection = tokio::spawn(connection);
    ask(caller).await?;
    println!("ended: {}", connection.await?);
    Ok(())
}
