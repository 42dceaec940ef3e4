//! Reactors and streams that several tests use.

use std::ops::ControlFlow;

use bytes::Bytes;
use tokio::net::{TcpListener, TcpStream};
use towline::codec::LengthPrefixed;
use towline::connection::{Reactor, Replies};

pub(crate) const CODEC: LengthPrefixed = LengthPrefixed::u32(80 << 20);

/// Sends everything back.
pub(crate) struct Echo;

impl Reactor<LengthPrefixed> for Echo {
    type Outbound = Bytes;

    fn message(&mut self, message: &[u8], replies: &mut Replies<Bytes>) -> ControlFlow<()> {
        replies.push(Bytes::copy_from_slice(message));
        ControlFlow::Continue(())
    }
}

/// Two ends of a TCP connection on loopback.
pub(crate) async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    (near.unwrap(), far.unwrap().0)
}
