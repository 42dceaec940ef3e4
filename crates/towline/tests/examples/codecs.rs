//! The examples of codecs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use towline::tls::Connector;

use crate::example::{Example, PATIENCE, connect};

/// A peer that speaks in lines.
struct Lines(BufReader<TcpStream>);

impl Lines {
    fn to(address: &str) -> Self {
        Self(BufReader::new(connect(address)))
    }

    fn say(&mut self, line: &str) {
        self.0.get_mut().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end_matches('\n').to_owned()
    }
}

fn read_exactly(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

#[test]
fn lines_come_back_until_quit() {
    let (mut example, address) = Example::listening("echo_lines", &["127.0.0.1:0"]);
    let mut peer = Lines::to(&address);
    for line in ["hello", "", "täglich\r", "a line in two pieces"] {
        peer.say(line);
        assert_eq!(peer.hear(), line);
    }
    peer.say("quit");
    assert_eq!(peer.hear(), "", "the connection ends");
    assert_eq!(example.line(), "a connection ended: done");
}

/// The example with a certificate made for it, and the certificate's file.
fn sealed_lines(folder: &Path) -> (Example, String, PathBuf) {
    let (chain, key) = (folder.join("chain.pem"), folder.join("key.pem"));
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&chain, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let (example, address) =
        Example::listening("echo_lines", &["127.0.0.1:0", chain.to_str().unwrap(), key.to_str().unwrap()]);
    (example, address, chain)
}

#[tokio::test]
async fn lines_come_back_under_tls() {
    let folder = tempfile::tempdir().unwrap();
    let (_example, address, chain) = sealed_lines(folder.path());
    let connector = Connector::to_name("localhost", &std::fs::read(chain).unwrap(), b"echo/1").unwrap();
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut peer = connector.connect(stream).await.unwrap();
    peer.write_all(b"hello\n").await.unwrap();
    let mut answer = [0; 6];
    tokio::time::timeout(PATIENCE, peer.read_exact(&mut answer)).await.expect("an answer in time").unwrap();
    assert_eq!(&answer, b"hello\n");
}

#[test]
fn lines_come_back_as_openssl_speaks_tls() {
    if Command::new("openssl").arg("version").output().is_err() {
        return println!("lines_come_back_as_openssl_speaks_tls: skipped, there is no openssl");
    }
    let folder = tempfile::tempdir().unwrap();
    let (_example, address, chain) = sealed_lines(folder.path());
    let mut client = Command::new("openssl")
        .args([
            "s_client",
            "-quiet",
            "-alpn",
            "echo/1",
            "-verify_return_error",
            "-CAfile",
            chain.to_str().unwrap(),
            "-connect",
            &address,
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut typed = client.stdin.take().unwrap();
    writeln!(typed, "hello").unwrap();
    let mut answer = String::new();
    BufReader::new(client.stdout.take().unwrap()).read_line(&mut answer).unwrap();
    let _ = client.kill();
    client.wait().unwrap();
    assert_eq!(answer, "hello\n");
}

#[test]
fn a_message_that_is_too_long_is_skipped_and_told() {
    let (_example, address) = Example::listening("echo_length", &["127.0.0.1:0"]);
    let mut peer = connect(&address);
    let framed = |message: &[u8]| [&(message.len() as u32).to_be_bytes()[..], message].concat();
    let fits = vec![1; 64 * 1024];
    for bytes in [framed(&fits), framed(&vec![2; 64 * 1024 + 1]), framed(b"after")] {
        peer.write_all(&bytes).unwrap();
    }
    let told = framed(b"1 skipped, longer than 65536 bytes");
    let expected = [framed(&fits), told, framed(b"after")].concat();
    assert!(read_exactly(&mut peer, expected.len()) == expected);
}

#[test]
fn whole_packets_come_back_after_the_welcome() {
    let (_example, address) = Example::listening("packet_echo", &["127.0.0.1:0"]);
    let mut peer = connect(&address);
    assert_eq!(read_exactly(&mut peer, 8), b"\x07welcome");
    peer.write_all(b"\x05he").unwrap();
    peer.write_all(b"llo\0\x01").unwrap();
    assert_eq!(read_exactly(&mut peer, 7), b"\x05hello\0");
    peer.write_all(b"!").unwrap();
    assert_eq!(read_exactly(&mut peer, 2), b"\x01!");
}

#[test]
fn netstrings_come_back_backwards_and_others_end_the_connection() {
    let (mut example, address) = Example::listening("custom_codec", &["127.0.0.1:0"]);
    let mut peer = connect(&address);
    peer.write_all(b"5:hello,0:,3:a").unwrap();
    assert_eq!(read_exactly(&mut peer, 11), b"5:olleh,0:,");
    peer.write_all(b"bc;").unwrap();
    assert_eq!(peer.read(&mut [0; 8]).unwrap_or(0), 0);
    assert!(example.line().contains("not a netstring"));
}

#[test]
fn a_slow_subscriber_misses_the_oldest_and_others_miss_nothing() {
    let (mut example, address) = Example::listening("distribution", &["127.0.0.1:0"]);
    let (mut fast, mut slow, mut publisher) = (Lines::to(&address), Lines::to(&address), Lines::to(&address));
    for subscriber in [&mut fast, &mut slow] {
        subscriber.say("sub weather");
        assert_eq!(subscriber.hear(), "subscribed weather");
    }
    // More than all buffers between server and subscriber hold.
    let (count, filling) = (1_000, "x".repeat(60_000));
    for number in 0..count {
        publisher.say(&format!("pub weather {number} {filling}"));
        assert_eq!(publisher.hear(), "published to 2");
        assert_eq!(fast.hear(), format!("weather {number} {filling}"), "the fast one misses nothing");
    }
    let mut heard: Vec<i32> = Vec::new();
    while heard.last() != Some(&(count - 1)) {
        heard.push(slow.hear().split(' ').nth(1).unwrap().parse().unwrap());
    }
    assert!(heard.is_sorted() && heard[0] == 0);
    let missed = count as usize - heard.len();
    assert!(missed > 0, "all {count} were kept somewhere");
    drop((fast, slow, publisher));
    let ends: Vec<String> = (0..3).map(|_| example.line()).collect();
    assert!(ends.iter().any(|end| end.ends_with(&format!("it missed {missed} lines"))), "{ends:?}");
}

#[test]
fn a_chat_tells_who_comes_says_and_goes() {
    let mut room = Example::start("chat", &["serve", "127.0.0.1:0"]);
    let line = room.line();
    let words: Vec<&str> = line.split(' ').collect();
    let ["listening", "on", address, "key", key] = words[..] else { panic!("chat said {line:?}") };
    let mut anna = Example::start("chat", &["join", address, key, "anna"]);
    assert_eq!(anna.line(), "* anna is here; present: anna");
    let mut ben = Example::start("chat", &["join", address, key, "ben"]);
    for member in [&mut anna, &mut ben] {
        assert_eq!(member.line(), "* ben is here; present: anna ben");
    }
    anna.type_line("good morning");
    for member in [&mut anna, &mut ben] {
        assert_eq!(member.line(), "anna: good morning");
    }
    assert!(ben.finish().1);
    assert_eq!(anna.line(), "* ben is gone; present: anna");
}
