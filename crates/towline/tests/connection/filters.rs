//! One reactor on a plain port, and on a port with TLS and compression.

use std::ops::ControlFlow;
use std::path::Path;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use towline::codec::LengthPrefixed;
use towline::connection::{Connection, ConnectionConfig, ConnectionEnd, Reactor, Replies};
use towline::filter::{Compress, Filtered, Trace};

use crate::compress;
use crate::secure::tls_pair;
use crate::support::{CODEC, Echo, tcp_pair};

struct Collect(mpsc::UnboundedSender<Vec<u8>>);

impl Reactor<LengthPrefixed> for Collect {
    type Outbound = Bytes;

    fn message(&mut self, message: &[u8], _replies: &mut Replies<Bytes>) -> ControlFlow<()> {
        let _ = self.0.send(message.to_vec());
        ControlFlow::Continue(())
    }
}

/// Talks over `near` to the echo at `far`, whatever lies between; returns the bytes that `near` wrote.
async fn talk<N, F>(near: N, far: F) -> u64
where
    N: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let server = tokio::spawn(Connection::answering(far, CODEC, Echo, ConnectionConfig::default()));
    let (collected, mut collecting) = mpsc::unbounded_channel();
    let (sender, connection) = Connection::new(near, CODEC, Collect(collected), ConnectionConfig::default());
    let client = tokio::spawn(connection);
    let messages: Vec<Vec<u8>> = (0..300usize).map(|i| b"the same words again and again ".repeat(i)).collect();
    for message in &messages {
        sender.send(Bytes::copy_from_slice(message)).await.unwrap();
    }
    for message in &messages {
        assert!(collecting.recv().await.as_ref() == Some(message));
    }
    let written = sender.stats().written_bytes;
    drop(sender);
    assert!(client.await.unwrap().is_done());
    assert!(matches!(server.await.unwrap(), ConnectionEnd::PeerClosed));
    written
}

#[tokio::test]
async fn the_same_reactor_on_a_plain_port_and_on_one_with_tls_and_compression() {
    let (near, far) = tcp_pair().await;
    let plain = talk(near, far).await;
    let (near, far) = tls_pair().await;
    let packed = |io| Filtered::new(Filtered::new(io, Trace::new("packed")), Compress::new());
    let filtered = talk(packed(near), packed(far)).await;
    assert_eq!(plain, filtered, "above the filters nothing differs");
}

/// Inputs in an ordinary run; with `TOWLINE_TEST_LONG` the full figure of promise 18.
const INPUTS: u64 = 20_000;
const INPUTS_LONG: u64 = 100_000_000;

#[test]
fn p18_no_input_makes_the_unpacking_panic_or_differ_by_its_pieces() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/compress");
    let mut paths: Vec<_> = std::fs::read_dir(seeds).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let seeds: Vec<_> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
    seeds.iter().for_each(|bytes| compress::compress(bytes));
    let mut state = 0x0b0b_5eed_u64;
    println!("seed {state:#x}");
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let inputs = if std::env::var_os("TOWLINE_TEST_LONG").is_some() { INPUTS_LONG } else { INPUTS };
    for _ in 0..inputs {
        let mut bytes = seeds[next() as usize % seeds.len()].clone();
        for _ in 0..next() % 4 {
            let at = next() as usize % bytes.len();
            bytes[at] = next() as u8;
        }
        bytes.truncate(next() as usize % bytes.len() + 1);
        compress::compress(&bytes);
    }
    println!("p18: reached {inputs} inputs, 0 panics");
}
