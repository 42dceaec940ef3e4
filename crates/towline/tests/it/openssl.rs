//! TLS with a program that is not ours: `openssl s_client` and `openssl s_server`, as the system has them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use towline::tls::{Acceptor, Connector};
use towline::{Client, ClientConfig, Close, CloseCode, ConnectError, Identity, PostQuantum, RunningServer, Server};
use towline_proto::mail::keys::PublicKey;
use towline_proto::session::handshake::{self, Offer};

use crate::support::{Deaf, soon};

/// What lets the key `ca` certify another.
const BY_AUTHORITY: &str = "-CA ca.pem -CAkey ca.key";

/// A key of the kind that authorities certify.
const CURVE: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";

/// A folder of keys and certificates that openssl makes.
struct Workshop(tempfile::TempDir);

/// Kills a program of ours that a test leaves behind.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Workshop {
    /// `None`, told by name, where there is no openssl.
    fn open(test: &str) -> Option<Self> {
        match Command::new("openssl").arg("version").output() {
            Ok(output) if output.status.success() => Some(Self(tempfile::tempdir().unwrap())),
            _ => {
                println!("{test}: skipped, openssl is missing");
                None
            }
        }
    }

    fn command(&self, words: &str) -> Command {
        let mut command = Command::new("openssl");
        command.args(words.split_whitespace()).current_dir(self.0.path());
        command
    }

    fn run(&self, words: &str) -> Vec<u8> {
        let output = self.command(words).output().unwrap();
        assert!(output.status.success(), "openssl {words}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// A key `name.key` with a certificate `name.pem`, by itself or as `by` says.
    fn certified(&self, name: &str, by: &str) {
        let certificate = format!("-keyout {name}.key -out {name}.pem -subj /CN=towline {by}");
        self.run(&format!("req -x509 -newkey ed25519 -nodes {certificate}"));
    }

    /// The public half of `name.key`: the last 32 bytes of its DER.
    fn public(&self, name: &str) -> PublicKey {
        let der = self.run(&format!("pkey -in {name}.key -pubout -outform DER"));
        PublicKey(*der.last_chunk().unwrap())
    }

    /// Starts `s_client`; `more` are its further words.
    fn client(&self, address: SocketAddr, more: &str) -> Running {
        self.client_of("towline/1", address, more)
    }

    fn client_of(&self, alpn: &str, address: SocketAddr, more: &str) -> Running {
        let words = format!("s_client -connect {address} -tls1_3 -groups X25519 -alpn {alpn} {more}");
        let mut command = self.command(&words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running(command.spawn().unwrap())
    }

    /// Starts `s_server` with the key and certificate `name`, and waits until it says where it listens.
    fn server(&self, name: &str) -> (Running, String, BufReader<std::process::ChildStdout>) {
        self.server_of("towline/1", name, "-verify 1")
    }

    fn server_of(&self, alpn: &str, name: &str, more: &str) -> (Running, String, BufReader<std::process::ChildStdout>) {
        let words = format!("s_server -accept 127.0.0.1:0 -cert {name}.pem -key {name}.key -tls1_3 -alpn {alpn}");
        let mut command = self.command(&format!("{words} {more} -naccept 1"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut server = Running(command.spawn().unwrap());
        let mut lines = BufReader::new(server.0.stdout.take().unwrap());
        let mut line = String::new();
        while !line.starts_with("ACCEPT") {
            line.clear();
            assert!(lines.read_line(&mut line).unwrap() > 0, "s_server ended");
        }
        let address = line.trim_end().rsplit(' ').next().unwrap().to_owned();
        (server, address, lines)
    }
}

/// A server that also takes old OpenSSL, and of all keys only this one.
async fn server_for(only: PublicKey) -> RunningServer {
    let unknown = || Close::new(CloseCode::UnknownKey);
    Server::builder(Arc::new(Identity::generate()))
        .listen("127.0.0.1:0")
        .post_quantum(PostQuantum::Prefer)
        .admit(move |peer| if *peer == only { Ok(()) } else { Err(unknown()) })
        .serve(Deaf)
        .await
        .unwrap()
}

/// Reads until `wanted` stands in it, or to the end.
fn read_until(mut from: impl std::io::Read, wanted: &[u8]) -> Vec<u8> {
    let (mut read, mut byte) = (Vec::new(), [0]);
    while !read.ends_with(wanted) && from.read(&mut byte).is_ok_and(|count| count > 0) {
        read.push(byte[0]);
    }
    read
}

fn hello() -> Vec<u8> {
    let mut hello = Vec::new();
    let _ = handshake::begin(Offer::default(), &mut hello);
    hello
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openssl_s_client_with_a_certificate_agrees_on_the_protocol_and_gets_a_session() {
    let Some(shop) = Workshop::open("openssl s_client") else { return };
    shop.certified("device", "");
    let server = server_for(shop.public("device")).await;
    let address = server.local_addrs()[0];
    let talk = tokio::task::spawn_blocking(move || {
        let mut shown = shop.client(address, "-cert device.pem -key device.key");
        let agreed = read_until(shown.0.stdout.take().unwrap(), b"ALPN protocol: towline/1");
        assert!(agreed.ends_with(b"ALPN protocol: towline/1"), "{}", String::from_utf8_lossy(&agreed));

        let mut spoken = shop.client(address, "-cert device.pem -key device.key -quiet");
        spoken.0.stdin.as_ref().unwrap().write_all(&hello()).unwrap();
        let answer = read_until(spoken.0.stdout.take().unwrap(), b"TWLS\x01\x00");
        assert!(answer.ends_with(b"TWLS\x01\x00"), "version 1, a new session: {answer:?}");
    });
    soon(talk).await.unwrap();
    let counters = server.counters();
    assert_eq!((counters.opened, counters.not_post_quantum), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p31_openssl_s_client_is_told_by_an_alert_what_it_lacks_and_hears_nothing_else() {
    let Some(shop) = Workshop::open("p31") else { return };
    shop.certified("ca", "");
    shop.certified("device", "");
    shop.certified("thief", BY_AUTHORITY);
    let server = server_for(shop.public("device")).await;
    let address = server.local_addrs()[0];
    let talk = tokio::task::spawn_blocking(move || {
        let ends = |more: &str, first: &[u8]| {
            let mut client = shop.client(address, more);
            // It may be gone before it could say this.
            let _ = client.0.stdin.as_ref().unwrap().write_all(first);
            let (mut said, mut told) = (Vec::new(), String::new());
            client.0.stdout.take().unwrap().read_to_end(&mut said).unwrap();
            client.0.stderr.take().unwrap().read_to_string(&mut told).unwrap();
            (said, told)
        };
        let (said, told) = ends("-quiet", &hello());
        assert!(said.is_empty() && told.contains("alert certificate required"), "{told}");
        // The chain of an authority has no say; its certificate alone makes the key no better known.
        let (said, told) = ends("-quiet -cert thief.pem -key thief.key -cert_chain ca.pem", &hello());
        assert!(said.is_empty() && told.contains("alert unknown ca"), "{told}");
        let (said, _) = ends("-quiet -cert thief.pem -key thief.key", &hello());
        let refusal = said.windows(4).any(|window| window == b"TWLS");
        assert!(refusal && said.len() < 100, "one hello that refuses: {said:?}");
    });
    soon(talk).await.unwrap();
    let counters = server.counters();
    assert_eq!(counters.opened, 0);
    assert_eq!((counters.refused.get("tls"), counters.refused.get("unknown-key")), (Some(&2), Some(&1)));
    println!("p31: reached 3 of 3 openssl clients refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p31_openssl_s_server_with_a_certified_key_hears_nothing_and_one_with_the_pinned_key_hears_the_hello() {
    let Some(shop) = Workshop::open("p31") else { return };
    let shop = Arc::new(shop);
    shop.certified("ca", "");
    shop.certified("hub", "");
    shop.certified("thief", BY_AUTHORITY);
    let pinned = towline::identity::key_hash(&shop.public("hub"));
    for name in ["thief", "hub"] {
        let (_server, address, lines) = shop.server(name);
        let mut config = ClientConfig::default();
        config.post_quantum = PostQuantum::Prefer;
        let client = Client::new(Arc::new(Identity::generate()), pinned, vec![address], config);
        let connecting = tokio::spawn(async move { client.connect().await.unwrap_err() });
        // It ends with its one connection; what it heard stands among its own lines.
        let heard = tokio::task::spawn_blocking(move || read_until(lines, b"TWLC").ends_with(b"TWLC"));
        assert_eq!(soon(heard).await.unwrap(), name == "hub");
        if name == "thief" {
            let failed = soon(connecting).await.unwrap();
            assert!(matches!(failed, ConnectError::WrongKey { .. }), "{failed}");
        }
    }
}

/// The protocol of the tests below.
const LINES: &str = "lines/1";

/// What `s_client` and `s_server` take as a command to change keys; the large letter asks for the peer's, too.
const KEY_CHANGES: [&str; 4] = ["K", "k", "K", "K"];

/// A program of openssl's and what it shows and is told; `-msg` makes it show messages of TLS, too.
struct Talker<R> {
    _running: Running,
    typed: std::process::ChildStdin,
    shown: Arc<Mutex<BufReader<R>>>,
}

impl<R: std::io::Read + Send + 'static> Talker<R> {
    fn new(mut running: Running, shown: BufReader<R>) -> Self {
        let typed = running.0.stdin.take().unwrap();
        Self { _running: running, typed, shown: Arc::new(Mutex::new(shown)) }
    }

    fn say(&mut self, line: &str) {
        // In one piece: a command is one only where what is read begins.
        self.typed.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Waits until it shows a line with these words.
    async fn shows(&self, words: &[&str]) {
        let words: Vec<_> = words.iter().map(|word| word.to_string()).collect();
        let shown = self.shown.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let (mut shown, mut line) = (shown.lock().unwrap(), String::new());
            while !words.iter().all(|word| line.contains(word.as_str())) {
                line.clear();
                assert!(shown.read_line(&mut line).unwrap() > 0, "openssl ended without {words:?}");
            }
        });
        soon(reading).await.unwrap();
    }

    /// Lets it change keys again and again, and sees that lines go to and fro under each.
    async fn change_keys<S: AsyncRead + AsyncWrite + Unpin>(&mut self, stream: &mut S) {
        for change in KEY_CHANGES {
            self.say(change);
            self.shows(&[">>>", "KeyUpdate"]).await;
            self.say("a line");
            let mut line = [0; 7];
            soon(stream.read_exact(&mut line)).await.unwrap();
            assert_eq!(&line, b"a line\n");
            if change == "K" {
                self.shows(&["<<<", "KeyUpdate"]).await;
            }
            soon(stream.write_all(b"an answer\n")).await.unwrap();
            self.shows(&["an answer"]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openssl_s_client_changes_keys_and_both_go_on() {
    let Some(shop) = Workshop::open("openssl s_client") else { return };
    shop.run(&format!("req -x509 {CURVE} -keyout web.key -out web.pem -subj /CN=web"));
    let [chain, key] = ["web.pem", "web.key"].map(|name| std::fs::read(shop.0.path().join(name)).unwrap());
    let acceptor = Acceptor::with_certificate(&chain, &key, LINES.as_bytes()).unwrap();
    for suite in ["TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = shop.client_of(LINES, address, &format!("-msg -ciphersuites {suite}"));
        let shown = BufReader::new(client.0.stdout.take().unwrap());
        let mut client = Talker::new(client, shown);
        let mut stream = soon(acceptor.accept(soon(listener.accept()).await.unwrap().0)).await.unwrap();
        client.shows(&["Cipher is", suite]).await;
        client.change_keys(&mut stream).await;
        client.say("Q");
        assert_eq!(soon(stream.read(&mut [0; 8])).await.unwrap(), 0, "{suite}: a goodbye");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openssl_s_server_sends_tickets_and_changes_keys_and_both_go_on() {
    let Some(shop) = Workshop::open("openssl s_server") else { return };
    shop.run(&format!("req -x509 {CURVE} -keyout ca.key -out ca.pem -subj /CN=ca"));
    let named = "-subj /CN=web -addext subjectAltName=DNS:web -addext basicConstraints=critical,CA:FALSE";
    shop.run(&format!("req -x509 {CURVE} -keyout web.key -out web.pem {named} {BY_AUTHORITY}"));
    let roots = std::fs::read(shop.0.path().join("ca.pem")).unwrap();
    let connector = Connector::to_name("web", &roots, LINES.as_bytes()).unwrap();
    let (server, address, shown) = shop.server_of(LINES, "web", "-msg -num_tickets 5");
    let mut server = Talker::new(server, shown);
    let io = tokio::net::TcpStream::connect(&address).await.unwrap();
    let mut stream = soon(connector.connect(io)).await.unwrap();
    for _ in 0..5 {
        server.shows(&[">>>", "NewSessionTicket"]).await;
    }
    server.change_keys(&mut stream).await;
    soon(stream.shutdown()).await.unwrap();
    server.shows(&["<<<", "close_notify"]).await;
}
