//! A gateway: speaks lines outside and length-prefixed messages inside, one connection there for each here.
//!
//!     cargo run --example gateway -- INSIDE_HOST:PORT

use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::net::TcpStream;
use towline::codec::{Decoder, Delimited, LengthPrefixed};
use towline::connection::{Connection, ConnectionConfig, Reactor, Replies, Sender, WhenFull};
use towline::listen::{ListenConfig, Listener, PlacedStream};

/// The longest message that is let through, in bytes.
const MESSAGE_MAX_BYTES: usize = 65_536;

/// Passes every message on to the other side. A side that does not read until the queue is full ends both.
struct Forward(Arc<OnceLock<Sender<Bytes>>>);

impl<D: for<'a> Decoder<Message<'a> = &'a [u8]>> Reactor<D> for Forward {
    type Outbound = Bytes;

    fn message(&mut self, message: &[u8], _replies: &mut Replies<Bytes>) -> ControlFlow<()> {
        match self.0.get().map(|other| other.try_send(Bytes::copy_from_slice(message))) {
            Some(Ok(())) => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    }
}

async fn pass_on(outside: PlacedStream, inside: String) -> std::io::Result<()> {
    let inside = TcpStream::connect(inside).await?;
    inside.set_nodelay(true)?;
    let config = ConnectionConfig::default();
    let (inward, outward) = (Arc::new(OnceLock::new()), Arc::new(OnceLock::new()));
    let lines = Delimited::lines(MESSAGE_MAX_BYTES);
    let (to_outside, mut outside) = Connection::new(outside, lines, Forward(inward.clone()), config);
    let framed = LengthPrefixed::u32(MESSAGE_MAX_BYTES);
    let (to_inside, mut inside) = Connection::new(inside, framed, Forward(outward.clone()), config);
    // Each reactor holds the only sender of the other side: when one connection goes, the other has nothing more to say.
    let _ = inward.set(to_inside.when_full(WhenFull::Disconnect));
    let _ = outward.set(to_outside.when_full(WhenFull::Disconnect));
    drop((inward, outward, to_inside, to_outside));
    tokio::select! {
        end = &mut outside => {
            drop(outside);
            println!("outside: {end}, inside: {}", inside.await);
        }
        end = &mut inside => {
            drop(inside);
            println!("inside: {end}, outside: {}", outside.await);
        }
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let inside = std::env::args().nth(1).ok_or("usage: gateway INSIDE_HOST:PORT")?;
    let mut listener = Listener::bind("127.0.0.1:0", ListenConfig::default()).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let outside = listener.accept().await;
        let inside = inside.clone();
        tokio::spawn(async move {
            let remote = outside.remote();
            if let Err(error) = pass_on(outside.plain(), inside).await {
                println!("{remote}: {error}");
            }
        });
    }
}
