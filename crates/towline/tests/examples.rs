//! The examples of connections, started as programs, driven over the loopback, and stopped.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

/// How long anything may take before a test fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running example, stopped when it is dropped.
struct Example {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Example {
    fn start(name: &str, arguments: &[&str]) -> Self {
        // Tests lie in target/PROFILE/deps, examples beside that.
        let mut path = std::env::current_exe().unwrap();
        path.pop();
        path.set_file_name("examples");
        let mut command = Command::new(path.join(name));
        let mut child = match command.args(arguments).stdout(Stdio::piped()).spawn() {
            Ok(child) => child,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                panic!("`cargo build -p towline --examples` comes first when one test is chosen")
            }
            Err(error) => panic!("{name}: {error}"),
        };
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Starts one that listens; its address.
    fn listening(name: &str, arguments: &[&str]) -> (Self, String) {
        let mut example = Self::start(name, arguments);
        let line = example.line();
        let address = line.strip_prefix("listening on ").unwrap_or_else(|| panic!("{name} said {line:?}")).to_owned();
        (example, address)
    }

    /// Everything it prints until it ends by itself, and whether it ended well.
    fn finish(mut self) -> (String, bool) {
        let mut said = String::new();
        self.stdout.read_to_string(&mut said).unwrap();
        (said, self.child.wait().unwrap().success())
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Says `bytes`, ends, and returns all that is answered.
fn talk(address: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
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
    let mut outside = TcpStream::connect(&address).unwrap();
    outside.set_read_timeout(Some(PATIENCE)).unwrap();
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
