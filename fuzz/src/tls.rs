//! Sealed records that somebody in between edits. What arrives is a beginning of what was sent, and no edit is overlooked:
//! the fuzz target calls this, and so do the tests on a stable compiler.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use towline::Identity;
use towline::tls::{Acceptor, Connector, TlsStream};

/// Bytes on their way in one direction. There is no waking: everything is polled by hand.
type Wire = Rc<RefCell<Vec<u8>>>;

struct Pipe {
    from: Wire,
    to: Wire,
}

impl AsyncRead for Pipe {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut from = self.from.borrow_mut();
        let count = from.len().min(buf.remaining());
        if count == 0 {
            return Poll::Pending;
        }
        buf.put_slice(&from[..count]);
        from.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.to.borrow_mut().extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

thread_local! {
    /// Keys are made once; each input has a handshake of its own.
    static ENDS: (Connector, Acceptor) = {
        let (client, server) = (Identity::generate(), Identity::generate());
        let connector = Connector::to_key(&client, server.key_hash(), b"fuzz").expect("a fresh key");
        (connector, Acceptor::with_identity(&server, b"fuzz").expect("a fresh key"))
    };
}

/// Two ends after their handshake, and what is on its way from the first to the second.
fn ends() -> (TlsStream<Pipe>, TlsStream<Pipe>, Wire) {
    let (there, back) = (Wire::default(), Wire::default());
    let near = Pipe { from: back.clone(), to: there.clone() };
    let far = Pipe { from: there.clone(), to: back };
    let (connector, acceptor) = ENDS.with(Clone::clone);
    let (mut connect, mut accept) = (pin!(connector.connect(near)), pin!(acceptor.accept(far)));
    let cx = &mut Context::from_waker(Waker::noop());
    let (mut client, mut server) = (None, None);
    while client.is_none() || server.is_none() {
        if client.is_none()
            && let Poll::Ready(done) = connect.as_mut().poll(cx)
        {
            client = Some(done.expect("nobody edited the handshake"));
        }
        if server.is_none()
            && let Poll::Ready(done) = accept.as_mut().poll(cx)
        {
            server = Some(done.expect("nobody edited the handshake"));
        }
    }
    (client.expect("the loop ended"), server.expect("the loop ended"), there)
}

/// What the second end has read, and whether it refused to go on.
#[derive(Default)]
struct Heard {
    data: Vec<u8>,
    refused: bool,
}

impl Heard {
    fn read(&mut self, far: &mut TlsStream<Pipe>, room: usize) {
        let cx = &mut Context::from_waker(Waker::noop());
        let mut place = vec![0; room];
        loop {
            let mut buf = ReadBuf::new(&mut place);
            match Pin::new(&mut *far).poll_read(cx, &mut buf) {
                Poll::Pending => return assert!(!self.refused, "a refusal is for good"),
                Poll::Ready(Ok(())) => {
                    assert!(!self.refused, "a refusal is for good");
                    assert!(!buf.filled().is_empty(), "nobody said goodbye");
                    self.data.extend_from_slice(buf.filled());
                }
                Poll::Ready(Err(_)) if self.refused => return,
                Poll::Ready(Err(_)) => self.refused = true,
            }
        }
    }
}

/// Each input is a list of things to do, of four bytes each: write, edit what is on its way, read.
#[allow(unreachable_pub, reason = "the fuzz crate and a test share this file")]
pub fn tls_records(input: &[u8]) {
    let (mut near, mut far, wire) = ends();
    let cx = &mut Context::from_waker(Waker::noop());
    let (mut sent, mut heard, mut edited) = (Vec::new(), Heard::default(), false);
    for &[what, high, low, byte] in input.as_chunks::<4>().0.iter().take(64) {
        let number = usize::from(u16::from_be_bytes([high, low]));
        let mut wire = wire.borrow_mut();
        let before = wire.clone();
        let at = number.min(wire.len());
        match what % 6 {
            0 => {
                drop(wire);
                let data: Vec<u8> = (0..number).map(|i| (sent.len() + i) as u8 ^ byte).collect();
                if let Poll::Ready(taken) = Pin::new(&mut near).poll_write(cx, &data) {
                    sent.extend_from_slice(&data[..taken.expect("the pipe takes all")]);
                }
                continue;
            }
            1 => {
                drop(wire);
                heard.read(&mut far, 1 + number);
                continue;
            }
            2 => wire.iter_mut().skip(at).take(1).for_each(|there| *there ^= byte),
            3 => wire.truncate(at),
            4 => wire.insert(at, byte),
            _ => {
                let again = wire[at..].to_vec();
                wire.extend(again);
            }
        }
        edited |= *wire != before;
    }
    heard.read(&mut far, 1 << 16);
    assert!(sent.starts_with(&heard.data), "what was not sent was read");
    if !edited {
        assert!(!heard.refused && heard.data == sent, "an honest stream was not believed");
    }
}
