//! A client for programs without async: plain threads call it and wait, a connection works for them on a thread of its own.
//!
//!     cargo run --example blocking_client -- HOST:PORT line …        sends each line, prints each answer

use std::io;
use std::net::ToSocketAddrs;
use std::ops::ControlFlow;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use towline::codec::Delimited;
use towline::connection::{Connection, Reactor, Replies, Sender};

/// Answers that may wait to be taken; more end the connection, for a thread that does not look must not stop reading.
const ANSWERS_MAX: usize = 1_024;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Hands answers to the thread that waits for them.
struct Hand(SyncSender<Vec<u8>>);

impl Reactor<Delimited> for Hand {
    type Outbound = Bytes;

    fn message(&mut self, line: &[u8], _replies: &mut Replies<Bytes>) -> ControlFlow<()> {
        if self.0.try_send(line.to_vec()).is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

/// What plain threads hold.
struct Client {
    sender: Sender<Bytes>,
    answers: Receiver<Vec<u8>>,
    thread: JoinHandle<String>,
}

impl Client {
    fn connect(host: &str) -> io::Result<Self> {
        let address = host.to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let stream = runtime.block_on(TcpStream::connect(address))?;
        stream.set_nodelay(true)?;
        let (hand, answers) = mpsc::sync_channel(ANSWERS_MAX);
        let (sender, connection) = Connection::new(stream, Delimited::lines(65_536), Hand(hand), Default::default());
        let thread = thread::spawn(move || runtime.block_on(connection).to_string());
        Ok(Self { sender, answers, thread })
    }

    /// Sends a line and waits for the answer.
    fn ask(&self, line: &str) -> Result<Vec<u8>, RecvTimeoutError> {
        // Full or gone: either way no answer will come.
        self.sender.try_send(line.to_owned().into()).map_err(|_| RecvTimeoutError::Disconnected)?;
        self.answers.recv_timeout(PATIENCE)
    }

    /// Says goodbye; how the connection ended.
    fn close(self) -> String {
        drop(self.sender);
        self.thread.join().unwrap_or_else(|_| "its thread panicked".into())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let host = arguments.next().ok_or("usage: blocking_client HOST:PORT line …")?;
    let client = Client::connect(&host)?;
    for line in arguments {
        println!("{}", String::from_utf8_lossy(&client.ask(&line)?));
    }
    println!("ended: {}", client.close());
    Ok(())
}
