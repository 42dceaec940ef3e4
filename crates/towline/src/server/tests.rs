//! Accept errors, and peers that pass TLS and then mean harm.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::{TcpListener, TcpStream};
use towline_proto::ids::Lane;
use towline_proto::session::handshake::{self, Offer};

use super::*;
use crate::client::{Client, ClientConfig};
use crate::hello::Secured;
use crate::tls::ClientTls;
use crate::tls::keys::HmacSha256;
use crate::transport::Carried;

/// Floods every session with messages that nobody asked for, as far as credit goes.
struct Flood(Arc<AtomicUsize>);

impl Plugin for Flood {
    async fn session(&self, session: Session) {
        while session.send(Lane::NORMAL, vec![1; 10_000]).await.is_ok() {
            self.0.fetch_add(10_000, Ordering::Relaxed);
        }
    }
}

struct Keep;

impl Plugin for Keep {
    async fn session(&self, session: Session) {
        session.closed().await;
    }
}

/// Fails instead of hanging.
async fn soon<T>(work: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(30), work).await.expect("this should have come to an end")
}

async fn tcp_server(identity: &Identity, plugin: impl Plugin, faults: Vec<i32>) -> RunningServer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addresses = vec![listener.local_addr().unwrap()];
    let listeners = vec![Listener::Faulty(listener, faults)];
    let tls = ServerTls::new(identity, PostQuantum::Require).unwrap();
    start(tls, Arc::new(|_| Ok(())), Limits::default(), listeners, addresses, plugin)
}

fn client(identity: &Identity, server: &RunningServer) -> Client {
    let hosts = vec![server.local_addrs()[0].to_string()];
    Client::new(Arc::new(Identity::generate()), identity.key_hash(), hosts, ClientConfig::default())
}

/// A peer that has done TLS and may now say anything.
async fn insider(identity: &Identity, server: &RunningServer, own: &Identity) -> Secured {
    let address = server.local_addrs()[0];
    let carried = Carried::tcp(TcpStream::connect(address).await.unwrap(), address).unwrap();
    Secured::connect(carried, &ClientTls::new(own, identity.key_hash(), PostQuantum::Require).unwrap()).await.unwrap()
}

/// The same with a session of its own; also its hello, to be replayed, and the session's name.
async fn insider_with_session(identity: &Identity, server: &RunningServer) -> (Secured, Vec<u8>, handshake::Admission) {
    let mut link = insider(identity, server, &Identity::generate()).await;
    let mut hello = Vec::new();
    let state = handshake::begin(Offer::default(), &mut hello);
    link.say(&hello).await.unwrap();
    let admission = link.listen(state, |state, input| state.handle(input)).await.unwrap();
    (link, hello, admission)
}

async fn until_closed(server: &RunningServer, word: &str) {
    soon(async {
        while server.counters().closed.get(word) != Some(&1) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn accept_errors_never_stop_a_listener() {
    const EMFILE: i32 = 24;
    const ENFILE: i32 = 23;
    const ECONNABORTED: i32 = 103;
    let identity = Identity::generate();
    let server = tcp_server(&identity, Keep, vec![EMFILE, ECONNABORTED, ENFILE, EMFILE]).await;
    let session = soon(client(&identity, &server).connect()).await.unwrap();
    soon(session.send_confirmed(Lane::NORMAL, "in")).await.unwrap();
    assert_eq!(server.counters().accept_errors, 4);
}

#[tokio::test]
async fn frames_that_break_the_rules_end_their_session_by_name_and_no_other() {
    let four_gib = [0xc0, 0, 0, 1, 0, 0, 0, 0].to_vec();
    let unknown_odd = vec![2, 0x40, 0x41];
    let truncated_frame = vec![1, 0x02];
    let cases = [("frame-too-large", four_gib), ("unknown-frame", unknown_odd), ("bad-frame", truncated_frame)];
    for (word, bytes) in cases {
        let identity = Identity::generate();
        let server = tcp_server(&identity, Keep, vec![]).await;
        let friend = soon(client(&identity, &server).connect()).await.unwrap();
        let (mut link, ..) = soon(insider_with_session(&identity, &server)).await;
        link.say(&bytes).await.unwrap();
        until_closed(&server, word).await;
        soon(friend.send_confirmed(Lane::NORMAL, "unharmed")).await.unwrap();
    }
}

#[tokio::test]
async fn a_peer_that_never_reads_costs_its_credit_and_no_more() {
    let identity = Identity::generate();
    let sent = Arc::new(AtomicUsize::new(0));
    let server = tcp_server(&identity, Flood(sent.clone()), vec![]).await;
    let (_link, ..) = soon(insider_with_session(&identity, &server)).await;
    // The plug-in comes to rest when credit is used up.
    let mut last = usize::MAX;
    soon(async {
        while last != sent.load(Ordering::Relaxed) || last == 0 {
            last = sent.load(Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    let granted = usize::try_from(Params::default().stream_credit).unwrap();
    assert!(last <= granted, "{last} bytes were taken for a peer that granted {granted}");
}

#[tokio::test]
async fn a_replayed_hello_and_a_stolen_session_s_name_give_nothing() {
    let identity = Identity::generate();
    let server = tcp_server(&identity, Keep, vec![]).await;
    let (mut link, hello, admission) = soon(insider_with_session(&identity, &server)).await;
    // A second hello on the same link is no frame.
    link.say(&hello).await.unwrap();
    soon(async {
        while server.counters().sessions > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;

    let handshake::Admission::New { session, .. } = admission else { panic!("{admission:?}") };
    let victim = soon(client(&identity, &server).connect()).await.unwrap();
    for stolen in [session, victim.id()] {
        let mut thief = insider(&identity, &server, &Identity::generate()).await;
        let (secret, mut out) = (handshake::SessionSecret([7; 32]), Vec::new());
        let received = Default::default();
        let state = handshake::begin_join(Offer::default(), stolen, received, &secret, &[7; 32], &HmacSha256, &mut out);
        thief.say(&out).await.unwrap();
        let answer = soon(thief.listen(state, |state, input| state.handle(input))).await.unwrap();
        assert_eq!(answer, handshake::Admission::Gone, "another key's session looks like none");
    }
    soon(victim.send_confirmed(Lane::NORMAL, "unharmed")).await.unwrap();
}

#[tokio::test]
async fn the_right_key_with_a_wrong_proof_is_refused_by_name() {
    let identity = Identity::generate();
    let server = tcp_server(&identity, Keep, vec![]).await;
    let own = Arc::new(Identity::generate());
    let hosts = vec![server.local_addrs()[0].to_string()];
    let good = Client::new(own.clone(), identity.key_hash(), hosts, ClientConfig::default());
    let session = soon(good.connect()).await.unwrap();
    let mut wrong = insider(&identity, &server, &own).await;
    let (secret, mut out) = (handshake::SessionSecret([7; 32]), Vec::new());
    let received = Default::default();
    let state =
        handshake::begin_join(Offer::default(), session.id(), received, &secret, &[7; 32], &HmacSha256, &mut out);
    wrong.say(&out).await.unwrap();
    let answer = soon(wrong.listen(state, |state, input| state.handle(input))).await.unwrap_err();
    assert!(answer.to_string().contains("bad-join-proof"), "{answer}");
    soon(session.send_confirmed(Lane::NORMAL, "unharmed")).await.unwrap();
}

#[tokio::test]
async fn any_address_of_both_families_can_be_listened_at_on_one_port() {
    let listening = |address: String| Server::builder(Arc::new(Identity::generate())).listen(address).serve(Keep);
    let v4 = listening("0.0.0.0:0".into()).await.unwrap();
    let port = v4.local_addrs()[0].port();
    match listening(format!("[::]:{port}")).await {
        Ok(v6) => assert_eq!(v6.local_addrs()[0].port(), port),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => panic!("{error}"),
        Err(error) => println!("skipped, no IPv6 here: {error}"),
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_that_names_the_address() {
    let listening = |address: String| Server::builder(Arc::new(Identity::generate())).listen(address).serve(Keep);
    let first = listening("127.0.0.1:0".into()).await.unwrap();
    let address = first.local_addrs()[0].to_string();
    let error = listening(address.clone()).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&address), "{error}");
}
