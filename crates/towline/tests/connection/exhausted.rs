//! A process out of file handles: its listener survives, says so, and serves again when there are some.

use std::fmt::Debug;
use std::fs::File;
use std::process::Command;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use towline::connection::Connection;
use towline::listen::{ListenConfig, Listener};
use tracing::field::Field;
use tracing::span;

use crate::support::{CODEC, Echo};

/// Set in the process that has few handles.
const FEW_HANDLES: &str = "TOWLINE_TEST_FEW_HANDLES";

/// How long anything may take before the test fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a listener waits before it tries again.
const PAUSE: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_listener_out_of_file_handles_says_so_and_serves_again_when_there_are_some() {
    let name = "exhausted::a_listener_out_of_file_handles_says_so_and_serves_again_when_there_are_some";
    if std::env::var_os(FEW_HANDLES).is_some() {
        return exhaust().await;
    }
    let own = std::env::current_exe().unwrap();
    let few = Command::new("sh")
        .args(["-c", "ulimit -n 64 && exec \"$@\"", "sh"])
        .arg(own)
        .args(["--exact", name, "--nocapture"])
        .env(FEW_HANDLES, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&few.stdout);
    assert!(few.status.success(), "{said}{}", String::from_utf8_lossy(&few.stderr));
    for line in ["out of handles, and the first is served", "cannot take a connection", "os error 24", "all are served"]
    {
        assert!(said.contains(line), "no {line:?} in {said}");
    }
}

async fn exhaust() {
    tracing::subscriber::set_global_default(Said).unwrap();
    let mut listener = Listener::bind("127.0.0.1:0", ListenConfig::default()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut first = TcpStream::connect(address).await.unwrap();
    serve(&mut listener).await;
    echo(&mut first).await;

    // Sockets of those who come in need, made before.
    let later: Vec<_> = (0..3).map(|_| TcpSocket::new_v4().unwrap()).collect();
    let mut held = Vec::new();
    while let Ok(handle) = File::open("/dev/null") {
        assert!(held.len() < 64, "there is no limit");
        held.push(handle);
    }
    let mut clients = Vec::new();
    for socket in later {
        clients.push(timeout(PATIENCE, socket.connect(address)).await.unwrap().unwrap());
    }
    for _ in 0..2 {
        let (before, began) = (listener.stats().accept_errors, std::time::Instant::now());
        tokio::select! {
            incoming = listener.accept() => panic!("{incoming:?} without a handle"),
            () = async { tokio::time::sleep(5 * PAUSE).await; echo(&mut first).await } => {}
        }
        let errors = listener.stats().accept_errors - before;
        let most = began.elapsed().as_millis() / PAUSE.as_millis() + 1;
        assert!(errors > 0 && u128::from(errors) <= most, "{errors} tries, of which {most} had their pause");
    }
    println!("out of handles, and the first is served");

    held.clear();
    for client in &mut clients {
        serve(&mut listener).await;
        echo(client).await;
    }
    let mut last = TcpStream::connect(address).await.unwrap();
    serve(&mut listener).await;
    echo(&mut last).await;
    echo(&mut first).await;
    assert_eq!((listener.stats().accepted, listener.stats().connections), (5, 5));
    println!("all are served");
}

/// Takes a connection and echoes on it from now on.
async fn serve(listener: &mut Listener) {
    let stream = timeout(PATIENCE, listener.accept()).await.unwrap().plain();
    tokio::spawn(Connection::answering(stream, CODEC, Echo, Default::default()));
}

async fn echo(client: &mut TcpStream) {
    client.write_all(b"\0\0\0\x02hi").await.unwrap();
    let mut back = [0; 6];
    timeout(PATIENCE, client.read_exact(&mut back)).await.unwrap().unwrap();
    assert_eq!(&back, b"\0\0\0\x02hi");
}

/// Prints what is logged.
struct Said;

impl tracing::Subscriber for Said {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut |field: &Field, value: &dyn Debug| println!("{field}: {value:?}"));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}
