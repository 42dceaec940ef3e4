//! A protocol tested in memory: first the reactor alone, then both ends of a connection without a socket.
//!
//!     cargo run --example in_memory

use std::ops::ControlFlow;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use towline::codec::Delimited;
use towline::connection::{Connection, ConnectionConfig, ConnectionEnd, Reactor, Replies};

/// Adds up the numbers it is told; `=` asks for the sum, anything else ends the talk.
#[derive(Default)]
struct Sum(i64);

impl Reactor<Delimited> for Sum {
    type Outbound = Bytes;

    fn message(&mut self, line: &[u8], replies: &mut Replies<Bytes>) -> ControlFlow<()> {
        if line == b"=" {
            replies.push(self.0.to_string().into());
            return ControlFlow::Continue(());
        }
        match std::str::from_utf8(line).ok().and_then(|line| line.parse::<i64>().ok()) {
            Some(number) => self.0 = self.0.saturating_add(number),
            None => {
                replies.push(Bytes::from_static(b"not a number"));
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }
}

/// No stream, no runtime: messages in, replies out.
fn the_reactor_alone() {
    let (mut sum, mut replies) = (Sum::default(), Replies::default());
    for line in ["20", "22", "="] {
        assert!(sum.message(line.as_bytes(), &mut replies).is_continue());
    }
    assert_eq!(replies.pop(), Some(Bytes::from_static(b"42")));
    assert!(sum.message(b"pear", &mut replies).is_break());
}

/// The whole protocol, byte for byte, and how it ends.
async fn both_ends() {
    let (mut near, far) = duplex(64);
    let server = tokio::spawn(Connection::answering(far, Delimited::lines(64), Sum::default(), Default::default()));
    near.write_all(b"1\n2\n=\npear\n").await.expect("the other end is there");
    let mut answers = String::new();
    near.read_to_string(&mut answers).await.expect("it ends in order");
    assert_eq!(answers, "3\nnot a number\n");
    drop(near);
    assert!(server.await.expect("it does not panic").is_done());
}

/// A peer that breaks off in the middle of a line is told apart from one that says goodbye.
async fn a_cut() {
    let (mut near, far) = duplex(64);
    near.write_all(b"12").await.expect("the other end is there");
    drop(near);
    let end = Connection::answering(far, Delimited::lines(64), Sum::default(), ConnectionConfig::default()).await;
    assert!(matches!(end, ConnectionEnd::Cut));
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    the_reactor_alone();
    both_ends().await;
    a_cut().await;
    println!("all as it should be");
}
