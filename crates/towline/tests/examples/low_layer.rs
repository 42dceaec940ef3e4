//! The examples of connections, filters and calls.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::thread;

use crate::example::{Example, PATIENCE, connect};

/// Says `bytes`, ends, and returns all that is answered.
fn talk(address: &str, bytes: &[u8]) -> String {
    let mut stream = connect(address);
    stream.write_all(bytes).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn own_filter_turns_letters_on_the_wire_only() {
    let (mut example, address) = Example::listening("own_filter", &[]);
    assert_eq!(talk(&address, b"uryyb\njbeyq\n"), "URYYB\nJBEYQ\n");
    assert_eq!((example.line(), example.line()), ("read hello".into(), "read world".into()));
    assert_eq!(example.line(), "ended: the peer closed");
}

#[test]
fn in_memory_tests_its_protocol() {
    assert_eq!(Example::start("in_memory", &[]).finish(), ("all as it should be\n".into(), true));
}

#[test]
fn own_buffers_come_back() {
    let (said, well) = Example::start("own_buffers", &[]).finish();
    assert!(well);
    let made: u32 = said.split(' ').nth(2).and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{said}"));
    assert!(made <= 16, "{said}");
    assert!(said.trim_end().ends_with(", done"), "{said}");
}

#[test]
fn blocking_client_asks_from_a_plain_thread() {
    let (_server, address) = Example::listening("own_filter", &[]);
    let (said, well) = Example::start("blocking_client", &[&address, "uryyb", "lrf"]).finish();
    assert_eq!((said.as_str(), well), ("URYYB\nLRF\nended: done\n", true));
}

#[test]
fn gateway_speaks_lines_outside_and_lengths_inside() {
    let inside = TcpListener::bind("127.0.0.1:0").unwrap();
    let (mut example, address) = Example::listening("gateway", &[&inside.local_addr().unwrap().to_string()]);
    let serving = thread::spawn(move || {
        let (mut stream, _) = inside.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut asked = [0; 6];
        stream.read_exact(&mut asked).unwrap();
        stream.write_all(b"\0\0\0\x05there").unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        (asked, rest)
    });
    let mut outside = connect(&address);
    outside.write_all(b"hi\n").unwrap();
    let mut answer = [0; 6];
    outside.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"there\n");
    drop(outside);
    assert_eq!(serving.join().unwrap(), (*b"\0\0\0\x02hi", Vec::new()));
    assert_eq!(example.line(), "outside: the peer closed, inside: done");
}

#[test]
fn call_service_answers_all_four_shapes() {
    let (_server, address) = Example::listening("call_service", &["serve", "127.0.0.1:0"]);
    let (said, well) = Example::start("call_service", &["ask", &address]).finish();
    let expected = [
        "one there, one back: Number(42)",
        "many back: Number(2)",
        "many back: Number(1)",
        "many back: Number(0)",
        "many there: Number(55)",
        "many both ways: Some(Number(10))",
        "many both ways: Some(Number(15))",
        "many both ways: Some(Number(30))",
        "ended: done",
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
    assert!(well);
}
