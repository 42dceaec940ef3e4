//! Packet echo: one byte says how long a packet is. Who connects is welcomed first; whole packets come back, however the
//! network cut them.
//!
//! ```sh
//! cargo run --example packet_echo -- 127.0.0.1:7000 &
//! printf '\x05hello' | nc -q1 127.0.0.1 7000
//! ```

use std::error::Error;
use std::ops::ControlFlow;

use bytes::Bytes;
use towline::codec::{LengthPrefixed, Prefix};
use towline::connection::{Connection, Reactor, Replies};
use towline::listen::{ListenConfig, Listener};

struct Echo;

impl Reactor<LengthPrefixed> for Echo {
    type Outbound = Bytes;

    fn message(&mut self, packet: &[u8], replies: &mut Replies<Bytes>) -> ControlFlow<()> {
        replies.push(Bytes::copy_from_slice(packet));
        ControlFlow::Continue(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7000".into());
    let mut listener = Listener::bind(&address, ListenConfig::default()).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let stream = listener.accept().await.plain();
        tokio::spawn(async move {
            let codec = LengthPrefixed::new(Prefix::U8, usize::from(u8::MAX));
            let (sender, connection) = Connection::new(stream, codec, Echo, Default::default());
            // The queue of a new connection has room for one. The sender is kept, or the connection would end after it.
            if sender.try_send(Bytes::from_static(b"welcome")).is_ok() {
                println!("a connection ended: {}", connection.await);
            }
        });
    }
}
