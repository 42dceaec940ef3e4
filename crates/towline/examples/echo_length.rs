//! Echo for programs: messages behind their length in four bytes. A message that is too long does not end the connection: it
//! is skipped as it comes, and how many were is told with the next answer.
//!
//! ```sh
//! cargo run --example echo_length -- 127.0.0.1:7000
//! ```

use std::error::Error;
use std::ops::ControlFlow;

use bytes::Bytes;
use towline::codec::{LengthPrefixed, Skipped};
use towline::connection::{Connection, Reactor, Replies};
use towline::listen::{ListenConfig, Listener};

/// The longest message, in bytes.
const MESSAGE_MAX_BYTES: usize = 64 * 1024;

/// Looks at the same count as its connection's codec.
struct Echo {
    skipped: Skipped,
    told: u64,
}

impl Reactor<LengthPrefixed> for Echo {
    type Outbound = Bytes;

    fn message(&mut self, message: &[u8], replies: &mut Replies<Bytes>) -> ControlFlow<()> {
        let skipped = self.skipped.count();
        if skipped > self.told {
            replies.push(format!("{} skipped, longer than {MESSAGE_MAX_BYTES} bytes", skipped - self.told).into());
            self.told = skipped;
        }
        replies.push(Bytes::copy_from_slice(message));
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
            let skipped = Skipped::default();
            let codec = LengthPrefixed::u32(MESSAGE_MAX_BYTES).skipping(&skipped);
            let end = Connection::answering(stream, codec, Echo { skipped, told: 0 }, Default::default()).await;
            println!("a connection ended: {end}");
        });
    }
}
