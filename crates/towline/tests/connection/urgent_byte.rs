//! TCP's urgent byte, from a real Python: read in its place, so that no message is a byte short.

use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::timeout;
use towline::connection::{Connection, ConnectionConfig, ConnectionEnd};
use towline::listen::{ListenConfig, Listener};

use crate::support::{CODEC, Echo};

/// How long anything may take before the test fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends "hello" of which one byte, and another message of which the last byte, is urgent; says so, and prints what comes
/// back.
const PEER: &str = r"
import socket, sys
peer = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
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

#[tokio::test]
async fn an_urgent_byte_is_read_in_its_place() {
    if Command::new("python3").arg("--version").output().is_err() {
        return println!("an_urgent_byte_is_read_in_its_place: skipped, there is no python3");
    }
    let mut listener = Listener::bind("127.0.0.1:0", ListenConfig::default()).await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let mut python = tokio::process::Command::new("python3")
        .args(["-c", PEER, &port])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut said = BufReader::new(python.stdout.take().unwrap()).lines();
    // All is there before the first read: reads end at the urgent bytes, and the kernel says nothing more.
    assert_eq!(timeout(PATIENCE, said.next_line()).await.unwrap().unwrap().as_deref(), Some("sent"));
    let serve = async {
        let stream = listener.accept().await.plain();
        Connection::answering(stream, CODEC, Echo, ConnectionConfig::default()).await
    };
    let (answer, end) = timeout(PATIENCE, async { tokio::join!(said.next_line(), serve) }).await.unwrap();
    assert_eq!(answer.unwrap().as_deref(), Some("0000000568656c6c6f00000003627965"));
    assert!(matches!(end, ConnectionEnd::PeerClosed), "{end:?}");
}
