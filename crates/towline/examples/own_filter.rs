//! A filter of one's own: everything on the wire is in ROT13, and neither codec nor reactor knows.
//!
//!     cargo run --example own_filter          then:  echo uryyb | nc 127.0.0.1 PORT

use std::ops::ControlFlow;

use bytes::Bytes;
use tokio::time::Instant;
use towline::codec::Delimited;
use towline::connection::{Connection, ConnectionConfig, Reactor, Replies};
use towline::filter::{Filter, FilterError, Filtered, More};
use towline::listen::{ListenConfig, Listener};

/// Turns letters by thirteen, which is its own reverse.
struct Rot13;

impl Rot13 {
    fn turn(byte: &u8) -> u8 {
        match byte {
            b'a'..=b'z' => (byte - b'a' + 13) % 26 + b'a',
            b'A'..=b'Z' => (byte - b'A' + 13) % 26 + b'A',
            _ => *byte,
        }
    }
}

impl Filter for Rot13 {
    fn inbound(&mut self, _now: Instant, bytes: &[u8], out: &mut Vec<u8>) -> Result<More, FilterError> {
        out.extend(bytes.iter().map(Self::turn));
        Ok(More::No)
    }

    fn outbound(&mut self, _now: Instant, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), FilterError> {
        out.extend(bytes.iter().map(Self::turn));
        Ok(())
    }
}

/// Answers every line in capitals, and sees plain text only.
struct Shout;

impl Reactor<Delimited> for Shout {
    type Outbound = Bytes;

    fn message(&mut self, line: &[u8], replies: &mut Replies<Bytes>) -> ControlFlow<()> {
        println!("read {}", String::from_utf8_lossy(line));
        replies.push(line.to_ascii_uppercase().into());
        ControlFlow::Continue(())
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let mut listener = Listener::bind("127.0.0.1:0", ListenConfig::default()).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let stream = Filtered::new(listener.accept().await.plain(), Rot13);
        let connection = Connection::answering(stream, Delimited::lines(1_024), Shout, ConnectionConfig::default());
        tokio::spawn(async move { println!("ended: {}", connection.await) });
    }
}
