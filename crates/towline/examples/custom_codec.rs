//! An own codec: netstrings, which are `5:hello,`. A decoder says what it needs, an encoder appends; that is all.
//!
//! ```sh
//! cargo run --example custom_codec -- 127.0.0.1:7000 &
//! printf '5:hello,0:,' | nc -q1 127.0.0.1 7000
//! ```

use std::error::Error;
use std::ops::ControlFlow;

use towline::codec::{Decoder, Encoder, Verdict};
use towline::connection::{Connection, Reactor, Replies};
use towline::listen::{ListenConfig, Listener};
use towline::pump::Outbox;

/// The longest string, in bytes, and so many digits say its length at most.
const STRING_MAX_BYTES: usize = 9_999;
const DIGITS_MAX: usize = 4;

struct Netstrings;

#[derive(Debug, thiserror::Error)]
#[error("not a netstring of at most {STRING_MAX_BYTES} bytes")]
struct NotANetstring;

impl Decoder for Netstrings {
    // It borrows: looking at a message copies nothing.
    type Message<'a> = &'a [u8];
    type Error = NotANetstring;

    fn decode<'a>(&mut self, bytes: &'a [u8]) -> Result<Verdict<&'a [u8]>, NotANetstring> {
        let digits = bytes.iter().take(DIGITS_MAX + 1).take_while(|byte| byte.is_ascii_digit()).count();
        let length = match (digits, bytes.get(digits)) {
            (0, _) | (DIGITS_MAX.., Some(b'0'..=b'9')) => return Err(NotANetstring),
            (_, None) => return Ok(Verdict::Need(1)),
            (_, Some(b':')) => bytes[..digits].iter().fold(0, |length, digit| 10 * length + usize::from(digit - b'0')),
            _ => return Err(NotANetstring),
        };
        let (from, end) = (digits + 1, digits + 1 + length);
        match bytes.get(end) {
            Some(b',') => Ok(Verdict::Message(&bytes[from..end], end + 1)),
            Some(_) => Err(NotANetstring),
            None => Ok(Verdict::Need(end + 1 - bytes.len())),
        }
    }
}

impl Encoder for Netstrings {
    type Message = Vec<u8>;
    type Error = NotANetstring;

    fn encode(&mut self, message: Vec<u8>, out: &mut Outbox) -> Result<(), NotANetstring> {
        if message.len() > STRING_MAX_BYTES {
            return Err(NotANetstring);
        }
        out.put(format!("{}:", message.len()).as_bytes());
        out.put(&message);
        out.put(b",");
        Ok(())
    }

    // What waits is bounded in bytes, so a message that owns memory says how much.
    fn weight_bytes(message: &Vec<u8>) -> usize {
        message.len()
    }
}

/// Answers with the string backwards.
struct Backwards;

impl Reactor<Netstrings> for Backwards {
    type Outbound = Vec<u8>;

    fn message(&mut self, string: &[u8], replies: &mut Replies<Vec<u8>>) -> ControlFlow<()> {
        replies.push(string.iter().rev().copied().collect());
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
            let end = Connection::answering(stream, Netstrings, Backwards, Default::default()).await;
            println!("a connection ended: {end}");
        });
    }
}
