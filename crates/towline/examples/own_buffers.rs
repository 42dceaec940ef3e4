//! Buffers of one's own: large messages are written from where they lie, and each buffer comes back to its pool when its
//! last byte has left, to be filled again.
//!
//!     cargo run --example own_buffers

use std::ops::ControlFlow;
use std::sync::mpsc;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, duplex};
use towline::codec::LengthPrefixed;
use towline::connection::{Connection, ConnectionConfig, Reactor, Replies};

/// Messages of this example, in bytes: large enough to be written in place.
const MESSAGE_BYTES: usize = 16 * 1024;

/// Buffers that are not in use.
struct Pool {
    back: mpsc::Receiver<Box<[u8]>>,
    give: mpsc::Sender<Box<[u8]>>,
    made: usize,
}

/// A buffer that goes home when it is dropped.
struct Pooled {
    bytes: Box<[u8]>,
    home: mpsc::Sender<Box<[u8]>>,
}

impl AsRef<[u8]> for Pooled {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        // If the pool is gone, so is its memory.
        let _ = self.home.send(std::mem::take(&mut self.bytes));
    }
}

impl Pool {
    fn new() -> Self {
        let (give, back) = mpsc::channel();
        Self { back, give, made: 0 }
    }

    /// A buffer from the pool, made only if none is there, filled by `fill`.
    fn message(&mut self, fill: impl FnOnce(&mut [u8])) -> Bytes {
        let mut bytes = self.back.try_recv().unwrap_or_else(|_| {
            self.made += 1;
            vec![0; MESSAGE_BYTES].into()
        });
        fill(&mut bytes);
        // Here one's own allocator could stand: anything that is `AsRef<[u8]>` becomes `Bytes` without a copy.
        Bytes::from_owner(Pooled { bytes, home: self.give.clone() })
    }
}

struct Quiet;

impl Reactor<LengthPrefixed> for Quiet {
    type Outbound = Bytes;

    fn message(&mut self, _message: &[u8], _replies: &mut Replies<Bytes>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (mut near, far) = duplex(MESSAGE_BYTES);
    let codec = LengthPrefixed::u32(MESSAGE_BYTES);
    let mut config = ConnectionConfig::default();
    config.queue_messages = 2;
    let (sender, connection) = Connection::new(far, codec, Quiet, config);
    let running = tokio::spawn(connection);
    let sending = async {
        let mut pool = Pool::new();
        for number in 0..1_000_u32 {
            // The place first, then the work: no buffer is filled that cannot be sent.
            let permit = sender.reserve(MESSAGE_BYTES).await.expect("the connection is there");
            let message = pool.message(|buffer| buffer[..4].copy_from_slice(&number.to_be_bytes()));
            permit.send(message).expect("the connection is there");
        }
        drop(sender);
        pool.made
    };
    let reading = async {
        let mut message = vec![0; 4 + MESSAGE_BYTES];
        for number in 0..1_000_u32 {
            near.read_exact(&mut message).await.expect("it comes whole");
            assert_eq!(message[4..8], number.to_be_bytes());
        }
    };
    let (made, ()) = tokio::join!(sending, reading);
    drop(near);
    println!("1000 messages, {made} buffers, {}", running.await.expect("it does not panic"));
}
