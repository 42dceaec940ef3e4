//! A device in another language, written from the pages alone, among the program's own.

mod support;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use support::home::Ran;
use support::{World, until};

const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../clients/python/towline_client.py");

/// Prints what Python can do, or fails for want of a module; 3.5 is the first OpenSSL with ML-KEM.
const PROBE: &str = "import sys, ssl, cryptography; assert sys.version_info >= (3, 11), 'Python is older than 3.11'; \
                     print(ssl.OPENSSL_VERSION_INFO >= (3, 5))";

/// A Python that can run the client, and whether its OpenSSL lacks ML-KEM.
struct Python {
    program: &'static str,
    is_classical: bool,
}

/// The first Python that can run the client; `None`, told by name, where there is none.
fn python(test: &str) -> Option<Python> {
    let mut why = String::new();
    for program in ["python3", "/usr/bin/python3"] {
        match Command::new(program).args(["-c", PROBE]).output() {
            Ok(output) if output.status.success() => {
                let is_classical = String::from_utf8_lossy(&output.stdout).trim() == "False";
                return Some(Python { program, is_classical });
            }
            Ok(output) => why = String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().into(),
            Err(error) => why = error.to_string(),
        }
    }
    println!("{test}: skipped, python3 with cryptography is missing: {why}");
    None
}

impl Python {
    fn command(&self, world: &World, args: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        command.arg("-B").arg(CLIENT).arg("--home").arg(world.path("python")).args(args);
        command
    }

    fn run(&self, world: &World, args: &[&str]) -> Ran {
        Ran::to_its_end(&mut self.command(world, args))
    }

    /// Runs it, which must succeed; its lines.
    fn ask(&self, world: &World, args: &[&str]) -> Vec<Value> {
        let ran = self.run(world, args);
        assert_eq!(ran.exit, Some(0), "{args:?}: {ran:?}");
        ran.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON lines")).collect()
    }

    fn join(&self, world: &World, name: &str) -> Vec<Value> {
        self.ask(world, &["join", &ticket(world, name)])
    }

    fn start_receiving(&self, world: &World, args: &[&str]) -> Receiving {
        let mut command = self.command(world, &[&["receive"], args].concat());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("Python starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut receiving = Receiving { child, lines };
        assert_eq!(receiving.line().expect("a first line")["event"], "connected");
        receiving
    }
}

/// A client that takes messages. Dropping it kills it.
struct Receiving {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Receiving {
    /// Its next line; `None` at its end.
    fn line(&mut self) -> Option<Value> {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("UTF-8");
        (!line.is_empty()).then(|| serde_json::from_str(&line).expect("JSON lines"))
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = kill_process(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}

fn ticket(world: &World, name: &str) -> String {
    let invited = world.ran("hub", &["invite", name, "--json"]);
    invited.json()["ticket"].as_str().expect("a ticket").to_owned()
}

/// A development hub that also takes peers without ML-KEM.
fn lenient() -> World {
    let mut world = World::new();
    world.hub_args.extend(["--set".into(), "pq=prefer".into()]);
    world.start_hub();
    world
}

/// The line of `/metrics` that begins with `name`, as a number; 0 if it is not there.
fn metric(world: &World, name: &str) -> u64 {
    let mut socket = TcpStream::connect(world.http()).expect("the hub's page");
    socket.write_all(b"GET /metrics HTTP/1.1\r\nhost: hub\r\nconnection: close\r\n\r\n").expect("asked");
    let mut page = String::new();
    socket.read_to_string(&mut page).expect("read");
    let line = page.lines().find(|line| line.starts_with(name));
    line.map_or(0, |line| line.rsplit(' ').next().and_then(|number| number.parse().ok()).expect("a number"))
}

/// Bytes that differ from place to place.
fn pattern(len: usize) -> Vec<u8> {
    (0..len as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

#[test]
fn a_client_in_python_and_the_program_exchange_messages_and_receipts_both_ways() {
    let Some(python) = python("python client") else { return };
    let mut world = lenient();
    world.join("office");
    world.open("office");
    assert_eq!(python.join(&world, "lab")[0]["device"], "lab");
    let there = python.ask(&world, &["who", "office"]);
    assert_eq!((&there[0]["device"], &there[0]["online"]), (&"office".into(), &true.into()));
    assert!(python.ask(&world, &["ping", "office"])[0]["micros"].as_u64().is_some());

    // From Python: a small body goes with its envelope, a large one on a stream of its own, past every first credit.
    let (small, large) = (pattern(1_000), pattern(700_000));
    for (name, bytes) in [("small.bin", &small), ("large.bin", &large), ("empty.bin", &Vec::new())] {
        let told = python.ask(&world, &["send", "office", &world.write(name, bytes)]);
        assert_eq!((&told[0]["event"], &told[0]["online"]), (&"accepted".into(), &true.into()));
        assert_eq!((&told[1]["outcome"], &told[1]["signer"]), (&"handled".into(), &"recipient".into()), "{told:?}");
        assert_eq!(told[1]["receipt"], "valid");
        assert!(std::fs::read(world.inbox("office", name)).expect("in the inbox") == *bytes, "{name}");
        let id = told[0]["id"].as_str().expect("an id");
        assert_eq!(python.ask(&world, &["status", id])[0]["receipt"], "valid");
    }

    // To Python: the last two wait at the hub until it comes.
    let mut sent = Vec::new();
    for name in ["small.bin", "large.bin", "empty.bin"] {
        let path = world.path(name).to_string_lossy().into_owned();
        let ran = world.ran("office", &["send", "--json", &path, "lab:"]);
        assert_eq!(ran.exit, Some(0), "{ran:?}");
        sent.push(ran.message()["id"].as_str().expect("an id").to_owned());
    }
    let mut receiving = python.start_receiving(&world, &["--count", "3"]);
    while let Some(line) = receiving.line() {
        assert_eq!((&line["event"], &line["sender"]), (&"handled".into(), &"office".into()));
    }
    for (id, bytes) in sent.iter().zip([&small, &large, &Vec::new()]) {
        let verified = world.ran("office", &["status", "--verify", "--wait=60s", id]);
        assert_eq!(verified.exit, Some(0), "{verified:?}");
        let name = std::fs::read_dir(world.path("python/inbox")).expect("an inbox").flatten();
        let placed = name.map(|entry| entry.path()).find(|path| path.to_string_lossy().contains(id.as_str()));
        assert!(std::fs::read(placed.expect("placed")).expect("read") == *bytes);
    }
    assert_eq!(std::fs::read_dir(world.path("python/store")).expect("a store").count(), 0, "nothing is left over");

    let live = python.start_receiving(&world, &[]);
    let live_sent = world.ran("office", &["send", "--live", "--text", "now", "--name", "note", "lab:"]);
    assert_eq!(live_sent.exit, Some(0), "{live_sent:?}");
    let mut live = live;
    let told = live.line().expect("a line");
    assert_eq!((&told["event"], &told["name"]), (&"live".into(), &"note".into()));
    assert_eq!(metric(&world, "towline_sessions_closed{word=\"protocol\"}"), 0);
    assert_eq!(metric(&world, "towline_sessions_closed{word=\"flow-control\"}"), 0);
}

#[test]
fn a_python_device_that_is_killed_again_and_again_loses_and_doubles_nothing() {
    const MESSAGES: usize = 12;
    let Some(python) = python("python client killed") else { return };
    let world = lenient();
    world.join("office");
    python.join(&world, "lab");
    let mut ids = Vec::new();
    for number in 0..MESSAGES {
        let text = number.to_string();
        let ran = world.ran("office", &["send", "--json", "--text", &text, "--name", "note", "lab:"]);
        ids.push(ran.message()["id"].as_str().expect("an id").to_owned());
    }
    let placed = || std::fs::read_dir(world.path("python/inbox")).map_or(0, Iterator::count);
    let handled = |id: &String| world.run("office", ["status", id]).status.code() == Some(0);
    let (mut before, mut kills) = (0, 0);
    while before < MESSAGES {
        // Killed as soon as one more stands in the inbox: while it signs, reports, or works on the next.
        let _receiving = python.start_receiving(&world, &[]);
        until("one more is placed", || placed() > before);
        before = placed();
        kills += 1;
    }
    let _receiving = python.start_receiving(&world, &[]);
    until("every outcome is told", || ids.iter().all(handled));
    let found: Vec<String> = std::fs::read_dir(world.path("python/inbox"))
        .expect("an inbox")
        .flatten()
        .map(|entry| std::fs::read_to_string(entry.path()).expect("text"))
        .collect();
    let mut numbers: Vec<usize> = found.iter().map(|text| text.parse().expect("a number")).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..MESSAGES).collect::<Vec<_>>(), "each once");
    println!("python client: {MESSAGES} messages, {kills} kills");
}

#[test]
fn p07_a_client_in_python_refuses_every_flipped_bit_of_a_receipt() {
    let Some(python) = python("p07") else { return };
    let script = CLIENT.replace("towline_client.py", "check_receipts.py");
    let ran = Ran::to_its_end(Command::new(python.program).arg("-B").arg(script));
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    println!("p07: reached {} in Python", ran.stdout.trim());
}

#[test]
fn p31_a_client_in_python_refuses_a_hub_with_another_key() {
    let Some(python) = python("p31") else { return };
    let world = lenient();
    python.join(&world, "lab");
    let notes = world.path("python/device.json");
    let mut known: Value = serde_json::from_str(&std::fs::read_to_string(&notes).expect("notes")).expect("JSON");
    known["hub"] = "0".repeat(52).into();
    std::fs::write(&notes, known.to_string()).expect("written");
    let ran = python.run(&world, &["who"]);
    assert_eq!(ran.exit, Some(8), "{ran:?}");
    assert!(ran.stderr.contains("another key"), "{ran:?}");
}

#[test]
fn p32_an_old_openssl_is_refused_unless_the_operator_says_prefer() {
    let Some(python) = python("p32") else { return };
    let mut world = World::new();
    world.start_hub();
    let joined = python.run(&world, &["join", &ticket(&world, "lab")]);
    if !python.is_classical {
        assert_eq!(joined.exit, Some(0), "{joined:?}");
        assert_eq!(metric(&world, "towline_links_not_post_quantum "), 0);
        return println!("p32: this Python's OpenSSL has ML-KEM, so there is none without it to be refused");
    }
    assert_eq!(joined.exit, Some(5), "{joined:?}");
    assert!(joined.stderr.contains("handshake failure"), "{joined:?}");
    assert_eq!(metric(&world, "towline_connections_refused{word=\"tls\"}"), 1);

    let world = lenient();
    python.join(&world, "lab");
    assert_eq!(metric(&world, "towline_links_not_post_quantum "), 1);
    let _receiving = python.start_receiving(&world, &[]);
    world.join("office");
    let shown = world.ask("office", &["who", "--json", "lab"]);
    assert!(shown.contains("x25519"), "{shown}");
    assert!(world.log("hub").contains("key_exchange=x25519"), "{}", world.log("hub"));
    println!("p32: reached refused by default, let in and shown where the operator says prefer");
}
