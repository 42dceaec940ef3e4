//! Echo with lines of text, for people: every line comes back, `quit` ends.
//!
//! ```sh
//! cargo run --example echo_lines -- 127.0.0.1:7000                      # then: nc 127.0.0.1 7000
//! cargo run --example echo_lines -- 127.0.0.1:7000 chain.pem key.pem    # then: openssl s_client -connect 127.0.0.1:7000 (3.5 or later)
//! ```

use std::error::Error;
use std::ops::ControlFlow;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use towline::codec::Delimited;
use towline::connection::{Connection, Reactor, Replies};
use towline::listen::{ListenConfig, Listener};
use towline::tls::Acceptor;

/// The longest line, in bytes: more than a person types.
const LINE_MAX_BYTES: usize = 4_096;

struct Echo;

impl Reactor<Delimited> for Echo {
    type Outbound = Bytes;

    fn message(&mut self, line: &[u8], replies: &mut Replies<Bytes>) -> ControlFlow<()> {
        if line.trim_ascii_end() == b"quit" {
            return ControlFlow::Break(());
        }
        replies.push(Bytes::copy_from_slice(line));
        ControlFlow::Continue(())
    }
}

async fn echo(stream: impl AsyncRead + AsyncWrite + Unpin) {
    let end = Connection::answering(stream, Delimited::lines(LINE_MAX_BYTES), Echo, Default::default()).await;
    println!("a connection ended: {end}");
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:7000".into());
    let acceptor = match (arguments.next(), arguments.next()) {
        (Some(chain), Some(key)) => {
            Some(Acceptor::with_certificate(&std::fs::read(chain)?, &std::fs::read(key)?, b"echo/1")?)
        }
        _ => None,
    };
    let mut listener = Listener::bind(&address, ListenConfig::default()).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let incoming = listener.accept().await;
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            match acceptor {
                None => echo(incoming.plain()).await,
                Some(acceptor) => match incoming.secure(&acceptor).await {
                    Ok(stream) => echo(stream).await,
                    Err(error) => println!("a handshake failed: {error}"),
                },
            }
        });
    }
}
