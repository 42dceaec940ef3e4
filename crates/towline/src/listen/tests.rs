//! Every option read back, every limit by its name.

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::identity::Identity;
use crate::tls::{Acceptor, Connector};

async fn bound(config: ListenConfig) -> (Listener, SocketAddr) {
    let listener = Listener::bind("127.0.0.1:0", config).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[tokio::test]
async fn each_option_is_set_and_read_back() {
    for on in [false, true] {
        let keepalive = on.then(|| Duration::from_secs(7));
        let socket =
            SocketOptions { reuse_address: on, reuse_port: on, keepalive, backlog: 9, ..SocketOptions::default() };
        let config = ListenConfig { socket, nodelay: on, urgent_in_place: on, ..Default::default() };
        let (mut listener, address) = bound(config).await;
        let own = SockRef::from(&listener.socket);
        assert_eq!(own.reuse_address().unwrap(), on);
        assert_eq!(own.reuse_port().unwrap(), on);
        let _client = TcpStream::connect(address).await.unwrap();
        let stream = listener.accept().await.plain();
        let accepted = SockRef::from(stream.get_ref());
        assert_eq!(accepted.tcp_nodelay().unwrap(), on);
        assert_eq!(accepted.out_of_band_inline().unwrap(), on);
        assert_eq!(accepted.keepalive().unwrap(), on, "connections inherit it");
        if on {
            assert_eq!(accepted.tcp_keepalive_time().unwrap(), Duration::from_secs(7));
        }
    }
}

#[tokio::test]
async fn the_backlog_is_what_was_asked_for() {
    let socket = SocketOptions { backlog: 7, ..SocketOptions::default() };
    let (listener, address) = bound(ListenConfig { socket, ..Default::default() }).await;
    // The kernel shows a listener's backlog as its send queue, in the fifth column.
    let Ok(table) = std::fs::read_to_string("/proc/net/tcp") else {
        return println!("the_backlog_is_what_was_asked_for: skipped, this system shows no table of sockets");
    };
    let port = format!(":{:04X}", address.port());
    let listening = |line: &&str| line.contains(&port) && line.contains(" 0A ");
    assert!(table.lines().any(|line| listening(&line)), "{table}");
    // One more than the backlog are held by Linux; the next is not answered before one is taken.
    let mut held = Vec::new();
    while let Ok(done) = tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
        held.push(done.unwrap());
        assert!(held.len() <= 8, "more than 7 and one are held");
    }
    assert_eq!(held.len(), 8);
    drop(listener);
}

#[tokio::test]
async fn dual_stack_is_what_was_asked_for() {
    for dual_stack in [false, true] {
        let socket = SocketOptions { dual_stack, ..SocketOptions::default() };
        let config = ListenConfig { socket, ..Default::default() };
        let listener = match Listener::bind("[::]:0", config).await {
            Ok(listener) => listener,
            Err(error) => return println!("dual_stack_is_what_was_asked_for: skipped, no IPv6 here ({error})"),
        };
        assert_eq!(SockRef::from(&listener.socket).only_v6().unwrap(), !dual_stack);
        let port = listener.local_addr().unwrap().port();
        assert_eq!(TcpStream::connect(("127.0.0.1", port)).await.is_ok(), dual_stack);
    }
}

#[tokio::test]
async fn two_listeners_share_a_port_only_when_both_say_so() {
    let socket = SocketOptions { reuse_port: true, ..SocketOptions::default() };
    let (_one, address) = bound(ListenConfig { socket, ..Default::default() }).await;
    assert!(Listener::bind(&address.to_string(), ListenConfig { socket, ..Default::default() }).await.is_ok());
    let error = Listener::bind(&address.to_string(), ListenConfig::default()).await.unwrap_err();
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[tokio::test]
async fn over_a_limit_a_peer_hears_the_last_words_and_the_reason_is_counted() {
    for (connections, connections_per_address, refusal) in
        [(2, 9, Refusal::TooManyConnections), (9, 2, Refusal::TooManyOfAddress)]
    {
        let last_words = Bytes::from_static(b"busy\n");
        let config = ListenConfig { connections, connections_per_address, last_words, ..Default::default() };
        let (mut listener, address) = bound(config).await;
        let mut clients = Vec::new();
        for _ in 0..3 {
            clients.push(TcpStream::connect(address).await.unwrap());
        }
        let first = listener.accept().await.plain();
        let _second = listener.accept().await.plain();
        let refused = clients.pop().unwrap();
        let freed = async {
            let mut heard = Vec::new();
            let _ = { refused }.read_to_end(&mut heard).await;
            drop(first);
            (heard, TcpStream::connect(address).await.unwrap())
        };
        let (_third, (heard, _client)) = tokio::join!(listener.accept(), freed);
        assert_eq!(heard, b"busy\n");
        let stats = listener.stats();
        assert_eq!((stats.accepted, stats.refused.get(&refusal), stats.connections), (3, Some(&1), 2));
    }
}

#[tokio::test]
async fn stalled_handshakes_hold_up_nobody_and_end_in_time() {
    let identity = Identity::generate();
    let acceptor = Acceptor::with_identity(&identity, b"test").unwrap();
    let connector = Connector::to_key(&Identity::generate(), identity.key_hash(), b"test").unwrap();
    let handshake_timeout = Duration::from_millis(300);
    let (mut listener, address) = bound(ListenConfig { handshakes: 3, handshake_timeout, ..Default::default() }).await;
    let stalled = [TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
    let mut ends = Vec::new();
    for _ in 0..2 {
        let (incoming, acceptor) = (listener.accept().await, acceptor.clone());
        ends.push(tokio::spawn(async move { incoming.secure(&acceptor).await.map(drop) }));
    }
    let client = async { connector.connect(TcpStream::connect(address).await.unwrap()).await.unwrap() };
    let (mut near, far) = tokio::join!(client, async { listener.accept().await.secure(&acceptor).await });
    let mut far = far.unwrap();
    near.write_all(b"x").await.unwrap();
    assert_eq!(far.read_u8().await.unwrap(), b'x', "a good peer is served meanwhile");
    for end in ends {
        assert!(matches!(end.await.unwrap(), Err(HandshakeError::Timeout { .. })));
    }
    assert_eq!(listener.stats().refused.get(&Refusal::HandshakeTimeout), Some(&2));
    assert_eq!((listener.stats().handshakes, listener.stats().connections), (0, 1));
    drop(stalled);
}

#[tokio::test]
async fn beyond_the_cap_on_handshakes_peers_are_cut_by_name() {
    let (mut listener, address) = bound(ListenConfig { handshakes: 1, ..Default::default() }).await;
    let _first = TcpStream::connect(address).await.unwrap();
    let held = listener.accept().await;
    let mut second = TcpStream::connect(address).await.unwrap();
    let cut = async {
        assert!(matches!(second.read(&mut [0]).await, Ok(0) | Err(_)));
        drop(held);
        TcpStream::connect(address).await.unwrap()
    };
    let _ = tokio::join!(listener.accept(), cut);
    assert_eq!(listener.stats().refused.get(&Refusal::TooManyHandshakes), Some(&1));
}
