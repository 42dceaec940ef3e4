//! TCP's urgent byte, from a real Python: read in its place, so that no message is a byte short.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, BufReader, Lines};
use tokio::net::{TcpSocket, TcpStream};
use tokio::process::{ChildStdout, Command};
use tokio::time::timeout;
use towline::connection::{Connection, ConnectionConfig, ConnectionEnd};
use towline::listen::{ListenConfig, Listener};
use towline::tcp;

use crate::support::{CODEC, Echo};

/// How long anything may take before the test fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(60);

/// Connects to the port that it is told, or waits on one that it tells, for the start of a peer.
const CONNECT: &str = "import socket, sys
peer = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
";
const LISTEN: &str = "import socket
listener = socket.create_server(('127.0.0.1', 0))
print(listener.getsockname()[1], flush=True)
peer, _ = listener.accept()
";

/// Sends "hello" of which one byte, and another message of which the last byte, is urgent; says so, and prints what comes
/// back.
const SPEAK: &str = r"
peer.send(b'\x00\x00\x00\x05he')
peer.send(b'l', socket.MSG_OOB)
peer.send(b'lo\x00\x00\x00\x03by')
peer.send(b'e', socket.MSG_OOB)
print('sent', flush=True)
got = b''
while len(got) < 16:
    got += peer.recv(100)
print(got.hex())
";

/// A Python that runs this, and the lines that it says; none where there is no Python.
struct Python {
    _process: tokio::process::Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl Python {
    fn start(test: &str, program: &str, argument: &str) -> Option<Self> {
        let started = Command::new("python3")
            .args(["-c", &(program.to_owned() + SPEAK), argument])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let Ok(mut process) = started else {
            println!("{test}: skipped, there is no python3");
            return None;
        };
        let said = BufReader::new(process.stdout.take().unwrap()).lines();
        Some(Self { _process: process, said })
    }

    async fn line(&mut self) -> String {
        timeout(PATIENCE, self.said.next_line()).await.unwrap().unwrap().unwrap()
    }

    /// Answers its messages, all of which are there before the first read: reads end at the urgent bytes, and the kernel
    /// says nothing more.
    async fn answered_over(mut self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        assert_eq!(self.line().await, "sent");
        let serve = timeout(PATIENCE, Connection::answering(stream, CODEC, Echo, ConnectionConfig::default()));
        let (answer, end) = tokio::join!(self.line(), serve);
        assert_eq!(answer, "0000000568656c6c6f00000003627965");
        assert!(matches!(end.unwrap(), ConnectionEnd::PeerClosed));
    }
}

#[tokio::test]
async fn an_urgent_byte_is_read_in_its_place() {
    let mut listener = Listener::bind("127.0.0.1:0", ListenConfig::default()).await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let Some(python) = Python::start("an_urgent_byte_is_read_in_its_place", CONNECT, &port) else { return };
    let stream = timeout(PATIENCE, listener.accept()).await.unwrap().plain();
    python.answered_over(stream).await;
}

#[tokio::test]
async fn an_urgent_byte_is_read_in_its_place_on_a_connection_that_this_side_opened() {
    let test = "an_urgent_byte_is_read_in_its_place_on_a_connection_that_this_side_opened";
    for prepared in [false, true] {
        let Some(mut python) = Python::start(test, LISTEN, "") else { return };
        let address = format!("127.0.0.1:{}", python.line().await);
        let stream = if prepared {
            tcp::prepare(TcpStream::connect(address).await.unwrap()).unwrap()
        } else {
            tcp::connect(&address).await.unwrap()
        };
        python.answered_over(stream).await;
    }
}

#[tokio::test]
async fn a_connect_that_fails_names_the_address() {
    // Bound, so that nobody else takes it, and not listening.
    let held = TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = held.local_addr().unwrap().to_string();
    let error = tcp::connect(&address).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    assert!(error.to_string().contains(&address), "{error}");
}
